"""The options at the end of an HBA line, name=value: which there are, and which go together.

The rules are PostgreSQL's (its manual, "Authentication Methods"); what it passes over in silence although it cannot be
meant, as the same option twice, is a problem here.
"""

import difflib
from collections.abc import Callable, Mapping
from urllib.parse import unquote, urlsplit

from howdah.control.auth.lines import shown
from howdah.dataplane.plan import Method, Transport

_LDAP = {Method.LDAP}
_SIMPLE_BIND = ("ldapprefix", "ldapsuffix")
_SEARCH = ("ldapbasedn", "ldapbinddn", "ldapbindpasswd", "ldapsearchattribute", "ldapsearchfilter")
#: What ldapurl says, and options then must not.
_OF_URL = ("ldapscheme", "ldapserver", "ldapport", "ldapbasedn", "ldapsearchattribute", "ldapsearchfilter")
#: Each option, and the methods it belongs to; none: to all.
_METHODS: Mapping[str, set[Method]] = {
    "map": {Method.CERT, Method.PEER},
    "clientcert": set(),
    "clientname": set(),
    "pamservice": {Method.PAM},
    **dict.fromkeys(("ldapurl", "ldaptls", *_OF_URL, *_SIMPLE_BIND, "ldapbinddn", "ldapbindpasswd"), _LDAP),
}
#: PostgreSQL's other options, and why they are not here.
_NOT_HERE = {
    "pam_use_hostname": "names are not looked up while clients log in",
    **dict.fromkeys(
        ("krb_realm", "include_realm", "compat_realm", "upn_username"), "GSSAPI and SSPI are not supported"
    ),
    **dict.fromkeys(
        ("radiusservers", "radiussecrets", "radiusidentifiers", "radiusports"), "the method radius is not supported"
    ),
}
_VALUES = {
    "clientcert": ("verify-ca", "verify-full"),
    "clientname": ("CN", "DN"),
    "ldaptls": ("0", "1"),
    "ldapscheme": ("ldap", "ldaps"),
}
#: How the name of the option begins that is a password, misspelt or not.
_BINDING = "ldapbindp"
#: Words from there on may belong to it, and are never shown.
_PIECE_OF_IT = "what stands behind ldapbindpasswd is not an option of the form name=value"
_SCOPES = ("base", "one", "sub")
_MOST_PORT = 65535

#: Says that something is wrong: what, and what to do about it.
Complain = Callable[[str, str], None]


def read_options(
    words: list[str], method: Method, transport: Transport | None, complain: Complain
) -> Mapping[str, str]:
    """The options of a line, ldapurl taken apart; `transport` is None for a line that fits all kinds."""
    options: dict[str, str] = {}
    behind_password = False
    for word in words:
        name, equals, value = word.partition("=")
        is_password = name.lower().startswith(_BINDING)
        if (behind_password or (is_password and not equals)) and name not in _METHODS:
            complain(_PIECE_OF_IT, "a password with blanks or commas stands in double quotes")
        elif not equals:
            complain(f"{shown(word)} is not an option of the form name=value", _advice_on_bare(word))
        elif name in options:
            complain(f"{name} is given twice", "keep one of them")
        elif _belongs(name, method, complain) and _fits(name, value, complain):
            options[name] = value
        behind_password |= is_password
    _check_certificate(options, method, transport, complain)
    return _ldap(options, complain) if method is Method.LDAP else options


def _advice_on_bare(word: str) -> str:
    return f"write {word}=VALUE" if word in _METHODS else "values with blanks or commas stand in double quotes"


def _belongs(name: str, method: Method, complain: Complain) -> bool:
    if name in _NOT_HERE:
        complain(f"the option {name} is not supported: {_NOT_HERE[name]}", "remove it")
    elif name not in _METHODS:
        close = difflib.get_close_matches(name, _METHODS, 1)
        complain(f"unknown option {shown(name)}", f"did you mean {close[0]}?" if close else "remove it")
    elif _METHODS[name] and method not in _METHODS[name]:
        methods = " and ".join(sorted(one.name.lower() for one in _METHODS[name]))
        complain(f"the option {name} belongs to the method {methods}", "remove it or change the method")
    else:
        return True
    return False


def _fits(name: str, value: str, complain: Complain) -> bool:
    if name in _VALUES and value not in _VALUES[name]:
        complain(f"{name} cannot be {shown(value)}", f"it is {' or '.join(_VALUES[name])}")
    elif name == "ldapport" and not _is_port(value):
        complain(f"ldapport cannot be {shown(value)}", f"it is a number from 1 to {_MOST_PORT}")
    elif not value and name not in {*_SIMPLE_BIND, "ldapbindpasswd"}:
        complain(f"{name} has no value", f"write {name}=VALUE or remove it")
    else:
        return True
    return False


def _is_port(value: str) -> bool:
    return value.isascii() and value.isdecimal() and len(value) <= 5 and 1 <= int(value) <= _MOST_PORT


def _check_certificate(
    options: Mapping[str, str], method: Method, transport: Transport | None, complain: Complain
) -> None:
    """Client certificates come with TLS alone."""
    for name in ("clientcert", "clientname"):
        if name in options and transport is not Transport.HOSTSSL:
            complain(f"{name} is for hostssl lines", f"make the line hostssl or remove {name}")
    if method is Method.CERT and options.get("clientcert") == "verify-ca":
        complain("the method cert always compares names as clientcert=verify-full does", "remove clientcert")


# --- LDAP


def _ldap(options: dict[str, str], complain: Complain) -> Mapping[str, str]:
    if url := options.pop("ldapurl", ""):
        if both := [name for name in _OF_URL if name in options]:
            complain(f"ldapurl and {both[0]} say the same thing", f"remove {both[0]}")
        try:
            options |= _of_url(url)
        except ValueError as error:
            message, _, advice = str(error).partition("; ")
            complain(message, advice)
            return options
    _check_ldap(options, complain)
    return options


def _check_ldap(options: Mapping[str, str], complain: Complain) -> None:
    simple = [name for name in _SIMPLE_BIND if name in options]
    search = [name for name in _SEARCH if name in options]
    if "ldapserver" not in options:
        complain("the method ldap needs ldapserver or ldapurl", "name the server")
    if simple and search:
        complain(
            f"{simple[0]} (simple bind) and {search[0]} (search, then bind) exclude each other", "decide for one way"
        )
    elif not simple and "ldapbasedn" not in options:
        complain("the method ldap needs ldapprefix or ldapsuffix (simple bind), or ldapbasedn (search)", "add one")
    if "ldapsearchattribute" in options and "ldapsearchfilter" in options:
        complain("ldapsearchattribute and ldapsearchfilter exclude each other", "keep one of them")
    if options.get("ldapscheme") == "ldaps" and options.get("ldaptls") == "1":
        complain("ldaptls=1 (StartTLS) and ldaps exclude each other", "keep one of them")


def _of_url(url: str) -> dict[str, str]:
    """RFC 4516: ldap[s]://host[:port]/basedn[?attribute[?scope[?filter]]].  ValueError says what is wrong."""
    scheme, separator, rest = url.partition("://")
    if not separator or scheme.lower() not in _VALUES["ldapscheme"]:
        raise ValueError("ldapurl begins with ldap:// or ldaps://; correct it")
    place, _, query = rest.partition("/")
    basedn, attribute, scope, search_filter, *more = [unquote(part) for part in (query + "????").split("?")]
    if any(more):
        raise ValueError("ldapurl has more than base, attribute, scope and filter; extensions are not supported")
    if scope and scope not in _SCOPES:
        raise ValueError(f"the scope of ldapurl cannot be {shown(scope)}; it is {', '.join(_SCOPES)}")
    if "," in attribute:
        raise ValueError("ldapurl names more than one attribute; users are searched by one")
    host, port = _host_and_port(place)
    found = {
        "ldapscheme": scheme.lower(),
        "ldapserver": host,
        "ldapport": port,
        "ldapbasedn": basedn,
        "ldapsearchattribute": attribute,
        "ldapscope": scope or "base",  # the RFC's default, and PostgreSQL's with a URL
        "ldapsearchfilter": search_filter,
    }
    return {name: value for name, value in found.items() if value}


def _host_and_port(place: str) -> tuple[str, str]:
    try:
        parts = urlsplit(f"//{place}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if not host or port == 0 or any(other in place for other in "@?#"):
        raise ValueError(
            "ldapurl has no host, or a port that is none; its form is ldap://host:port/basedn?attribute?sub"
        )
    return (f"[{host}]" if ":" in host else host), str(port or "")
