"""An engine for console tests: rows as given, answers kept."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from howdah.control.config import Config
from howdah.control.console.averages import Averages
from howdah.control.console.commands import Commands
from howdah.control.console.show import ConsoleUse, Facts, Setting
from howdah.control.reloaded import Reloaded
from howdah.dataplane.plan import Address, DatabasePlan, Plan, PoolMode, Settings
from howdah.dataplane.rows import (
    ClientRow,
    DatabaseState,
    LintRow,
    MemoryRow,
    PeerPoolRow,
    PinReasonRow,
    PinRow,
    PoolRow,
    ServerRow,
    States,
    StatsRow,
)

SETTINGS = Settings(
    max_client_conn=100, max_user_connections=0, max_packet_size=1 << 20,
    client_idle_timeout_us=0, idle_transaction_timeout_us=0, client_login_timeout_us=0, server_idle_timeout_us=0,
    server_connect_timeout_us=0, server_login_retry_us=0, reserve_pool_timeout_us=0, tcp_keepalive=True,
    tcp_keepidle=0, tcp_keepintvl=0, tcp_keepcnt=0, tcp_user_timeout=0, server_reset_query="DISCARD ALL",
    log_connections=False, log_disconnections=False, ignore_startup_parameters=(), console_users=(),
    console_for_all=True,
)  # fmt: skip

DATABASE = DatabasePlan(
    name="app", dbname=None, host="db.example", port=5432, addresses=(Address(b"", "192.0.2.1:5432"),),
    resolve_error="", force_user=None, pool_size=20, min_pool_size=0, reserve_pool_size=0,
    pool_mode=PoolMode.TRANSACTION, max_db_connections=7, server_lifetime_us=3_600_000_000, startup_parameters=(),
    max_db_client_connections=55,
)  # fmt: skip

POOL = PoolRow("app", "alice", "transaction", 3, 2, 0, 0, 4, 0, 0, 1, 0, 0, 1, 2_500_000, 20, 1)
CLIENT = ClientRow(
    id=7, user="alice", database="app", state="active", address="127.0.0.1", port=41234, local_address="127.0.0.1",
    local_port=6432, connect_at_us=1_700_000_000_000_000, request_at_us=0, wait_us=1_250_000, link=9,
    application_name="psql", worker=1, pin="", tls="TLSv1.3/TLS_AES_256_GCM_SHA384",
    sni="db.example", replication="logical", prepared_statements=3, channels=2, fd=20, held=9, remain=8, unsent=7,
)  # fmt: skip
SERVER = ServerRow(
    id=9, user="alice", database="app", state="active", address="192.0.2.1", port=5432, local_address="192.0.2.9",
    local_port=50000, connect_at_us=1_700_000_000_000_000, request_at_us=1_700_000_001_000_000, close_needed=0,
    link=7, remote_pid=4711, application_name="psql", worker=1,
    tls="TLSv1.2/ECDHE-RSA-AES128-GCM-SHA256", replication="physical", prepared_statements=5, channels=4,
    fd=21, remain=6, unsent=5,
)  # fmt: skip
PIN = PinRow(7, 9, "app", "alice", "psql", "pin_temporary_object", 1_700_000_000_000_000, "CREATE TEMP TABLE t (a int)")
PIN_REASON = PinReasonRow("app", "pin_temporary_object", 5, 4, 7_500_000)
LINT = LintRow("psql", "alice", "app", "listen", True, 3, 1_700_000_000_000_000, 1_700_000_001_000_000, "LISTEN a")
MEMORY = (MemoryRow("client_cache", 900, 8, 56), MemoryRow("server_cache", 1000, 1, 15))
STATS = StatsRow("app", 10, 20, 30, 4000, 5000, 60, 70, 80, 11, 12, 13, 9)


class NamesStub:
    queries = 2

    def rows(self) -> list[tuple[str, int, tuple[str, ...]]]:
        return [("db.example", 12, ("192.0.2.1",))]

    def zones(self) -> list[tuple[str, int, int]]:
        return [("example", 2026112801, 1)]


@dataclass
class EngineStub:
    pool_rows: list[PoolRow] = field(default_factory=lambda: [POOL])
    client_rows: list[ClientRow] = field(default_factory=lambda: [CLIENT])
    server_rows: list[ServerRow] = field(default_factory=lambda: [SERVER])
    stats_rows: list[StatsRow] = field(default_factory=lambda: [STATS])
    pin_rows: list[PinRow] = field(default_factory=lambda: [PIN])
    pin_reason_rows: list[PinReasonRow] = field(default_factory=lambda: [PIN_REASON])
    lint_rows: list[LintRow] = field(default_factory=lambda: [LINT])
    memory_rows: list[MemoryRow] = field(default_factory=lambda: list(MEMORY))
    database_states: tuple[DatabaseState, ...] = ()
    peer_pool_rows: list[PeerPoolRow] = field(default_factory=list)
    sent: list[tuple[int, bytes, bool]] = field(default_factory=list)

    def pools(self) -> list[PoolRow]:
        return self.pool_rows

    def clients(self) -> list[ClientRow]:
        return self.client_rows

    def servers(self) -> list[ServerRow]:
        return self.server_rows

    def stats(self) -> list[StatsRow]:
        return self.stats_rows

    def memory(self) -> list[MemoryRow]:
        return self.memory_rows

    def peer_pools(self) -> list[PeerPoolRow]:
        return self.peer_pool_rows

    def pins(self) -> list[PinRow]:
        return self.pin_rows

    def pin_reasons(self) -> list[PinReasonRow]:
        return self.pin_reason_rows

    def lint(self) -> list[LintRow]:
        return self.lint_rows

    def states(self) -> States:
        return States(paused=False, suspended=False, databases=self.database_states)

    def console_send(self, client: int, data: bytes, close: bool) -> None:
        self.sent.append((client, data, close))


def no_reload() -> asyncio.Future[Reloaded]:
    raise AssertionError("nobody has asked for a reload")


def no_change(name: str, value: str) -> asyncio.Future[str]:
    raise AssertionError(f"nobody has asked for {name} to be {value}")


def facts(
    engine: EngineStub | None = None,
    averages: Averages | None = None,
    reload: Callable[[], asyncio.Future[Reloaded]] = no_reload,
    change: Callable[[str, str], asyncio.Future[str]] = no_change,
    config: Config | None = None,
) -> Facts:
    return Facts(
        engine=engine or EngineStub(),
        plan=lambda: Plan(1, SETTINGS, (DATABASE,), ()),
        settings=lambda: [
            Setting("default_pool_size", "20", "20", True),
            Setting("listen_port", "6432", "6432", False),
        ],
        averages=averages or Averages(0.0),
        use=ConsoleUse({11: "alice"}, statements=5),
        config=lambda: config or Config(),
        reload=reload,
        change=change,
        listeners=lambda: [(5, "127.0.0.1", 6432), (6, "unix", 6432)],
        names=NamesStub(),
        may_change=lambda user, _: user == "alice",
    )


def commands() -> Commands:
    return Commands(facts())
