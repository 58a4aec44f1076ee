"""Every reason to refuse or close something, in one table.

The numbers and error texts of the data plane, the log field `reason`, the metric label and
docs/reference/reasons.md all come from here.  A message may hold `%s`, filled with what the case knows.
"""

from dataclasses import dataclass
from enum import StrEnum


class Fault(StrEnum):
    """Whose doing it is."""

    NONE = "none"
    CLIENT = "client"
    SERVER = "server"
    POOLER = "pooler"
    OPERATOR = "operator"


class Level(StrEnum):
    """At which level the log line is written."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Reason:
    """One row.  `sqlstate` is "" when the client is told nothing; `severity` is that of its ErrorResponse or notice.

    `pgbouncer` is what PgBouncer says to the client and in its log in this case, "" where it has no such case.
    """

    code: str
    sqlstate: str
    severity: str
    fault: Fault
    retryable: bool
    level: Level
    message: str
    hint: str
    doc: str
    pgbouncer: str = ""

    def told(self, drop_in: bool) -> "Told":
        """What the client is told, in PgBouncer's place as PgBouncer does."""
        if drop_in and self.sqlstate and self.pgbouncer:
            return Told(PGBOUNCER_SQLSTATE, self.pgbouncer, "")
        return Told(self.sqlstate, self.message, self.hint)


@dataclass(frozen=True, slots=True)
class Told:
    """The parts of an ErrorResponse."""

    sqlstate: str
    message: str
    hint: str


#: The one that PgBouncer has for whatever it says itself.
PGBOUNCER_SQLSTATE = "08P01"


def _row(
    code: str, sqlstate: str, fault: Fault, level: Level, message: str, hint: str, doc: str, retryable: bool = False,
    severity: str = "FATAL", pgbouncer: str = "",
) -> Reason:
    return Reason(code, sqlstate, severity, fault, retryable, level, message, hint, doc, pgbouncer)


_C, _S, _P, _O = Fault.CLIENT, Fault.SERVER, Fault.POOLER, Fault.OPERATOR

# fmt: off
#: The order is the numbering (`NUMBERS`) that one process uses.
REASONS: tuple[Reason, ...] = (
    # ordinary ends
    _row("none", "", Fault.NONE, Level.DEBUG, "", "", "No reason: nothing was refused or closed."),
    _row("client_terminate", "", Fault.NONE, Level.INFO, "client close request", "",
         "The client said goodbye (Terminate)."),
    _row("handed_over", "", Fault.NONE, Level.DEBUG, "handed over to another process", "",
         "Another howdah process has taken over, and the client's connection with it; the client notices nothing."),
    _row("client_eof", "", _C, Level.INFO, "client unexpected eof", "",
         "The client's connection ended without a Terminate message."),
    _row("client_reset", "", _C, Level.INFO, "client connection lost: %s", "",
         "The operating system reported an error on the client's connection."),
    # what a stranger can send
    _row("startup_too_short", "08P01", _C, Level.WARNING, "invalid length of startup packet", "",
         "The first packet was shorter than any valid one."),
    _row("startup_too_long", "08P01", _C, Level.WARNING, "invalid length of startup packet", "",
         "The first packet was longer than 10,000 bytes, PostgreSQL's own limit."),
    _row("startup_malformed", "08P01", _C, Level.WARNING,
         "invalid startup packet layout: expected terminator as last byte", "",
         "The first packet's strings do not end where the packet ends."),
    _row("startup_no_user", "28000", _C, Level.WARNING,
         "no PostgreSQL user name specified in startup packet", "",
         "The first packet named no user.", pgbouncer="no username supplied"),
    _row("protocol_version", "0A000", _C, Level.WARNING,
         "unsupported frontend protocol %s: server supports 3.0 to 3.2", "",
         "The client asked for a protocol version that is neither 3.x nor a known request code."),
    _row("replication_value", "22023", _C, Level.WARNING, 'invalid value for parameter "replication": "%s"',
         'Valid values are: "false", 0, "true", 1, "database".',
         "The startup packet asked for replication by a word that is neither a Boolean nor database."),
    _row("console_replication", "0A000", _C, Level.WARNING, "the console cannot be replicated",
         "Name an entry of [databases].",
         "The startup packet asked for replication of pgbouncer, which is no database."),
    _row("message_length", "08P01", _C, Level.WARNING, "invalid message length", "",
         "A message announced a length below 4 bytes."),
    _row("message_too_large", "08P01", _C, Level.WARNING, "message exceeds max_packet_size",
         "Raise max_packet_size if messages of this size are wanted.",
         "A message announced a length above max_packet_size."),
    _row("message_type", "08P01", _C, Level.WARNING, "invalid frontend message type %s", "",
         "A message of a type that clients may not send, or may not send now.", pgbouncer="unknown pkt"),
    _row("message_malformed", "08P01", _C, Level.WARNING, "invalid message format", "",
         "A message's contents do not fit its type.", pgbouncer="failed to parse packet"),
    _row("startup_parameters", "22023", _C, Level.WARNING,
         "cannot take the startup parameters: more than 64, longer than 8 kB, or options that are not -c name=value",
         "", "The startup packet's settings are too many, too long, or malformed."),
    _row("pqexec_disallowed", "0A000", _C, Level.WARNING, "PQexec disallowed",
         "disable_pqexec is on: use the extended query protocol (in psql \\bind, in libpq PQexecParams).",
         "The client sent a Query message, and disable_pqexec is on.", pgbouncer="PQexec disallowed"),
    _row("statement_mode_transaction", "0A000", _C, Level.WARNING,
         "transaction blocks not allowed in statement pooling mode",
         "Use pool_mode transaction or session for this database or user.",
         "The client began a transaction in a pool whose pool_mode is statement. The transaction was rolled back and "
         "its server kept.", pgbouncer="transaction blocks not allowed in statement pooling mode"),
    _row("pipeline_too_long", "54000", _C, Level.WARNING,
         "too many messages sent without reading the answers", "",
         "The client pipelines messages far faster than it reads what they are answered with."),
    _row("accept_failed", "", _O, Level.ERROR, "cannot accept more clients: %s",
         "Raise the limit of open files (ulimit -n).",
         "The operating system refused one more connection, usually for want of file descriptors."),
    # limits
    _row("max_client_conn", "53300", _P, Level.WARNING, "no more connections allowed (max_client_conn)",
         "Raise max_client_conn or look for clients that leak connections.",
         "The limit of client connections over all databases was reached.", retryable=True,
         pgbouncer="no more connections allowed (max_client_conn)"),
    _row("no_such_database", "3D000", _C, Level.WARNING, "no such database: %s",
         'Add it to [databases], or add a "*" entry for all others.',
         "No entry in [databases] fits the name the client asked for.", pgbouncer="no such database: %s"),
    _row("console_denied", "28000", _C, Level.WARNING, "user %s may not use the console",
         "Name the user in admin_users or stats_users.",
         "A user who is in neither admin_users nor stats_users asked for database pgbouncer.",
         pgbouncer="not allowed"),
    _row("query_wait_timeout", "53300", _P, Level.WARNING,
         "query_wait_timeout: no server connection became free in time",
         "All server connections of the pool are in use: see SHOW POOLS, default_pool_size and long transactions.",
         "The client waited longer than query_wait_timeout for a server connection.", retryable=True,
         pgbouncer="query_wait_timeout"),
    _row("server_unreachable", "08001", _S, Level.WARNING, "cannot reach PostgreSQL: %s",
         "Check that the server is up and that host and port in [databases] are right.",
         "No server connection could be opened while the client waited.", retryable=True,
         pgbouncer="server login has been failing, cached error: connect failed (server_login_retry)"),
    _row("server_login_failed", "08006", _S, Level.WARNING, "server login failed: %s", "",
         "PostgreSQL refused the login of a server connection; clients get its own SQLSTATE and message.",
         retryable=True),
    _row("server_auth_unsupported", "28000", _O, Level.ERROR,
         "PostgreSQL asks for an authentication method howdah cannot answer: %s",
         "Allow howdah's address by trust in pg_hba.conf, or use another method.",
         "The server asked for a password or method that howdah has no credentials for.",
         pgbouncer="server login has been failing, cached error: login failed (server_login_retry)"),
    # time-outs
    _row("client_login_timeout", "57014", _C, Level.WARNING, "client_login_timeout", "",
         "The client did not finish its login in time.", pgbouncer="client_login_timeout"),
    _row("client_idle_timeout", "57P05", _C, Level.INFO,
         "terminating connection due to client_idle_timeout", "",
         "The client sent nothing outside a transaction for longer than client_idle_timeout.", retryable=True,
         pgbouncer="client_idle_timeout"),
    _row("idle_transaction_timeout", "25P03", _C, Level.WARNING,
         "terminating connection due to idle_transaction_timeout", "",
         "The client sent nothing inside a transaction for longer than idle_transaction_timeout.",
         pgbouncer="idle transaction timeout"),
    _row("pin_timeout", "57P05", _C, Level.WARNING,
         "terminating connection due to pin_timeout: its server connection was kept (%s) and not used", "",
         "The client kept its server connection and sent nothing outside a transaction for longer than pin_timeout.",
         retryable=True),
    _row("query_timeout", "57014", _C, Level.WARNING, "query timeout",
         "The query ran longer than query_timeout and was cancelled.",
         "A query ran longer than query_timeout. It was cancelled, its transaction rolled back and its server kept.",
         pgbouncer="query timeout"),
    _row("transaction_timeout", "25P04", _C, Level.WARNING, "transaction timeout",
         "The transaction lasted longer than transaction_timeout and was rolled back.",
         "A transaction lasted longer than transaction_timeout, working or idle. It was rolled back and its server "
         "kept.", pgbouncer="transaction timeout"),
    _row("query_wait_notify", "00000", _P, Level.DEBUG,
         "No server connection available in postgres backend, client being queued", "",
         "The client has waited for a server connection for query_wait_notify, and goes on waiting.",
         severity="NOTICE"),
    _row("cancel_wait_timeout", "", _P, Level.INFO, "cancel request dropped (cancel_wait_timeout)", "",
         "A cancel request waited longer than cancel_wait_timeout for earlier ones to be delivered.",
         pgbouncer="cancel_wait_timeout"),
    _row("peer_unknown", "", _C, Level.INFO, "cancel request is for peer %s, which is not in [peers]", "",
         "A cancel request's key is of no client of this process, and names no peer that it has: of a client that has "
         "left, of a process that [peers] lacks, or made up.",
         pgbouncer="could not find peer to forward request to"),
    _row("peer_hops_used", "", _O, Level.INFO, "cancel request for peer %s has been passed on too often", "",
         "A cancel request was passed on from peer to peer three times and has not found its client: the addresses in "
         "[peers] of some of them lead to the wrong process.",
         pgbouncer="failed to forward cancel request because its TTL was exhausted"),
    _row("peer_busy", "", _S, Level.WARNING, "too many cancel requests wait for the peer",
         "Raise the peer's pool_size.",
         "1,000 cancel requests wait for one of [peers], as its pool_size lets no more be on their way."),
    _row("peer_unreachable", "", _O, Level.WARNING, "cannot connect to the peer",
         "Compare [peers] with listen_addr, listen_port and unix_socket_dir of that process.",
         "None of the addresses of one of [peers] could be connected to in time; a cancel request for it was dropped.",
         pgbouncer="connect failed"),
    _row("peer_silent", "", _S, Level.WARNING, "the peer has taken a cancel request and does not answer", "",
         "One of [peers] did not close the connection of a cancel request within 10 seconds. The request may still be "
         "served."),
    # who is it?
    _row("password_failed", "28P01", _C, Level.WARNING, 'password authentication failed for user "%s"', "",
         "The user does not exist, or the password or SCRAM proof is wrong: the client is not told which.",
         pgbouncer="password authentication failed"),
    _row("scram_failed", "28P01", _C, Level.WARNING, 'password authentication failed for user "%s"', "",
         "password_failed, by SCRAM. Told apart only where howdah stands in for PgBouncer, which has two texts for it.",
         pgbouncer="SASL authentication failed"),
    _row("auth_refused", "28000", _C, Level.WARNING, 'authentication failed for user "%s"', "",
         "The certificate or operating-system user may not log in as this user.",
         pgbouncer="certificate authentication failed"),
    _row("auth_rejected", "28000", _C, Level.WARNING, "no access rule allows %s",
         "Look at the HBA file or auth_type in howdah's configuration.",
         "No line of the HBA file fits the login, or the one that fits says reject.", pgbouncer="login rejected"),
    _row("auth_unavailable", "08006", _P, Level.ERROR, "authentication is not available now: %s", "",
         "auth_query, LDAP, PAM or the trial login could not be asked.", retryable=True,
         pgbouncer="bouncer config error"),
    _row("auth_busy", "53300", _P, Level.WARNING, "too many logins wait for %s", "Try again.",
         "The queue of logins waiting for auth_query, LDAP or PAM is full.", retryable=True),
    _row("sasl_malformed", "08P01", _C, Level.WARNING, "malformed SCRAM message: %s", "",
         "A SASL message does not have the form RFC 5802 gives it.", pgbouncer="SASL authentication failed"),
    _row("sasl_mechanism", "08P01", _C, Level.WARNING, "client selected an invalid SASL authentication mechanism", "",
         "The client chose a mechanism that was not offered.",
         pgbouncer="client selected an invalid SASL authentication mechanism"),
    _row("sasl_unsupported", "0A000", _C, Level.WARNING,
         "SCRAM authorization identities and mandatory extensions are not supported", "",
         "The client wants to log in as one user for another, or asks for an extension that RFC 5802 does not have.",
         pgbouncer="SASL authentication failed"),
    _row("channel_binding", "28000", _C, Level.WARNING, "SCRAM channel binding check failed", "",
         "The channel-binding data is not that of our certificate, or the client was told by somebody between us that "
         "channel binding is not on offer.", pgbouncer="SASL authentication failed"),
    _row("password_message", "08P01", _C, Level.WARNING, "expected a password message, got %s", "",
         "Something other than the answer to the authentication request came during the login."),
    _row("tls_required", "28000", _C, Level.WARNING, "TLS required",
         "Connect with sslmode=require.", "client_tls_sslmode is require or stronger, and the client used none.",
         pgbouncer="SSL required"),
    _row("tls_failed", "", _C, Level.WARNING, "TLS handshake failed: %s", "",
         "The TLS handshake or a record of it was not what the protocol allows, or no cipher was shared."),
    _row("tls_data_before_handshake", "08P01", _C, Level.WARNING, "received unencrypted data after SSL request",
         "This could be a client bug or evidence of an attempted man-in-the-middle attack.",
         "Bytes came between the SSLRequest and the TLS handshake; taking them would be CVE-2021-23222.",
         pgbouncer="received unencrypted data after SSL request"),
    _row("tls_not_offered", "", _C, Level.WARNING, "TLS handshake without an SSLRequest, and TLS is not enabled", "",
         "The client began a TLS handshake (sslnegotiation=direct) where client_tls_sslmode is disable."),
    _row("tls_alpn", "", _C, Level.WARNING, "direct TLS without the ALPN protocol postgresql", "",
         "PostgreSQL's direct TLS requires ALPN, so that other protocols cannot be mistaken for it."),
    _row("server_tls_refused", "08006", _S, Level.ERROR, "PostgreSQL does not offer TLS: %s",
         "Enable ssl in PostgreSQL, or lower server_tls_sslmode.",
         "server_tls_sslmode is require or stronger, and the server answered that it has no TLS.",
         pgbouncer="server login has been failing, cached error: server refused SSL (server_login_retry)"),
    _row("server_tls_failed", "08006", _S, Level.ERROR, "TLS to PostgreSQL failed: %s",
         "Look at server_tls_ca_file, the certificate's names and its dates.",
         "The handshake failed or the server's certificate is not acceptable under server_tls_sslmode.",
         pgbouncer="server login has been failing, cached error: TLS startup failed (server_login_retry)"),
    _row("server_no_password", "28000", _O, Level.ERROR, "PostgreSQL asks for a password howdah does not have: %s",
         "Give one in [databases], in [users] or auth_file, or let clients log in by SCRAM with the server's own "
         "SCRAM secret.",
         "The server asked for a password or SCRAM proof and neither the entry, the user list nor the client's login "
         "gave what it takes.",
         pgbouncer="server login has been failing, cached error: failed to answer authreq (server_login_retry)"),
    _row("server_proof", "08006", _S, Level.ERROR, "PostgreSQL could not prove that it knows the password", "",
         "The server's SCRAM signature is wrong: it is not the server it pretends to be.",
         pgbouncer="server login has been failing, cached error: failed to answer authreq (server_login_retry)"),
    _row("proxy_header", "", _C, Level.WARNING, "bad PROXY header: %s", "",
         "A connection to a port with proxy_protocol did not begin with a valid PROXY header."),
    _row("proxy_denied", "", _C, Level.WARNING, "PROXY header from an address that is not in proxy_protocol_from", "",
         "Only trusted networks may tell howdah another client address."),
    _row("login_rate", "53300", _P, Level.WARNING, "too many logins for %s",
         "Wait a moment; see login_rate_per_address and login_rate_per_user.",
         "More logins a second than login_rate_per_address or login_rate_per_user allows.", retryable=True),
    _row("max_concurrent_logins", "53300", _P, Level.WARNING, "too many logins at once (max_concurrent_logins)",
         "Try again.", "More clients than max_concurrent_logins were logging in.", retryable=True),
    _row("max_db_client_connections", "53300", _P, Level.WARNING,
         'no more connections allowed to database "%s" (max_db_client_connections)', "",
         "The database's limit of client connections was reached.", retryable=True,
         pgbouncer="client connections exceeded (max_db_client_connections)"),
    _row("max_user_client_connections", "53300", _P, Level.WARNING,
         'no more connections allowed for user "%s" (max_user_client_connections)', "",
         "The user's limit of client connections was reached.", retryable=True,
         pgbouncer="client connections exceeded (max_user_client_connections)"),
    _row("autodb_idle", "", Fault.NONE, Level.INFO, "database of the * entry unused (autodb_idle_timeout)", "",
         "The pool of a database that only the * entry stands for was unused longer than autodb_idle_timeout."),
    # the server's side of a link
    _row("server_closed", "08006", _S, Level.WARNING, "server closed the connection unexpectedly", "",
         "PostgreSQL closed the connection while a client was linked to it.", retryable=True,
         pgbouncer="server conn crashed?"),
    _row("server_terminated", "57P01", _S, Level.WARNING, "server connection was terminated: %s", "",
         "PostgreSQL ended the session with a FATAL error, passed on to the client.", retryable=True,
         pgbouncer="server conn crashed?"),
    _row("server_protocol", "08P01", _S, Level.ERROR, "unexpected message from the server: %s", "",
         "The server sent something the protocol does not allow here.", pgbouncer="unknown pkt"),
    _row("server_idle_timeout", "", Fault.NONE, Level.INFO, "server idle timeout", "",
         "The server connection was idle longer than server_idle_timeout."),
    _row("server_lifetime", "", Fault.NONE, Level.INFO, "server lifetime over", "",
         "The server connection was older than server_lifetime when nobody used it."),
    _row("server_connect_timeout", "08001", _S, Level.WARNING, "server_connect_timeout", "",
         "Connecting and logging in to PostgreSQL took longer than server_connect_timeout.", retryable=True,
         pgbouncer="server login has been failing, cached error: connect timeout (server_login_retry)"),
    _row("server_idle_closed", "", _S, Level.INFO, "server closed an idle connection", "",
         "PostgreSQL closed a connection that no client was using.", pgbouncer="server conn crashed?"),
    _row("server_check_failed", "", _S, Level.WARNING, "idle server did not pass its check", "",
         "A server connection that had been idle for server_check_delay did not answer server_check_query, or answered "
         "with an error. Its client got another one.", pgbouncer="test query failed"),
    _row("connect_query_failed", "", _O, Level.WARNING, "connect_query failed: %s",
         "Correct connect_query in [databases].",
         "connect_query ended with an error. The server connection is used all the same."),
    _row("server_evicted", "", Fault.NONE, Level.INFO, "evicted for another pool (max_db_connections)", "",
         "An idle server connection made room for a client of another pool under a shared limit.",
         pgbouncer="evicted"),
    _row("server_removed", "", _O, Level.INFO, "database configuration changed", "",
         "The configuration no longer has this server connection's database as it was, or RECONNECT or KILL has asked "
         "for a new one in its place."),
    _row("paused", "", _O, Level.INFO, "pause mode", "",
         "The database is paused, and has no server connections until RESUME."),
    _row("abandoned_transaction", "", _C, Level.INFO, "client left inside a transaction: rolled back", "",
         "A client left in the middle of its work; its server was cancelled, rolled back and kept."),
    _row("abandoned_unrecoverable", "", _C, Level.WARNING,
         "client left inside a transaction and its server could not be brought back", "",
         "A client left in the middle of its work; its server could not be brought back in step and was closed.",
         pgbouncer="client disconnect while server was not ready"),
    _row("replication_over", "", Fault.NONE, Level.INFO, "client of a replication connection is gone", "",
         "A replication client has a server connection of its own, which is closed when it leaves.",
         pgbouncer="replication client was closed"),
    # ours
    _row("shutdown", "57P01", _O, Level.INFO, "terminating connection due to administrator command", "",
         "howdah is shutting down.", retryable=True, pgbouncer="server shutting down"),
    _row("shutting_down", "57P03", _O, Level.INFO, "pooler is shutting down", "",
         "The client came over the Unix socket, which stays open for the console, while howdah is shutting down.",
         retryable=True, pgbouncer="pooler is shutting down"),
    _row("database_disabled", "57P03", _O, Level.INFO, 'database "%s" is disabled', "",
         "DISABLE lets no new clients in to the database; ENABLE does.", retryable=True,
         pgbouncer='database "%s" is disabled'),
    _row("database_killed", "57P01", _O, Level.INFO, "database removed",
         "Connect again; the database is paused.",
         "KILL ended all clients of the database. PgBouncer's words.", retryable=True, pgbouncer="database removed"),
    _row("client_killed", "57P01", _O, Level.INFO, "admin forced disconnect", "",
         "KILL_CLIENT named this client.", retryable=True, pgbouncer="admin forced disconnect"),
    _row("suspend_timeout", "57P01", _O, Level.WARNING, "suspend_timeout", "",
         "SUSPEND waited for bytes that this client, or its server, did not take in time.", retryable=True,
         pgbouncer="suspend_timeout"),
    _row("database_removed", "57P01", _O, Level.INFO, "database removed from the configuration", "",
         "The configuration no longer has the client's database.", retryable=True, pgbouncer="database removed"),
    _row("server_fast_close", "57P01", _O, Level.INFO, "database configuration changed",
         "Connect again.",
         "server_fast_close is on, and the configuration no longer has the database of the client's own server as it "
         "was: the client was sent away between two transactions.", retryable=True,
         pgbouncer="database configuration changed"),
    _row("out_of_memory", "53200", _P, Level.ERROR, "out of memory", "", "An allocation failed.", retryable=True,
         pgbouncer="out of memory"),
    _row("settings_refused", "22023", _C, Level.WARNING, "cannot apply the client's settings: %s", "",
         "PostgreSQL refused a startup parameter of the client."),
    _row("console_closed", "57P01", _P, Level.INFO, "console session ended", "",
         "The console session was ended by howdah."),
    _row("too_many_settings", "54000", _C, Level.WARNING,
         "too many settings in the session: more than 256 of them, or 32768 bytes of names and values",
         "Reset the ones that are not needed, or use a database in session mode.",
         "The settings of a session follow their client from server to server, and have a limit."),
    _row("too_many_channels", "54000", _C, Level.WARNING,
         "too many channels in the session: more than 10000",
         "UNLISTEN the ones that are not needed, or put what tells them apart into the payload.",
         "The channels that a client listens to follow it from server to server, and have a limit."),
    _row("listener_too_slow", "53400", _C, Level.WARNING,
         "terminating connection: more than 1 MiB of notifications wait for this client",
         "The client does not read what it is sent, or has been in one transaction for long.",
         "Notifications wait for a client that does not take them, or is in a transaction, up to this limit."),
    _row("notifications_missed", "01000", _S, Level.WARNING,
         "notifications may have been missed: the connection that listens for this database was lost",
         "All channels are listened to again; look whether anything has changed in the meantime.",
         "PostgreSQL ended the listening server of a database, or could not be reached. Clients that listen are told "
         "when another one listens to all of their channels.", severity="WARNING"),
    _row("listening_over", "", Fault.NONE, Level.DEBUG, "no client listens", "",
         "A listening server is closed when no client of its database listens any more."),
    _row("session_spoiled", "", Fault.NONE, Level.DEBUG, "session cannot be cleaned", "",
         "The client has loaded a library or set the random seed. PostgreSQL cannot undo that: the server was closed."),
    # pins that are not wanted
    _row("pin_warning", "01000", _C, Level.WARNING,
         "the server connection is kept for this client as long as the reason lasts: %s", "",
         "pin says warn of this kind of pin. The client is told once for each.", severity="WARNING"),
    _row("pin_denied", "0A000", _C, Level.WARNING,
         "this would keep the server connection for one client, which pin denies: %s",
         "Do without it, or use a database or user with pool_mode session.",
         "pin denies what the statement brings about. It was not run.", severity="ERROR"),
    _row("pin_denied_late", "0A000", _C, Level.WARNING,
         "terminating connection: it has what would keep its server connection, which pin denies: %s",
         "Do without it, or use a database or user with pool_mode session.",
         "pin denies what the client has brought about, which showed only when it was done (inside a function, or in a "
         "text that does not say so)."),
    _row("max_pinned", "53300", _P, Level.WARNING, "too many server connections are kept for clients (max_pinned): %s",
         "Try again later, do without it, or raise max_pinned.",
         "As many servers of the pool are pinned as max_pinned allows, and the statement would have pinned one more. "
         "It was not run.", retryable=True, severity="ERROR"),
    _row("max_pinned_late", "53300", _P, Level.WARNING,
         "terminating connection: too many server connections are kept for clients (max_pinned): %s",
         "Try again later, do without it, or raise max_pinned.",
         "As many servers of the pool were pinned as max_pinned allows, and that the client had pinned one more showed "
         "only when it was done.", retryable=True),
    # pins
    _row("pin_session_mode", "", Fault.NONE, Level.DEBUG, "session mode", "",
         "pool_mode is session: the server stays with the client until it leaves."),
    _row("pin_named_statement", "", _C, Level.INFO, "named prepared statement", "",
         "The client prepared a statement that cannot follow it: its server stays with it as long as that exists."),
    _row("pin_temporary_object", "", _C, Level.INFO, "temporary table", "",
         "The client has a temporary table, view, sequence, type or function: its server stays with it until it is "
         "dropped."),
    _row("pin_holdable_cursor", "", _C, Level.INFO, "cursor WITH HOLD", "",
         "The client has a cursor WITH HOLD open: its server stays with it until it is closed."),
    _row("pin_advisory_lock", "", _C, Level.INFO, "session advisory lock", "",
         "The client holds an advisory lock of the session: its server stays with it until it is unlocked."),
    _row("pin_listen", "", _C, Level.INFO, "LISTEN", "",
         "The client listens to channels, and the listening server of its database cannot do that for it: no room "
         "under max_db_connections or max_user_connections, no login, more than 1,000 channels, or a client_encoding "
         "other than the database's. Its server stays with it until that changes, or until UNLISTEN."),
    _row("pin_load", "", _C, Level.INFO, "LOAD", "",
         "The client has loaded a library, or called what only the end of a session takes away (a replication origin "
         "or slot, a backup, a connection of dblink): its server stays with it until it leaves."),
    _row("pin_random_seed", "", _C, Level.INFO, "random seed", "",
         "The client has called setseed(): its server stays with it until it leaves."),
    _row("pin_sequence", "", _C, Level.INFO, "numbers of sequences", "",
         "The client has taken numbers of sequences and may ask for them by currval() or lastval(): its server stays "
         "with it until it leaves or says DISCARD SEQUENCES.  See session_sequences."),
    _row("pin_unknown", "", _C, Level.WARNING, "session state not known", "",
         "What the client had done to its session could not be asked (a statement_timeout of its own may be too "
         "short): its server stays with it until that has been answered."),
    _row("pin_unnamed_statement", "", _C, Level.DEBUG, "unnamed statement parsed ahead", "",
         "The client parsed the unnamed statement and has yet to bind it."),
    _row("pin_replication", "", Fault.NONE, Level.DEBUG, "replication", "",
         "The server was opened for this one client, and goes with it."),
)

# fmt: on
BY_CODE: dict[str, Reason] = {reason.code: reason for reason in REASONS}

#: Code to number: the numbers the data plane uses.
NUMBERS: dict[str, int] = {reason.code: number for number, reason in enumerate(REASONS)}
