"""A server is given the prepared statements that it lacks.

What it lacks goes in front of the message that needs it, in the same write; the oldest statement on its shelf makes
room.  Called by `preparing` and `sql_prepared`.
"""

from libc.stdint cimport int16_t, int32_t, uint8_t, uint32_t
from libc.string cimport strlen

from howdah.cdefs.atomics cimport add_i32, relaxed_add_u64
from howdah.dataplane.linking cimport note_owed
from howdah.dataplane.parties cimport Client, Server, Worker
from howdah.dataplane.reply_queue cimport (
    CHANGE_EVICT,
    CHANGE_NONE,
    CHANGE_PREPARE,
    EXPECT_BIND,
    EXPECT_CLOSE,
    EXPECT_DESCRIBE,
    EXPECT_EXECUTE,
    EXPECT_PARSE,
    EXPECT_SWALLOW,
    EXPECT_SYNC,
    OWE_NO_MEMORY,
    owe,
    owed_at,
)
from howdah.dataplane.statements cimport SHELF_HAS, shelf_evict, shelf_find, shelf_put, shelf_remove
from howdah.dataplane.texts cimport Naming, Statement, naming_hold, statement_drop, text_data
from howdah.dataplane.turn cimport (
    STEP_FORWARD,
    STEP_GONE,
    STEP_REFUSE,
    Step,
    Turn,
    refuse,
    stage_bytes,
    stage_request,
    staged,
    staging,
)
from howdah.wire.bytes cimport Writer, write_bytes, write_u16
from howdah.wire.compose cimport (
    compose_bare,
    compose_bind,
    compose_close,
    compose_close_portal,
    compose_describe,
    compose_execute,
    compose_parse_head,
)
from howdah.wire.tags cimport SYNC

from howdah.reasons import NUMBERS

cdef enum:
    MOST_EVICTED = 2  # for one newcomer: where fewer are allowed than there were, their number goes down

cdef const char *ERRAND = b"howdah_errand"  # a statement and a portal for as long as a PREPARE of ours takes
cdef const char *PREPARE = b"PREPARE "
cdef uint8_t[3] BEFORE_EXECUTE = [EXPECT_CLOSE, EXPECT_PARSE, EXPECT_BIND]
cdef int OUT_OF_MEMORY = NUMBERS["out_of_memory"]
cdef int TOO_MANY_REPLIES = NUMBERS["pipeline_too_long"]


cdef Step prepare_where_missing(Worker *w, Client *client, Naming *naming, int32_t edition,
                                Turn *turn) noexcept nogil:
    """See that the server has the statement, not older than `edition`, when the message at hand gets there.  What it
    takes and gives there is of interest to all, see `descriptions`."""
    cdef Statement *statement = naming.statement
    cdef Step step
    if shelf_find(&client.server.shelf, statement, edition) == SHELF_HAS:
        return STEP_FORWARD
    step = make_way(w, client, statement, add_i32(&statement.edition, 1), turn)
    if step != STEP_FORWARD:
        return step
    relaxed_add_u64(&client.pool.tallies[w.index].server_parses, 1)
    if statement.text.by_sql:
        step = prepare_by_sql(w, client, naming, turn)
    else:
        step = prepare_by_protocol(w, client, naming, turn)
    return step if step != STEP_REFUSE else not_prepared(client, statement)


cdef Step not_prepared(Client *client, const Statement *statement) noexcept nogil:
    """Memory was out before all of it was sent: nobody is to rely on what was put on the shelf."""
    shelf_remove(&client.server.shelf, statement)
    return STEP_REFUSE


cdef Step prepare_by_protocol(Worker *w, Client *client, Naming *naming, Turn *turn) noexcept nogil:
    cdef Statement *statement = naming.statement
    cdef Writer message = staging(w)
    cdef Step step = expect_swallowed(client, EXPECT_PARSE, CHANGE_PREPARE, naming, turn)
    if step != STEP_FORWARD:
        return step
    compose_parse_head(&message, statement.name, statement.text.size)
    staged(w, &message)
    if not stage_bytes(w, client, text_data(statement.text), statement.text.size):
        return STEP_GONE
    return put_describe(w, client, naming, turn)


cdef Step prepare_by_sql(Worker *w, Client *client, Naming *naming, Turn *turn) noexcept nogil:
    """PREPARE run by messages of the extended protocol, which may stand in front of anything: its own Parse takes the
    text as it is, and what there is to complain about shows when it is executed."""
    cdef Statement *statement = naming.statement
    cdef Writer message = staging(w)
    cdef Step step = STEP_FORWARD
    for i in range(3):
        if step == STEP_FORWARD:
            step = expect_swallowed(client, BEFORE_EXECUTE[i], CHANGE_NONE, NULL, turn)
    if step == STEP_FORWARD:
        step = expect_swallowed(client, EXPECT_EXECUTE, CHANGE_PREPARE, naming, turn)
        owed_at(&client.server.replies, client.server.replies.count - 1).shift = <int16_t>(
            <int>statement.name_size - <int>naming.size)
    if step == STEP_FORWARD:
        step = expect_swallowed(client, EXPECT_CLOSE, CHANGE_NONE, NULL, turn)
    if step != STEP_FORWARD:
        return step
    compose_close(&message, ERRAND)  # left by an errand that failed
    compose_parse_head(&message, ERRAND, <uint32_t>strlen(PREPARE) + statement.name_size + statement.text.size + 2)
    write_bytes(&message, PREPARE, strlen(PREPARE))
    write_bytes(&message, statement.name, statement.name_size)
    staged(w, &message)
    if not stage_bytes(w, client, text_data(statement.text), statement.text.size):
        return STEP_GONE
    message = staging(w)
    write_u16(&message, 0)
    compose_bind(&message, ERRAND, ERRAND)
    compose_execute(&message, ERRAND)
    compose_close_portal(&message, ERRAND)
    staged(w, &message)
    return STEP_FORWARD


cdef Step expect_swallowed(Client *client, uint8_t expected, uint8_t change, Naming *naming, Turn *turn) noexcept nogil:
    if naming != NULL:
        naming_hold(naming)
    return note_owed(client, expected | EXPECT_SWALLOW, change, naming, turn)


cdef Step put_describe(Worker *w, Client *client, Naming *naming, Turn *turn) noexcept nogil:
    """Behind what is staged: what the statement takes and gives."""
    cdef Writer message = staging(w)
    cdef Step step = expect_swallowed(client, EXPECT_DESCRIBE, CHANGE_NONE, naming, turn)
    if step == STEP_FORWARD:
        compose_describe(&message, naming.statement.name)
        staged(w, &message)
    return step


cdef Step put_sync(Worker *w, Client *client, Turn *turn) noexcept nogil:
    """Behind what was put in front of a Query, which cannot stand in the same run."""
    cdef Writer message = staging(w)
    cdef Step step = expect_swallowed(client, EXPECT_SYNC, CHANGE_NONE, NULL, turn)
    if step == STEP_FORWARD:
        compose_bare(&message, SYNC)
        staged(w, &message)
    return step


cdef Step make_way(Worker *w, Client *client, Statement *statement, int32_t edition, Turn *turn) noexcept nogil:
    """The statement gets its place, in this edition, on the server's shelf, where the oldest makes room; a Close goes
    in front of the Parse that is to follow, as the server may have the statement in an older sense."""
    cdef Server *server = client.server
    cdef Statement *evicted
    cdef Step step = STEP_FORWARD if stage_request(w, client, turn) else STEP_GONE
    for _ in range(MOST_EVICTED):
        if step != STEP_FORWARD:
            return step
        evicted = shelf_evict(&server.shelf, <uint32_t>max(w.plan.max_prepared_statements, 1), statement)
        if evicted != NULL:
            step = close_at_server(w, server, evicted, CHANGE_EVICT, turn)
        statement_drop(evicted)
    if step == STEP_FORWARD:
        step = close_at_server(w, server, statement, CHANGE_NONE, turn)
    if step == STEP_FORWARD and not shelf_put(&server.shelf, statement, edition):
        return refuse(turn, OUT_OF_MEMORY)
    return step


cdef Step close_at_server(Worker *w, Server *server, const Statement *statement, uint8_t change,
                          Turn *turn) noexcept nogil:
    cdef Writer message = staging(w)
    if owe(&server.replies, EXPECT_CLOSE | EXPECT_SWALLOW, change, NULL) == OWE_NO_MEMORY:
        return refuse(turn, TOO_MANY_REPLIES)
    compose_close(&message, statement.name)
    staged(w, &message)
    return STEP_FORWARD
