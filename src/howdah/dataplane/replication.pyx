"""The way in for replication clients, each of which gets a server of its own.

Replication is no work for a pool: the session is the client's from its startup packet on, which holds its settings, and
a stream has no end.  So the server is opened for the one client (`connecting.open_dedicated`), logs in with what the
client brought, is linked to it for good (PIN_REPLICATION), and goes when the client goes (`recycle.close_dedicated`).
What it counts under are the limits of its database and user; a pool's size is about the servers that are shared.

In this order: `replication_login` (room for one more server), then `let_in`.  Behind that the relay takes over, for
which it is a session like any other.  Called by `worker`.
"""

from libc.stdint cimport uint8_t

from howdah.cdefs.atomics cimport relaxed_add_u64
from howdah.dataplane.client cimport client_move, client_watch_deadline, login_free, set_ready
from howdah.dataplane.conn cimport SEND_ERROR, conn_send
from howdah.dataplane.connecting cimport open_dedicated
from howdah.dataplane.handshake cimport count_login, give_notice, make_key, tell_login
from howdah.dataplane.parties cimport CLIENT_ACTIVE, SERVER_ACTIVE, Client, Server, Worker
from howdah.dataplane.pool cimport TAKE_OPEN, TAKE_WAIT, TakeVerdict
from howdah.dataplane.recycle cimport client_lost, watch_client
from howdah.dataplane.rooms cimport take_room
from howdah.dataplane.stats cimport Tally, observe
from howdah.wire cimport tags
from howdah.wire.bytes cimport Writer, writer
from howdah.wire.compose cimport (
    compose_authentication_data,
    compose_authentication_ok,
    compose_parameter_status,
    compose_ready,
)
from howdah.wire.startup cimport next_parameter

cdef enum:
    LARGEST_WELCOME = 16384
    SASL_FINAL = 12


cdef void replication_login(Worker *w, Client *client) noexcept nogil:
    """The next step for a replication client in CLIENT_LOGIN_WAITING: it has proved who it is, has got room for a
    server, or has its server."""
    cdef TakeVerdict verdict = TAKE_OPEN
    if client.server != NULL:
        if client.server.state == SERVER_ACTIVE:
            let_in(w, client)
        return
    if not client.line.room:
        verdict = take_room(&w.shared.pools, client.pool, &client.line, w.now_us)
    client.owed = verdict == TAKE_WAIT
    watch_client(w, client)
    client_watch_deadline(client)
    if verdict == TAKE_OPEN:
        open_dedicated(w, client)
    else:
        w.open_wanted = True  # an idle server may have to go


cdef void let_in(Worker *w, Client *client) noexcept nogil:
    """The client's own server has logged in: what that was told, the client is told, but for the key."""
    cdef uint8_t[LARGEST_WELCOME] data
    cdef Writer message = writer(data, sizeof(data))
    cdef Server *server = client.server
    cdef Tally *tally = &client.pool.tallies[w.index]
    if client.login.final_size:
        compose_authentication_data(&message, SASL_FINAL, client.login.final, client.login.final_size)
    compose_authentication_ok(&message)
    write_parameters(&message, server)
    make_key(w, client, &message)
    give_notice(w, &message)
    compose_ready(&message, tags.IDLE)
    count_login(w, client)
    relaxed_add_u64(&tally.server_assignments, 1)
    observe(&tally.checkout, w.now_us - client.line.since_us)
    client_move(client, CLIENT_ACTIVE)
    login_free(client)
    client.request_us = client.query_us = server.request_us = w.now_us
    if not message.ok or conn_send(&w.slab, &client.conn, data, message.used) == SEND_ERROR:
        client_lost(w, client)
        return
    tell_login(w, client)
    watch_client(w, client)
    if client.held != NULL or w.draining:
        set_ready(client)


cdef void write_parameters(Writer *message, const Server *server) noexcept nogil:
    cdef const char *at = server.parameters
    cdef const char *end = at + server.parameters_size if at != NULL else NULL
    cdef const char *name = NULL
    cdef const char *value = NULL
    while next_parameter(&at, end, &name, &value):
        compose_parameter_status(message, name, value)
