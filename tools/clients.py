"""Brings what suites of tests/clients in other languages than Python need: programs by apt, modules for Node.js by npm.

``make clients`` calls it.  What cannot be had is named with the suites that will fail for it, and the others run.
"""

import subprocess
from typing import NamedTuple

from tools.bootstrap import ROOT, install_packages, say


class Need(NamedTuple):
    suites: str
    #: All of these succeed where everything is there.
    tries: tuple[tuple[str, ...], ...]
    #: Debian's, which bring it.
    packages: tuple[str, ...]


PHP_HAS_DRIVER = "exit(in_array('pgsql', PDO::getAvailableDrivers()) ? 0 : 1);"
PGX = "/usr/share/gocode/src/github.com/jackc/pgx/v4"
NEEDS = [
    Need("node_postgres, postgres_js", (("node", "--version"), ("npm", "--version")), ("nodejs", "npm")),
    Need("pgjdbc", (("javac", "-version"), ("test", "-e", "/usr/share/java/postgresql.jar")),
         ("default-jdk-headless", "libpostgresql-jdbc-java")),
    Need("go", (("go", "version"), ("test", "-d", PGX), ("test", "-d", "/usr/share/gocode/src/github.com/lib/pq")),
         ("golang-go", "golang-github-jackc-pgx-v4-dev", "golang-github-lib-pq-dev")),
    Need("dbd_pg", (("perl", "-MDBD::Pg", "-MJSON::PP", "-e", "1"),), ("libdbd-pg-perl",)),
    Need("pdo_pgsql", (("php", "-r", PHP_HAS_DRIVER),), ("php-cli", "php-pgsql")),
    Need("ruby_pg", (("ruby", "-rpg", "-e", "1"),), ("ruby", "ruby-pg")),
    Need("active_record", (("ruby", "-ractive_record", "-e", "1"),), ("ruby", "ruby-pg", "ruby-activerecord")),
]  # fmt: skip


def succeeds(command: tuple[str, ...]) -> bool:
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


def see_to(need: Need) -> None:
    if not all(map(succeeds, need.tries)):
        install_packages(list(need.packages))


def install_modules() -> None:
    """Those of tests/clients/package-lock.json, unless they are there."""
    folder = ROOT / "tests" / "clients"
    lock, installed = folder / "package-lock.json", folder / "node_modules" / ".package-lock.json"
    if installed.exists() and installed.stat().st_mtime >= lock.stat().st_mtime:
        return
    say("installing the modules for Node.js")
    if not succeeds(("npm", "ci", "--prefix", str(folder), "--ignore-scripts", "--no-audit", "--no-fund")):
        say("node_postgres, postgres_js will fail: `npm ci` did; see what it says in tests/clients")


def main() -> None:
    for need in NEEDS:
        try:
            see_to(need)
        except SystemExit as error:  # the other suites run
            say(f"{need.suites} will fail: {error}")
    install_modules()


if __name__ == "__main__":
    main()
