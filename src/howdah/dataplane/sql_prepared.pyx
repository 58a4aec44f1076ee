"""Statements that are prepared, run and dropped by SQL: PREPARE, EXECUTE, DEALLOCATE.

They share one name space with those of the protocol, as in PostgreSQL: what is prepared in one way can be used in the
other.  So they are kept in the same way: the text behind the name is stored once for all clients, has a name of ours at
the servers, which takes the place of the client's in the text, and is prepared where it is missing.

That is done where a text is one statement.  In texts of several statements names stay what they are, and what comes of
that is found out by asking: the server stays with the client as long as it has a statement of the client's own.
Called by `simple_query`, `preparing` and `relay`.
"""

from libc.stdint cimport int16_t, int32_t, uint8_t, uint32_t

from howdah.cdefs.atomics cimport add_i32
from howdah.dataplane.buffers cimport Block, block_data, block_drop, block_new, hold
from howdah.dataplane.linking cimport note_owed
from howdah.dataplane.meanings cimport as_of_now, statement_for
from howdah.dataplane.noting cimport look_at
from howdah.dataplane.parties cimport UNNAMED_KEPT, UNNAMED_THERE, Client, Server, Worker
from howdah.dataplane.providing cimport make_way, not_prepared, prepare_where_missing, put_sync
from howdah.dataplane.reply_queue cimport (
    CHANGE_NONE,
    CHANGE_PARSE,
    EXPECT_PARSE,
    EXPECT_QUERY,
    Owed,
    change_undone,
    owed_at,
)
from howdah.dataplane.statements cimport (
    SHELF_HAS,
    names_find,
    names_find_ours,
    names_put,
    names_take,
    shelf_find,
    shelf_remove,
)
from howdah.dataplane.texts cimport (
    SERVER_NAME_SIZE,
    Naming,
    Statement,
    naming_drop,
    naming_hold,
    naming_name,
    naming_new,
    nowhere,
    statement_drop,
    taken,
    text_settings,
)
from howdah.dataplane.turn cimport (
    STEP_FORWARD,
    STEP_GONE,
    STEP_REFUSE,
    Step,
    Turn,
    refuse,
    stage_request,
    staged,
    staging,
)
from howdah.dataplane.unnamed cimport forget_unnamed, note_change
from howdah.sql.effects cimport (
    EFFECT_PREPARE,
    EFFECT_SETTINGS,
    USE_EXECUTE,
    Analysis,
    NameUse,
    only_use,
    used_name,
)
from howdah.sql.identifiers cimport LARGEST_IDENTIFIER
from howdah.wire.bytes cimport Writer, write_bytes, writer
from howdah.wire.extended cimport MENTION_CUT, Mention, compose_spliced, parse_mention
from howdah.wire.frame cimport Frame
from howdah.wire.tags cimport IN_FAILED_TRANSACTION

from howdah.reasons import NUMBERS

cdef enum:
    HEADER = 5

cdef int OUT_OF_MEMORY = NUMBERS["out_of_memory"]


# ---- by a simple query, with nothing owed --------------------------------------------------------------------------

cdef Step prepare_by_query(Worker *w, Client *client, const Frame *frame, const uint8_t *message, const NameUse *use,
                           const char *name, uint32_t size, const Analysis *found, Turn *turn) noexcept nogil:
    """PREPARE.  It is run even where the server has the statement: what its text means may have changed."""
    cdef Naming *naming
    cdef int32_t *known
    cdef int32_t edition
    cdef Step step
    if names_find(&client.names, name, size, &known) != NULL:
        naming = naming_new(name, size, taken())  # PostgreSQL is to say so
        return provided(w, client, frame, message, use, naming, 0, turn)
    naming = new_statement(w, client, frame, message, use, name, size, found)
    if naming == NULL:
        return refuse(turn, OUT_OF_MEMORY)
    edition = add_i32(&naming.statement.edition, 1)
    if not names_put(&client.names, naming_hold(naming), edition):
        naming_drop(naming)
        naming_drop(naming)
        return refuse(turn, OUT_OF_MEMORY)
    step = make_way(w, client, naming.statement, edition, turn)
    if step == STEP_FORWARD:
        step = put_sync(w, client, turn)
    if step == STEP_FORWARD:
        return with_name(w, client, frame, message, use, naming, CHANGE_PARSE, turn)
    step = step if step != STEP_REFUSE else not_prepared(client, naming.statement)
    naming_drop(naming)
    return step


cdef Naming *new_statement(Worker *w, Client *client, const Frame *frame, const uint8_t *message, const NameUse *use,
                           const char *name, uint32_t size, const Analysis *found) noexcept nogil:
    """The text behind the name, by that name; NULL: out of memory."""
    cdef uint32_t end = HEADER + use.offset + use.size
    cdef Analysis body = found[0]
    cdef Statement *statement
    cdef Naming *naming
    body.effects &= ~<uint32_t>EFFECT_PREPARE
    statement = statement_for(w, client, message + end, frame.size - end, &body)
    naming = naming_new(name, size, statement) if statement != NULL else NULL
    statement_drop(statement)
    return naming


cdef Step execute_by_query(Worker *w, Client *client, const Frame *frame, const uint8_t *message, const NameUse *use,
                           const char *name, uint32_t size, Turn *turn) noexcept nogil:
    """EXECUTE, also with EXPLAIN or CREATE TABLE in front of it."""
    cdef int32_t *edition
    cdef Naming *naming = names_find(&client.names, name, size, &edition)
    if naming == NULL:
        naming = naming_new(name, size, nowhere())
        return with_name(w, client, frame, message, use, naming, CHANGE_NONE, turn)
    naming = as_of_now(w, client, naming, &edition)
    if naming == NULL:
        return refuse(turn, OUT_OF_MEMORY)
    return provided(w, client, frame, message, use, naming_hold(naming), edition[0], turn)


cdef Step provided(Worker *w, Client *client, const Frame *frame, const uint8_t *message, const NameUse *use,
                   Naming *naming, int32_t edition, Turn *turn) noexcept nogil:
    """Forward the Query once the server has the statement.  The hold on `naming` is taken over."""
    cdef Server *server = client.server
    cdef Step step = STEP_FORWARD
    if naming == NULL:
        return refuse(turn, OUT_OF_MEMORY)
    if (server.status != IN_FAILED_TRANSACTION
            and shelf_find(&server.shelf, naming.statement, edition) != SHELF_HAS):
        step = prepare_where_missing(w, client, naming, edition, turn)
        if step == STEP_FORWARD:
            step = put_sync(w, client, turn)
    if step != STEP_FORWARD:
        naming_drop(naming)
        return step
    return with_name(w, client, frame, message, use, naming, CHANGE_NONE, turn)


cdef Step with_name(Worker *w, Client *client, const Frame *frame, const uint8_t *message, const NameUse *use,
                    Naming *naming, uint8_t change, Turn *turn) noexcept nogil:
    """Forward the Query with the name that the statement has at servers.  The hold on `naming` is taken over."""
    cdef uint32_t start = HEADER + use.offset
    cdef Step step
    if naming == NULL:
        return refuse(turn, OUT_OF_MEMORY)
    if not stage_request(w, client, turn):
        naming_drop(naming)
        return STEP_GONE
    step = note_owed(client, EXPECT_QUERY, change, naming, turn)
    forget_unnamed(w, client)  # a Query ends it
    client.server.unnamed_owner = 0
    if step == STEP_FORWARD:
        splice(w, client, frame, message, start, use.size, naming.statement, turn)
    return step


cdef void note_shift(Server *server, const Statement *statement, const uint8_t *word, uint32_t size) noexcept nogil:
    """PostgreSQL counts characters, of which UTF-8 has one for each byte that does not go on with another."""
    cdef int shift = statement.name_size
    for i in range(size):
        shift -= word[i] & 0xC0 != 0x80
    owed_at(&server.replies, server.replies.count - 1).shift = <int16_t>shift


cdef void prepare_failed(Server *server) noexcept nogil:
    """The Query that an error has come for was a PREPARE."""
    cdef Owed *owed = owed_at(&server.replies, 0)
    shelf_remove(&server.shelf, owed.naming.statement)
    if server.client != NULL:
        naming_drop(names_take(&server.client.names, naming_name(owed.naming), owed.naming.size))
    change_undone(&server.replies)


# ---- by a Parse ----------------------------------------------------------------------------------------------------

cdef Naming *run_by_parse(const Client *client, const Frame *frame, const uint8_t *message, const Mention *mention,
                          const Analysis *found, int32_t **edition) noexcept nogil:
    """The statement that the text of this Parse is an EXECUTE of, if it is one that follows the client."""
    cdef const NameUse *use = only_use(found)
    cdef char[LARGEST_IDENTIFIER + 1] name
    cdef uint32_t size
    if use == NULL or use.kind != USE_EXECUTE or use.offset > LARGEST_LEAD or frame.here < frame.size:
        return NULL
    size = used_name(message + mention.end, use, name)
    return names_find(&client.names, name, size, edition) if size else NULL


cdef bint keep(Worker *w, Client *client, const Frame *frame, const uint8_t *message, uint32_t start, uint32_t size,
               const Statement *statement) noexcept nogil:
    """Keep the Parse as it is sent; False: out of memory."""
    cdef Block *block = block_new(&w.slab, frame.size + SERVER_NAME_SIZE)
    cdef Writer kept
    if block == NULL:
        return False
    kept = writer(block_data(block), block.capacity)
    compose_spliced(&kept, message, frame.size, start, start + size, statement.name, statement.name_size)
    write_bytes(&kept, message + start + size, frame.size - start - size)
    block.end = <uint32_t>kept.used
    client.unnamed_parse = block
    return True


cdef Step parse_with_statement(Worker *w, Client *client, const Frame *frame, const uint8_t *message,
                               const Mention *mention, const Analysis *found, Naming *naming, int32_t edition,
                               Turn *turn) noexcept nogil:
    """Forward it with the name that the statement has at servers, and keep it so.  It does what its own text shows
    (there may be CREATE TABLE in front) and what the statement does."""
    cdef const NameUse *use = only_use(found)
    cdef uint32_t start = mention.end + use.offset
    cdef Statement *statement = naming.statement
    cdef Step step = STEP_FORWARD
    if client.server.status != IN_FAILED_TRANSACTION:
        step = prepare_where_missing(w, client, naming, edition, turn)
    if step != STEP_FORWARD or not stage_request(w, client, turn):
        return STEP_GONE if step == STEP_FORWARD else step
    step = note_change(w, client, EXPECT_PARSE, turn)
    client.server.unnamed_owner = client.id
    client.unnamed = UNNAMED_KEPT if keep(w, client, frame, message, start, use.size, statement) else UNNAMED_THERE
    client.unnamed_executes = True
    client.unnamed_effects = found.effects | statement.text.effects
    block_drop(&w.slab, &client.unnamed_settings)
    if not hold(&w.slab, &client.unnamed_settings, <const uint8_t *>text_settings(statement.text),
                statement.text.settings_size):
        client.unnamed_effects |= EFFECT_SETTINGS
    if step == STEP_FORWARD:
        splice(w, client, frame, message, start, use.size, statement, turn)
    return step


cdef Step provide_executed(Worker *w, Client *client, Turn *turn) noexcept nogil:
    """See that the server has what the unnamed statement is an EXECUTE of, if it is one: it may be another server than
    the one that had its Parse."""
    cdef const uint8_t *message = block_data(client.unnamed_parse)
    cdef Mention mention
    cdef Analysis found
    cdef const NameUse *use
    cdef Naming *naming = NULL
    cdef int32_t *edition
    if (client.server.status == IN_FAILED_TRANSACTION
            or parse_mention(message, client.unnamed_parse.end, &mention) == MENTION_CUT):
        return STEP_FORWARD
    look_at(client, message + mention.end, client.unnamed_parse.end - mention.end, &found)
    use = only_use(&found)
    if use != NULL and use.kind == USE_EXECUTE:
        naming = names_find_ours(&client.names, <const char *>message + mention.end + use.offset, use.size, &edition)
    return STEP_FORWARD if naming == NULL else prepare_where_missing(w, client, naming, edition[0], turn)


cdef void splice(Worker *w, Client *client, const Frame *frame, const uint8_t *message, uint32_t start, uint32_t size,
                 const Statement *statement, Turn *turn) noexcept nogil:
    """Stage the message up to the client's name with the one at servers in the place of that; the rest follows."""
    cdef Writer head = staging(w)
    note_shift(client.server, statement, message + start, size)
    compose_spliced(&head, message, frame.size, start, start + size, statement.name, statement.name_size)
    staged(w, &head)
    turn.start = turn.pos + start + size
