"""The desk: sessions by client, and what happens when one of them fails."""

import asyncio
from collections.abc import Callable

from howdah.control.console.commands import Commands
from howdah.control.console.desk import Desk
from howdah.control.console.show import ConsoleUse
from howdah.control.reloaded import Reloaded
from howdah.dataplane.rows import Event, EventKind, PoolRow
from tests.kit import wire
from tests.unit.control.console.engine_stub import EngineStub, facts


def _event(kind: EventKind, client: int, detail: bytes = b"") -> Event:
    return Event(kind, 0, 0, client, "", "pgbouncer", "alice", "127.0.0.1:4000", 0, detail)


class _FailingEngine(EngineStub):
    def pools(self) -> list[PoolRow]:
        raise RuntimeError("no pools today")


def test_each_client_has_its_own_session() -> None:
    engine, use = EngineStub(), ConsoleUse()
    desk = Desk(engine, Commands(facts(engine)), use)
    for client in (1, 2):
        desk.handle(_event(EventKind.CONSOLE_OPEN, client))
    desk.handle(_event(EventKind.CONSOLE_DATA, 1, wire.query("BEGIN")))
    desk.handle(_event(EventKind.CONSOLE_DATA, 2, wire.query("SHOW VERSION")))
    assert [(client, data[-1:], close) for client, data, close in engine.sent] == [(1, b"T", False), (2, b"I", False)]
    assert (use.users, use.statements) == ({1: "alice", 2: "alice"}, 2)
    desk.handle(_event(EventKind.CONSOLE_CLOSED, 1))
    assert use.users == {2: "alice"}


def test_terminate_closes_and_later_bytes_are_dropped() -> None:
    engine, use = EngineStub(), ConsoleUse()
    desk = Desk(engine, Commands(facts(engine)), use)
    desk.handle(_event(EventKind.CONSOLE_OPEN, 1))
    desk.handle(_event(EventKind.CONSOLE_DATA, 1, wire.terminate()))
    desk.handle(_event(EventKind.CONSOLE_DATA, 1, wire.query("SHOW VERSION")))
    assert engine.sent == [(1, b"", True)]
    assert not use.users


def test_a_fault_of_ours_ends_that_session_only() -> None:
    engine = _FailingEngine()
    desk = Desk(engine, Commands(facts(engine)), ConsoleUse())
    for client in (1, 2):
        desk.handle(_event(EventKind.CONSOLE_OPEN, client))
    desk.handle(_event(EventKind.CONSOLE_DATA, 1, wire.query("SHOW POOLS")))
    desk.handle(_event(EventKind.CONSOLE_DATA, 2, wire.query("SHOW VERSION")))
    (failed, text, closed), (other, _, open_) = engine.sent
    assert (failed, closed, other, open_) == (1, True, 2, False)
    assert b"XX000" in text


def _reloading(
    story: Callable[[Desk, EngineStub, list[asyncio.Future[Reloaded]]], None], problem: str = ""
) -> EngineStub:
    """Client 1 of a desk does as the story says; the reloads it asks for end afterwards."""
    engine, asked = EngineStub(), list[asyncio.Future[Reloaded]]()

    def ask() -> asyncio.Future[Reloaded]:
        asked.append(asyncio.get_running_loop().create_future())
        return asked[-1]

    async def run() -> None:
        desk = Desk(engine, Commands(facts(engine, reload=ask)), ConsoleUse())
        desk.handle(_event(EventKind.CONSOLE_OPEN, 1))
        story(desk, engine, asked)
        await asyncio.sleep(0)
        for reload in asked:
            reload.set_result(Reloaded(problem))
        for _ in range(5):
            await asyncio.sleep(0)

    asyncio.run(run())
    return engine


def test_a_statement_that_waits_is_answered_when_it_is_done_and_what_follows_after_it() -> None:
    def story(desk: Desk, engine: EngineStub, _: list[asyncio.Future[Reloaded]]) -> None:
        desk.handle(_event(EventKind.CONSOLE_DATA, 1, wire.query("SHOW VERSION; RELOAD; SHOW STATE")))
        desk.handle(_event(EventKind.CONSOLE_DATA, 1, wire.query("BEGIN")))
        (sent,) = engine.sent
        assert b"RELOAD" not in sent[1] and sent[1].startswith(b"T")
        engine.sent.clear()

    engine = _reloading(story)
    text = b"".join(data for _, data, _ in engine.sent)
    assert text.index(b"RELOAD\0") < text.index(b"paused") < text.index(b"Z\0\0\0\5I") < text.index(b"BEGIN\0")
    assert text.endswith(b"Z\0\0\0\5T")


def test_a_refused_reload_is_an_error_with_the_faults() -> None:
    engine = _reloading(
        lambda desk, *_: desk.handle(_event(EventKind.CONSOLE_DATA, 1, wire.query("RELOAD; SHOW STATE"))),
        "howdah.toml:3: workesr: unknown setting",
    )
    text = b"".join(data for _, data, _ in engine.sent)
    assert b"C08P01\0" in text and b"howdah.toml:3: workesr" in text
    assert b"paused" not in text
    assert text.endswith(b"Z\0\0\0\5I")


def test_what_comes_while_a_statement_waits_is_bounded() -> None:
    def story(desk: Desk, *_: object) -> None:
        desk.handle(_event(EventKind.CONSOLE_DATA, 1, wire.query("RELOAD")))
        for _part in range(17):
            desk.handle(_event(EventKind.CONSOLE_DATA, 1, wire.query("x" * 65_000)))

    ((_, text, closed),) = _reloading(story).sent
    assert closed and b"C54000\0" in text


def test_a_client_that_leaves_while_it_waits_is_forgotten() -> None:
    def story(desk: Desk, _: EngineStub, __: list[asyncio.Future[Reloaded]]) -> None:
        desk.handle(_event(EventKind.CONSOLE_DATA, 1, wire.query("RELOAD")))
        desk.handle(_event(EventKind.CONSOLE_CLOSED, 1))

    assert _reloading(story, "a fault").sent == []


def test_execute_can_wait_too() -> None:
    packet = wire.parse("RELOAD") + wire.bind() + wire.execute() + wire.sync()
    engine = _reloading(lambda desk, *_: desk.handle(_event(EventKind.CONSOLE_DATA, 1, packet)))
    text = b"".join(data for _, data, _ in engine.sent)
    assert text.endswith(b"C\0\0\0\x0bRELOAD\0Z\0\0\0\5I")


def test_who_may_only_look_cannot_reload() -> None:
    engine = EngineStub()
    desk = Desk(engine, Commands(facts(engine)), ConsoleUse())
    desk.handle(_event(EventKind.CONSOLE_OPEN, 1)._replace(user="bob"))
    desk.handle(_event(EventKind.CONSOLE_DATA, 1, wire.query("RELOAD")))
    assert b"C08P01\0" in engine.sent[0][1]
