"""What the settings about logins must agree on.  Pure, as `agreement` is."""

from collections.abc import Iterator

from howdah.control.auth.hba import rules_of_auth_type
from howdah.control.auth.secrets import parse_secret
from howdah.control.config.addresses import is_loopback
from howdah.control.config.finding import Finding, in_howdah
from howdah.control.config.locate import KeyPath
from howdah.control.config.login_settings import AUTH_QUERY
from howdah.control.config.names import CONSOLE
from howdah.control.config.schema import DatabaseSettings, Tables

#: Methods that compare what the client sends with a secret that howdah must have.
WITH_SECRETS = ("plain", "md5", "scram-sha-256")
TRUSTING = ("any", "trust")


def login_findings(config: Tables) -> Iterator[Finding]:
    """Everything about logins that does not go together, in no particular order."""
    yield from _trust(config)
    yield from _secrets(config)
    yield from _method(config)
    yield from _asking(config)
    yield from _passwords(config)
    yield from _load_balancers(config)


def _trust(config: Tables) -> Iterator[Finding]:
    settings = config.howdah
    reachable = [address for address in settings.listen_addr if not is_loopback(address)]
    if settings.auth_type in TRUSTING and reachable and not settings.allow_trust_from_network:
        yield Finding(
            in_howdah("listen_addr", "auth_type", "allow_trust_from_network"),
            f"{', '.join(reachable)} can be reached from the network, and clients log in without a password "
            f"({settings.auth_type})",
            "set another auth_type, or listen on 127.0.0.1 and ::1 only, or set allow_trust_from_network = true if "
            "everybody who can reach this address may log in as any user",
        )


def _secrets(config: Tables) -> Iterator[Finding]:
    """The password of a database's user is none: it is for PostgreSQL, and no client is asked for it."""
    settings = config.howdah
    known = any(user.password is not None for user in config.users.values())
    tried = settings.auth_type == "plain" and settings.password_passthrough
    if settings.auth_type in WITH_SECRETS and not (known or tried or settings.auth_file or _is_asked(config)):
        yield Finding(
            in_howdah("auth_type"),
            f"clients are to log in by {settings.auth_type}, and nothing says what their passwords are",
            "set auth_file, or password in [users.NAME], or auth_user for auth_query; or, on a machine of your own, "
            'auth_type = "trust"',
            tolerated=True,
        )


def _is_asked(config: Tables) -> bool:
    return bool(config.howdah.auth_user) or any(entry.auth_user for entry in config.databases.values())


def _method(config: Tables) -> Iterator[Finding]:
    """What each auth_type needs, and what is of no use without it."""
    settings = config.howdah
    match settings.auth_type:
        case "cert" if settings.client_tls_sslmode == "disable" or not settings.client_tls_ca_file:
            yield Finding(
                in_howdah("auth_type", "client_tls_sslmode", "client_tls_ca_file"),
                "clients are to log in by certificate, and none can be checked",
                'set client_tls_sslmode = "verify-full" and client_tls_ca_file',
            )
        case "hba" if not settings.auth_hba_file:
            yield Finding(
                in_howdah("auth_type", "auth_hba_file"),
                "auth_type is hba, and there is no HBA file",
                "set auth_hba_file",
            )
        case "ldap":
            yield from _ldap_options(settings.auth_ldap_options)
        case "md5":
            yield Finding(
                in_howdah("auth_type"),
                "md5 is no longer safe, and PostgreSQL will drop it",
                'set auth_type = "scram-sha-256", which takes passwords and SCRAM secrets',
                fatal=False,
            )
        case "any":
            yield from _any(config)
    if settings.auth_hba_file and settings.auth_type != "hba":
        yield Finding(
            in_howdah("auth_hba_file", "auth_type"),
            f"the HBA file counts for nothing, because auth_type is {settings.auth_type}",
            'set auth_type = "hba", or remove auth_hba_file',
            tolerated=True,
        )
    if settings.password_passthrough and settings.auth_type not in ("plain", "hba"):
        yield Finding(
            in_howdah("password_passthrough", "auth_type"),
            f"no client sends its password, because auth_type is {settings.auth_type}",
            "set auth_type to plain or hba, or remove password_passthrough",
            fatal=False,
        )


def _ldap_options(options: str) -> Iterator[Finding]:
    try:
        rules_of_auth_type("ldap", options)
    except ValueError as error:
        message, _, advice = str(error).partition("; ")
        yield Finding(in_howdah("auth_ldap_options", "auth_type"), message, advice)


def _any(config: Tables) -> Iterator[Finding]:
    for name, entry in config.databases.items():
        if entry.user is None:
            yield Finding(
                [("databases", name, "user"), ("howdah", "auth_type")],
                "auth_type is any, which leaves open who a client is, and this database has no user to log in as",
                "set user, or another auth_type",
                tolerated=True,
            )


def _asking(config: Tables) -> Iterator[Finding]:
    """Settings of auth_query, globally and in each database."""
    settings = config.howdah
    own_query = settings.auth_query if settings.auth_query != AUTH_QUERY else None
    yield from _asked_by_nobody(("howdah",), own_query, settings.auth_dbname, _is_asked(config))
    yield from _asked_where(config, ("howdah",), settings.auth_dbname)
    for name, entry in config.databases.items():
        asked = bool(entry.auth_user or settings.auth_user)
        yield from _asked_by_nobody(("databases", name), entry.auth_query, entry.auth_dbname, asked)
        yield from _asked_where(config, ("databases", name), entry.auth_dbname)


def _asked_by_nobody(table: KeyPath, query: str | None, dbname: str | None, asked: bool) -> Iterator[Finding]:
    idle = "auth_query" if query else "auth_dbname" if dbname else ""
    if idle and not asked:
        yield Finding(
            [(*table, idle), (*table, "auth_user")],
            "nobody runs auth_query, because there is no auth_user",
            f"set auth_user, or remove {idle}",
            tolerated=True,
        )


def _asked_where(config: Tables, table: KeyPath, dbname: str | None) -> Iterator[Finding]:
    if dbname and dbname not in config.databases and ("*" not in config.databases or dbname == CONSOLE):
        yield Finding(
            [(*table, "auth_dbname")],
            f"there is no database {dbname!r} in [databases]",
            "name one that is there",
            tolerated=True,
        )


def _passwords(config: Tables) -> Iterator[Finding]:
    for name, user in config.users.items():
        if user.password is not None:
            yield from _bad_secret(("users", name, "password"), user.password.get_secret_value())
    for name, entry in config.databases.items():
        yield from _server_password(name, entry)


def _bad_secret(key: KeyPath, text: str) -> Iterator[Finding]:
    try:
        parse_secret(text)
    except ValueError as error:
        message, _, advice = str(error).partition("; ")
        yield Finding([key], message, advice)


def _server_password(name: str, entry: DatabaseSettings) -> Iterator[Finding]:
    if entry.password is None:
        return
    key: KeyPath = ("databases", name, "password")
    text = entry.password.get_secret_value()
    yield from _bad_secret(key, text)
    if text.startswith("SCRAM-SHA-256$"):
        yield Finding([key], "nobody can log in to PostgreSQL with a SCRAM secret", "write the password itself")
    if entry.user is None:
        yield Finding(
            [key, ("databases", name, "user")],
            "it has no effect: this password is that of user, and there is none",
            "set user, or give passwords in [users.NAME]",
            fatal=False,
        )


def _load_balancers(config: Tables) -> Iterator[Finding]:
    settings = config.howdah
    if settings.proxy_protocol_port and not settings.proxy_protocol_from:
        yield Finding(
            in_howdah("proxy_protocol_port", "proxy_protocol_from"),
            "anybody could claim any address there, because nothing says who may send PROXY headers",
            "set proxy_protocol_from to the networks of the load balancers",
        )
    if settings.proxy_protocol_from and not settings.proxy_protocol_port:
        yield Finding(
            in_howdah("proxy_protocol_from", "proxy_protocol_port"),
            "no port takes PROXY headers",
            "set proxy_protocol_port, or remove proxy_protocol_from",
            fatal=False,
        )
    if settings.proxy_protocol_port == settings.listen_port:
        yield Finding(
            in_howdah("proxy_protocol_port", "listen_port"),
            f"{settings.listen_port} is listen_port already, where clients come without a PROXY header",
            "choose another port",
        )
    if settings.proxy_protocol_port and not settings.listen_addr:
        yield Finding(
            in_howdah("proxy_protocol_port", "listen_addr"),
            "there is no address to listen on: listen_addr is empty",
            "set listen_addr",
        )
