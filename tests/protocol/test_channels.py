"""The table of channels finds what is in it, and forgets what nobody hears."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

probe = pytest.importorskip("howdah_probe.channels", reason="the release build has no probes")

NAMES = [f"channel {number}".encode() for number in range(40)] + [b"", b'"', b"x" * 63, "ä".encode()]
ACTIONS = st.lists(st.tuples(st.booleans(), st.integers(0, 2), st.sampled_from(NAMES)), max_size=200)


@given(ACTIONS)
def test_it_is_as_a_dictionary_of_sets(actions: list[tuple[bool, int, bytes]]) -> None:
    table = probe.Channels()
    owners = [probe.Owner() for _ in range(3)]
    known = dict[bytes, set[int]]()
    for take, number, name in actions:
        if take:
            assert table.take(owners[number], name)
            known.setdefault(name, set()).add(number)
        else:
            assert table.leave(owners[number], name) == (number in known.get(name, set()))
            known.get(name, set()).discard(number)
    known = {name: numbers for name, numbers in known.items() if numbers}
    assert sorted(table.names) == sorted(known)
    assert table.count == len(known)
    for name in NAMES:
        found = table.owners(name)
        assert {owners.index(owner) for owner in found or []} == known.get(name, set())
    for owner in owners:
        for name in known:
            table.leave(owner, name)
    assert (table.names, table.count) == ([], 0)


def test_a_name_longer_than_postgresqls_is_none() -> None:
    table = probe.Channels()
    assert not table.take(probe.Owner(), b"x" * 64)
    assert table.count == 0
