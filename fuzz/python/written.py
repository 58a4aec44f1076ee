"""What the authentication files' readers give, written down again: read once more it must be the same."""

import base64
from collections.abc import Iterable, Mapping
from urllib.parse import quote

from howdah.control.auth.hba import HbaLine
from howdah.dataplane.plan import MapLine, Method, NameKind, NameMatch, Nearby, Secret, Transport

#: Stands for a list of names that is empty.
EMPTY_FILE = "empty"

_KEYWORDS = {NameKind.ALL: "all", NameKind.SAME_USER: "sameuser", NameKind.REPLICATION: "replication"}
_METHODS = {Method.SCRAM: "scram-sha-256", Method.PLAIN: "password"}
_NEARBY = {Nearby.NO: "all", Nearby.SAME_HOST: "samehost", Nearby.SAME_NET: "samenet"}


def quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def secret_text(secret: Secret) -> str:
    if scram := secret.scram:
        salt, stored, server = (
            base64.b64encode(part).decode() for part in (scram.salt, scram.stored_key, scram.server_key)
        )
        return f"SCRAM-SHA-256${scram.iterations}:{salt}${stored}:{server}"
    return secret.md5 or (secret.password or b"").decode("utf-8", "surrogateescape")


def userlist(secrets: Mapping[str, Secret]) -> str:
    return "".join(f"{quoted(name)} {quoted(secret_text(secret))}\n" for name, secret in secrets.items())


def hba(lines: Iterable[HbaLine]) -> str:
    return "".join(f"{_hba_line(line)}\n" for line in lines)


def ident(lines: Iterable[MapLine]) -> str:
    return "".join(f"{quoted(line.map)} {_name(line.system_user)} {_name(line.user)}\n" for line in lines)


def _hba_line(line: HbaLine) -> str:
    rule = line.rule
    (transport,) = rule.transport
    address = "" if transport is Transport.LOCAL else str(*rule.networks) or _NEARBY[rule.nearby]
    method = _METHODS.get(rule.method, rule.method.name.lower())
    parts = [transport.name.lower(), _names(rule.databases), _names(rule.users), address, method]
    return " ".join([*filter(None, parts), *_options(line.options)])


def _names(names: tuple[NameMatch, ...]) -> str:
    return ",".join(map(_name, names)) or f"@{EMPTY_FILE}"


def _name(name: NameMatch) -> str:
    return _KEYWORDS.get(name.kind) or quoted(f"/{name.text}" if name.kind is NameKind.REGEX else name.text)


def _options(options: Mapping[str, str]) -> list[str]:
    options = dict(options)
    if "ldapscope" in options:
        options["ldapurl"] = _ldap_url(options)
    return [quoted(f"{name}={value}") for name, value in options.items()]


def _ldap_url(options: dict[str, str]) -> str:
    """Takes what the URL says out of `options`."""
    names = ("ldapscheme", "ldapserver", "ldapport", "ldapbasedn", "ldapsearchattribute", "ldapscope")
    scheme, server, port, *query = (options.pop(name, "") for name in (*names, "ldapsearchfilter"))
    path = "?".join(quote(part) for part in query)
    return f"{scheme}://{server}{':' if port else ''}{port}/{path}"
