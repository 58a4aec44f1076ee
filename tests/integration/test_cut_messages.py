"""Large messages that come in pieces, cut anywhere: what they are about is seen all the same."""

import pytest

from tests.kit import wire
from tests.kit.client import Client
from tests.kit.pooler import Pooler

#: Larger than what is read at once, and than a statement that may follow its client.
SIZES = [70_000, 1_100_000]


@pytest.fixture
def neighbour(pooler: Pooler) -> Client:
    """Shares the one server; has a statement without a name there, and one with."""
    pooler.run_with(default_pool_size=1, workers=1)
    client = pooler.client()
    for name in ("", "q"):
        client.ask(wire.parse("SELECT 'the neighbour''s', $1::text", name), wire.sync())
    client.ask(wire.bind("x"), wire.sync())
    return client


def send_cut(client: Client, large: bytes, cut: int, neighbour: Client) -> None:
    """In two pieces: the one worker has read the first when it has answered the neighbour."""
    client.send(large[:cut])
    assert neighbour.ask(wire.sync()).shape == "Z"
    client.send(large[cut:])


@pytest.mark.parametrize("cut", [1, 5, 6, 7, 8, 12, 20, 40])
def test_a_bind_of_an_unnamed_statement(pooler: Pooler, neighbour: Client, cut: int) -> None:
    with pooler.client() as client:
        client.ask(wire.parse("SELECT 'mine', length($1)"), wire.sync())
        assert neighbour.ask(wire.bind("x"), wire.execute(), wire.sync()).rows == [("the neighbour's", "x")]
        send_cut(client, wire.bind("x" * 70_000), cut, neighbour)
        assert client.ask(wire.execute(), wire.sync()).rows == [("mine", "70000")]


@pytest.mark.parametrize("cut", [5, 6, 7, 20])
@pytest.mark.parametrize("size", SIZES)
def test_a_parse_without_a_name(pooler: Pooler, neighbour: Client, cut: int, size: int) -> None:
    with pooler.client() as client:
        send_cut(client, wire.parse(f"SELECT length('{'x' * size}')"), cut, neighbour)
        assert client.ask(wire.bind(), wire.execute(), wire.sync()).rows == [(str(size),)]
        if size < 1_000_000:  # else it keeps the server
            assert neighbour.ask(wire.bind("x"), wire.execute(), wire.sync()).rows == [("the neighbour's", "x")]


@pytest.mark.parametrize("cut", [5, 6, 7, 20])
@pytest.mark.parametrize("size", SIZES)
def test_a_parse_with_a_name(pooler: Pooler, neighbour: Client, cut: int, size: int) -> None:
    with pooler.client() as client:
        send_cut(client, wire.parse(f"SELECT length('{'x' * size}')", "q"), cut, neighbour)
        assert client.ask(wire.bind(statement="q"), wire.execute(), wire.sync()).rows == [(str(size),)]
    assert neighbour.ask(wire.bind("x", statement="q"), wire.execute(), wire.sync()).rows == [("the neighbour's", "x")]


@pytest.mark.parametrize("cut", [5, 6, 7, 8, 9, 20])
def test_a_bind_of_a_named_statement(pooler: Pooler, neighbour: Client, cut: int) -> None:
    with pooler.client() as client:
        client.ask(wire.parse("SELECT 'mine', length($1)", "q"), wire.sync())
        send_cut(client, wire.bind("x" * 70_000, statement="q"), cut, neighbour)
        assert client.ask(wire.execute(), wire.sync()).rows == [("mine", "70000")]


def test_a_name_without_an_end_is_refused(pooler: Pooler, neighbour: Client) -> None:
    with pooler.client() as client:
        client.send(wire.parse("SELECT 1", "n" * 200_000))
        (error,) = client.read_to_end().errors
        assert (error.fields["S"], error.sqlstate) == ("FATAL", "08P01")
    assert neighbour.ask(wire.bind("x"), wire.execute(), wire.sync()).rows == [("the neighbour's", "x")]
