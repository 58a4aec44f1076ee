"""Much at once: what is sent, and that all of it must have come."""

from types import SimpleNamespace
from typing import cast

import pytest

from bench import bulk
from bench.places import NotHere
from bench.storm import build
from bench.targets import Target
from bench.wire import copy_data, messages
from tests.unit.bench.fake_postgres import FakePostgres, message


def target(server: FakePostgres) -> Target:
    return cast("Target", SimpleNamespace(name="fake", port=server.port, pid=None, tls=False))


@pytest.fixture
def _compiled() -> None:
    try:
        build.program()
    except NotHere as reason:
        pytest.skip(str(reason))


def test_a_copy_is_as_long_as_was_asked_for_and_ends_with_a_short_row() -> None:
    sent = messages(bytearray(b"".join(bulk._blocks(2 * bulk.MIB))))
    assert {kind for kind, _ in sent} == {"d"}
    *rows, last = [body for _, body in sent]
    assert sum(map(len, rows)) == 2 * bulk.MIB
    assert {len(line) for row in rows for line in row.split(b"\n")[:-1]} == {len(bulk.LINE) - 1}
    assert copy_data(last) == copy_data(b"the last\n")


def test_a_copy_of_which_the_end_is_missing_is_an_error() -> None:
    with FakePostgres() as server, pytest.raises(RuntimeError, match="did not arrive: 'COPY 1025'"):
        bulk.copy_in(target(server), bulk.MIB)  # keeps all the rows, and not only the last


@pytest.mark.usefixtures("_compiled")
def test_rows_that_are_too_short_are_an_error() -> None:
    with FakePostgres(answer=message(b"D", b"x" * 99)) as server:
        with pytest.raises(RuntimeError, match="495 of 530 bytes came"):
            bulk.rows(target(server), 100)


@pytest.mark.usefixtures("_compiled")
def test_the_heads_of_rows_are_not_counted() -> None:
    answer = message(b"D", b"x" * (bulk.MIB + bulk.ROW_HEAD))
    with FakePostgres(answer=answer) as server:
        moved = bulk.rows(target(server), bulk.MIB)
    assert moved.bytes == bulk.ROWS * bulk.MIB
