"""Letters and file descriptors between two processes."""

import asyncio
import os
import resource
import socket
from collections.abc import Iterator

import pytest

from howdah.control.succession.letters import Cancel, Client, Door, Doors, Have, Up
from howdah.control.succession.line import Line, LineFault


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    with one, other:
        yield one, other


def test_letters_arrive_in_order_with_what_comes_along(ends: tuple[socket.socket, socket.socket]) -> None:
    async def talk() -> None:
        one, other = map(Line, ends)
        reading, writing = os.pipe()
        await one.send(Up())
        await one.send(Client(number=7, baggage=b"\0\xff"), [reading, writing])
        await one.send(Cancel(pid=1, secret=b"\xfe"))
        assert await other.receive() == (Up(), [])
        letter, fds = await other.receive()
        assert letter == Client(number=7, baggage=b"\0\xff")
        os.write(fds[1], b"x")
        assert os.read(reading, 1) == b"x"
        assert await other.receive() == (Cancel(pid=1, secret=b"\xfe"), [])
        for fd in (reading, writing, *fds):
            os.close(fd)

    asyncio.run(talk())


def test_a_large_letter_waits_for_its_reader(ends: tuple[socket.socket, socket.socket]) -> None:
    async def talk() -> None:
        one, other = map(Line, ends)
        letter = Client(number=1, baggage=os.urandom(3_000_000))
        sending = asyncio.ensure_future(one.send(letter))
        assert (await other.receive())[0] == letter
        await sending

    asyncio.run(talk())


@pytest.mark.parametrize(
    "data",
    [
        b"\xff\xff\xff\xff\0\0",  # too large
        b"\0\0\0\x02\xff\xff{}",  # too many descriptors
        b"\0\0\0\x0d\0\x01" + b'{"kind":"up"}',  # they are not there
        b"\0\0\0\x02\0\0{}",  # no kind
        b"\0\0\0\x10\0\0" + b'{"kind":"house"}',  # unknown
        b"\0\0\0\x0f\0\0" + b'{"kind":"have"}',  # what it needs is missing
        b"\0\0\0\x03\0\0" + b"\xff{}",  # no JSON
        b"\0\0\0",  # the end
    ],
)
def test_anything_else_is_a_fault(ends: tuple[socket.socket, socket.socket], data: bytes) -> None:
    async def listen() -> None:
        line = Line(ends[1])
        ends[0].sendall(data)
        ends[0].shutdown(socket.SHUT_WR)
        with pytest.raises(LineFault):
            await line.receive()

    asyncio.run(listen())


def test_what_has_come_can_be_read_when_nothing_more_can(ends: tuple[socket.socket, socket.socket]) -> None:
    async def talk() -> None:
        one, other = map(Line, ends)
        await one.send(Have(number=1))
        other.hang_up()
        with pytest.raises(LineFault):
            await one.send(Have(number=2))
        assert other.receive_now() == (Have(number=1), [])
        assert other.receive_now() is None

    asyncio.run(talk())


def test_a_descriptor_for_which_there_is_no_room_is_told(ends: tuple[socket.socket, socket.socket]) -> None:
    async def talk() -> None:
        one, other = map(Line, ends)
        await one.send(Client(number=1, baggage=b""), [ends[0].fileno()])
        await one.send(Client(number=2, baggage=b""), [ends[0].fileno()])
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
        try:
            first = other.receive_now()
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        assert first == (Client(number=1, baggage=b""), [-1])
        _, fds = await other.receive()
        assert fds[0] >= 0
        os.close(fds[0])

    asyncio.run(talk())


def test_an_empty_list_of_doors_is_a_letter(ends: tuple[socket.socket, socket.socket]) -> None:
    async def talk() -> None:
        one, other = map(Line, ends)
        doors = Doors(pid=1, version="1", doors=(Door(use="handed"),), disabled=("app",), watchdog_s=1.5)
        await one.send(doors)
        assert (await other.receive())[0] == doors

    asyncio.run(talk())
