"""``make regress``: PostgreSQL's regression tests directly and through howdah in transaction mode, and what differs.

The pool has four servers, and three neighbours soil them all the time.  Each run has a cluster of its own.
"""

import os
import re
import shutil
import subprocess
import sys
from typing import Self

from tests.kit.pooler import Pooler
from tests.kit.postgres import SUPERUSER, Postgres
from tests.regress import sources
from tests.regress.differences import DIFFERENCES
from tests.regress.neighbours import Neighbours
from tools.bootstrap import say

DATABASE = "regression"
SERVERS = 4
NEIGHBOURS = 3
#: As pg_regress sets up the database where it makes it itself.
DATABASE_SETTINGS = ("lc_messages = 'C'", "lc_monetary = 'C'", "lc_numeric = 'C'", "lc_time = 'C'",
                     "bytea_output = 'hex'", "timezone_abbreviations = 'Default'")  # fmt: skip
#: "test boolean ... FAILED  62 ms", also in a parallel group.
RESULT = re.compile(r"^(?:test| {4}) +(\S+) +\.\.\. (ok|FAILED)", re.MULTILINE)


class Run:
    """The tests, run once, on a cluster of their own."""

    def __init__(self, name: str, major: str, version: str) -> None:
        self.major, self.version = major, version
        self.output = sources.KEPT / version / name
        self.postgres = Postgres(sources.binaries(major))
        self.tests = self.postgres.folder / "regress"
        shutil.copytree(sources.tests(major, version), self.tests)

    def __enter__(self) -> Self:
        self.postgres.create()
        self.postgres.sql(f"CREATE DATABASE {DATABASE} TEMPLATE template0")
        for setting in DATABASE_SETTINGS:
            self.postgres.sql(f"ALTER DATABASE {DATABASE} SET {setting}")
        return self

    def __exit__(self, *error: object) -> None:
        self.postgres.remove()

    def results(self, host: str, port: int, only: list[str]) -> dict[str, bool]:
        """Each test's name, and whether its output was as expected, with neighbours at the same address."""
        with Neighbours(NEIGHBOURS, host=host, port=port, dbname=DATABASE, user=SUPERUSER):
            printed = self._run_tests(host, port, only)
        found = {name: verdict == "ok" for name, verdict in RESULT.findall(printed)}
        if not found:
            raise SystemExit(f"pg_regress ran no test:\n{printed}")
        return found

    def _run_tests(self, host: str, port: int, only: list[str]) -> str:
        """What pg_regress printed.  Its folder is kept as `output`."""
        out = self.postgres.folder / "out"
        out.mkdir()
        identity = self.postgres.identity
        if identity:  # PostgreSQL itself reads and writes in here
            for path in (out, self.tests, *self.tests.rglob("*")):
                os.chown(path, identity["user"], identity["group"])
        driver = shutil.copy(sources.driver(self.major, self.version), self.postgres.folder)
        done = subprocess.run(
            [driver, "--use-existing", f"--dbname={DATABASE}", f"--host={host}", f"--port={port}",
             f"--user={SUPERUSER}", f"--inputdir={self.tests}", f"--outputdir={out}", f"--dlpath={self.tests}",
             f"--bindir={sources.binaries(self.major)}", *(only or [f"--schedule={self.tests}/parallel_schedule"])],
            check=False, cwd=self.postgres.folder, capture_output=True, text=True, **identity,
        )  # fmt: skip
        shutil.rmtree(self.output, ignore_errors=True)
        shutil.copytree(out, self.output)
        return str(done.stdout + done.stderr)


def through_howdah(run: Run, only: list[str]) -> dict[str, bool]:
    pooler = Pooler(run.postgres)
    pooler.databases[DATABASE] = {"host": run.postgres.host, "port": run.postgres.port}
    pooler.settings |= {"log_connections": False, "log_disconnections": False, "default_pool_size": SERVERS}
    pooler.run()
    try:
        found = run.results(pooler.host, pooler.port, only)
        shutil.copy(pooler.log, run.output / "log")
    finally:
        pooler.remove()
    return found


def main(only: list[str]) -> int:
    """`only`: names of tests; all where there are none.  0: nothing differs without a reason."""
    major, version = sources.installed()
    say(f"running PostgreSQL {version}'s tests directly")
    with Run("direct", major, version) as run:
        directly = run.results(run.postgres.host, run.postgres.port, only)
    say("running them through howdah")
    with Run("howdah", major, version) as run:
        pooled = through_howdah(run, only)
    differing = [name for name, passed in directly.items() if passed and not pooled.get(name)]
    print(f"directly {sum(directly.values())} of {len(directly)} pass, through howdah {sum(pooled.values())}")
    for name in differing:
        print(f"  {name}: {DIFFERENCES.get(name, 'not explained')}")
    print(f"what they printed: {run.output.parent}")
    return int(any(name not in DIFFERENCES for name in differing))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
