"""Measurements of much at once: a row or a COPY far larger than any buffer, and what it adds to a pooler's memory."""

import struct
import time
from collections.abc import Callable, Iterator

from bench import cpu
from bench.meter import Meter, Metrics
from bench.storm import generator
from bench.storm.generator import Copied
from bench.targets import Target
from bench.wire import Connection, copy_data

MIB = 1 << 20
GIB = 1 << 30
ROW = 40_000_000
ROWS = 5  # of ROW bytes, one after the other
LETTERS = "x" * 64  # repeat() takes its time when it is given one
LINE = b"x" * 1023 + b"\n"
#: As psql sends a file: CopyData of 8 KiB.
COPY_DATA = copy_data(LINE * 8)
ROW_HEAD = struct.calcsize("!HI")  # number of columns, length of the first

Work = Callable[[Target, int], Copied]


def moving(work: Work, size: int) -> Callable[[Target, int], Metrics]:
    """`work` of `size` bytes on a fresh process: its time, its CPU, and how far it grew meanwhile."""

    def measure(target: Target, seconds: int) -> Metrics:
        del seconds
        with target:
            work(target, MIB)  # what a process grows by when it works at all is not what grows with the size
            before = _resident(target)
            with Meter(target) as meter:
                moved = work(target, size)
            return {
                "mib_s": moved.bytes / moved.seconds / MIB,
                "generator_cpu": moved.cpu_s / moved.seconds,
                **meter.each(moved.bytes / GIB * 1000, "gib_cpu_ms"),
                **({} if target.pid is None else {"grown_kib": float(cpu.peak_kib(target.pid) - before)}),
            }

    return measure


def _resident(target: Target) -> int:
    """KiB resident now; from now on the peak is counted anew."""
    if target.pid is None:
        return 0
    cpu.reset_peak(target.pid)
    return cpu.memory(target.pid).rss_kib


def rows(target: Target, size: int) -> Copied:
    """Some rows of `size` bytes, one after the other."""
    read = [generator.copy(target.port, sql=f"SELECT repeat('{LETTERS}', {size // len(LETTERS)})") for _ in range(ROWS)]
    _check(target, sum(one.bytes for one in read), ROWS * (size + ROW_HEAD))
    return Copied(ROWS * size, sum(one.seconds for one in read), sum(one.cpu_s for one in read))


def copy_out(target: Target, size: int) -> Copied:
    """One client reads `size` bytes of text: rows of 1,023 letters and a line feed."""
    sql = f"COPY (SELECT repeat('x', {len(LINE) - 1}) FROM generate_series(1, {size // len(LINE)})) TO STDOUT"
    copied = generator.copy(target.port, sql=sql, tls="full" if target.tls else "off")
    _check(target, copied.bytes, size)
    return copied


def copy_in(target: Target, size: int) -> Copied:
    """One client writes as much; PostgreSQL reads all the rows and keeps only the last one, which is short."""
    with Connection(target.port, timeout=60) as connection:
        connection.run("CREATE UNLOGGED TABLE IF NOT EXISTS copied (line text)")
        began, used = time.perf_counter(), time.thread_time()
        tag = connection.copy_in("COPY copied FROM STDIN WHERE octet_length(line) < 1000", _blocks(size))
        seconds, cpu_s = time.perf_counter() - began, time.thread_time() - used
    if tag != "COPY 1":
        raise RuntimeError(f"{target.name}: the end of a COPY of {size} bytes did not arrive: {tag!r}")
    return Copied(size, seconds, cpu_s)


def _blocks(size: int) -> Iterator[bytes]:
    """CopyData messages, many at a time."""
    block = COPY_DATA * (MIB // (len(LINE) * 8))
    for _ in range(size // MIB):
        yield block
    yield copy_data(b"the last\n")


def _check(target: Target, came: int, expected: int) -> None:
    if came != expected:
        raise RuntimeError(f"{target.name}: {came} of {expected} bytes came")
