"""What the desk needs of a configuration to answer logins: whom to ask for which database or rule, and how long.

Pure: nothing is asked here.  A rule or database that cannot work is no error at this point, since a reload must not
fail half-way: its logins are told why, and `problems` has the sentence for whoever looks over the configuration.
"""

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from howdah.control.auth.access import Access
from howdah.control.auth.dial import Place
from howdah.control.auth.hba import HbaLine
from howdah.control.auth.ldap import LdapSource, ldap_source
from howdah.control.auth.pam import PamService, pam_is_there
from howdah.control.config.names import CONSOLE
from howdah.control.config.schema import Config, DatabaseSettings
from howdah.dataplane.plan import DatabasePlan, Method, Plan, TlsPlan

#: Where client_login_timeout sets no limit.
LONGEST_S = 60.0
#: A statement of auth_query that runs for longer is given up.
STATEMENT_S = 10.0


@dataclass(frozen=True, slots=True)
class LookupSource:
    """Whom to ask for a user's secret."""

    place: Place
    user: str  # auth_user
    password: bytes | None = field(repr=False)
    query: str
    statement_s: float = STATEMENT_S


@dataclass(frozen=True, slots=True)
class Problem:
    """Why something cannot be asked, for people."""

    text: str


@dataclass(frozen=True, slots=True)
class LookupTerms:
    """auth_user, auth_query and auth_dbname as they are for one entry of [databases]."""

    user: str
    password: bytes | None = field(repr=False)
    query: str
    database: str  # "": the one the client asked for


@dataclass(frozen=True, slots=True)
class AuthContext:
    databases: Mapping[str, DatabasePlan] = field(default_factory=dict)
    terms: Mapping[str, LookupTerms] = field(default_factory=dict)  # by name in [databases]
    general_terms: LookupTerms | None = None  # for the console, and names no entry fits
    rules: tuple[LdapSource | PamService | Problem | None, ...] = ()  # by number in Plan.rules
    place: Place = field(default=Place("", (), TlsPlan(), LONGEST_S))
    queue: int = 1000
    threads: int = 8
    cache_s: float = 30.0
    retry_s: float = 15.0  # longest pause after a failed connection
    idle_s: float = 600.0  # connections for auth_query unused for so long are closed; 0: never
    answer_s: float = LONGEST_S
    problems: tuple[str, ...] = ()
    plan: int = field(default=0, compare=False)  # version of the plan it belongs to, modulo 2**32 as in AuthRequest

    def entry_of(self, database: str) -> str:
        """The name in [databases] that stands for `database`; it need not be there."""
        return _entry(self.databases, database)

    def lookup_source(self, database: str) -> LookupSource | Problem | None:
        """Whom to ask about users of `database`, a name as clients give it; None: nobody is."""
        terms = self.general_terms if database == CONSOLE else self.terms.get(self.entry_of(database))
        if terms is None:
            return None
        where = self.place_of(terms.database or database)
        if isinstance(where, Problem):
            return where
        return LookupSource(where, terms.user, terms.password, terms.query)

    def place_of(self, database: str) -> Place | Problem:
        """Where PostgreSQL has the database that clients call so."""
        entry = self.databases.get(self.entry_of(database))
        if entry is None:
            return Problem(f"there is no database {database!r} in [databases]")
        if not entry.addresses:
            return Problem(entry.resolve_error)
        return replace(self.place, dbname=entry.dbname or database, addresses=entry.addresses)


def auth_context(config: Config, access: Access, plan: Plan) -> AuthContext:
    """The context of one published plan; make it again for the next one, whose addresses may be others."""
    settings = config.settings
    databases = {database.name: database for database in plan.databases}
    rules = tuple(_asked_of(line, settings.auth_pam_service) for line in access.lines)
    terms, general = _all_terms(config, access, databases)
    context = AuthContext(
        databases=databases,
        terms=terms,
        general_terms=general,
        rules=rules,
        place=Place("", (), plan.server_tls, settings.server_connect_timeout or LONGEST_S),
        queue=settings.auth_queue,
        threads=settings.auth_threads,
        cache_s=settings.auth_cache_ttl,
        retry_s=settings.server_login_retry,
        idle_s=settings.server_idle_timeout,
        # A little before client_login_timeout, whose error would not say what was being waited for.
        answer_s=0.9 * (settings.client_login_timeout or LONGEST_S),
        plan=plan.version % 2**32,
    )
    return replace(context, problems=tuple(dict.fromkeys(_problems(context, access))))


def _entry(databases: Mapping[str, DatabasePlan], name: str) -> str:
    return name if name in databases else "*"


def _asked_of(line: HbaLine, service: str) -> LdapSource | PamService | Problem | None:
    match line.rule.method:
        case Method.LDAP:
            if importlib.util.find_spec("ldap") is None:
                return Problem("LDAP cannot be asked: python-ldap is not installed; pip install 'howdah[ldap]'")
            return ldap_source(line.options)
        case Method.PAM:
            if not pam_is_there():
                return Problem("PAM cannot be asked: this machine has no libpam.so.0; install it (Debian: libpam0g)")
            return PamService(line.options.get("pamservice") or service)
        case _:
            return None


def _all_terms(
    config: Config, access: Access, databases: Mapping[str, DatabasePlan]
) -> tuple[dict[str, LookupTerms], LookupTerms | None]:
    settings = config.settings

    def terms(own: DatabaseSettings, name: str) -> LookupTerms | None:
        user, place = own.auth_user or settings.auth_user, own.auth_dbname or settings.auth_dbname
        if not user:
            return None
        password = _password(config.databases.get(_entry(databases, place or name)), user, access)
        return LookupTerms(user, password, own.auth_query or settings.auth_query, place)

    nothing = DatabaseSettings()
    by_name = {name: terms(config.databases.get(name, nothing), name) for name in databases}
    general = terms(nothing, "") if settings.auth_dbname else None
    return {name: found for name, found in by_name.items() if found is not None}, general


def _password(entry: DatabaseSettings | None, user: str, access: Access) -> bytes | None:
    """What one can log in with, which hashes are not: the entry's own where it is the user's, or of the user lists."""
    if entry is not None and entry.user == user and entry.password is not None:
        return entry.password.get_secret_value().encode()
    secret = access.secrets.get(user)
    return None if secret is None else secret.password


def _problems(context: AuthContext, access: Access) -> list[str]:
    found = [
        f"{line.rule.where}: {asked.text}"
        for line, asked in zip(access.lines, context.rules, strict=True)
        if isinstance(asked, Problem)
    ]
    for name, terms in context.terms.items():
        if terms.database and context.entry_of(terms.database) not in context.databases:
            found.append(f"auth_dbname of databases.{name}: there is no database {terms.database!r} in [databases]")
    return found
