"""Repeated log lines are held back and summed up."""

from hypothesis import given
from hypothesis import strategies as st

from howdah.control.flood import Flood, HeldBack


def test_lines_beyond_the_limit_wait_for_a_summary() -> None:
    flood: Flood[str] = Flood(per_second=3, period=10.0)
    assert [flood.admits("a", 0.1) for _ in range(5)] == [True, True, True, False, False]
    assert flood.admits("b", 0.2)
    assert not flood.admits("a", 5.0)
    assert flood.summaries(9.0) == []
    assert flood.summaries(10.1) == [HeldBack("a", 3, 10.0)]
    assert flood.admits("a", 10.2)
    assert flood.summaries(30.0) == []


def test_a_slow_trickle_is_never_held_back() -> None:
    flood: Flood[str] = Flood(per_second=2)
    assert all(flood.admits("a", second / 2) for second in range(100))


def test_the_last_summary_does_not_wait() -> None:
    flood: Flood[str] = Flood(per_second=1)
    flood.admits("a", 0.0)
    flood.admits("a", 0.5)
    assert flood.summaries(1.0, final=True) == [HeldBack("a", 1, 0.5)]


@given(st.lists(st.tuples(st.sampled_from("ab"), st.floats(0, 5)), max_size=200))
def test_every_line_is_written_or_counted(arrivals: list[tuple[str, float]]) -> None:
    flood: Flood[str] = Flood(per_second=2, period=3.0)
    now, written, counted = 0.0, 0, 0
    for key, pause in arrivals:
        now += pause
        written += flood.admits(key, now)
        counted += sum(held.lines for held in flood.summaries(now))
    counted += sum(held.lines for held in flood.summaries(now, final=True))
    assert written + counted == len(arrivals)
