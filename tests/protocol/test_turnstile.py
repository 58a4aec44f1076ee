"""The turnstile lets in what its limits say, forgets in time, and takes no more memory for a thousand strangers."""

import threading
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

probe = pytest.importorskip("howdah_probe.turnstile", reason="the release build has no probes")
declared = pytest.importorskip("howdah.dataplane.turnstile")

ADDRESS, USER = 0, 1
SECOND = 1_000_000
FIRST_FAILURE, FORGET = 100_000, 60 * SECOND
START = 1_000 * SECOND
HERE, THERE = b"\x7f\0\0\1", b"\x0a\0\0\1"


def turnstile(seed: int = 1) -> Any:
    return probe.Turnstile(seed)


# SipHash


def test_the_hash_is_siphash_2_4() -> None:
    """The test vector of the paper, and the first ones of its reference implementation."""
    first, second = 0x0706050403020100, 0x0F0E0D0C0B0A0908
    assert probe.keyed_hash(first, second, bytes(range(15))) == 0xA129CA6149BE45E5
    assert probe.keyed_hash(first, second, b"") == 0x726FDB47DD0E0E31
    assert probe.keyed_hash(first, second, bytes(range(8))) == 0x93F5F5799A932462


# Rates


class Buckets:
    """Token buckets as one would write them down, with whole numbers: a millionth of a login is the unit."""

    def __init__(self) -> None:
        self.left: dict[tuple[int, bytes], int] = {}
        self.when: dict[tuple[int, bytes], int] = {}

    def admit(self, kind: int, key: bytes, per_second: int, now: int) -> bool:
        of, most = (kind, key), max(per_second, 1) * SECOND
        gained = max(now - self.when.get(of, now), 0) * per_second
        left = min(self.left.get(of, most) + gained, most)
        self.when[of] = max(now, self.when.get(of, now))
        self.left[of] = left - SECOND if left >= SECOND else left
        return left >= SECOND


KEYS = st.sampled_from([HERE, THERE, b"alice", b"", b"a" * 300, b"\x20\x01\x0d\xb8\0\0\0\0"])
# Steps of 2**-6 s: the same in whole and in floating-point numbers, so that the model and the turnstile must agree.
STEPS = st.integers(-2, 200).map(lambda sixty_fourths: sixty_fourths * SECOND // 64)
attempts = st.lists(st.tuples(st.sampled_from([ADDRESS, USER]), KEYS, STEPS), max_size=120)


@settings(max_examples=400)
@given(attempts, st.sampled_from([1, 2, 4, 16]), st.integers(0, 2**64 - 1))
def test_each_key_has_a_rate_of_its_own(schedule: list[tuple[int, bytes, int]], per_second: int, seed: int) -> None:
    of, model, now = turnstile(seed), Buckets(), START
    for kind, key, step in schedule:
        now += step
        assert of.admit(kind, key, float(per_second), now) == model.admit(kind, key, per_second, now)


def test_a_burst_is_one_seconds_worth() -> None:
    of = turnstile()
    assert [of.admit(ADDRESS, HERE, 5.0, START) for _ in range(7)] == [True] * 5 + [False] * 2
    assert not of.admit(ADDRESS, HERE, 5.0, START + SECOND // 5 - 1)
    assert of.admit(ADDRESS, HERE, 5.0, START + SECOND // 5 + 1)


def test_less_than_one_a_second_lets_one_in() -> None:
    of = turnstile()
    assert [of.admit(USER, b"alice", 0.5, START + at * SECOND) for at in (0, 1, 2, 3, 4)] == [
        True, False, True, False, True,
    ]  # fmt: skip


def test_a_rate_of_zero_is_no_limit() -> None:
    of = turnstile()
    assert all(of.admit(ADDRESS, HERE, 0.0, START) for _ in range(1000))
    assert of.admit(ADDRESS, HERE, 1.0, START)


def test_users_and_addresses_are_counted_apart() -> None:
    of = turnstile()
    assert of.admit(ADDRESS, HERE, 1.0, START)
    assert of.admit(USER, HERE, 1.0, START)
    assert not of.admit(USER, HERE, 1.0, START)


def test_a_rate_that_changes_counts_from_then_on() -> None:
    of = turnstile()
    assert of.admit(ADDRESS, HERE, 10.0, START)
    assert [of.admit(ADDRESS, HERE, 2.0, START) for _ in range(3)] == [True, True, False]


def test_workers_whose_clocks_differ_gain_nothing() -> None:
    of = turnstile()
    assert of.admit(ADDRESS, HERE, 1.0, START)
    assert not any(of.admit(ADDRESS, HERE, 1.0, START + at) for at in (500, 0, 400, 100, 500))


def test_workers_share_one_limit() -> None:
    of, admitted = turnstile(), []
    threads = [
        threading.Thread(target=lambda: admitted.append(probe.storm(of, HERE, 1000.0, START, 20_000))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sum(admitted) == 1000


# Memory


def test_many_keys_push_out_the_oldest_only() -> None:
    of = turnstile()
    places = declared.TURN_SETS * declared.TURN_WAYS
    strangers = [f"stranger {number}".encode() for number in range(4 * places)]
    assert of.admitted(USER, strangers, 1.0, START, 1) == len(strangers)
    # Now those that came last are remembered, most of them, and those that came first are not.
    now = START + len(strangers)
    assert of.admitted(USER, strangers[-places // 8 :], 1.0, now, 0) < places // 8 // 20
    assert of.admitted(USER, strangers[: places // 8], 1.0, now, 0) == places // 8


def test_whoever_keeps_coming_is_remembered_among_strangers() -> None:
    of, now = turnstile(), START
    assert of.admit(ADDRESS, HERE, 0.001, now)
    for number in range(declared.TURN_SETS * 16):
        now += 1
        of.admit(ADDRESS, number.to_bytes(4, "big"), 0.001, now)
        assert number % 64 or not of.admit(ADDRESS, HERE, 0.001, now)


def test_strangers_names_do_not_push_out_addresses() -> None:
    of = turnstile()
    assert of.admit(ADDRESS, HERE, 1.0, START)
    assert of.failed(HERE, SECOND, START) == FIRST_FAILURE
    of.admitted(USER, [f"stranger {number}".encode() for number in range(100_000)], 1.0, START, 1)
    assert not of.admit(ADDRESS, HERE, 1.0, START)
    assert of.failed(HERE, SECOND, START) == 2 * FIRST_FAILURE


def test_which_keys_share_a_place_depends_on_the_seed() -> None:
    """Strangers that push somebody out under one seed do not under another."""
    names = [f"stranger {number}".encode() for number in range(declared.TURN_SETS * 2)]

    def forgotten(seed: int) -> set[bytes]:
        of = turnstile(seed)
        of.admitted(USER, names, 0.001, START, 1)
        return {name for name in names if of.admitted(USER, [name], 0.001, START + len(names), 0)}

    assert forgotten(1) == forgotten(1)
    assert len(forgotten(1) & forgotten(2)) < len(forgotten(1)) // 2


# Failures


class Failures:
    """The pauses of one address as the manual describes them."""

    def __init__(self) -> None:
        self.in_a_row = 0
        self.until = 0

    def failed(self, longest: int, now: int) -> int:
        if now - self.until >= FORGET:
            self.in_a_row = 0
        self.in_a_row += 1
        pause = min(FIRST_FAILURE << (self.in_a_row - 1), longest)
        self.until = max(self.until, now + pause)
        return pause


moves = st.lists(
    st.tuples(
        st.sampled_from([HERE, THERE]),
        st.sampled_from(["failed"] * 4 + ["passed"]),
        st.one_of(st.integers(-1000, 5 * SECOND), st.integers(FORGET - SECOND, FORGET + 5 * SECOND)),
    ),
    max_size=60,
)


@settings(max_examples=400)
@given(moves, st.sampled_from([FIRST_FAILURE // 2, FIRST_FAILURE, 3 * SECOND, 100 * SECOND]))
def test_pauses_grow_and_are_forgotten(schedule: list[tuple[bytes, str, int]], longest: int) -> None:
    of, model, now = turnstile(), {HERE: Failures(), THERE: Failures()}, START
    for address, what, step in schedule:
        now += step
        if what == "failed":
            assert of.failed(address, longest, now) == model[address].failed(longest, now)
        else:
            of.passed(address, now)
            model[address] = Failures()


def test_a_pause_doubles_up_to_the_longest() -> None:
    of = turnstile()
    assert [of.failed(HERE, 3 * SECOND, START) // 1000 for _ in range(7)] == [100, 200, 400, 800, 1600, 3000, 3000]


def test_no_pause_is_asked_for() -> None:
    of = turnstile()
    assert [of.failed(HERE, 0, START) for _ in range(3)] == [0, 0, 0]
    assert of.failing == 0


def test_a_thousand_failures_at_once_do_not_overflow() -> None:
    of = turnstile()
    assert max(of.failed(HERE, 2**62, START) for _ in range(1000)) == 2**62


def test_a_success_makes_room() -> None:
    of = turnstile()
    of.failed(HERE, SECOND, START)
    of.failed(THERE, SECOND, START)
    assert of.failing == 2
    of.passed(HERE, START)
    of.passed(HERE, START)
    assert of.failing == 1
    assert of.failed(THERE, SECOND, START) == 2 * FIRST_FAILURE


def test_failures_of_many_addresses_take_the_places_there_are() -> None:
    of = turnstile()
    places = declared.TURN_SETS * declared.TURN_WAYS
    addresses = [number.to_bytes(8, "big") for number in range(3 * places)]
    for at, address in enumerate(addresses):
        assert of.failed(address, SECOND, START + at) == FIRST_FAILURE
    assert places * 9 // 10 < of.failing <= places
    for address in addresses:
        of.passed(address, START)
    assert of.failing == 0
