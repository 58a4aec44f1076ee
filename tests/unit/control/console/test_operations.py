"""The console's commands that do something: what they ask of the engine, and PgBouncer's words where they cannot."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from howdah.control.console import operations as commands
from howdah.control.console.action import ConsoleError, Outcome, SessionState
from howdah.control.console.statements import split
from howdah.control.log import logger
from howdah.control.operations import Operations
from howdah.control.shutdown import Shutdown, WaitFor
from howdah.dataplane.plan import Plan
from howdah.dataplane.rows import DatabaseState, States
from tests.unit.control.console.engine_stub import DATABASE, SETTINGS

PLAN = Plan(1, SETTINGS, (DATABASE,), ())


class Engine:
    """Remembers what it was asked for, and what holds since."""

    def __init__(self) -> None:
        self.asked: list[tuple[Any, ...]] = []
        self.all_paused = self.all_suspended = False
        self.of_databases: dict[str, DatabaseState] = {}
        self.left = self.to_send = 0

    def _set(self, database: str | None, **states: bool) -> None:
        if database is None:
            self.all_paused = states["paused"]
        else:
            before = self.of_databases.get(database)
            known = {"paused": False, "disabled": False} | ({} if before is None else before._asdict()) | states
            self.of_databases[database] = DatabaseState(database, bool(known["paused"]), bool(known["disabled"]))

    def pause(self, database: str | None) -> None:
        self.asked.append(("pause", database))
        self._set(database, paused=True)

    def resume(self, database: str | None) -> None:
        self.asked.append(("resume", database))
        self._set(database, paused=False)
        self.all_suspended = self.all_suspended and database is not None

    def reconnect(self, database: str | None) -> None:
        self.asked.append(("reconnect", database))

    def kill(self, database: str | None) -> None:
        self.asked.append(("kill", database))
        self._set(database, paused=True)

    def kill_client(self, client: int) -> bool:
        self.asked.append(("kill_client", client))
        return client == 7

    def disable(self, database: str, disabled: bool) -> None:
        self.asked.append(("disable", database, disabled))
        self._set(database, disabled=disabled)

    def suspend(self) -> None:
        self.asked.append(("suspend",))
        self.all_suspended = True

    def unsent(self) -> int:
        return self.to_send

    def give_up_unsent(self) -> None:
        self.asked.append(("give_up_unsent",))
        self.to_send = 0

    def states(self) -> States:
        said = tuple(state for state in self.of_databases.values() if state.paused or state.disabled)
        return States(self.all_paused, self.all_suspended, said)

    def servers_left(self, database: str | None, superseded: bool) -> int:
        return self.left


class Stage:
    """An engine, its operations, and an admin."""

    def __init__(self) -> None:
        self.engine = Engine()
        self.shutdown = Shutdown()
        self.admins = 1
        self.operations = Operations(
            self.engine, lambda: PLAN, lambda: 0.05, self.shutdown, logger(), admins=lambda: self.admins
        )

    def begin(self, text: str, *, admin: bool = True) -> Outcome | asyncio.Future[Outcome]:
        (statement,) = split(text)
        return commands.action(self.operations, lambda *_: admin, statement).perform(SessionState())

    async def run(self, text: str) -> str:
        """Its tag, or its error."""
        try:
            outcome = self.begin(text)
            return (await outcome if isinstance(outcome, asyncio.Future) else outcome).tag
        except ConsoleError as failure:
            return f"{failure.sqlstate}: {failure.message}"


def on_stage(story: Callable[[Stage], Any]) -> Any:
    async def play() -> Any:
        return await story(Stage())

    return asyncio.run(play())


def _runs(*texts: str) -> list[str]:
    async def story(stage: Stage) -> list[str]:
        return [await stage.run(text) for text in texts]

    return on_stage(story)  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    "texts, last",
    [
        (["PAUSE", "PAUSE"], "08P01: already suspended/paused"),
        (["PAUSE", "PAUSE app"], "08P01: already suspended/paused"),
        (["PAUSE", "KILL app"], "08P01: already suspended/paused"),
        (["PAUSE app", "PAUSE app"], "PAUSE"),
        (["PAUSE app", "PAUSE"], "PAUSE"),
        (["PAUSE app", "PAUSE", "RESUME", "RESUME app"], "RESUME"),
        (["RESUME"], "08P01: pooler is not paused/suspended"),
        (["PAUSE", "RESUME", "RESUME"], "08P01: pooler is not paused/suspended"),
        (["RESUME app"], "08P01: database app is not paused"),
        (["RESUME nope"], "08P01: no such database: nope"),
        (["PAUSE nope"], "08P01: no such database: nope"),
        (["PAUSE pgbouncer"], "08P01: cannot pause admin db: pgbouncer"),
        (["RESUME pgbouncer"], "08P01: database pgbouncer is not paused"),
        (["PAUSE a b"], "08P01: invalid command 'PAUSE a b', use SHOW HELP;"),
        (["PAUSE 'app'"], "08P01: invalid command 'PAUSE app', use SHOW HELP;"),
        (['pause "app"'], "PAUSE"),
        (["KILL app", "RESUME app"], "RESUME"),
        (["KILL", "RESUME"], "RESUME"),
        (["KILL pgbouncer"], "08P01: cannot kill admin db: pgbouncer"),
        (["DISABLE"], "08P01: a database is required"),
        (["ENABLE"], "08P01: a database is required"),
        (["DISABLE app", "DISABLE app"], "DISABLE"),
        (["ENABLE app"], "ENABLE"),
        (["ENABLE nope"], "08P01: no such database: nope"),
        (["DISABLE pgbouncer"], "08P01: cannot disable admin db: pgbouncer"),
        (["ENABLE pgbouncer"], "08P01: cannot disable admin db: pgbouncer"),
        (["RECONNECT app"], "RECONNECT"),
        (["RECONNECT pgbouncer"], "08P01: cannot reconnect admin db: pgbouncer"),
        (["WAIT_CLOSE"], "WAIT_CLOSE"),
        (["WAIT_CLOSE pgbouncer"], "08P01: cannot wait in admin db: pgbouncer"),
        (["KILL_CLIENT 7"], "KILL_CLIENT"),
        (["KILL_CLIENT 5"], "08P01: client not found"),
        (["KILL_CLIENT"], "08P01: invalid client pointer supplied"),
        (["KILL_CLIENT seven"], "08P01: invalid client pointer supplied"),
        (["KILL_CLIENT 99999999999999999999"], "08P01: invalid client pointer supplied"),
        (["SUSPEND"], "SUSPEND"),
        (["SUSPEND", "SUSPEND"], "08P01: already suspended/paused"),
        (["SUSPEND", "RESUME"], "RESUME"),
        (["SUSPEND app"], "08P01: invalid command 'SUSPEND app', use SHOW HELP;"),
        (["PAUSE app", "SUSPEND"], "08P01: cannot suspend with paused databases"),
        (["SHUTDOWN foo"], "08P01: invalid command 'SHUTDOWN foo', use SHOW HELP;"),
        (["SHUTDOWN WAIT_FOR_CLIENTS"], "SHUTDOWN"),
        (["shutdown wait_for_servers"], "SHUTDOWN"),
        (["PAUSE", "SHUTDOWN WAIT_FOR_CLIENTS", "RESUME"], "08P01: pooler is shutting down"),
    ],
    ids=" ".join,
)  # fmt: skip
def test_answers_are_pgbouncers(texts: list[str], last: str) -> None:
    assert _runs(*texts)[-1] == last


@pytest.mark.parametrize("name", commands.COMMANDS)
def test_nothing_is_for_those_who_may_only_look(name: str) -> None:
    async def story(stage: Stage) -> None:
        with pytest.raises(ConsoleError, match="admin access needed"):
            stage.begin(name, admin=False)
        assert not stage.engine.asked
        assert not stage.shutdown.asked.is_set()

    on_stage(story)


def test_pause_waits_for_the_last_server() -> None:
    async def story(stage: Stage) -> None:
        stage.engine.left = 3
        waiting = stage.begin("PAUSE app")
        assert isinstance(waiting, asyncio.Future)
        done, _ = await asyncio.wait([waiting], timeout=0.1)
        assert not done
        stage.engine.left = 0
        assert (await waiting).tag == "PAUSE"

    on_stage(story)


def test_a_resume_ends_a_pause_that_waits() -> None:
    async def story(stage: Stage) -> None:
        stage.engine.left = 3
        waiting = stage.begin("PAUSE")
        assert isinstance(waiting, asyncio.Future)
        assert await stage.run("RESUME") == "RESUME"
        with pytest.raises(ConsoleError, match="resumed before"):
            await waiting

    on_stage(story)


def test_what_is_not_taken_is_given_up_after_suspend_timeout() -> None:
    async def story(stage: Stage) -> None:
        stage.engine.to_send = 2
        assert await stage.run("SUSPEND") == "SUSPEND"
        assert stage.engine.asked == [("suspend",), ("give_up_unsent",)]

    on_stage(story)


def test_a_suspension_ends_with_the_last_admin() -> None:
    async def story(stage: Stage) -> None:
        await stage.run("SUSPEND")
        stage.admins = 0
        await asyncio.wait_for(_until(lambda: not stage.engine.all_suspended), 5)

    on_stage(story)


def test_who_waits_for_a_paused_database_goes_on_with_resume() -> None:
    async def story(stage: Stage) -> None:
        await stage.run("PAUSE app")
        waiting = asyncio.ensure_future(stage.operations.open_for("app"))
        await asyncio.wait([waiting], timeout=0.05)
        assert not waiting.done()
        await stage.operations.open_for("other")
        await stage.run("RESUME app")
        await asyncio.wait_for(waiting, 5)

    on_stage(story)


def test_a_suspended_howdah_ends_at_once() -> None:
    async def story(stage: Stage) -> None:
        await stage.run("SUSPEND")
        stage.operations.shutdown(WaitFor.CLIENTS)
        await asyncio.wait_for(stage.shutdown.carry_out(Nobody(), Nobody(), logger()), 5)

    on_stage(story)


class Nobody:
    """Must not be asked for anything: the end comes at once."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"{name} was asked for")


async def _until(is_so: Callable[[], bool]) -> None:
    while not is_so():  # noqa: ASYNC110
        await asyncio.sleep(0.01)
