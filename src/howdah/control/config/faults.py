"""One value's fault, from pydantic's words into ours: what is wrong, and what to do about it."""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from howdah.control.config.locate import KeyPath
from howdah.control.config.schema import DatabaseSettings, GlobalSettings, PeerSettings, Tables, UserSettings

_TABLES: Mapping[str, type[BaseModel]] = {
    "howdah": GlobalSettings,
    "databases": DatabaseSettings,
    "users": UserSettings,
    "peers": PeerSettings,
}
_HEADS = {"howdah": "[howdah]", "databases": "[databases.NAME]", "users": "[users.NAME]", "peers": "[peers.NAME]"}
#: The same in a pgbouncer.ini.
_SECTIONS = {"howdah": "[pgbouncer]", "databases": "[databases]", "users": "[users]", "peers": "[peers]"}
#: Names from other places that people know, and ours for the same thing.
_ALSO_KNOWN_AS = {
    "database": "dbname",
    "hostname": "host",
    "username": "user",
    "listen_addresses": "listen_addr",
    "listen": "listen_addr",
    "port": "listen_port",
    "pool_size": "default_pool_size",
    "max_connections": "max_client_conn",
    "reserve_pool": "reserve_pool_size",
}


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with one or more keys; the first is the one to point at."""

    keys: tuple[KeyPath, ...]
    message: str
    advice: str = ""
    fatal: bool = True


def describe(details: ErrorDetails, *, pgbouncer: bool = False) -> Fault:
    """The fault behind one of pydantic's errors; `pgbouncer`: in a file of PgBouncer's."""
    key: KeyPath = details["loc"]
    match details["type"]:
        case "value_error":
            return Fault((key,), *_split(str(details.get("ctx", {}).get("error", details["msg"]))))
        case "extra_forbidden":
            return Fault((key,), *_unknown(key, details["input"], _SECTIONS if pgbouncer else _HEADS))
        case "model_type" | "mapping_type" | "dict_type":
            return Fault((key,), "must be a table", f"write it as {_head(key)}")
        case "string_type":
            return Fault((key,), "must be a string, in quotes")
    return Fault((key,), details["msg"])


def _split(text: str) -> tuple[str, str]:
    """Our own sentences already are "what is wrong; what to do"."""
    message, _, advice = text.partition("; ")
    return message, advice


def _head(key: KeyPath) -> str:
    table = str(key[0])
    return _HEADS.get(table, "[howdah]").replace("NAME", str(key[1]) if len(key) > 1 else "NAME")


def _unknown(key: KeyPath, value: Any, heads: Mapping[str, str]) -> tuple[str, str]:
    """What to say of a key nobody knows."""
    name = str(key[-1])
    if len(key) == 1:
        return _unknown_table(name, value)
    table = str(key[0])
    fields = _TABLES[table].model_fields
    if _ALSO_KNOWN_AS.get(name) in fields:
        return "unknown setting", f"did you mean {_ALSO_KNOWN_AS[name]}?"
    home = next((other for other, model in _TABLES.items() if other != table and name in model.model_fields), None)
    close = difflib.get_close_matches(name, fields, 1)
    if close and (home is None or close[0] in name):
        return "unknown setting", f"did you mean {close[0]}?"
    if home is not None:
        own = _head(key) if heads is _HEADS else heads[table]
        return f"unknown setting in {own}", f"it belongs into {heads[home]}"
    return "unknown setting", "remove it, or see docs/reference/settings.md for the settings there are"


def _unknown_table(name: str, value: Any) -> tuple[str, str]:
    if not isinstance(value, dict):
        if name in GlobalSettings.model_fields:
            return "a setting outside of any table", "put it under [howdah]"
        return "unknown setting outside of any table", _close_to(
            name, GlobalSettings.model_fields, "put {} under [howdah]"
        )
    if name == "pgbouncer":
        return "unknown table [pgbouncer]", "its name is [howdah] here"
    known = list(Tables.model_fields)
    return f"unknown table [{name}]", _close_to(name, known, "did you mean [{}]?") or f"tables are {', '.join(known)}"


def _close_to(name: str, known: Any, sentence: str) -> str:
    close = difflib.get_close_matches(name, known, 1)
    return sentence.format(close[0]) if close else ""
