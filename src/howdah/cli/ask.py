"""Talking to the console of a running howdah (or PgBouncer), for the commands of `console`."""

import getpass
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
from psycopg.abc import Query

from howdah.control.config import GlobalSettings, StartError
from howdah.control.config.load import DEFAULT_FILE, Request, read
from howdah.control.config.names import CONSOLE

_WITHIN_S = 10


@dataclass(frozen=True, slots=True)
class Place:
    """Where the console is asked, and as whom."""

    host: str
    port: int
    user: str

    def __str__(self) -> str:
        return f"{self.host}/.s.PGSQL.{self.port}" if self.host.startswith(("/", "@")) else f"{self.host}:{self.port}"


class Reply(NamedTuple):
    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]
    status: str  # the command's tag
    notices: tuple[str, ...]


def find_place(config: str | None, host: str | None, port: int | None, user: str | None) -> Place:
    """What was said, then what the configuration says, then the defaults."""
    settings = GlobalSettings()
    if config is not None or (host is None and Path(DEFAULT_FILE).exists()):
        settings = read(Request(target=config)).settings
    where = host or settings.unix_socket_dir or next(iter(settings.listen_addr), "127.0.0.1")
    where = "127.0.0.1" if where in ("*", "0.0.0.0") else where
    return Place(where, port or settings.listen_port, user or _likely_user(settings, where))


def _likely_user(settings: GlobalSettings, host: str) -> str:
    """At the Unix socket the console's own user needs no password of who runs howdah."""
    if host.startswith(("/", "@")):
        return CONSOLE
    return next(iter(settings.admin_users), getpass.getuser())


def ask(place: Place, sql: str) -> Reply:
    """StartError with what went wrong, in a line or two."""
    notices: list[str] = []
    try:
        with psycopg.connect(
            host=place.host, port=place.port, user=place.user, dbname=CONSOLE, autocommit=True,
            connect_timeout=_WITHIN_S, application_name="howdah", cursor_factory=psycopg.ClientCursor,
        ) as connection:  # fmt: skip
            connection.add_notice_handler(lambda notice: notices.append(_in_lines(notice)))
            cursor = connection.execute(_as_it_is(sql))
            columns = tuple(column.name for column in cursor.description or ())
            return Reply(columns, cursor.fetchall() if columns else [], cursor.statusmessage or "", tuple(notices))
    except psycopg.Error as error:
        raise StartError(_explained(place, error)) from None


def _as_it_is(sql: str) -> Query:
    """It is the user's own."""
    return sql.encode()


def _in_lines(notice: psycopg.errors.Diagnostic) -> str:
    return "\n".join(part.strip("\n") for part in (notice.message_primary, notice.message_detail) if part)


def _explained(place: Place, error: psycopg.Error) -> str:
    if error.diag.message_primary is None:
        reason = str(error).strip().splitlines()[-1].strip()
        return (
            f"cannot ask the console at {place} as user {place.user}: {reason}\n"
            "hint: is howdah running there? --config, --host, --port and --user say whom to ask."
        )
    hint = f"\nhint: {error.diag.message_hint}" if error.diag.message_hint else ""
    return f"error: {error.diag.message_primary}{hint}"
