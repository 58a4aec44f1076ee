"""Cancel keys are random but for what peers must read in them, and only the whole key leads to its client."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

probe = pytest.importorskip("howdah_probe.cancels", reason="the release build has no probes")

KEY_SIZE = 36
RANDOM = st.binary(min_size=KEY_SIZE, max_size=KEY_SIZE)
SIZES = st.sampled_from([4, 32])
PEERS = st.integers(1, 16383)


def octets(pid: int, secret: bytes) -> bytes:
    """The key as it goes over the wire."""
    return pid.to_bytes(4, "big") + secret


@given(RANDOM, SIZES, PEERS)
def test_a_key_tells_whose_it_is_where_pgbouncer_looks(random: bytes, size: int, peer_id: int) -> None:
    pid, secret = probe.made(random, size, peer_id)
    wire = octets(pid, secret)
    assert (wire[1], wire[2], wire[7] & 3) == (peer_id & 0xFF, peer_id >> 8, 3)
    assert (probe.peer_of(pid), probe.hops_of(secret)) == (peer_id, 3)


@given(RANDOM, SIZES, st.integers(0, 16383))
def test_everything_else_is_random(random: bytes, size: int, peer_id: int) -> None:
    pid, secret = probe.made(random, size, peer_id)
    expected = bytearray(random[: 4 + size])
    expected[0] &= 0x7F
    if peer_id:
        expected[1:3] = peer_id.to_bytes(2, "little")
    expected[7] |= 3
    assert octets(pid, secret) == bytes(expected)


@given(RANDOM, SIZES, PEERS)
def test_each_hop_takes_one_and_nothing_else(random: bytes, size: int, peer_id: int) -> None:
    _, first = probe.made(random, size, peer_id)
    secret = first
    for left in (2, 1, 0):
        secret = probe.passed_on(secret)
        assert probe.hops_of(secret) == left
        assert secret[3] | 3 == first[3]
        assert secret[:3] + secret[4:] == first[:3] + first[4:]


@pytest.mark.parametrize("size", range(4))
def test_a_secret_that_is_too_short_has_no_hops(size: int) -> None:
    assert probe.hops_of(b"\xff" * size) == 0


def test_no_process_number_is_0() -> None:
    keys = probe.Keys()
    assert keys.give(0, bytes(KEY_SIZE), 4, 0, 0) is None
    assert keys.give(0, b"\x80" + bytes(KEY_SIZE - 1), 4, 0, 0) is None
    assert keys.give(0, bytes(KEY_SIZE), 4, 0, 7) is not None


def test_no_two_clients_have_the_same_key() -> None:
    keys = probe.Keys()
    random = bytes(range(KEY_SIZE))
    assert keys.give(0, random, 4, 0, 0) is not None
    assert keys.give(1, random[:7] + bytes([random[7] ^ 1]) + random[8:], 4, 0, 0) is None
    assert keys.give(1, random, 32, 0, 0) is None
    keys.take_back(0)
    assert keys.give(1, random, 32, 0, 0) is not None


class KeysInUse(RuleBasedStateMachine):
    """The table against a dictionary.  Few different random bytes, so that keys get into each other's way."""

    numbers = Bundle("numbers")

    def __init__(self) -> None:
        super().__init__()
        self.keys = probe.Keys()
        self.known: dict[int, tuple[int, bytes, int]] = {}
        self.next = 0

    @rule(
        target=numbers,
        few=st.lists(st.sampled_from([0, 1, 4, 255]), min_size=8, max_size=8),
        size=SIZES,
        worker=st.integers(0, 63),
        peer_id=st.sampled_from([0, 1, 300]),
    )
    def give(self, few: list[int], size: int, worker: int, peer_id: int) -> int:
        number, self.next = self.next, self.next + 1
        key = self.keys.give(number, bytes(few) + bytes(KEY_SIZE - 8), size, worker, peer_id)
        taken = {(pid, secret[:4]) for pid, secret, _ in self.known.values()}
        pid, secret = probe.made(bytes(few) + bytes(KEY_SIZE - 8), size, peer_id)
        assert (key is None) == (pid == 0 or (pid, secret[:4]) in taken)
        if key is not None:
            self.known[number] = (*key, worker)
        return number

    @rule(number=consumes(numbers))
    def take_back(self, number: int) -> None:
        if number in self.known:
            del self.known[number]
            self.keys.take_back(number)

    @rule(number=numbers, position=st.integers(0, 35), bit=st.integers(0, 7))
    def a_changed_key_is_nobodys(self, number: int, position: int, bit: int) -> None:
        """But for the hops, which may have been used; and it may happen to be another one's."""
        if number not in self.known:
            return
        pid, secret, worker = self.known[number]
        wire = bytearray(octets(pid, secret))
        if position >= len(wire):
            return
        wire[position] ^= 1 << bit
        same = position == 7 and bit < 2
        others = {octets(*key[:2]): (key[2], other) for other, key in self.known.items() if other != number}
        found = self.keys.owner(int.from_bytes(wire[:4], "big"), bytes(wire[4:]))
        wire[7] |= 3
        assert found == ((worker, number) if same else others.get(bytes(wire)))

    @invariant()
    def each_key_leads_to_its_client(self) -> None:
        for number, (pid, secret, worker) in self.known.items():
            assert self.keys.owner(pid, secret) == (worker, number)
            assert self.keys.owner(pid, secret + b"\0") is None
            assert self.keys.owner(pid, secret[:3]) is None


TestKeysInUse = KeysInUse.TestCase
