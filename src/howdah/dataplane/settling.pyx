"""A server is brought to its client's settings before it runs anything for it.

What does that goes out in front of the client's first message, in the same write, and nobody waits for the answer:
where PostgreSQL refuses it, the transaction that it is (see `session_state.compose_change`) stays open and failed, so
that nothing behind it has an effect, and the client is told why.  The one thing that could end that transaction is the
client's own COMMIT or ROLLBACK; a message that may be one waits (`must_settle`).  Called by `linking`, `handshake` and
`asking`.
"""

from libc.errno cimport ENOMEM
from libc.stdint cimport uint8_t, uint32_t

from howdah.dataplane.conn cimport SEND_ERROR, conn_send
from howdah.dataplane.parties cimport Client, Server, Worker
from howdah.dataplane.recycle cimport watch_server
from howdah.dataplane.reply_queue cimport EXPECT_QUERY, EXPECT_SWALLOW, expect
from howdah.dataplane.session_state cimport compose_change, settings_drop, settings_hold
from howdah.dataplane.sequences cimport must_forget, others_numbers
from howdah.dataplane.turn cimport (
    LARGEST_STAGED,
    STEP_FORWARD,
    STEP_GONE,
    Step,
    Turn,
    refuse,
    stage_request,
    staged,
    staging,
)
from howdah.sql.effects cimport EFFECT_ENDS
from howdah.wire.bytes cimport Writer, writer

from howdah.reasons import NUMBERS

cdef int TOO_MANY_SETTINGS = NUMBERS["too_many_settings"]


cdef bint hides_settings(const Server *server, const Client *client) noexcept nogil:
    """May the session have settings of others that nobody knows of?"""
    return server.hidden_by != 0 and server.hidden_by != client.id


cdef bint is_settled(const Client *client, const Server *server) noexcept nogil:
    """Has the session all that its client is to find there, and nothing else?"""
    return (server.settings == client.settings and not hides_settings(server, client)
            and not must_forget(server, client))


cdef bint compose(Client *client, Server *server, Writer *message) noexcept nogil:
    """What takes the server to the client's settings, which it counts as having from now on; False: it is too long."""
    cdef bint reset = hides_settings(server, client)
    cdef bint forget = must_forget(server, client) or (reset and others_numbers(server, client))
    cdef bint needed = compose_change(message, server.settings, client.settings, reset, forget)
    if not message.ok or (needed and not expect(&server.replies, EXPECT_QUERY | EXPECT_SWALLOW)):
        return False
    settings_drop(server.settings)
    server.settings = settings_hold(client.settings)
    server.settling = needed
    if reset:
        server.hidden_by = 0
    if forget:
        server.numbers_by = 0
    server.unnamed_owner = 0  # a Query ends it
    return True


cdef Step settle_first(Worker *w, Client *client, Turn *turn) noexcept nogil:
    """In front of the message at hand."""
    cdef Writer message
    if not stage_request(w, client, turn):
        return STEP_GONE
    message = staging(w)
    if not compose(client, client.server, &message):
        return refuse(turn, TOO_MANY_SETTINGS)
    staged(w, &message)
    return STEP_FORWARD


cdef bint settle_now(Worker *w, Client *client, Server *server) noexcept nogil:
    """By itself; False: it is too long, or memory is out."""
    cdef uint8_t[LARGEST_STAGED] data
    cdef Writer message = writer(data, sizeof(data))
    if (not compose(client, server, &message)
            or (conn_send(&w.slab, &server.conn, data, message.used) == SEND_ERROR and server.conn.error == ENOMEM)):
        return False
    watch_server(w, server)
    return True


cdef void settling_goes_on(Server *server) noexcept nogil:
    """One of the answers has come."""
    if server.settling:
        server.settling -= 1


cdef bint must_settle(const Client *client, uint32_t effects) noexcept nogil:
    """Must a text with these effects wait until it is known that the server has taken the settings?"""
    return client.server.settling > 0 and effects & EFFECT_ENDS != 0
