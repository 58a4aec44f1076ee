"""Connection URLs as libpq reads them: postgresql://user:password@host:port/database?parameter=value&...

`parse` takes the URL apart; `Url.tables` says what it means as a configuration.  Errors never show the URL: it may hold
a password.
"""

import difflib
import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, unquote

SCHEMES = ("postgresql", "postgres")

#: libpq's parameters that name parts of the URL, or a setting of ours: their place in a configuration.
_DATABASE_KEYS = {
    "host": "host",
    "hostaddr": "host",
    "port": "port",
    "dbname": "dbname",
    "user": "user",
    "password": "password",
    "application_name": "application_name",
    "client_encoding": "client_encoding",
    "options": "options",
}
_GLOBAL_KEYS = {"connect_timeout": "server_connect_timeout", "tcp_user_timeout": "tcp_user_timeout"}
#: Values that ask for no more than this version does; any other value is refused rather than passed over.
_KEPT_BY_ANY = {
    "sslmode": ("disable", "allow", "prefer"),
    "gssencmode": ("disable", "prefer"),
    "channel_binding": ("disable", "prefer"),
    "sslnegotiation": ("postgres",),
    "target_session_attrs": ("any",),
    "load_balance_hosts": ("disable",),
    "replication": ("false", "off", "no", "0"),
    "require_auth": ("none",),
}
#: Known to libpq, and of no use to a pooler.
_WITHOUT_EFFECT = (
    "fallback_application_name",
    "keepalives",
    "keepalives_idle",
    "keepalives_interval",
    "keepalives_count",
    "passfile",
    "service",
    "sslcert",
    "sslkey",
    "sslpassword",
    "sslrootcert",
    "sslcrl",
    "sslcrldir",
    "sslsni",
    "sslcompression",
    "ssl_min_protocol_version",
    "ssl_max_protocol_version",
    "krbsrvname",
    "gsslib",
    "gssdelegation",
    "min_protocol_version",
    "max_protocol_version",
)
_KNOWN = (*_DATABASE_KEYS, *_GLOBAL_KEYS, *_KEPT_BY_ANY, *_WITHOUT_EFFECT)


class UrlError(ValueError):
    """The URL cannot be used; the text says why, without showing it."""


@dataclass(frozen=True, slots=True)
class Url:
    """A URL's parts, decoded; "" for what it does not say."""

    host: str = ""
    port: str = ""
    user: str = ""
    password: str = field(default="", repr=False)
    dbname: str = ""
    parameters: dict[str, str] = field(default_factory=dict)  # those that are none of the above
    ignored: tuple[str, ...] = ()  # parameters that have no effect here

    def tables(self, default_host: str) -> dict[str, dict[str, Any]]:
        """As the tables of howdah.toml: every database at this server, as this user if it names one.

        The URL's own database is left out on purpose: clients say which one they want.
        """
        database: dict[str, Any] = {"host": [self.host or default_host]}
        for key in ("port", "user", "password"):
            if value := getattr(self, key):
                database[key] = value
        general: dict[str, Any] = {}
        for key, value in self.parameters.items():
            if key in _GLOBAL_KEYS:
                general[_GLOBAL_KEYS[key]] = value
            else:
                database[_DATABASE_KEYS[key]] = value
        return {"howdah": general, "databases": {"*": database}}

    @property
    def shown(self) -> str:
        """For people: without the password and the parameters."""
        login = f"{quote(self.user, safe='')}@" if self.user else ""
        name = f"/{quote(self.dbname, safe='')}" if self.dbname else ""
        port = f":{self.port}" if self.port else ""
        if self.host.startswith(("/", "@")):
            return f"postgresql://{login}{quote(self.host, safe='')}{port}{name}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"postgresql://{login}{host}{port}{name}"


def is_url(target: str) -> bool:
    """Whether `target` is meant as a URL, a good one or not."""
    return re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", target) is not None


def parse(url: str) -> Url:
    """Take a URL apart by libpq's rules.  UrlError says what is wrong with it."""
    scheme, _, rest = url.partition("://")
    if scheme not in SCHEMES:
        raise UrlError(f"a URL of scheme {scheme!r} is not one of PostgreSQL's; write postgresql://...")
    rest, _, query = rest.partition("?")
    authority, _, path = rest.partition("/")
    login, at, place = authority.partition("@")
    if not at:
        login, place = "", authority
    if "@" in place:
        raise UrlError("there is more than one '@' before the host; write '@' in a user name or password as %40")
    user, _, password = login.partition(":")
    host, port = _host_and_port(place)
    parts = {"host": host, "port": port, "user": user, "password": password, "dbname": path}
    decoded = {name: _decode(value, name) for name, value in parts.items()}
    if decoded["host"].startswith("[") and decoded["host"].endswith("]"):
        decoded["host"] = decoded["host"][1:-1]
    # First: with a raw '?' in a password the parameters are a part of it, and must not be shown in a message.
    _check_place(host, decoded["port"])
    parameters, ignored = _parameters(query)
    for name in [name for name in parameters if _DATABASE_KEYS.get(name) in decoded]:
        decoded[_DATABASE_KEYS[name]] = parameters.pop(name)
    _check_place(decoded["host"], decoded["port"])
    return Url(**decoded, parameters=parameters, ignored=ignored)


def _check_place(host: str, port: str) -> None:
    if "," in host or "," in port:
        raise UrlError(
            "several hosts in one URL are not supported by this version; name one, or list them in howdah.toml "
            '([databases."*"], host = ["a", "b"])'
        )
    if port and not re.fullmatch(r"[0-9]+", port):
        raise UrlError("the port is not a number; write '/', '@', ':' and '?' in a password as %2F, %40, %3A and %3F")


def _host_and_port(place: str) -> tuple[str, str]:
    if place.startswith("["):
        host, bracket, tail = place[1:].partition("]")
        if not bracket:
            raise UrlError("an IPv6 address lacks its closing ']'")
        if tail and not tail.startswith(":"):
            raise UrlError("after ']' must come ':port', '/' or the end")
        return f"[{host}]", tail[1:]
    if place.count(":") > 1 and "," not in place:
        raise UrlError("the host holds several ':'; write an IPv6 address in brackets, as [::1]")
    host, _, port = place.partition(":")
    return host, port


def _decode(value: str, name: str) -> str:
    """Percent-decoding as strict as libpq's."""
    if re.search(r"%(?![0-9A-Fa-f]{2})", value):
        raise UrlError(f"{name}: '%' must be followed by two hexadecimal digits; write '%' itself as %25")
    try:
        decoded = unquote(value, errors="strict")
    except UnicodeDecodeError:
        raise UrlError(f"{name} is not UTF-8 after percent-decoding") from None
    if "\0" in decoded:
        raise UrlError(f"{name} holds %00, which no name or password can")
    return decoded


def _parameters(query: str) -> tuple[dict[str, str], tuple[str, ...]]:
    """The parameters that have an effect, and the names of those that have none."""
    effective: dict[str, str] = {}
    ignored: list[str] = []
    for pair in query.split("&") if query else ():
        raw_name, equals, raw_value = pair.partition("=")
        name = _decode(raw_name, "a parameter's name")
        if not equals or "=" in raw_value:
            raise UrlError(f"parameter {name!r} is not of the form name=value")
        value = _decode(raw_value, f"parameter {name!r}")
        if name == "ssl" and value == "true":  # JDBC's way, which libpq reads as well
            name, value = "sslmode", "require"
        _check_parameter(name, value)
        if name in _WITHOUT_EFFECT:
            ignored.append(name)
        elif name not in _KEPT_BY_ANY:
            effective[name] = value
    if "hostaddr" in effective:  # where to connect; the name beside it is for certificates
        effective.pop("host", None)
    return effective, tuple(ignored)


def _check_parameter(name: str, value: str) -> None:
    if name not in _KNOWN:
        close = difflib.get_close_matches(name, _KNOWN, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise UrlError(f"unknown parameter {name!r}{hint}")
    kept = _KEPT_BY_ANY.get(name)
    if kept is not None and value not in kept:
        what = "TLS towards PostgreSQL comes with a later version" if name == "sslmode" else "not in this version"
        raise UrlError(f"{name}={value}: {what}; this one can do {', '.join(f'{name}={word}' for word in kept)}")
