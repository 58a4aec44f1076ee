"""`howdah show`, `howdah set`, `howdah reload` and the others, as programs that ask a running pooler."""

import json
import subprocess
import sys
from collections.abc import Sequence

import pytest

from tests.kit.pooler import Pooler, environment


def _run(pooler: Pooler, *arguments: str, where: Sequence[str] | None = None) -> subprocess.CompletedProcess[str]:
    at = ["--config", str(pooler.config)] if where is None else where
    return subprocess.run(
        [sys.executable, "-m", "howdah", *arguments, *at], cwd=pooler.folder, env=environment(), text=True,
        capture_output=True, check=False, timeout=60,
    )  # fmt: skip


def test_show_prints_a_table_with_numbers_at_the_right(howdah: Pooler) -> None:
    howdah.value("SELECT 1")
    done = _run(howdah, "show", "pools")
    head, rule, *rows = done.stdout.splitlines()
    assert (done.returncode, done.stderr) == (0, "")
    assert head.split()[:3] == ["database", "user", "cl_active"]
    assert set(rule) == {"-", " "}
    (app,) = [row for row in rows if row.split()[:2] == ["app", "alice"]]
    end = head.index("cl_active") + len("cl_active")
    assert app[end - 1] == "0"


def test_show_prints_json(howdah: Pooler) -> None:
    howdah.value("SELECT 1")
    done = _run(howdah, "show", "stats", "--json")
    rows = {row["database"]: row for row in json.loads(done.stdout)}
    assert rows["app"]["total_query_count"] >= 1
    assert type(rows["app"]["avg_xact_time"]) is int


def test_show_selects_and_sorts(howdah: Pooler) -> None:
    arguments = ("--columns", "key, value", "--where", "key LIKE 'tcp%'", "--order-by", "key DESC", "--json")
    done = _run(howdah, "show", "config", *arguments, where=("--host", str(howdah.folder), "-p", str(howdah.port)))
    keys = [row["key"] for row in json.loads(done.stdout)]
    assert keys == sorted(keys, reverse=True)
    assert "tcp_keepalive" in keys


def test_show_without_a_table_says_which_there_are(howdah: Pooler) -> None:
    done = _run(howdah, "show", where=("--host", howdah.host, "--port", str(howdah.port), "-U", "boss"))
    assert done.returncode == 0
    assert "SHOW FDS|SOCKETS" in done.stderr


def test_set_and_reload_say_what_they_have_done(pooler: Pooler) -> None:
    pooler.run()
    assert _run(pooler, "set", "default_pool_size", "9").stderr == "SET default_pool_size=9\n"
    assert _run(pooler, "console", "SELECT value FROM config WHERE key = 'default_pool_size'").stdout.split()[-1] == "9"
    done = _run(pooler, "reload")
    assert done.stderr == "configuration reloaded: 1 change\ndefault_pool_size: 9 -> 20\nRELOAD\n"


@pytest.mark.parametrize(
    "arguments, words",
    [
        (("show", "elephants"), ("invalid command 'SHOW elephants'", "hint: Did you mean SHOW CLIENTS?")),
        (("show", "pools", "--where", "elephants = 1"), ('column "elephants" does not exist',)),
        (("set", "default_pool_size", "it's"), ("must be a whole number, not",)),
        (("console", "NONSENSE"), ("invalid command 'NONSENSE', use SHOW HELP;",)),
    ],
)
def test_what_the_console_refuses_is_told_without_a_traceback(
    howdah: Pooler, arguments: Sequence[str], words: Sequence[str]
) -> None:
    done = _run(howdah, *arguments)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: ")
    assert all(word in done.stderr for word in words)


def test_where_nobody_answers_it_says_whom_it_has_asked(pooler: Pooler) -> None:
    pooler.config.write_text("")
    done = _run(pooler, "show", "pools", where=("--host", str(pooler.folder), "--port", str(pooler.port)))
    assert done.returncode == 1
    assert f"cannot ask the console at {pooler.socket_path} as user pgbouncer" in done.stderr
    assert "is howdah running there?" in done.stderr
