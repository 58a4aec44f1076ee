"""BEGIN is put off until there is something to do in the transaction.

A client's BEGIN is answered here and kept; `linking.get_server` puts it in front of the next message that needs a
server.  An end that comes before that is answered here, too: such a transaction has cost no server.  All else, and
whatever PostgreSQL would have a warning for, goes to PostgreSQL.  Called by `relay`.
"""

from libc.stdint cimport uint8_t

from howdah.cdefs.atomics cimport load_i32, relaxed_add_u64
from howdah.dataplane.buffers cimport block_drop, hold
from howdah.dataplane.client cimport client_watch_deadline, set_ready
from howdah.dataplane.parties cimport Client, Worker
from howdah.dataplane.routes cimport TRANSACTION_MODE
from howdah.dataplane.stats cimport Tally, observe
from howdah.dataplane.turn cimport STEP_DROP, STEP_FORWARD, STEP_GONE, Step, answer
from howdah.dataplane.unnamed cimport forget_unnamed
from howdah.sql.transaction cimport (
    COMMAND_BEGIN,
    COMMAND_COMMIT,
    COMMAND_OTHER,
    COMMAND_ROLLBACK,
    COMMAND_START,
    TransactionCommand,
    transaction_command,
)
from howdah.wire.bytes cimport Reader, Writer, left, read_bytes, read_u8, reader, writer
from howdah.wire.compose cimport compose_command_complete, compose_ready
from howdah.wire.frame cimport Frame
from howdah.wire.tags cimport IDLE, IN_TRANSACTION

cdef enum:
    HEADER = 5
    LARGEST = 200  # bytes of a message that is looked into: no BEGIN is longer


cdef Step query_without_server(Worker *w, Client *client, const Frame *frame, const uint8_t *message) noexcept nogil:
    """A Query of a client that has no server: answered here (STEP_DROP), or for a server (STEP_FORWARD)."""
    cdef TransactionCommand command
    cdef bint plain = True
    if load_i32(&client.pool.mode) != TRANSACTION_MODE or not w.plan.deferred_begin or not readable(frame, message):
        return STEP_FORWARD
    command = transaction_command(message + HEADER, frame.size - HEADER - 1, &plain)
    if command == COMMAND_OTHER:
        return STEP_FORWARD
    if client.begin == NULL:
        if command == COMMAND_COMMIT or command == COMMAND_ROLLBACK:
            return STEP_FORWARD
        return put_off(w, client, frame, message, command, plain)
    if command == COMMAND_BEGIN or command == COMMAND_START:
        return STEP_FORWARD
    block_drop(&w.slab, &client.begin)
    if client.ear != NULL:
        set_ready(client)  # what was notified meanwhile
    return say(w, client, "COMMIT" if command == COMMAND_COMMIT else "ROLLBACK", IDLE)


cdef bint readable(const Frame *frame, const uint8_t *message) noexcept nogil:
    """Short, all there, of plain ASCII and with its one NUL at the end."""
    cdef Reader r
    cdef uint8_t byte
    if frame.here < frame.size or frame.size > LARGEST:
        return False
    r = reader(message, frame.size)
    read_bytes(&r, HEADER)
    while left(&r) > 1:
        byte = read_u8(&r)
        if byte == 0 or byte >= 128:
            return False
    return left(&r) == 1 and read_u8(&r) == 0


cdef Step put_off(Worker *w, Client *client, const Frame *frame, const uint8_t *message, TransactionCommand command,
                  bint plain) noexcept nogil:
    """A transaction begins that no server knows of yet.  (On a standby PostgreSQL refuses some modes: let it.)"""
    if not plain and load_i32(&client.pool.standby):
        return STEP_FORWARD
    if not hold(&w.slab, &client.begin, message, frame.size):
        return STEP_FORWARD
    forget_unnamed(w, client)  # a Query ends it
    client.request_us = w.now_us
    client_watch_deadline(client)
    return say(w, client, "BEGIN" if command == COMMAND_BEGIN else "START TRANSACTION", IN_TRANSACTION)


cdef Step say(Worker *w, Client *client, const char *tag, uint8_t status) noexcept nogil:
    """The answer to a Query that needed no server."""
    cdef uint8_t[64] data
    cdef Writer message = writer(data, sizeof(data))
    cdef Tally *tally = &client.pool.tallies[w.index]
    relaxed_add_u64(&tally.queries, 1)
    observe(&tally.query, 0)
    if status == IDLE:
        relaxed_add_u64(&tally.transactions, 1)
        observe(&tally.transaction, w.now_us - client.request_us)
    compose_command_complete(&message, tag)
    compose_ready(&message, status)
    return STEP_DROP if answer(w, client, data, message.used) else STEP_GONE


cdef Step sync_without_server(Worker *w, Client *client) noexcept nogil:
    """Sync where nothing was sent before it: ReadyForQuery, without a server for it."""
    cdef uint8_t[8] data
    cdef Writer message = writer(data, sizeof(data))
    compose_ready(&message, IDLE if client.begin == NULL else IN_TRANSACTION)
    return STEP_DROP if answer(w, client, data, message.used) else STEP_GONE
