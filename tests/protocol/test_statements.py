"""A client's names and a server's shelf behave as a dictionary and a least-recently-used list do."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

probe = pytest.importorskip("howdah_probe.statements", reason="the release build has no probes")

NAMES = st.sampled_from([b"s%d" % number for number in range(40)] + [b"x" * 63, b"y" * 80, "ü".encode(), b" "])
TEXTS = st.integers(0, 12).map(lambda number: b"SELECT %d\0\0\0" % number)


class NamesMachine(RuleBasedStateMachine):
    """Against a dictionary of names as far as they count."""

    def __init__(self) -> None:
        super().__init__()
        self.names = probe.ClientNames()
        self.model: dict[bytes, bytes] = {}

    @rule(name=NAMES, text=TEXTS)
    def put(self, name: bytes, text: bytes) -> None:
        if name[:63] in self.model:
            return
        held = probe.Text(text)
        self.names.put(name, held)
        self.model[name[:63]] = held.name

    @rule(name=NAMES)
    def find(self, name: bytes) -> None:
        assert self.names.find(name) == self.model.get(name[:63])

    @rule(name=NAMES)
    def take(self, name: bytes) -> None:
        assert self.names.take(name) == self.model.pop(name[:63], None)

    @rule()
    @precondition(lambda self: len(self.model) > 20)
    def clear(self) -> None:
        self.names.clear()
        self.model.clear()

    @invariant()
    def all_are_found(self) -> None:
        assert len(self.names) == len(self.model)
        assert all(self.names.find(name) == value for name, value in self.model.items())


class ShelfMachine(RuleBasedStateMachine):
    """Against a list with the most recently used last."""

    MOST = 5

    def __init__(self) -> None:
        super().__init__()
        self.shelf = probe.ServerShelf()
        self.texts = [probe.Text(b"SELECT %d\0\0\0" % number) for number in range(12)]
        self.model: list[int] = []
        self.fresh: set[int] = set()

    @rule(number=st.integers(0, 11))
    def use(self, number: int) -> None:
        verdict = self.shelf.find(self.texts[number]).name
        if number in self.model:
            assert verdict == ("SHELF_HAS" if number in self.fresh else "SHELF_STALE")
            self.model.remove(number)
            self.model.append(number)
        else:
            assert verdict == "SHELF_LACKS"

    @rule(number=st.integers(0, 11))
    def prepare(self, number: int) -> None:
        goes = self.model[0] if len(self.model) == self.MOST and number not in self.model else None
        evicted = self.shelf.put(self.texts[number], self.MOST)
        assert evicted == (None if goes is None else self.texts[goes].name)
        self.model = [kept for kept in self.model if kept not in (goes, number)] + [number]
        self.fresh = (self.fresh | {number}) & set(self.model)

    @rule(number=st.integers(0, 11))
    def remove(self, number: int) -> None:
        self.shelf.remove(self.texts[number])
        self.model = [kept for kept in self.model if kept != number]
        self.fresh.discard(number)

    @rule()
    def grow_stale(self) -> None:
        self.shelf.stale()
        self.fresh.clear()

    @rule()
    @precondition(lambda self: len(self.model) == self.MOST)
    def clear(self) -> None:
        self.shelf.clear()
        self.model.clear()
        self.fresh.clear()

    @invariant()
    def count_is_right(self) -> None:
        assert len(self.shelf) == len(self.model)


TestNames = NamesMachine.TestCase
TestShelf = ShelfMachine.TestCase
TestNames.settings = settings(max_examples=60, stateful_step_count=60)
TestShelf.settings = settings(max_examples=60, stateful_step_count=60)


def test_a_text_is_stored_once() -> None:
    without, with_type = b"SELECT 77\0\0\0", b"SELECT 77\0\0\1\0\0\0\x17"
    one, same, other = (probe.Text(text) for text in (without, without, with_type))
    assert one.name == same.name != other.name
    assert one.data == b"SELECT 77\0\0\0"
    name = one.name
    del one, same
    assert probe.Text(b"SELECT 77\0\0\0").name != name, "it went with its last holder"


def test_many_names_of_many_texts() -> None:
    names, held = probe.ClientNames(), [probe.Text(b"%d" % number) for number in range(3000)]
    for number, text in enumerate(held):
        names.put(b"n%d" % number, text)
    expected = [text.name for text in held]
    del held
    assert [names.find(b"n%d" % number) for number in range(3000)] == expected
    assert [names.take(b"n%d" % number) for number in range(0, 3000, 2)] == expected[::2]
    assert [names.find(b"n%d" % number) for number in range(1, 3000, 2)] == expected[1::2]
