"""What /proc says of a process, read."""

import os
import threading

import pytest

from bench.cpu import TICK_US, Memory, Used, memory, parse_peak, parse_rollup, parse_stat, peak_kib, reset_peak, used


def test_stat_is_read_although_the_name_has_blanks_and_brackets() -> None:
    line = "42 (my (odd) name) S 1 42 42 0 -1 4194304 500 0 0 0 150 250 0 0 20 0 3 0 100 1000 10\n"
    assert parse_stat(line) == (150 * TICK_US, 250 * TICK_US)


def test_rollup_gives_resident_and_proportional_size() -> None:
    text = "5600-7ffe ---p 00000000 00:00 0    [rollup]\nRss:    4096 kB\nPss:    1024 kB\nPss_Dirty:  10 kB\n"
    assert parse_rollup(text) == Memory(rss_kib=4096, pss_kib=1024)


def test_status_gives_the_peak() -> None:
    assert parse_peak("Name:\tx\nVmPeak:\t  999 kB\nVmHWM:\t    4096 kB\nVmRSS:\t    1024 kB\n") == 4096


def test_the_peak_is_that_since_the_reset() -> None:
    me, size = os.getpid(), 64 << 20
    block = bytearray(os.urandom(1) * size)
    del block
    reset_peak(me)
    before = memory(me).rss_kib
    assert peak_kib(me) - before < size // 2048
    block = bytearray(os.urandom(1) * size)
    del block
    assert peak_kib(me) - before > size // 2048


def test_the_split_in_ticks_is_applied_to_the_exact_sum() -> None:
    difference = Used(1500.0, 30_000.0, 40_000.0, 9) - Used(500.0, 10_000.0, 10_000.0, 4)
    assert difference.user_us == pytest.approx(400)
    assert difference.system_us == pytest.approx(600)
    assert difference.switches == 5


def test_without_a_tick_all_time_counts_as_the_systems() -> None:
    assert Used(70.0, 0.0, 0.0, 0).user_us == 0
    assert Used(70.0, 0.0, 0.0, 0).system_us == 70


def test_time_of_other_threads_counts() -> None:
    done, go_on = threading.Event(), threading.Event()

    def work() -> None:
        sum(range(3_000_000))
        done.set()
        go_on.wait(10)

    before = used(os.getpid())
    thread = threading.Thread(target=work)
    thread.start()
    assert done.wait(10)
    spent = used(os.getpid()) - before
    go_on.set()
    thread.join()
    assert spent.total_us > 5_000
