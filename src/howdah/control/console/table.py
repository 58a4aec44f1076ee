"""What the tables of SHOW are made of: columns, and a function from `Facts` to rows."""

from asyncio import Future
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from howdah.control.config import Config
from howdah.control.config.names import CONSOLE
from howdah.control.console import pin_tables
from howdah.control.console.averages import Averages
from howdah.control.console.columns import Cell, Column
from howdah.control.console.places import Places
from howdah.control.reloaded import Reloaded
from howdah.dataplane.plan import Plan
from howdah.dataplane.rows import GONE, ClientRow, MemoryRow, PeerPoolRow, PoolRow, ServerRow, States, StatsRow

Row = Sequence[Cell]
Rows = Iterable[Row]
#: May this user, who has come over the Unix socket or not, do more than look?
Rights = Callable[[str, bool], bool]


class Observed(pin_tables.Observed, Protocol):
    """The part of the engine that SHOW reads."""

    def pools(self) -> list[PoolRow]: ...
    def clients(self) -> list[ClientRow]: ...
    def servers(self) -> list[ServerRow]: ...
    def stats(self) -> list[StatsRow]: ...
    def memory(self) -> list[MemoryRow]: ...
    def states(self) -> States: ...
    def peer_pools(self) -> list[PeerPoolRow]: ...


class ObservedNames(Protocol):
    """What is known of host names."""

    @property
    def queries(self) -> int: ...
    def rows(self) -> Iterable[tuple[str, int, tuple[str, ...]]]: ...
    def zones(self) -> Iterable[tuple[str, int, int]]: ...


class Setting(NamedTuple):
    """A row of SHOW CONFIG."""

    key: str
    value: str
    default: str
    changeable: bool


@dataclass(slots=True)
class ConsoleUse:
    """What the console itself adds to SHOW POOLS and SHOW STATS: it is a database there, as in PgBouncer."""

    users: dict[int, str] = field(default_factory=dict)  # by client id: one entry a session
    statements: int = 0
    programs: dict[int, str] = field(default_factory=dict)  # by client id: what they call themselves


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything the tables are made from, and what commands need."""

    engine: Observed
    plan: Callable[[], Plan]
    config: Callable[[], Config]
    settings: Callable[[], Iterable[Setting]]
    averages: Averages
    use: ConsoleUse
    reload: Callable[[], Future[Reloaded]]
    change: Callable[[str, str], Future[str]]  # SET: what is wrong with it, "" when it is in force
    may_change: Rights
    names: ObservedNames
    listeners: Callable[[], Iterable[tuple[int, str, int]]] = tuple  # fd, address and port of listening sockets
    places: Places = field(default_factory=Places)  # for what SQLite does

    def stats(self) -> list[StatsRow]:
        """The engine's totals and the console's own."""
        return [row for row in self.all_stats() if row.database != GONE]

    def all_stats(self) -> list[StatsRow]:
        """The same, and what databases that are gone had counted."""
        console = StatsRow(CONSOLE, xact_count=self.use.statements, query_count=self.use.statements)
        rows = [row for row in self.engine.stats() if row.database != CONSOLE]
        return sorted([*rows, console])


class Table(NamedTuple):
    name: str
    about: str  # for SHOW HELP and the documentation
    columns: tuple[Column, ...]
    rows: Callable[[Facts], Rows]
    own: frozenset[str] = frozenset()  # columns that PgBouncer 1.25 does not have
    for_admins: bool = False
    differs: str = ""  # what is not as in PgBouncer, for the documentation

    @property
    def exact(self) -> tuple[int, ...]:
        """Places of the columns that PgBouncer 1.25 has."""
        return tuple(at for at, column in enumerate(self.columns) if column.name not in self.own)
