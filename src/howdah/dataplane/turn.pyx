"""One block of bytes on its way through the relay.

What needs no change goes out straight from the read buffer.  Where something is left out, put in front or said
otherwise, what comes before it is copied to the worker's stage first and what is new behind that, so that all of a
turn still goes out in one write.  Called by the modules of the relay.
"""

from libc.errno cimport ENOMEM
from libc.stdint cimport uint8_t
from libc.string cimport memcpy

from howdah.cdefs.atomics cimport relaxed_add_u64
from howdah.cdefs.sockets cimport SHUT_RDWR, shutdown
from howdah.dataplane.client cimport client_watch_deadline
from howdah.dataplane.conn cimport (
    SEND_ALL,
    SEND_ERROR,
    SEND_PART,
    SendVerdict,
    conn_flush,
    conn_send,
)
from howdah.dataplane.parties cimport Client, Server, Worker
from howdah.dataplane.recycle cimport client_lost, client_refuse, watch_both, watch_client
from howdah.wire.bytes cimport Writer, writer

from howdah.reasons import NUMBERS

cdef int OUT_OF_MEMORY = NUMBERS["out_of_memory"]


cdef Step refuse(Turn *turn, int reason) noexcept nogil:
    turn.reason = reason
    return STEP_REFUSE


# ---- the stage -----------------------------------------------------------------------------------------------------

cdef bint stage_request(Worker *w, Client *client, Turn *turn) noexcept nogil:
    """Put what is to be forwarded up to the message at hand on the stage, and see that there is room for
    LARGEST_STAGED bytes behind it.  False: the client is gone."""
    cdef size_t size = turn.pos - turn.start
    cdef const uint8_t *block = turn.data + turn.start
    turn.start = turn.pos
    if w.staged_size + size + LARGEST_STAGED <= STAGE_SIZE:
        put(w, block, size)
        return True
    return send_staged(w, client) and send_request(w, client, block, size)


cdef bint stage_bytes(Worker *w, Client *client, const void *data, size_t size) noexcept nogil:
    """Put any number of bytes behind what is staged, and see that there is room as above.  False: the client is gone.
    """
    if w.staged_size + size + LARGEST_STAGED <= STAGE_SIZE:
        put(w, data, size)
        return True
    return send_staged(w, client) and send_request(w, client, <const uint8_t *>data, size)


cdef void stage_reply(Worker *w, Server *server, Turn *turn) noexcept nogil:
    """The same towards the client."""
    cdef size_t size = turn.pos - turn.start
    cdef const uint8_t *block = turn.data + turn.start
    turn.start = turn.pos
    if w.staged_size + size + LARGEST_STAGED <= STAGE_SIZE:
        put(w, block, size)
    else:
        send_reply(w, server, w.stage, w.staged_size)
        w.staged_size = 0
        send_reply(w, server, block, size)


cdef void put(Worker *w, const void *data, size_t size) noexcept nogil:
    memcpy(w.stage + w.staged_size, data, size)
    w.staged_size += size


cdef Writer staging(Worker *w) noexcept nogil:
    """Room for LARGEST_STAGED bytes, behind `stage_request` or `stage_reply`."""
    return writer(w.stage + w.staged_size, STAGE_SIZE - w.staged_size)


cdef void staged(Worker *w, const Writer *written) noexcept nogil:
    """What was written there is to go out."""
    w.staged_size += written.used


# ---- to the server -------------------------------------------------------------------------------------------------

cdef bint forward_request(Worker *w, Client *client, Turn *turn) noexcept nogil:
    """Send all up to the message at hand (of which a part may be staged already); False: the client is gone."""
    cdef size_t size = turn.pos - turn.start if turn.pos > turn.start else 0
    cdef const uint8_t *block = turn.data + turn.start
    turn.start = turn.pos
    if w.staged_size and w.staged_size + size <= STAGE_SIZE:
        put(w, block, size)
        size = 0
    if w.staged_size and not send_staged(w, client):
        return False
    return send_request(w, client, block, size)


cdef bint send_staged(Worker *w, Client *client) noexcept nogil:
    cdef size_t size = w.staged_size
    w.staged_size = 0
    return send_request(w, client, w.stage, size)


cdef bint send_request(Worker *w, Client *client, const uint8_t *data, size_t size) noexcept nogil:
    """Send a block to the server; False: the client is gone with it."""
    cdef Server *server = client.server
    cdef SendVerdict verdict
    if server == NULL or (size == 0 and server.conn.out.size == 0):
        return True
    client.query_us = w.now_us
    if client.limits.query_us or client.limits.transaction_us:
        client_watch_deadline(client)
    verdict = conn_send(&w.slab, &server.conn, data, size)
    if verdict == SEND_PART:
        verdict = conn_flush(&w.slab, &server.conn)
    if verdict == SEND_ALL:
        return True
    if verdict == SEND_ERROR:
        if server.conn.error == ENOMEM:
            server.half_sent = True  # nobody knows how much of it has gone
            client_refuse(w, client, OUT_OF_MEMORY, b"")
            return False
        return True  # its last words may still be there to be read; the end of the connection is seen then
    watch_both(w, client)
    return True


# ---- to the client -------------------------------------------------------------------------------------------------

cdef void forward_reply(Worker *w, Server *server, Turn *turn) noexcept nogil:
    """Send all up to the message at hand to the client, if there still is one."""
    cdef size_t size = turn.pos - turn.start
    cdef const uint8_t *block = turn.data + turn.start
    turn.start = turn.pos
    if w.staged_size and w.staged_size + size <= STAGE_SIZE:
        put(w, block, size)
        size = 0
    if w.staged_size:
        send_reply(w, server, w.stage, w.staged_size)
        w.staged_size = 0
    send_reply(w, server, block, size)


cdef void send_reply(Worker *w, Server *server, const uint8_t *data, size_t size) noexcept nogil:
    """A client that cannot be sent to is not taken leave of here, in the middle of its server's bytes: its own socket
    tells in a moment."""
    cdef Client *client = server.client
    cdef SendVerdict verdict
    if size == 0 or client == NULL:
        return
    relaxed_add_u64(&client.pool.tallies[w.index].sent, size)
    verdict = conn_send(&w.slab, &client.conn, data, size)
    if verdict == SEND_ERROR:
        shutdown(client.conn.fd, SHUT_RDWR)
    elif verdict == SEND_PART:
        watch_both(w, client)


cdef bint answer(Worker *w, Client *client, const void *data, size_t size) noexcept nogil:
    """Say something of our own to a client that has no server; False: it is gone."""
    cdef SendVerdict verdict = conn_send(&w.slab, &client.conn, data, size)
    if verdict == SEND_ERROR:
        client_lost(w, client)
        return False
    if verdict == SEND_PART:
        watch_client(w, client)
    return True
