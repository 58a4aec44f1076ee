"""The life of the process: start, run, reload, stop.

`run` is called by the command line with a valid configuration.  The start goes: embedded PostgreSQL, listening sockets,
names, engine.  The stop takes down in the opposite order whatever had come up, so that nothing is left behind.
"""

import asyncio
import gc
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from types import FrameType
from typing import TYPE_CHECKING, Any, TypeVar

from howdah.control.aside import aside
from howdah.control.auth.context import auth_context
from howdah.control.auth.desk import AuthDesk
from howdah.control.config import Config, GlobalSettings, StartError
from howdah.control.config.names import CONSOLE
from howdah.control.console.averages import Averages
from howdah.control.console.commands import Commands
from howdah.control.console.desk import Desk
from howdah.control.console.rights import may_change
from howdah.control.console.setting_rows import setting_rows
from howdah.control.console.show import ConsoleUse, Facts
from howdah.control.dropin import signals
from howdah.control.dropin.announce import announce_listeners, announce_start
from howdah.control.dropin.journal import PgBouncerJournal
from howdah.control.files import expected, raise_file_limit, shortage
from howdah.control.greeting import Door, Greeting, connection_string, describe_upstream, seconds_since_start
from howdah.control.inbox import Inbox
from howdah.control.intake import Intake, take_in
from howdah.control.journal import EventLog, Journal
from howdah.control.keeper import keep_running, with_embedded
from howdah.control.listen import Endpoints, open_listeners
from howdah.control.live import Screen
from howdah.control.log import configure, logger
from howdah.control.metrics.health import Health
from howdah.control.operations import Operations
from howdah.control.output import Output
from howdah.control.process.identity import Identity, find_identity
from howdah.control.process.pidfile import PidFile
from howdah.control.process.systemd import Notifier, handed_sockets
from howdah.control.publisher import Publisher
from howdah.control.pulse import Pulse
from howdah.control.reload import Reload
from howdah.control.shutdown import Shutdown, WaitFor
from howdah.control.stats_log import StatsLog
from howdah.control.succession.doors import Taken, difference
from howdah.control.succession.doorstep import Doorstep, doorstep_name
from howdah.control.succession.house import House
from howdah.control.succession.leaving import HandOver
from howdah.control.succession.taking import TakeOver, call_on
from howdah.control.tls_files import TICKET_KEY_BYTES
from howdah.control.watch import Watch
from howdah.dataplane.engine import Engine

if TYPE_CHECKING:  # imported only where it is started
    from howdah.control.embedded import EmbeddedPostgres

T = TypeVar("T")

#: The console's rows about thousands of clients are no garbage, and looking through them again and again takes a
#: quarter of the time of an answer.
_ALLOCATIONS_BETWEEN_COLLECTIONS = 20_000
_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)
_STOPS = (signal.SIGTERM, signal.SIGINT)


@dataclass(frozen=True, slots=True)
class Launch:
    """How the process was started."""

    quiet: bool = False  # nothing on the terminal, whatever goes to the file
    take_over: bool = False  # from the process that runs, where there is one
    up: Callable[[], None] = lambda: None  # to be called when it is up


def run(config: Config, reread: Callable[[], Config] | None = None, launch: Launch | None = None) -> int:
    """Run until told to stop; the exit status.  Raises StartError when it cannot start.

    `reread` gives the configuration as it is now, from the same sources; called on SIGHUP, it may raise StartError.
    The process is expected to end afterwards: signals are ignored from then on, so that an impatient second Ctrl-C
    cannot turn a clean end into a killed process.
    """
    try:
        return asyncio.run(_Supervisor(config, reread, launch or Launch()).run())
    finally:
        for number in _numbers(config):
            signal.signal(number, signal.SIG_IGN)


def _numbers(config: Config) -> Sequence[signal.Signals]:
    return signals.NUMBERS if config.drop_in else _SIGNALS


class _Supervisor:
    def __init__(self, config: Config, reread: Callable[[], Config] | None, launch: Launch) -> None:
        self._config = config
        self._reread = reread
        self._launch = launch
        #: What session tickets are sealed with: kept over reloads, never written anywhere.
        self._ticket_key = os.urandom(TICKET_KEY_BYTES)
        self._embedded: EmbeddedPostgres | None = None
        self._screen = Screen(sys.stderr)
        self._output = Output(self._screen, quiet=launch.quiet)
        self._json = config.settings.log_format == "json"
        self._set_up_log(config)
        self._log = logger()
        self._health = Health()
        self._shutdown = Shutdown()
        self._notifier = Notifier(os.environ)
        self._reload: Reload | None = None  # not before the first plan is in force
        self._reload_asked = False
        self._taking: TakeOver | None = None  # where there was somebody to take over from
        self._hand_over: HandOver | None = None  # not before somebody could take over from us
        self._operations: Operations | None = None  # not before there is something to operate on
        self._login_problems: Sequence[str] = ()

    async def run(self) -> int:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(self._unexpected)
        # Not the loop's own handlers: it would take them off before the process has ended.
        for number in _numbers(self._config):
            signal.signal(number, partial(self._on_signal, loop))
        try:
            async with AsyncExitStack() as stack:
                stack.callback(self._screen.show, "")
                if await self._unless_stopped(self._start(stack)):
                    await self._shutdown.asked.wait()
                    self._notifier.stopping()
                    self._health.stops("stopping: no new clients")
                    if self._taking is not None:
                        await self._taking.farewell()
                    await self._shutdown.carry_out(self._engine, self._listeners, self._log)
            waited_for = self._shutdown.waited_for
            self._log.info(signals.last_words(waited_for) if self._config.drop_in else "howdah has stopped")
        except StartError as failure:
            if not self._config.drop_in:
                raise
            self._log.critical(str(failure))  # where PgBouncer says it: in the log
            return 1
        finally:
            self._output.close()
        return 0

    def _set_up_log(self, config: Config) -> None:
        """At the start, and for another log_level; the format stays what it was."""
        settings = config.settings
        configure(
            level="debug" if settings.verbose else settings.log_level,
            json=self._json,
            stream=self._output,
            colors=self._screen.live and not settings.logfile and not os.environ.get("NO_COLOR"),
            drop_in=config.drop_in,
            also=self._output.to_system_log,
        )

    def _open_log(self, config: Config) -> None:
        """Anew: the file may have been moved away, or another be wanted."""
        try:
            self._output.open(config.settings)
        except StartError as failure:
            self._log.warning(f"{failure}; going on with the one before")

    def _accept(self, config: Config) -> None:
        self._set_up_log(config)
        self._open_log(config)

    # --- start

    async def _unless_stopped(self, start: Coroutine[Any, Any, None]) -> bool:
        """Run the start; a signal meanwhile cancels it.  Whether it came to its end."""
        starting = asyncio.ensure_future(start)
        stop = asyncio.ensure_future(self._shutdown.asked.wait())
        await asyncio.wait((starting, stop), return_when=asyncio.FIRST_COMPLETED)
        stop.cancel()
        if not starting.done():
            starting.cancel()
            await asyncio.wait((starting,))
        if starting.cancelled():
            return False
        starting.result()
        return True

    async def _start(self, stack: AsyncExitStack) -> None:
        """Bring up each part, and leave with `stack` how to take it down."""
        settings = self._config.settings
        identity = find_identity(settings.user)
        self._output.open(settings, identity)
        pid_file = PidFile(settings.pidfile)
        taking = self._taking = self._call_on_predecessor(stack, identity)
        if taking is None:
            self._tell(pid_file.claim())
        file_limit = raise_file_limit()
        upstream = await self._start_embedded(stack) if self._config.embedded else ""
        intake = await self._take_in()
        settings = self._config.settings
        taken = await self._open_doors(stack, pid_file, identity)
        listeners = self._listeners = taken.listeners
        if identity is not None:
            identity.become()
            intake = await self._take_in()  # what that user may not read would fail at the first reload
        self._publisher = Publisher(self._config, intake, self._log)
        plan = await self._publisher.first_plan()
        engine = self._engine = Engine(listeners.by_worker, listeners.proxied_fds, listeners.lent_fds)
        logins = self._logins = AuthDesk(engine, self._log)
        self._tell_logins()
        stack.push_async_callback(logins.close)
        reload = Reload(self._publisher, self._read_again, self._ticket_key, self._accept, self._log)
        journal, averages = self._open_inbox(stack, reload)
        stack.callback(engine.stop)
        for database in taking.disabled if taking is not None else ():
            engine.disable(database, True)
        engine.expect_cancels(taking is not None)
        if self._config.drop_in:
            announce_start(self._log)  # before a client can notice
        engine.start(plan)
        self._move_in(stack, taken, pid_file)
        self._publisher.attach(engine, self._tell_logins)
        live = self._screen if self._screen.live and settings.live_line else None
        stats_log = StatsLog(self._log, time.monotonic(), drop_in=self._config.drop_in)
        pulse = Pulse(engine, journal, averages, stats_log, self._settings_now, live, self._log)
        gc.freeze()  # what is there now stays: no collection, and not the stop, has to look through it
        gc.set_threshold(_ALLOCATIONS_BETWEEN_COLLECTIONS)
        if not self._config.drop_in:
            self._greet(upstream or describe_upstream(plan))
        shortfall = shortage(file_limit, settings.max_client_conn, settings.default_pool_size)
        self._warn(*map(str, (*self._config.warnings, *intake.warnings)), *listeners.warnings, shortfall)
        watch = Watch(self._publisher, self._ticket_key, self._log)
        watchdog = self._notifier.keep_watchdog(engine.totals)
        names, zones, health = self._publisher.watch_names(), self._publisher.names.watch_zones(), self._health.run()
        await self._spawn(stack, pulse.run(), names, zones, watch.run(), reload.run(), watchdog, health)
        self._reload = reload
        if taking is not None:
            await taking.up()
            taken.own()
            self._warn(pid_file.take())
            await self._spawn(stack, taking.run(engine))
        self._launch.up()
        self._notifier.ready()
        if self._reload_asked:
            self._asked_to_reload()

    def _settings_now(self) -> GlobalSettings:
        return self._publisher.config.settings

    async def _take_in(self) -> Intake:
        return await aside("read files", partial(take_in, self._config, self._ticket_key))

    def _call_on_predecessor(self, stack: AsyncExitStack, owner: Identity | None) -> TakeOver | None:
        """Where we are to take over, and there is somebody to take over from."""
        if not self._launch.take_over:
            return None
        if self._config.embedded:
            raise StartError("an embedded PostgreSQL ends with the process that has it: nobody can take over from that")
        settings = self._config.settings
        taking = call_on(doorstep_name(settings.unix_socket_dir, settings.listen_port), owner, self._log)
        if taking is None:
            self._log.info("old process not found, try to continue normally")
        else:
            stack.callback(taking.close)
        return taking

    async def _open_doors(self, stack: AsyncExitStack, pid_file: PidFile, owner: Identity | None) -> Taken:
        """All that we listen on, and the files that say so."""
        taken = await self._open_listeners()
        stack.callback(taken.listeners.close)
        stack.callback(taken.doorstep.close)
        for sock in taken.http:
            stack.callback(sock.close)
        stack.callback(pid_file.remove)
        if self._taking is None:
            pid_file.write(owner)
            self._warn(taken.doorstep.open(owner))
            if owner is not None:
                taken.listeners.give_to(owner.uid, owner.gid)
        return taken

    async def _open_listeners(self) -> Taken:
        settings, endpoints = self._config.settings, _endpoints(self._config)
        if self._taking is not None:
            taken = await self._taking.ask(settings.workers)
            self._notifier.watchdog_s = self._notifier.watchdog_s or self._taking.watchdog_s
            self._warn(difference(endpoints, taken.listeners))
        else:
            listeners = open_listeners(endpoints, settings.workers, handed_sockets(os.environ))
            doorstep = Doorstep(doorstep_name(settings.unix_socket_dir, settings.listen_port))
            taken = Taken(listeners, doorstep, self._listen_for_http())
        if self._config.drop_in:
            needed = expected(settings.max_client_conn, settings.default_pool_size)
            announce_listeners(self._log, taken.listeners.names, settings, needed)
        return taken

    def _move_in(self, stack: AsyncExitStack, taken: Taken, pid_file: PidFile) -> None:
        """All that others see of the process; from now on another one can take over from it."""
        if self._operations is None:
            raise RuntimeError("nothing to operate on")
        house = House(
            self._config, taken.listeners, taken.doorstep, pid_file, self._notifier, self._health, self._operations,
            self._engine.states, self._log,
        )  # fmt: skip
        stack.callback(house.close)
        house.open_site = partial(self._open_site, house)
        house.open_site(taken.http)
        if self._taking is not None:
            taking = self._taking
            house.taking = lambda: not taking.is_over
            house.ask_predecessor = taking.ask_to_cancel
        self._hand_over = HandOver(self._engine, house, self._shutdown, self._log)
        stack.push_async_callback(self._hand_over.close)
        house.greet = self._hand_over.greet
        taken.doorstep.answer_with(house.greet)

    def _tell(self, text: str) -> None:
        if text:
            self._log.info(text)

    def _open_site(self, house: House, sockets: Sequence[socket.socket]) -> None:
        """Metrics and health over HTTP, where they are asked for; until the engine stops, so during a drain, too.

        On these sockets, if there are any.
        """
        settings = self._config.settings
        if not settings.http_port:
            for sock in sockets:
                sock.close()
            return
        from howdah.control.metrics.families import Sample, sample
        from howdah.control.metrics.site import Site

        def take() -> Sample:
            now = self._settings_now()
            return sample(self._engine, now.max_client_conn, by_user=now.metrics_by == "pool")

        site = house.site = Site(sockets or self._listen_for_http(), take, self._health)
        site.open()
        self._log.info("metrics and health are served", at=", ".join(site.names))

    def _listen_for_http(self) -> list[socket.socket]:
        settings = self._config.settings
        if not settings.http_port:
            return []
        from howdah.control.metrics.site import listen_for_http

        return listen_for_http(settings.http_addr, settings.http_port, alone=not settings.so_reuseport)

    def _tell_logins(self) -> None:
        """Whom logins are to be asked of has changed with the plan."""
        publisher = self._publisher
        context = auth_context(publisher.config, publisher.intake.access, publisher.plan)
        self._logins.reconfigure(context)
        self._warn(*(text for text in context.problems if text not in self._login_problems))
        self._login_problems = context.problems

    async def _start_embedded(self, stack: AsyncExitStack) -> str:
        """Start PostgreSQL and take it as the server of every database; its description."""
        from howdah.control.embedded import EmbeddedPostgres

        server = self._embedded = EmbeddedPostgres(self._config.settings.embedded_data_dir, tell=self._log.info)
        await server.start()
        stack.push_async_callback(server.stop)
        await self._spawn(stack, keep_running(server, self._log))
        self._config = with_embedded(self._config, server)
        return f"embedded PostgreSQL {server.version}, its data in {server.home}"

    def _open_inbox(self, stack: AsyncExitStack, reload: Reload) -> tuple[EventLog, Averages]:
        use, averages = ConsoleUse(), Averages(time.monotonic())
        publisher = self._publisher
        facts = Facts(
            engine=self._engine,
            plan=lambda: publisher.plan,
            settings=lambda: setting_rows(publisher.config.settings),
            averages=averages,
            use=use,
            config=lambda: publisher.config,
            reload=partial(self._issued, "RELOAD", reload.ask),
            change=lambda name, value: asyncio.ensure_future(reload.change(name, value)),
            listeners=self._listeners.sockets,
            names=publisher.names,
            may_change=lambda user, local: may_change(publisher.config, user, local),
        )
        journal: EventLog = Journal(self._log, lambda: publisher.plan.settings)
        if self._config.drop_in:
            journal = PgBouncerJournal(self._log, lambda: publisher.config)
        operations = self._operations = Operations(
            self._engine,
            lambda: publisher.plan,
            lambda: publisher.config.settings.suspend_timeout,
            self._shutdown,
            self._log,
            admins=lambda: len(use.users),
            on_pause=self._logins.leave_servers,
        )
        self._logins.hold_with(operations.open_for)
        desk = Desk(self._engine, Commands(facts, operations), use)
        elsewhere = self._taking.cancel if self._taking is not None else (lambda _: None)
        inbox = Inbox(self._engine, desk, self._logins, journal, elsewhere)
        inbox.open()
        stack.callback(lambda: journal.summarize(time.monotonic(), final=True))
        stack.callback(inbox.close)
        return journal, averages

    def _issued(self, command: str, perform: Callable[[], T]) -> T:
        """Do what the console was told to; PgBouncer's log says so first."""
        if self._config.drop_in:
            self._log.info(f"{command} command issued")
        return perform()

    @staticmethod
    async def _spawn(stack: AsyncExitStack, *work: Coroutine[Any, Any, None]) -> None:
        """Run beside everything else until the stop."""
        for coroutine in work:
            task = asyncio.ensure_future(coroutine)
            task.add_done_callback(_raise_in_loop)
            stack.push_async_callback(_cancel, task)

    def _greet(self, upstream: str) -> None:
        settings, embedded = self._config.settings, self._embedded
        doors = [Door(host, port) for host, port in self._listeners.tcp_addresses]
        if settings.unix_socket_dir:
            doors.append(Door(settings.unix_socket_dir, settings.listen_port))
        database = self._config.sample_database or ("postgres" if embedded else "")
        user = embedded.user if embedded else self._config.sample_user
        asks = settings.auth_type not in ("any", "trust")
        pool = f"{settings.default_pool_size} server connections for each database and user, {settings.pool_mode} mode"
        greeting = Greeting(
            listening=self._listeners.names,
            upstream=upstream,
            pool=f"{pool}, {settings.workers} worker threads",
            connect=connection_string(doors[0], database, user) if database else "",
            console=self._console_string(doors, user),
            seconds=seconds_since_start(),
            logins=f"{settings.auth_type}, TLS {settings.client_tls_sslmode}",
            user=user,
            password=embedded.password if embedded and asks else "",
            password_file=str(embedded.password_file) if embedded and asks else "",
        )
        if self._screen.live and not self._json and settings.log_level in ("debug", "info"):
            for line in greeting.lines():
                self._screen.write(line + "\n")
        else:
            self._log.info("howdah is ready", **greeting.fields())

    def _console_string(self, doors: Sequence[Door], user: str) -> str:
        """For somebody who may use the console; with nobody named that is its own user, over the Unix socket."""
        settings = self._publisher.plan.settings
        if settings.console_for_all or user in settings.console_users:
            return connection_string(doors[0], CONSOLE, user)
        if settings.console_users:
            return connection_string(doors[0], CONSOLE, settings.console_users[0])
        return connection_string(doors[-1], CONSOLE, CONSOLE)

    def _warn(self, *texts: str) -> None:
        for text in filter(None, texts):
            self._log.warning(text)

    def _on_signal(self, loop: asyncio.AbstractEventLoop, number: int, _: FrameType | None) -> None:
        """Runs between any two instructions: only hands on to the loop."""
        if not loop.is_closed():
            loop.call_soon_threadsafe(self._signalled, signal.Signals(number))

    def _signalled(self, number: signal.Signals) -> None:
        if self._config.drop_in and self._operations is not None:
            signals.Signals(self._operations, self._asked_to_reload, self._log).came(number)
        elif number == signal.SIGHUP:
            self._asked_to_reload()
        elif number == signal.SIGQUIT:
            self._shutdown.ask(WaitFor.NOBODY)
        elif number in _STOPS:
            self._asked_to_stop(number)

    # --- reload

    def _asked_to_reload(self) -> None:
        """During the start it is remembered: the configuration has been read, and may have changed since."""
        self._reload_asked = True
        if self._reload is not None:
            self._open_log(self._publisher.config)  # whatever becomes of the reload: logrotate waits for it
            if self._hand_over is not None and self._hand_over.under_way:
                self._log.warning("not reloaded: another process has taken over")
                return
            self._notifier.reloading()
            self._reload.ask().add_done_callback(lambda _: self._notifier.ready())

    def _read_again(self) -> Config:
        if self._reread is None:
            raise StartError("there is no file to read the configuration from again")
        config = self._reread()
        if config.embedded:
            if self._embedded is None:
                raise StartError("it names no database any more; the embedded PostgreSQL needs a restart")
            return with_embedded(config, self._embedded)
        return config

    # --- stop

    def _asked_to_stop(self, number: signal.Signals) -> None:
        if self._shutdown.asked.is_set():
            self._log.warning(f"{number.name} again: stopping at once")
            self._shutdown.ask(WaitFor.NOBODY)
        elif self._operations is None:
            self._shutdown.ask(WaitFor.NOBODY)  # it has not started yet
        else:
            self._operations.shutdown(WaitFor.SERVERS, self._publisher.config.settings.shutdown_timeout)

    def _unexpected(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """A fault of ours in the control plane: told, and queries go on."""
        self._log.error("internal error", detail=context.get("message"), exc_info=context.get("exception"))


async def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait((task,))


def _raise_in_loop(task: asyncio.Task[None]) -> None:
    """Background work ends by cancellation only; anything else goes to the loop's exception handler."""
    if not task.cancelled() and (failure := task.exception()) is not None:
        raise failure


def _endpoints(config: Config) -> Endpoints:
    settings = config.settings
    return Endpoints(
        addresses=settings.listen_addr,
        port=settings.listen_port,
        all_needed="listen_addr" in settings.model_fields_set,
        socket_dir=settings.unix_socket_dir,
        socket_mode=settings.unix_socket_mode,
        socket_group=settings.unix_socket_group,
        backlog=settings.listen_backlog,
        shared=settings.so_reuseport,
        proxy_port=settings.proxy_protocol_port,
    )
