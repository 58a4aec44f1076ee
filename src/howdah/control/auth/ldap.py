"""LDAP: is this the user's password?  With the options, and their meanings, of PostgreSQL's pg_hba.conf.

`ldap_source` reads the options of a rule; `check` asks, blocks, and is called on a thread.  The library, python-ldap,
is imported there, since not everybody has it.  What certificates of directory servers must prove is said in the
system's ldap.conf or LDAPTLS_* variables, as for PostgreSQL.
"""

import ipaddress
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from howdah.control.auth.answer import Answer, allowed, denied, unavailable

#: Longest wait for a connection, and for the answer to one request.
CONNECT_S = 5.0
REQUEST_S = 10.0

_SCOPES = {"base": 0, "one": 1, "sub": 2}
_PORTS = {"ldap": 389, "ldaps": 636}
#: Names with these are refused where they become part of a filter, as in PostgreSQL.
_NOT_IN_FILTERS = frozenset("*()\\/")
#: A machine that is gone is noticed after half a minute, where libldap knows how (the last: since 2.5).
_KEEPALIVE = {
    "OPT_X_KEEPALIVE_IDLE": 10,
    "OPT_X_KEEPALIVE_INTERVAL": 5,
    "OPT_X_KEEPALIVE_PROBES": 4,
    "OPT_TCP_USER_TIMEOUT": 30_000,
}
_NO_ATTRIBUTES = ["1.1"]  # RFC 4511, 4.5.1.8: only the entry's name is wanted


@dataclass(frozen=True, slots=True)
class LdapSource:
    """The options of one rule."""

    uris: str  # of all servers, to be tried in turn
    starttls: bool = False
    prefix: str = ""  # simple bind: what goes around the user's name
    suffix: str = ""
    base: str = ""  # search and bind; "" for simple bind
    scope: int = _SCOPES["sub"]
    filter: str = ""  # with $username
    bind_name: str = ""
    bind_password: str = field(default="", repr=False)

    @property
    def uses_tls(self) -> bool:
        return self.starttls or self.uris.startswith("ldaps:")


def ldap_source(options: Mapping[str, str]) -> LdapSource:
    """The source that an access rule's options describe, once `hba` has found them good."""
    scheme = options.get("ldapscheme", "ldap")
    port = options.get("ldapport") or _PORTS[scheme]
    servers = options.get("ldapserver", "").replace(",", " ").split()
    return LdapSource(
        uris=" ".join(f"{scheme}://{_in_url(server)}:{port}" for server in servers),
        starttls=options.get("ldaptls") == "1",
        prefix=options.get("ldapprefix", ""),
        suffix=options.get("ldapsuffix", ""),
        base=options.get("ldapbasedn", ""),
        scope=_SCOPES[options.get("ldapscope", "sub")],
        filter=options.get("ldapsearchfilter") or f"({options.get('ldapsearchattribute', 'uid')}=$username)",
        bind_name=options.get("ldapbinddn", ""),
        bind_password=options.get("ldapbindpasswd", ""),
    )


def _in_url(host: str) -> str:
    try:
        return f"[{host}]" if ipaddress.ip_address(host).version == 6 else host
    except ValueError:
        return host


def check(source: LdapSource, user: str, password: bytes) -> Answer:
    """Ask; blocks for CONNECT_S and a few REQUEST_S at most.

    There is one exception: libldap sets no limit to a TLS handshake from the start (ldaps), so a server that takes the
    connection and then is silent holds the thread until it, or its machine, is seen to be gone.
    """
    import ldap

    # A bind with a name and without a password is "unauthenticated" (RFC 4513, 5.1.2), and many servers let it succeed.
    if not password:
        return denied("empty password")
    try:
        with _connected(ldap, source) as connection:
            if not source.base:
                return _bind(ldap, connection, _name_of(source, user), password)
            return _search_and_bind(ldap, connection, source, user, password)
    except ldap.TIMEOUT:
        return unavailable(f"LDAP: {source.uris}: no answer within {REQUEST_S:g} s")
    except (ldap.SERVER_DOWN, ldap.CONNECT_ERROR) as error:
        # The library says no more about a certificate that it does not like.
        hint = "; is its certificate all right? see TLS_CACERT in ldap.conf" if source.uses_tls else ""
        return unavailable(f"LDAP: {source.uris}: {_words(error)}{hint}")
    except ldap.LDAPError as error:
        return unavailable(f"LDAP: {source.uris}: {_words(error)}")


@contextmanager
def _connected(ldap: Any, source: LdapSource) -> Iterator[Any]:
    connection = ldap.initialize(source.uris)
    try:
        connection.set_option(ldap.OPT_PROTOCOL_VERSION, ldap.VERSION3)
        connection.set_option(ldap.OPT_NETWORK_TIMEOUT, CONNECT_S)
        connection.set_option(ldap.OPT_RESTART, ldap.OPT_ON)  # signals are no reason to fail
        # Not followed: the user's password would go to whatever server the answer names.
        connection.set_option(ldap.OPT_REFERRALS, ldap.OPT_OFF)
        connection.set_option(ldap.OPT_TIMEOUT, REQUEST_S)
        connection.timeout = REQUEST_S
        for option, value in _KEEPALIVE.items():
            if hasattr(ldap, option):
                connection.set_option(getattr(ldap, option), value)
        if source.starttls:
            connection.start_tls_s()
        yield connection
    finally:
        connection.unbind_ext()


def _name_of(source: LdapSource, user: str) -> str:
    """The name to bind with; the user's becomes one value in it and cannot be more (RFC 4514)."""
    around = source.prefix + source.suffix
    return f"{source.prefix}{escaped_in_name(user) if '=' in around else user}{source.suffix}"


def escaped_in_name(value: str) -> str:
    """`value` as an attribute's value in a distinguished name."""
    escaped = "".join(f"\\{character}" if character in '\\,+"<>;=' else character for character in value)
    escaped = escaped.replace("\0", "\\00")
    if escaped.startswith(("#", " ")):
        escaped = f"\\{escaped}"
    if value.endswith(" ") and len(value) > 1:
        escaped = f"{escaped[:-1]}\\ "
    return escaped


def escaped_in_filter(value: str) -> str:
    """`value` as an assertion value in a search filter (RFC 4515)."""
    return "".join(f"\\{ord(character):02x}" if character in "\\*()\0" else character for character in value)


def _search_and_bind(ldap: Any, connection: Any, source: LdapSource, user: str, password: bytes) -> Answer:
    if _NOT_IN_FILTERS & set(user):
        return denied("the user name has characters that LDAP searches treat specially")
    try:
        connection.simple_bind_s(source.bind_name, source.bind_password)
    except (ldap.INVALID_CREDENTIALS, ldap.INAPPROPRIATE_AUTH, ldap.INVALID_DN_SYNTAX, ldap.NO_SUCH_OBJECT) as error:
        return unavailable(f"LDAP: cannot bind as ldapbinddn {source.bind_name!r}: {_words(error)}")
    wanted = source.filter.replace("$username", escaped_in_filter(user))
    try:
        found = connection.search_ext_s(source.base, source.scope, wanted, _NO_ATTRIBUTES, sizelimit=2)
    except ldap.SIZELIMIT_EXCEEDED:
        found = [("several", {}), ("entries", {})]
    except ldap.NO_SUCH_OBJECT as error:
        return unavailable(f"LDAP: there is no {source.base!r} to search (ldapbasedn): {_words(error)}")
    names = [name for name, _ in found if name]  # referrals have none
    if not names:
        return denied(f"no LDAP entry matches {wanted}")
    if len(names) > 1:
        return denied(f"several LDAP entries match {wanted}; the filter must find one user")
    return _bind(ldap, connection, names[0], password)


def _bind(ldap: Any, connection: Any, name: str, password: bytes) -> Answer:
    refusals = (
        ldap.INVALID_CREDENTIALS,
        ldap.NO_SUCH_OBJECT,
        ldap.INVALID_DN_SYNTAX,
        ldap.INAPPROPRIATE_AUTH,
        ldap.INSUFFICIENT_ACCESS,
        ldap.CONSTRAINT_VIOLATION,  # password policies: locked, to be changed
        ldap.UNWILLING_TO_PERFORM,
    )
    try:
        connection.simple_bind_s(name, password)
    except refusals as error:
        return denied(f"LDAP: {name}: {_words(error)}")
    return allowed(password)


def _words(error: Exception) -> str:
    """What the library knows, the server's own words included; never what we sent."""
    facts = error.args[0] if error.args and isinstance(error.args[0], dict) else {}
    words = [str(facts.get(key, "")).strip() for key in ("desc", "info")]
    return ": ".join(word for word in words if word and "unknown error" not in word) or type(error).__name__
