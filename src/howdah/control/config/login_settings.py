"""Settings of [howdah] about logins: who may come in, how they prove it, and how many at a time."""

from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator

from howdah.control.config.table import Table, setting
from howdah.control.config.units import Count, File, Kind, Rate, Seconds, Switch, Text, between, count, one_of, words

AUTH_TYPES = ("any", "trust", "plain", "md5", "scram-sha-256", "cert", "hba", "ldap", "pam")
#: PgBouncer's, with its tables and functions named in full.
AUTH_QUERY = (
    "SELECT rolname, CASE WHEN rolvaliduntil < pg_catalog.now() THEN NULL ELSE rolpassword END "
    "FROM pg_catalog.pg_authid WHERE rolname = $1 AND rolcanlogin"
)


def _networks(value: object) -> tuple[IPv4Network | IPv6Network, ...]:
    return tuple(_network(item) for item in words(value))


def _network(item: str) -> IPv4Network | IPv6Network:
    try:
        return ip_network(item)
    except ValueError:
        pass
    try:
        meant = ip_network(item, strict=False)
    except ValueError:
        raise ValueError(f"{item!r} is not a network; write it as 10.0.0.0/8 or 2001:db8::/32") from None
    raise ValueError(f"{item!r} has bits set beyond its mask; did you mean {meant}?")


AuthType = Annotated[
    Literal["any", "trust", "plain", "md5", "scram-sha-256", "cert", "hba", "ldap", "pam"],
    BeforeValidator(one_of(*AUTH_TYPES)),
    Kind(f"one of {', '.join(AUTH_TYPES)}"),
]
Networks = Annotated[tuple[IPv4Network | IPv6Network, ...], BeforeValidator(_networks), Kind("list of networks (CIDR)")]
Threads = Annotated[int, BeforeValidator(count), AfterValidator(between(1, 256)), Kind("number")]
Places = Annotated[int, BeforeValidator(count), AfterValidator(between(1, 1_000_000)), Kind("number")]


class LoginSettings(Table):
    """Who may log in, and how."""

    auth_type: AuthType = setting(
        "scram-sha-256",
        "How clients prove who they are. `scram-sha-256`, `md5` (SCRAM for users whose secret is a SCRAM one) and "
        "`plain` check a password; `cert` a TLS certificate; `ldap` and `pam` ask others; `hba` decides by "
        "`auth_hba_file`; `trust` believes the name that a client gives, and `any` does not even look at it. "
        "PgBouncer's default is md5.",
    )
    auth_file: File = setting(
        "",
        'File of users and their secrets: lines `"user" "secret"`, where a secret is a password, `md5...` or '
        "`SCRAM-SHA-256$...`. A user in `[users]` with a `password` counts before it.",
    )
    auth_hba_file: File = setting("", "File of access rules in the form of pg_hba.conf, for `auth_type = hba`.")
    auth_ident_file: File = setting(
        "", "File of user name maps in the form of pg_ident.conf, for `map=` of the methods cert and peer."
    )
    auth_query: Text = setting(
        AUTH_QUERY,
        "Asked by `auth_user` for the secret of a user who is not in `auth_file` and has none in `[users]`; `$1` is "
        "the user name, the answer is a row of user name and secret. Needs `auth_user`.",
    )
    auth_user: Text = setting(
        "", "User who runs `auth_query`, with a password from `[users]` or `auth_file` if it needs one. Empty: nobody."
    )
    auth_dbname: Text = setting(
        "", "Entry of `[databases]` in which `auth_query` runs. Empty: the database that the client asked for."
    )
    auth_ldap_options: Text = setting(
        "", "Where and how to ask, for `auth_type = ldap`: options as in a line of pg_hba.conf, such as `ldapurl=...`."
    )
    auth_pam_service: Text = setting("howdah", "Name of the PAM service, that is, of its file in /etc/pam.d.")
    auth_cache_ttl: Seconds = setting(
        30.0,
        "How long an answer of `auth_query`, or a password that PostgreSQL itself has accepted, is used again. A login "
        "that fails drops what was kept of its user. 0: for one login.",
    )
    auth_queue: Places = setting(
        1000, "Logins that may wait for `auth_query`, LDAP or PAM; more are refused at once with a clear error."
    )
    auth_threads: Threads = setting(8, "Threads that ask LDAP and PAM.")
    password_passthrough: Switch = setting(
        False,
        "Try the password of a user whom nobody here knows at PostgreSQL itself, and let the user in if it does. For "
        "`auth_type = plain` and lines `password` of the HBA file.",
    )
    scram_iterations: Places = setting(
        4096, "Iterations of SCRAM for users whose secret is a plain password. Fewer cost less at each login."
    )
    application_name_add_host: Switch = setting(
        False, "Add the client's address and port to its `application_name` when it logs in."
    )
    login_rate_per_address: Rate = setting(
        0.0,
        "Logins a second from one address; more are refused. Everybody behind one NAT or load balancer shares it. "
        "0: no limit. PgBouncer has no such setting.",
    )
    login_rate_per_user: Rate = setting(
        0.0,
        "Logins a second of one user; more are refused. Attempts count before any proof: a stranger can use it to keep "
        "the user out, which `login_rate_per_address` does not allow. 0: no limit. PgBouncer has no such setting.",
    )
    login_failure_delay: Seconds = setting(
        3.0,
        "Longest pause before a wrong password is answered; the pauses grow with each failure of the same address or "
        "user. 0: none. PgBouncer has no such setting.",
    )
    max_concurrent_logins: Count = setting(
        0, "Clients that may be logging in at a time; more are refused. 0: no limit. PgBouncer has no such setting."
    )
    proxy_protocol_port: Annotated[
        int, BeforeValidator(count), AfterValidator(between(0, 65535)), Kind("port, or 0")
    ] = setting(
        0,
        "One more TCP port on every `listen_addr`, for load balancers: each connection must begin with a PROXY header "
        "(version 1 or 2) that says where the client is. 0: none.",
        restart=True,
    )
    proxy_protocol_from: Networks = setting(
        (), "Networks the load balancers are in: only they may connect to `proxy_protocol_port`. Needed with it."
    )
