"""SHOW and SELECT: what only looks."""

import asyncio
import difflib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from howdah.control.console.action import Action, ConsoleError, Outcome, SessionState, invalid
from howdah.control.console.columns import Cell, columns
from howdah.control.console.driver_words import SESSION_SETTINGS
from howdah.control.console.show import TABLES_BY_NAME
from howdah.control.console.statements import Statement
from howdah.control.console.table import Facts, Rights, Row, Table

if TYPE_CHECKING:  # SQLite is loaded when somebody asks for a SELECT
    from howdah.control.console.query import Query

_ALSO_CALLED = {"transaction isolation level": "transaction_isolation", "time zone": "timezone"}
#: In the order and lines of PgBouncer's; howdah's own words behind them.
USAGE = """
\tSHOW HELP|CONFIG|DATABASES|POOLS|CLIENTS|SERVERS|USERS|VERSION
\tSHOW PEERS|PEER_POOLS
\tSHOW FDS|SOCKETS|ACTIVE_SOCKETS|LISTS|MEM|STATE
\tSHOW DNS_HOSTS|DNS_ZONES
\tSHOW STATS|STATS_TOTALS|STATS_AVERAGES|TOTALS
\tSHOW PINS|PIN_REASONS|LINT
\tSELECT columns FROM any of these [WHERE ...] [ORDER BY ...]
\tSET key = arg
\tRELOAD
\tPAUSE [<db>]
\tRESUME [<db>]
\tDISABLE <db>
\tENABLE <db>
\tRECONNECT [<db>]
\tKILL <db>
\tKILL_CLIENT <client_id>
\tSUSPEND
\tSHUTDOWN
\tSHUTDOWN WAIT_FOR_SERVERS|WAIT_FOR_CLIENTS
\tWAIT_CLOSE [<db>]"""


def show(facts: Facts, statement: Statement, state: SessionState, _: Sequence[int]) -> Action:
    words = [token.text.lower() for token in statement[1:]]
    if words == ["help"]:
        return Action(lambda _: Outcome("SHOW", notice="Console usage", detail=USAGE))
    if len(words) == 1 and (table := TABLES_BY_NAME.get(words[0])):
        return _show_table(facts, table, state)
    name = _ALSO_CALLED.get(" ".join(words), "_".join(words) if len(words) == 1 else "")
    if name in SESSION_SETTINGS:
        return Action(partial(_show_setting, name), columns(f"{name} t"))
    raise invalid(statement, _closest(words))


def _closest(words: Sequence[str]) -> str:
    known = [*TABLES_BY_NAME, "help"]
    close = difflib.get_close_matches(words[0], known, 1) if words else []
    if close:
        return f"Did you mean SHOW {close[0].upper()}?"
    return f"SHOW takes one of: {', '.join(sorted(known)).upper()}."


def _show_table(facts: Facts, table: Table, state: SessionState) -> Action:
    """All columns, or to who counts them those that PgBouncer has."""
    _admit(facts, table, state)
    if not table.own or state.variables.get("application_name", "") not in facts.config().settings.exact_columns_for:
        return Action(lambda _: Outcome("SHOW", tuple(table.rows(facts))), table.columns)
    exact = table.exact
    return Action(
        lambda _: Outcome("SHOW", [[row[at] for at in exact] for row in table.rows(facts)]),
        tuple(table.columns[at] for at in exact),
    )


def _admit(facts: Facts, table: Table, state: SessionState) -> None:
    if table.for_admins:
        require_admin(facts.may_change, state, f"SHOW {table.name}")


def require_admin(may_change: Rights, state: SessionState, what: str) -> None:
    """For what those in stats_users may not do."""
    if not may_change(state.user, state.over_unix_socket):
        raise ConsoleError("08P01", "admin access needed", f"{what} is for users named in admin_users.")


def _show_setting(name: str, state: SessionState) -> Outcome:
    return Outcome("SHOW", [(state.variables.get(name, SESSION_SETTINGS[name]),)])


# --- SELECT


def select(
    facts: Facts, statement: Statement, state: SessionState, types: Sequence[int]
) -> Action | asyncio.Future[Action]:
    if len(statement) == 2 and statement[1].kind == "word" and statement[1].text.lower() in (*TABLES_BY_NAME, "help"):
        return show(facts, statement, state, ())  # as PgBouncer understands it
    return asyncio.ensure_future(_prepared(facts, statement, state, types))


async def _prepared(facts: Facts, statement: Statement, state: SessionState, types: Sequence[int]) -> Action:
    from howdah.control.console.query import prepare

    query = await facts.places.work("console SELECT", partial(prepare, statement, types, TABLES_BY_NAME, state.user))
    for name in query.reads:
        _admit(facts, TABLES_BY_NAME[name], state)
    action = Action(partial(_select, facts, query, ()), query.columns, parameters=query.parameters)
    return replace(action, bind=partial(_bound, facts, query, action)) if query.parameters else action


def _bound(facts: Facts, query: "Query", action: Action, values: Sequence[Cell]) -> Action:
    return replace(action, perform=partial(_select, facts, query, values), bind=None)


def _select(facts: Facts, query: "Query", values: Sequence[Cell], _: SessionState) -> asyncio.Future[Outcome]:
    """Rows are taken now; SQL, which may take its time, is done beside the loop."""
    rows = {name: _rows(facts, TABLES_BY_NAME[name], query) for name in query.reads}
    return asyncio.ensure_future(_answered(facts, query, rows, values))


def _rows(facts: Facts, table: Table, query: "Query") -> list[Row]:
    names = [column.name for column in table.columns]
    needed = [names.index(column.name) for column in query.reads[table.name.lower()]]
    if len(needed) == len(names):
        return list(table.rows(facts))
    return [[row[at] for at in needed] for row in table.rows(facts)]


async def _answered(facts: Facts, query: "Query", rows: Mapping[str, Sequence[Row]], values: Sequence[Cell]) -> Outcome:
    from howdah.control.console.query import answer

    found = await facts.places.work("console SELECT", partial(answer, query, rows, values))
    return Outcome(f"SELECT {len(found)}", found)
