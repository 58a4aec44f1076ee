"""Reading a configuration: target, file, environment and options become one checked `Config`.

Later sources win: defaults, the file or URL, HOWDAH_* variables, options of the command line.
"""

import difflib
import os
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from howdah.control.config import url
from howdah.control.config.draft import Draft
from howdah.control.config.errors import ConfigError, Problem, StartError
from howdah.control.config.foreign import advice_for, is_pgbouncer, pooler_of
from howdah.control.config.ini.tables import draft_of
from howdah.control.config.locate import locate
from howdah.control.config.schema import FILES, Config, GlobalSettings

DEFAULT_FILE = "howdah.toml"
#: Of the embedded PostgreSQL.
SUPERUSER = "postgres"
DATABASE_URL = "DATABASE_URL"
PREFIX = "HOWDAH_"
#: Where a URL without a host means, as libpq does: Debian's directory, else everybody's.
SOCKET_DIRECTORIES = ("/var/run/postgresql", "/tmp")  # noqa: S108  PostgreSQL's default


@dataclass(frozen=True, slots=True)
class Option:
    """A setting given on the command line, as text."""

    name: str
    value: str
    shown: str  # how it was given, for messages: "--pool-size"


@dataclass(frozen=True, slots=True)
class Request:
    """What to read: TARGET and options of `howdah run`."""

    target: str | None = None  # a URL, a file, or None to look around
    options: tuple[Option, ...] = ()
    pgbouncer: bool = False  # the file is PgBouncer's, whatever its name


def read(request: Request, environ: Mapping[str, str] | None = None) -> Config:
    """The configuration that was asked for.  StartError, mostly a ConfigError, says what is wrong with it."""
    return draft(request, environ).finish()


def draft(request: Request, environ: Mapping[str, str] | None = None) -> Draft:
    """The same, not yet checked."""
    environ = os.environ if environ is None else environ
    draft = _of_target(request, environ)
    _add_environment(draft, environ)
    for option in request.options:
        draft.put("howdah", option.name, option.value, where=option.shown)
    if draft.path is None:
        _choose_logins(draft)
    return draft


def _choose_logins(draft: Draft) -> None:
    """Who may log in where neither a file nor anybody else says so: whoever has the password, if there is one.

    The embedded PostgreSQL's superuser gets one when it is started, and can be asked for the others'.
    """
    user = SUPERUSER if draft.embedded else draft.sample_user
    named = draft.tables.get("howdah", {})
    if draft.embedded:
        draft.put_default("howdah", "auth_user", user, where=draft.source)
    if not user and not any(named.get(name) for name in ("auth_file", "auth_user", "auth_hba_file")):
        draft.put_default("howdah", "auth_type", "trust", where=draft.source)
    if user and not any(named.get(name) for name in ("admin_users", "stats_users")):
        draft.put_default("howdah", "admin_users", [user], where=draft.source)


def _of_target(request: Request, environ: Mapping[str, str]) -> Draft:
    target = request.target
    if target is not None:
        if url.is_url(target) and not request.pgbouncer:
            return _of_url(target, "the URL")
        return _of_file(target, environ, pgbouncer=request.pgbouncer)
    if Path(DEFAULT_FILE).exists():
        return _of_file(DEFAULT_FILE, environ)
    if address := environ.get(DATABASE_URL):
        return _of_url(address, DATABASE_URL)
    return Draft(source="embedded PostgreSQL", embedded=True)


# --- files


def _of_file(path: str, environ: Mapping[str, str], *, pgbouncer: bool = False) -> Draft:
    raw = _bytes_of(path)
    shown = raw.decode(errors="replace")
    own = is_pgbouncer(path, shown)
    if not own and Path(path).name != DEFAULT_FILE and (pooler := pooler_of(shown)):
        raise StartError(f"{path}: {advice_for(pooler)}")
    if own or pgbouncer:
        return draft_of(path, lambda name: raw if name == path else Path(name).read_bytes())
    text = _text_of(path, raw)
    draft = Draft(source=path, path=path, tables=_parse(path, text), locate=partial(locate, text))
    _find_files_beside(draft, Path(path).parent)
    if not draft.tables.get("databases") and not isinstance(draft.tables.get("databases"), list):
        _find_databases(draft, environ)
    return draft


def _find_files_beside(draft: Draft, folder: Path) -> None:
    """Files that a configuration names are looked for in its own folder."""
    settings = draft.tables.get("howdah")
    if isinstance(settings, dict):
        for name in FILES & set(settings):
            if isinstance(settings[name], str) and settings[name]:
                settings[name] = str(folder / settings[name])


def _bytes_of(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except FileNotFoundError:
        advice = "a connection is given as postgresql://user@host:port/database" if "=" in path else "check the name"
        raise StartError(f"{path}: no such file; {advice}") from None
    except IsADirectoryError:
        raise StartError(f"{path}: is a directory; name the file in it, as {path.rstrip('/')}/{DEFAULT_FILE}") from None
    except (OSError, ValueError) as error:
        raise StartError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from None


def _text_of(path: str, raw: bytes) -> str:
    try:
        return raw.removeprefix(b"\xef\xbb\xbf").decode()
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise ConfigError([Problem(f"{path}:{line}", "", "is not UTF-8", "save the file as UTF-8")]) from None


def _parse(path: str, text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        message, line = _position(str(error), text)
        advice = "strings need quotes, true and false do not; see https://toml.io"
        raise ConfigError([Problem(f"{path}:{line}", "", f"this is not TOML: {message}", advice)]) from None
    except RecursionError:
        raise ConfigError([Problem(path, "", "is nested too deeply", "no setting needs nested lists")]) from None


def _position(message: str, text: str) -> tuple[str, int]:
    """The place that tomllib gives at the end of its message."""
    found = re.search(r" \(at (?:line (\d+), column (\d+)|end of document)\)$", message)
    if found is None:
        return message, 1
    if found[1] is None:
        return f"{message[: found.start()]} at the end of the file", max(1, len(text.splitlines()))
    return f"{message[: found.start()]} in column {found[2]}", int(found[1])


def _find_databases(draft: Draft, environ: Mapping[str, str]) -> None:
    """A file may leave the database, and its password, to the environment."""
    if address := environ.get(DATABASE_URL):
        _add_url(draft, address, DATABASE_URL)
        return
    draft.notes.append(
        Problem(
            draft.source,
            "",
            "no databases: howdah does not know where PostgreSQL is",
            'add [databases."*"] with host and port, or set DATABASE_URL',
        )
    )


# --- URLs


def _of_url(address: str, where: str) -> Draft:
    draft = Draft(source=where)
    draft.source = _add_url(draft, address, where).shown
    return draft


def _add_url(draft: Draft, address: str, where: str) -> url.Url:
    try:
        parsed = url.parse(address)
    except url.UrlError as error:
        raise ConfigError([Problem(where, "", str(error))]) from None
    tables = parsed.tables(_default_host())
    for key, value in tables["howdah"].items():
        draft.put("howdah", key, value, where=where)
    for table in ("databases", "users"):
        for name, entries in tables.get(table, {}).items():
            draft.put_entries(table, name, entries, where=where)
    draft.sample_database = parsed.dbname or parsed.user or None
    draft.sample_user = parsed.user if parsed.password else ""
    draft.notes += [Problem(where, name, "this parameter has no effect here", fatal=False) for name in parsed.ignored]
    return parsed


def _default_host() -> str:
    return next((directory for directory in SOCKET_DIRECTORIES if Path(directory).is_dir()), SOCKET_DIRECTORIES[-1])


# --- environment


def _add_environment(draft: Draft, environ: Mapping[str, str]) -> None:
    fields = GlobalSettings.model_fields
    for variable in sorted(environ):
        name = variable.removeprefix(PREFIX).lower()
        if not variable.startswith(PREFIX):
            continue
        if name in fields:
            draft.put("howdah", name, environ[variable], where=variable)
        elif close := _mistyped(name, fields):
            draft.notes.append(
                Problem(variable, "", "unknown variable", f"did you mean {PREFIX}{close.upper()}?", fatal=False)
            )


def _mistyped(name: str, fields: Iterable[str]) -> str:
    """Other HOWDAH_ variables are not ours to judge: Kubernetes sets HOWDAH_PORT for a service of that name."""
    close = difflib.get_close_matches(name, list(fields), 1, cutoff=0.85)
    return close[0] if close else ""
