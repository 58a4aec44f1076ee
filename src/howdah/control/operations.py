"""What operators do to a howdah that runs: PAUSE, RESUME, SUSPEND, KILL, DISABLE, RECONNECT, SHUTDOWN.

For the console's commands and for signals.  Each method takes effect before it returns, or raises `NotPossible` in
PgBouncer's words; those named for a state (`paused`, `suspended`, `reconnected`) wait until it has been reached.  What
holds is kept by the engine; here is only what takes time.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Protocol

from howdah.control.config.names import CONSOLE
from howdah.control.log import FilteringBoundLogger
from howdah.control.shutdown import Shutdown, WaitFor
from howdah.dataplane.plan import Plan
from howdah.dataplane.rows import States

_LOOK_EVERY_S = 0.02


class NotPossible(Exception):
    """The text is PgBouncer's."""


class Operated(Protocol):
    """The part of the engine that operators work on."""

    def pause(self, database: str | None) -> None: ...
    def resume(self, database: str | None) -> None: ...
    def reconnect(self, database: str | None) -> None: ...
    def kill(self, database: str | None) -> None: ...
    def kill_client(self, client: int) -> bool: ...
    def disable(self, database: str, disabled: bool) -> None: ...
    def suspend(self) -> None: ...
    def unsent(self) -> int: ...
    def give_up_unsent(self) -> None: ...
    def states(self) -> States: ...
    def servers_left(self, database: str | None, superseded: bool) -> int: ...


class Operations:
    """`database` None is all of them.

    `suspend_timeout` is asked when it matters; `admins` gives how many console sessions there are; `on_pause` is called
    with each PAUSE and KILL.
    """

    def __init__(
        self,
        engine: Operated,
        plan: Callable[[], Plan],
        suspend_timeout: Callable[[], float],
        shutdown: Shutdown,
        log: FilteringBoundLogger,
        admins: Callable[[], int] = lambda: 1,
        on_pause: Callable[[], None] = lambda: None,
    ) -> None:
        self._engine = engine
        self._plan = plan
        self._suspend_timeout = suspend_timeout
        self._shutdown = shutdown
        self._log = log
        self._admins = admins
        self._on_pause = on_pause
        self._watch: asyncio.Task[None] | None = None

    # --- pools

    @property
    def states(self) -> States:
        return self._engine.states()

    def pause(self, database: str | None = None, *, said: bool = False) -> None:
        """`said`: the log has been told."""
        if not said:
            self._log.info(_issued("PAUSE", database))
        self._not_halted()
        self._known(database, "cannot pause admin db: %s")
        self._engine.pause(database)
        self._on_pause()

    async def paused(self, database: str | None = None) -> None:
        """Until PostgreSQL has let go of the last server; NotPossible where somebody resumes first."""
        await _until(lambda: not self._engine.servers_left(database, False) or not self.is_paused(database))
        if not self.is_paused(database):
            raise NotPossible("resumed before the pause was complete")

    def is_paused(self, database: str | None) -> bool:
        """By name, or with all."""
        states = self._engine.states()
        return states.paused or any(state.paused for state in states.databases if state.name == database)

    async def open_for(self, *databases: str) -> None:
        """Wait until none of these is paused."""
        await _until(lambda: not any(self.is_paused(database) for database in databases))

    def resume(self, database: str | None = None, *, said: bool = False) -> None:
        if not said:
            self._log.info(_issued("RESUME", database))
        states = self._engine.states()
        if database is None:
            if self._shutdown.asked.is_set():
                raise NotPossible("pooler is shutting down")
            if not states.paused and not states.suspended:
                raise NotPossible("pooler is not paused/suspended")
        elif not any(state.paused for state in states.databases if state.name == database):
            self._known(database, "database %s is not paused", made_up=False)
            raise NotPossible(f"database {database} is not paused")
        self._resume(database)

    def _resume(self, database: str | None) -> None:
        self._engine.resume(database)
        if database is None and self._watch is not None:
            self._watch.cancel()
            self._watch = None

    def undo(self, database: str | None = None) -> None:
        """An administrator does not wait for PAUSE or SUSPEND any longer: as in PgBouncer, that undoes it, of all."""
        if database is not None:
            return
        states = self._engine.states()
        if (states.paused or states.suspended) and not self._shutdown.asked.is_set():
            self._log.info("cancelled by an administrator, doing RESUME")
            self._resume(None)

    def kill(self, database: str | None = None) -> None:
        self._log.info(_issued("KILL", database))
        self._not_halted()
        self._known(database, "cannot kill admin db: %s")
        self._engine.kill(database)
        self._on_pause()

    def kill_client(self, client: int) -> None:
        self._log.info(_issued("KILL_CLIENT", str(client)))
        if not self._engine.kill_client(client):
            raise NotPossible("client not found")

    def disable(self, database: str) -> None:
        self._log.info(_issued("DISABLE", database))
        self._known(database, "cannot disable admin db: %s")
        self._engine.disable(database, True)

    def enable(self, database: str) -> None:
        self._log.info(_issued("ENABLE", database))
        self._known(database, "cannot disable admin db: %s", made_up=False)
        self._engine.disable(database, False)

    def reconnect(self, database: str | None = None) -> None:
        self._log.info(_issued("RECONNECT", database))
        self._known(database, "cannot reconnect admin db: %s")
        self._engine.reconnect(database)

    def may_wait_close(self, database: str | None = None) -> None:
        self._log.info(_issued("WAIT_CLOSE", database))
        self._known(database, "cannot wait in admin db: %s")

    async def reconnected(self, database: str | None = None) -> None:
        """Until PostgreSQL has let go of all servers that were to make way for new ones."""
        await _until(lambda: not self._engine.servers_left(database, True))

    # --- the process

    def suspend(self) -> None:
        self._log.info("SUSPEND command issued")
        self._not_halted()
        if any(state.paused for state in self._engine.states().databases):
            raise NotPossible("cannot suspend with paused databases")
        self._engine.suspend()
        self._watch = asyncio.get_running_loop().create_task(self._watch_suspension())

    async def suspended(self) -> None:
        """Until nothing is left to send; NotPossible where somebody resumes first."""
        await _until(lambda: not self._engine.unsent() or not self._engine.states().suspended)
        if not self._engine.states().suspended:
            raise NotPossible("resumed before everything was sent")

    async def _watch_suspension(self) -> None:
        """Who does not take what is on its way is not waited for; and where no admin is left to resume, we do."""
        limit = self._suspend_timeout()
        deadline = time.monotonic() + limit if limit else float("inf")
        await _until(lambda: not self._admins() or time.monotonic() >= deadline)
        if self._admins():
            self._engine.give_up_unsent()
            await _until(lambda: not self._admins())
        self._log.info("admin disappeared when suspended, doing RESUME")
        self._watch = None
        self._resume(None)

    @property
    def stopping(self) -> bool:
        return self._shutdown.asked.is_set()

    def shutdown(self, wait_for: WaitFor, within: float | None = None, command: str = "") -> None:
        """`command`: what the console was told."""
        if command:
            self._log.info(_issued(command, None))
        if self._engine.states().suspended and wait_for != WaitFor.NOBODY:
            self._log.warning("suspend was in progress, going down immediately")
            wait_for = WaitFor.NOBODY
        self._shutdown.ask(wait_for, within)

    # --- what is refused

    def _not_halted(self) -> None:
        states = self._engine.states()
        if states.paused or states.suspended:
            raise NotPossible("already suspended/paused")

    def _known(self, database: str | None, of_console: str, *, made_up: bool = True) -> None:
        """`made_up`: one that "*" stands for does, even if nobody has used it yet."""
        if database is None:
            return
        if database == CONSOLE:
            raise NotPossible(of_console % database)
        names = {entry.name for entry in self._plan().databases}
        if database in names or (made_up and "*" in names):
            return
        if any(state.name == database for state in self._engine.states().databases):
            return
        raise NotPossible(f"no such database: {database}")


async def _until(is_so: Callable[[], bool]) -> None:
    while not is_so():  # noqa: ASYNC110
        await asyncio.sleep(_LOOK_EVERY_S)  # its threads tell nobody


def _issued(command: str, argument: str | None) -> str:
    return f"{command} command issued" if argument is None else f"{command} '{argument}' command issued"
