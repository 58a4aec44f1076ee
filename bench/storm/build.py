"""Compile the generator below bench/.build, when it changed."""

import os
import shutil
import subprocess
from functools import cache
from pathlib import Path

from bench.places import BUILD, NotHere

SOURCES = Path(__file__).parent
PROGRAM = BUILD / "storm" / "storm"
#: HMAC_CTX and SHA384_*, which OpenSSL 3 calls deprecated, allocate nothing; what replaced them looks its algorithm up
#: each time.
FLAGS = ["-std=gnu11", "-O2", "-g", "-Wall", "-Wextra", "-Werror", "-DOPENSSL_API_COMPAT=0x10100000L"]
LIBRARIES = ["-lcrypto", "-lpthread"]


@cache
def program() -> Path:
    """The compiled generator."""
    sources = sorted(SOURCES.glob("*.[ch]"))
    newest = max(source.stat().st_mtime for source in sources)
    if not PROGRAM.exists() or PROGRAM.stat().st_mtime < newest:
        _compile([source for source in sources if source.suffix == ".c"])
    return PROGRAM


def _compile(sources: list[Path]) -> None:
    if shutil.which("gcc") is None or not Path("/usr/include/openssl/evp.h").exists():
        raise NotHere("compiling the load generator needs the packages gcc and libssl-dev")
    PROGRAM.parent.mkdir(parents=True, exist_ok=True)
    half = PROGRAM.with_suffix(f".{os.getpid()}")  # others may be compiling it, too
    done = subprocess.run(
        ["gcc", *FLAGS, *map(str, sources), "-o", str(half), *LIBRARIES], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise NotHere(f"compiling the load generator failed:\n{done.stderr[-3000:]}")
    half.replace(PROGRAM)
