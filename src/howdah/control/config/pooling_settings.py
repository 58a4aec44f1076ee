"""Settings of [howdah] about pools: when a server changes hands, how many there are, and how long things may take."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator

from howdah.control.config.pin_rules import KINDS, Rules
from howdah.control.config.table import Table, setting
from howdah.control.config.units import (
    BadValueError,
    Count,
    Kind,
    Percentage,
    Seconds,
    Size,
    Switch,
    Text,
    between,
    count,
    one_of,
    text,
)

POOL_MODES = ("transaction", "session", "statement")
#: PgBouncer's way to write a query without a word in it, which is not the same as none.
EMPTY_QUERY = "<empty>"
LONGEST_NOTICE = 4096

PoolMode = Annotated[
    Literal["transaction", "session", "statement"],
    BeforeValidator(one_of(*POOL_MODES)),
    Kind(f"one of {', '.join(POOL_MODES)}"),
]
PoolSize = Annotated[int, BeforeValidator(count), AfterValidator(between(0, 100_000)), Kind("number")]
Positive = Annotated[int, BeforeValidator(count), AfterValidator(between(1, 1_000_000)), Kind("number")]


SessionCheck = Annotated[
    Literal["suspicious", "always", "off"],
    BeforeValidator(one_of("suspicious", "always", "off")),
    Kind("one of suspicious, always, off"),
]
SequenceState = Annotated[
    Literal["learn", "pin", "ignore"],
    BeforeValidator(one_of("learn", "pin", "ignore")),
    Kind("one of learn, pin, ignore"),
]


def _notice(value: object) -> str:
    """It is sent in one piece with everything else that is said after a login."""
    given = text(value)
    if len(given.encode()) > LONGEST_NOTICE:
        raise BadValueError(f"must be at most {LONGEST_NOTICE:,} bytes long")
    return given


Notice = Annotated[str, BeforeValidator(_notice), Kind("string")]


class PoolingSettings(Table):
    """Pools and their limits."""

    pool_mode: PoolMode = setting(
        "transaction",
        "When a server goes back to the pool: after each transaction, when its client leaves (`session`), or after "
        "each statement (`statement`, where transactions of several are refused). PgBouncer's default is session.",
    )
    default_pool_size: PoolSize = setting(
        20, "Most server connections of a pool, that is, for one database and user. 0: no limit."
    )
    min_pool_size: Count = setting(0, "Server connections a pool in use keeps open even when idle.")
    reserve_pool_size: Count = setting(
        0, "More server connections a pool may open when clients have waited for `reserve_pool_timeout`."
    )
    reserve_pool_timeout: Seconds = setting(
        5.0, "How long a client waits before the reserve may be used. 0: no reserve."
    )
    max_client_conn: Positive = setting(
        10_000, "Most clients over all databases. Clients beyond it are refused at once. PgBouncer's default is 100."
    )
    max_db_client_connections: Count = setting(0, "Most clients of one database. 0: no limit.")
    max_user_client_connections: Count = setting(0, "Most clients of one user over all databases. 0: no limit.")
    max_db_connections: Count = setting(0, "Most server connections of one database over all its pools. 0: no limit.")
    max_user_connections: Count = setting(0, "Most server connections of one user over all databases. 0: no limit.")
    max_packet_size: Size = setting(2**31 - 1, "Largest message a client may send.", shown="2147483647")
    max_prepared_statements: Count = setting(
        200,
        "Named prepared statements a server connection keeps; the one used longest ago makes room for a new one. "
        "0: they are not followed from server to server, and a client that has one keeps its server.",
    )
    deferred_begin: Switch = setting(
        True,
        "Answer a `BEGIN` without a server, and send it in front of the transaction's first statement: a client that "
        "does not go on at once holds nobody up.",
    )
    session_check: SessionCheck = setting(
        "suspicious",
        "After which transactions PostgreSQL is asked what has become of the session. suspicious: those whose texts "
        "may change it, or call functions that are not known to leave it alone. always: all (for functions behind "
        "views, triggers, operators and the like, which no text shows). off: those that change it in so many words.",
    )
    session_sequences: SequenceState = setting(
        "learn",
        "What becomes of `currval` and `lastval`, which PostgreSQL keeps in the session. learn: from the first use of "
        "one of them on, clients of that database and user keep their server once they have taken a number (INSERT, "
        "COPY, `nextval`). pin: always. ignore: never.",
    )
    pin: Rules = setting(
        ("allow",),
        "What becomes of a client that would keep its server beyond its transaction. allow: it keeps it. warn: that, "
        "and the client gets a warning and the log a line at level warning. deny: the statement fails, or, where only "
        "the server could tell that it does this, its client is disconnected. For single reasons: "
        '`"allow, temporary_object=deny, listen=warn"`; there are '
        f"{', '.join(f'`{name}`' for name in KINDS)}. `deny` alone does not mean `unknown`.",
    )
    pin_timeout: Seconds = setting(
        0.0,
        "Disconnect clients that keep their server and are idle outside a transaction for this long. 0: never.",
    )
    max_pinned: Percentage = setting(
        100,
        "How much of a pool's servers, rounded down, clients may keep: a statement that would keep one more fails, or "
        "its client is disconnected as with `pin`. `100%`: no limit, and none where the pool's size has none.",
    )
    session_lint: Switch = setting(
        False,
        "Count the statements that rely on their session, for `SHOW LINT`: by application, user, database, reason and "
        "text without its values. Works in all pool modes and changes nothing else.",
    )
    disable_pqexec: Switch = setting(
        False,
        "Refuse the simple query protocol, in which one message can hold several statements: what is smuggled into one "
        "then cannot become another. Clients need a driver that always uses the extended protocol.",
    )
    query_wait_timeout: Seconds = setting(
        120.0, "How long a query may wait for a server before its client is disconnected. 0: no limit."
    )
    query_wait_notify: Seconds = setting(
        5.0, "Send a client a notice when it has waited for a server for this long. 0: never."
    )
    query_timeout: Seconds = setting(
        0.0,
        "Cancel queries that run longer than this, and disconnect their clients. 0: no limit. PostgreSQL's "
        "`statement_timeout` ends the query alone.",
    )
    transaction_timeout: Seconds = setting(
        0.0, "Disconnect clients whose transaction lasts longer than this, and roll it back. 0: no limit."
    )
    idle_transaction_timeout: Seconds = setting(
        0.0, "Disconnect clients that are idle inside a transaction for this long. 0: never."
    )
    client_login_timeout: Seconds = setting(60.0, "How long a client's login may take. 0: no limit.")
    client_idle_timeout: Seconds = setting(
        0.0, "Disconnect clients that are idle outside a transaction for this long. 0: never."
    )
    cancel_wait_timeout: Seconds = setting(
        10.0,
        "How long a cancel request may wait where as many are on their way to a server, or to a peer, as may be; then "
        "it is dropped. 0: no limit.",
    )
    server_idle_timeout: Seconds = setting(600.0, "Close server connections that nobody used for this long. 0: never.")
    server_lifetime: Seconds = setting(
        3600.0, "Close server connections older than this as soon as they are idle. 0: use each only once."
    )
    server_fast_close: Switch = setting(
        False,
        "In session mode, close a server that a change of the configuration has made outdated at the end of its "
        "transaction, and its client's connection with it so that the client notices, instead of when the client "
        "leaves.",
    )
    server_round_robin: Switch = setting(
        False, "Take the server that has been idle longest, rather than the one used last."
    )
    autodb_idle_timeout: Seconds = setting(
        3600.0, "Forget a database that only the entry `*` stands for when nobody has used it for this long. 0: never."
    )
    pool_idle_timeout: Seconds = setting(
        0.0,
        "Forget a pool, and give its memory back, when it has had neither clients nor servers for this long. 0: never.",
    )
    suspend_timeout: Seconds = setting(
        10.0,
        "How long `SUSPEND` waits for clients and servers that do not take what is on its way to them; then they are "
        "disconnected. 0: no limit.",
    )
    login_notify_message: Notice = setting("", "Sent to each client as a notice when it has logged in. Empty: nothing.")
    server_connect_timeout: Seconds = setting(15.0, "How long connecting and logging in to PostgreSQL may take.")
    server_login_retry: Seconds = setting(
        15.0,
        "Longest pause before trying again after PostgreSQL could not be reached or refused a login. The first pauses "
        "are shorter; PgBouncer waits this long each time.",
    )
    server_reset_query: Text = setting(
        "DISCARD ALL",
        "Run before a server that was one client's own (`session` mode, or pinned) goes to the next. Empty: nothing.",
    )
    server_reset_query_always: Switch = setting(
        False,
        "Run `server_reset_query` in all pool modes, each time that a server leaves a client. It costs a round trip "
        "each time, and hides what clients should not rely on rather than curing it.",
    )
    server_check_query: Text = setting(
        EMPTY_QUERY,
        "Run before a server that has been idle for `server_check_delay` goes to a client; one that does not answer "
        f"well is closed, and the client gets another. `{EMPTY_QUERY}`: a query without a word in it. Empty: no check.",
    )
    server_check_delay: Seconds = setting(
        30.0, "How long a server may be idle and still go to a client unchecked. 0: each is checked."
    )
