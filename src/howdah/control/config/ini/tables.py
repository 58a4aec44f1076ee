"""From the statements of a pgbouncer.ini to the tables of a howdah.toml, with the line of each key.

What PgBouncer starts with is no fault here either (`Draft.pgbouncer`), and where howdah's defaults are others on
purpose, PgBouncer's count.  Whether a value is right, the schema says, as for every other source.
"""

import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from howdah.control.config.draft import Draft
from howdah.control.config.errors import Problem
from howdah.control.config.ini.connection_string import ConnectionStringError, pairs
from howdah.control.config.ini.statements import Reader, Statement
from howdah.control.config.ini.values import integer, read_value, real
from howdah.control.config.locate import KeyPath
from howdah.control.config.pgbouncer import WITHOUT_EFFECT
from howdah.control.config.schema import DatabaseSettings, GlobalSettings, PeerSettings, UserSettings
from howdah.control.config.toml import kind_of
from howdah.control.config.units import FILE, Kind

#: PgBouncer's defaults, where howdah's are others and a drop-in must not differ.
DEFAULTS: Mapping[str, Any] = {
    "listen_addr": [],
    "tcp_defer_accept": True,
    "max_client_conn": 100,
    "pool_mode": "session",
    "auth_type": "md5",
    "log_connections": True,
    "log_disconnections": True,
    "log_stats": True,
    "syslog_ident": "pgbouncer",
    # PgBouncer asks nobody whether trust is meant for the network, too.
    "allow_trust_from_network": True,
}
#: The sections of connection strings.
_MODELS: Mapping[str, type[BaseModel]] = {
    "databases": DatabaseSettings,
    "users": UserSettings,
    "peers": PeerSettings,
}
#: Where 0 says of a database or user, too, that it has no limit of its own: what is set for all counts.
_NONE_AT_ZERO = frozenset(
    """
    max_db_connections max_db_client_connections max_user_connections max_user_client_connections server_lifetime
    query_timeout client_idle_timeout idle_transaction_timeout
    """.split()
)
_ALIASES = {"reserve_pool": "reserve_pool_size"}


def draft_of(path: str, load: Callable[[str], bytes]) -> Draft:
    """What the file says, with all that is no setting among the notes.  OSError when it cannot be read."""
    tables = _Tables(path)
    reader = Reader(load, tables.draft.notes)
    for statement in reader.read(path):
        tables.take(statement)
    for name, value in DEFAULTS.items():
        tables.draft.put_default("howdah", name, value, where=path)
    return tables.draft


@functools.cache
def _kind(model: type[BaseModel], key: str) -> Kind | None:
    field = model.model_fields.get(key)
    return None if field is None else kind_of(field)


class _Tables:
    def __init__(self, path: str) -> None:
        self.draft = Draft(source=path, path=path, pgbouncer=True)
        self.draft.tables = {"howdah": {}, "databases": {}, "users": {}, "peers": {}}

    def take(self, statement: Statement) -> None:
        if statement.key is None:
            self._begin(statement)
        elif statement.section == "pgbouncer":
            self._set(statement, statement.key)
        elif statement.section in _MODELS:
            self._entry(statement, statement.key)

    def _begin(self, header: Statement) -> None:
        """A section's name.  [pgbouncer] for the second time starts from the defaults, as it does in PgBouncer."""
        if header.section == "pgbouncer":
            if self.draft.tables["howdah"]:
                self._note(header, "", "this section starts anew: what was set in [pgbouncer] before is forgotten")
            for name in self.draft.tables["howdah"]:
                self.draft.lines.pop(("howdah", name), None)
                self.draft.places.pop(("howdah", name), None)
            self.draft.tables["howdah"] = {}
            self._at(header, ("howdah",))
        elif header.section not in _MODELS:
            known = ", ".join(f"[{name}]" for name in ("pgbouncer", *_MODELS))
            self._complain(header, "", f"unknown section [{header.section}]", f"sections are {known}")

    def _set(self, statement: Statement, key: str) -> None:
        if key in WITHOUT_EFFECT:
            self._note(statement, key, f"this setting has no effect: {WITHOUT_EFFECT[key]}")
        self._put(statement, self.draft.tables["howdah"], GlobalSettings, key, statement.value)
        self._at(statement, ("howdah", key))

    def _entry(self, statement: Statement, name: str) -> None:
        """A database, user or peer, instead of an earlier one of that name."""
        table = statement.section
        entry: dict[str, Any] = {}
        try:
            for key, text in pairs(statement.value):
                self._put_own(statement, entry, _ALIASES.get(key, key), text)
        except ConnectionStringError as error:
            message, _, advice = str(error).partition("; ")
            self._complain(statement, f"{table}.{name}", message, advice)
        self.draft.tables[table][name] = entry
        self._at(statement, (table, name))
        for key in entry:
            self._at(statement, (table, name, key))

    def _put_own(self, statement: Statement, entry: dict[str, Any], key: str, text: str) -> None:
        """One of a database's, user's or peer's own; -1 is how PgBouncer writes that it has none, or 0."""
        model = _MODELS[statement.section]
        kind = _kind(model, key)
        none = kind is not None and kind.name == "number" and (integer(text) or 0) < 0
        # It reads whole seconds: half a one is none.
        none |= key in _NONE_AT_ZERO and (seconds := real(text)) is not None and int(seconds) == 0
        if none:
            entry.pop(key, None)
        else:
            self._put(statement, entry, model, key, text)

    def _put(self, statement: Statement, entry: dict[str, Any], model: type[BaseModel], key: str, text: str) -> None:
        """What the schema knows is read; what it does not, it is to say."""
        kind = _kind(model, key)
        try:
            entry[key] = text if kind is None else read_value(kind, text)
        except ValueError as error:
            message, _, advice = str(error).partition("; ")
            self._complain(statement, key, message, advice)
        if kind == FILE and text:
            entry[key] = str(Path.cwd() / text)

    def _at(self, statement: Statement, key: KeyPath) -> None:
        if statement.file == self.draft.path:
            self.draft.lines[key] = statement.line
            self.draft.places.pop(key, None)
        else:
            self.draft.places[key] = statement.where

    def _note(self, statement: Statement, key: str, message: str) -> None:
        self.draft.notes.append(Problem(statement.where, key, message, fatal=False))

    def _complain(self, statement: Statement, key: str, message: str, advice: str = "") -> None:
        self.draft.notes.append(Problem(statement.where, key, message, advice))
