"""Repeated log lines are held back and summed up."""

from hypothesis import given
from hypothesis import strategies as st

from howdah.control.flood import Flood, HeldBack


def test_lines_beyond_the_limit_wait_for_a_summary() -> None:
    flood: Flood[str] = Flood(most=3, period=10.0)
    assert [flood.admits("a", 1.0) for _ in range(5)] == [True, True, True, False, False]
    assert flood.admits("b", 1.5)
    assert not flood.admits("a", 10.5)
    assert flood.summaries(10.5) == []
    assert flood.summaries(12.0) == [HeldBack("a", 3, 11.0)]
    assert flood.admits("a", 12.5)
    assert flood.summaries(40.0) == []


def test_a_trickle_is_never_held_back() -> None:
    flood: Flood[str] = Flood(most=10, period=10.0)
    assert all(flood.admits("a", float(second)) for second in range(100))


def test_the_last_summary_does_not_wait() -> None:
    flood: Flood[str] = Flood(most=1)
    flood.admits("a", 0.0)
    flood.admits("a", 0.5)
    assert flood.summaries(1.0, final=True) == [HeldBack("a", 1, 1.0)]


@given(st.lists(st.tuples(st.sampled_from("ab"), st.floats(0, 5)), max_size=200))
def test_every_line_is_written_or_counted(arrivals: list[tuple[str, float]]) -> None:
    flood: Flood[str] = Flood(most=2, period=3.0)
    now, written, counted = 0.0, 0, 0
    for key, pause in arrivals:
        now += pause
        written += flood.admits(key, now)
        counted += sum(held.lines for held in flood.summaries(now))
    counted += sum(held.lines for held in flood.summaries(now, final=True))
    assert written + counted == len(arrivals)
