"""Connection URLs as libpq reads them: postgresql://user:password@host:port/database?parameter=value&...

`parse` takes the URL apart; `Url.tables` says what it means as a configuration.  Errors never show the URL: it may hold
a password.
"""

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, unquote

from howdah.control.config.tls_settings import VERSIONS

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
_GLOBAL_KEYS = {
    "connect_timeout": "server_connect_timeout",
    "tcp_user_timeout": "tcp_user_timeout",
    "sslmode": "server_tls_sslmode",
    "sslnegotiation": "server_tls_sslnegotiation",
    "sslrootcert": "server_tls_ca_file",
    "sslcert": "server_tls_cert_file",
    "sslkey": "server_tls_key_file",
}
#: Together they are server_tls_protocols.
_VERSIONS = ("ssl_min_protocol_version", "ssl_max_protocol_version")
#: Values that ask for no more than howdah does; any other value is refused rather than passed over.
_KEPT_BY_ANY = {
    "gssencmode": ("disable", "prefer"),
    "channel_binding": ("prefer",),  # see _check_parameter
    "target_session_attrs": ("any",),
    "load_balance_hosts": ("disable",),
    "replication": ("false", "off", "no", "0"),
    "sslsni": ("1",),
    "sslcompression": ("0", "1"),  # libpq passes over it, too
    "sslcertmode": ("allow",),
}
#: What libpq can do and howdah cannot: not to be passed over by those who ask for safety.
_REFUSED = {
    "sslcrl": "howdah does not read lists of revoked certificates",
    "sslcrldir": "howdah does not read lists of revoked certificates",
    "sslpassword": "howdah reads only keys without a passphrase; take it off with openssl pkey",
    "require_auth": "howdah answers whatever method PostgreSQL asks for; let pg_hba.conf ask for scram-sha-256",
    "requiressl": "write sslmode=require",
    "requirepeer": "howdah does not check who owns a Unix socket; keep its directory safe",
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
    "krbsrvname",
    "gsslib",
    "gssdelegation",
    "min_protocol_version",
    "max_protocol_version",
)
_KNOWN = (*_DATABASE_KEYS, *_GLOBAL_KEYS, *_VERSIONS, *_KEPT_BY_ANY, *_REFUSED, *_WITHOUT_EFFECT)


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

        With a password, the user is who may log in at howdah as well.  The URL's own database is left out on purpose:
        clients say which one they want.
        """
        database: dict[str, Any] = {"host": [self.host or default_host]}
        for key in ("port", "user", "password"):
            if value := getattr(self, key):
                database[key] = value
        general: dict[str, Any] = dict(tls_settings(self.parameters))
        for key, value in self.parameters.items():
            if key in _DATABASE_KEYS:
                database[_DATABASE_KEYS[key]] = value
            elif key not in _VERSIONS:
                general.setdefault(_GLOBAL_KEYS[key], value)
        tables: dict[str, dict[str, Any]] = {"howdah": general, "databases": {"*": database}}
        if self.user and self.password:
            tables["users"] = {self.user: {"password": self.password}}
        return tables

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
    tls_settings(parameters)
    for name in [name for name in parameters if _DATABASE_KEYS.get(name) in decoded]:
        decoded[_DATABASE_KEYS[name]] = parameters.pop(name)
    _check_place(decoded["host"], decoded["port"])
    if decoded["password"] and not decoded["user"]:
        raise UrlError("there is a password and no user; write postgresql://user:password@host")
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
    if "hostaddr" in effective:
        # Where to connect; the name beside it is for certificates, which are made out to names.
        name = effective.pop("host", "")
        if effective.get("sslmode") == "verify-full" and name:
            raise UrlError(
                "hostaddr with sslmode=verify-full: howdah checks the name it connects to; leave hostaddr out"
            )
    return effective, tuple(ignored)


def _check_parameter(name: str, value: str) -> None:
    if name not in _KNOWN:
        close = difflib.get_close_matches(name, _KNOWN, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise UrlError(f"unknown parameter {name!r}{hint}")
    if name in _REFUSED:
        raise UrlError(f"{name}: {_REFUSED[name]}")
    if name == "channel_binding" and value != "prefer":
        raise UrlError(
            f"channel_binding={value}: howdah uses channel binding wherever PostgreSQL offers it, and can neither "
            "insist on it nor do without; leave the parameter out"
        )
    kept = _KEPT_BY_ANY.get(name)
    if kept is not None and value not in kept:
        raise UrlError(
            f"{name}={value}: howdah cannot do that; it can do {', '.join(f'{name}={word}' for word in kept)}"
        )


# --- TLS


def tls_settings(parameters: Mapping[str, str]) -> dict[str, str]:
    """What libpq's parameters for TLS come to where that is more than another name for the same thing."""
    settings = {}
    mode, roots = parameters.get("sslmode", "prefer"), parameters.get("sslrootcert", "")
    if roots == "system":
        # libpq: with the system's authorities, anything less than the name's check would trust everybody.
        if parameters.get("sslmode", "verify-full") != "verify-full":
            raise UrlError(f"sslmode={mode} is too weak for sslrootcert=system; write sslmode=verify-full")
        settings = {"server_tls_sslmode": "verify-full", "server_tls_ca_file": ""}
    elif roots and mode == "require":  # libpq again: "require" and a file of authorities is verify-ca
        settings["server_tls_sslmode"] = "verify-ca"
    if any(parameters.get(name) for name in _VERSIONS):
        settings["server_tls_protocols"] = ",".join(_versions(parameters))
    return settings


def _versions(parameters: Mapping[str, str]) -> tuple[str, ...]:
    least, most = (_version(name, parameters.get(name, "")) for name in _VERSIONS)
    first = VERSIONS.index(least or VERSIONS[2])
    last = VERSIONS.index(most or VERSIONS[-1])
    if first > last:
        raise UrlError(f"ssl_min_protocol_version ({VERSIONS[first]}) is above ssl_max_protocol_version")
    return VERSIONS[first : last + 1]


def _version(name: str, value: str) -> str:
    """Our name for a version: TLSv1 is 1.0."""
    version = {"tlsv1": "tlsv1.0"}.get(value.lower(), value.lower())
    if version and version not in VERSIONS:
        raise UrlError(f"{name}={value}: versions are TLSv1, TLSv1.1, TLSv1.2 and TLSv1.3")
    return version
