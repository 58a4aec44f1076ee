"""The desk: sessions by client, and what happens when one of them fails."""

from howdah.control.console.commands import Commands
from howdah.control.console.desk import Desk
from howdah.control.console.show import ConsoleUse
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
