"""What `ps` shows of arguments with passwords in them."""

import subprocess
import sys

import pytest

SCRIPT = """
import sys
from pathlib import Path
from howdah.cli.process_list import hide_passwords
hide_passwords()
print(*Path("/proc/self/cmdline").read_text().split("\\0")[3:], sep="\\n", end="")
print(*sys.argv[1:], sep="\\n", end="", file=sys.stderr)
"""


@pytest.mark.parametrize(
    "given, shown",
    [
        ("postgresql://app:s3cret@db.example:5432/shop", "postgresql://app:xxxxxx@db.example:5432/shop"),
        ("postgres://:s3cret@db.example", "postgres://:xxxxxx@db.example"),
        ("postgresql://app:s3@cret@db.example/a?sslmode=require", "postgresql://app:xxxxxxx@db.example/a?sslmode=require"),
        ("postgresql://db/shop?password=s3cret&user=app", "postgresql://db/shop?password=xxxxxx&user=app"),
        ("auth_ldap_options=ldapserver=a ldapbindpasswd=my pw", "auth_ldap_options=ldapserver=a ldapbindpasswd=xxxxx"),
        ("postgresql://app@db.example:5432/shop?options=-c%20a=b@c", "postgresql://app@db.example:5432/shop?options=-c%20a=b@c"),
        ("postgresql://127.0.0.1:5432/shop", "postgresql://127.0.0.1:5432/shop"),
        ("howdah.toml", "howdah.toml"),
        ("", ""),
    ],
)  # fmt: skip
def test_passwords_are_crossed_out_and_nothing_else(given: str, shown: str) -> None:
    words = ["before", given, "p\u00e4ter"]
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *words], capture_output=True, encoding="utf-8", check=True, timeout=60
    )
    assert done.stdout.split("\n")[:3] == ["before", shown, "p\u00e4ter"]
    assert done.stderr.split("\n") == words
