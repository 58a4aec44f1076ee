"""A simple query, which ends the unnamed statement and may drop named ones.

Some drivers say DEALLOCATE where others send a Close.  PostgreSQL knows the statement under another name, and maybe on
another server: without a server at hand the client's name goes at once; else a DEALLOCATE that PostgreSQL can carry
out goes in place of the client's, and the name with the answer.  Called by `relay`.
"""

from libc.stdint cimport int32_t, uint8_t, uint32_t

from howdah.cdefs.atomics cimport load_i32
from howdah.dataplane.deferral cimport say
from howdah.dataplane.linking cimport get_server, note_owed
from howdah.dataplane.linting cimport lint
from howdah.dataplane.noting cimport look_at, note_analysis, note_run_by_name
from howdah.dataplane.parties cimport LARGEST_KEPT, Client, Server, Worker
from howdah.dataplane.refusing cimport refusal, refuse_run
from howdah.dataplane.reply_queue cimport (
    CHANGE_CLOSE,
    CHANGE_DEALLOCATE,
    CHANGE_NONE,
    CHANGE_PARSE,
    CHANGE_PREPARE,
    EXPECT_QUERY,
    EXPECT_SWALLOW,
    Owed,
    all_replied,
    first_owed,
    owed_at,
)
from howdah.dataplane.preparing cimport follows, note_run, stall
from howdah.dataplane.sequences cimport discard_sequences
from howdah.dataplane.settling cimport must_settle
from howdah.dataplane.sql_prepared cimport LARGEST_LEAD, execute_by_query, prepare_by_query
from howdah.dataplane.statements cimport (
    SHELF_LACKS,
    names_clear,
    names_find,
    names_full,
    names_put,
    names_take,
    shelf_clear,
    shelf_find,
    shelf_put,
    shelf_remove,
)
from howdah.dataplane.suspects cimport suspect, suspect_text
from howdah.dataplane.texts cimport Naming, naming_drop, naming_hold, naming_name
from howdah.dataplane.turn cimport STEP_FORWARD, STEP_GONE, STEP_MORE, Step, Turn, stage_request, staged, staging
from howdah.dataplane.unnamed cimport forget_unnamed, note_change
from howdah.sql.effects cimport (
    EFFECT_DEALLOCATE,
    EFFECT_EXECUTE,
    USE_DEALLOCATE,
    USE_DEALLOCATE_ALL,
    USE_EXECUTE,
    USE_PREPARE,
    Analysis,
    NameUse,
    only_use,
    used_name,
)
from howdah.sql.identifiers cimport LARGEST_IDENTIFIER
from howdah.wire.bytes cimport Writer
from howdah.wire.compose cimport compose_query
from howdah.wire.frame cimport Frame
from howdah.wire.tags cimport IDLE, IN_FAILED_TRANSACTION, IN_TRANSACTION

cdef extern from "<stdio.h>" nogil:
    int snprintf(char *to, size_t size, const char *format, ...) noexcept

cdef enum:
    HEADER = 5
    LARGEST_TEXT = 128


cdef Step query_begins(Worker *w, Client *client, const Frame *frame, const uint8_t *message,
                       Turn *turn) noexcept nogil:
    cdef Analysis found
    cdef char[LARGEST_IDENTIFIER + 1] name
    cdef const NameUse *use
    cdef Naming *naming
    cdef uint32_t size
    cdef uint32_t effects
    cdef int32_t *edition
    cdef Step step
    look_at(client, message + HEADER, frame.here - HEADER, &found)
    if found.use_count and frame.here < frame.size <= LARGEST_KEPT:
        return STEP_MORE
    use = only_use(&found)
    size = name_used(frame, message, use, name)
    naming = names_find(&client.names, name, size, &edition) if size else NULL
    if naming != NULL and use.kind == USE_DEALLOCATE and client.server == NULL:
        return deallocate_at_once(w, client, naming)
    effects = found.effects if naming == NULL else found.effects | naming.statement.text.effects
    step = get_server(w, client, effects, turn)
    if step != STEP_FORWARD or client.server.replies.skipping:
        return step
    if must_settle(client, found.effects):
        return stall(w, client, turn)
    if size == 0 or client.server.replies.copying_in or not is_kept(w, client, use, naming):
        return other_query(w, client, frame, message, &found, turn)
    if not all_replied(&client.server.replies):
        client.server.replies.dropping = True
        return stall(w, client, turn)  # how things stand decides what is sent
    if use.kind == USE_DEALLOCATE:
        return deallocate(w, client, frame, naming, turn)
    if client.rules.lint:
        lint(w, client, message + HEADER, frame.here - HEADER)
    if use.kind == USE_PREPARE:
        return prepare_by_query(w, client, frame, message, use, name, size, &found, turn)
    step = may_execute(w, client, frame, message, naming, &found, turn)
    return execute_by_query(w, client, frame, message, use, name, size, turn) if step == STEP_FORWARD else step


cdef Step may_execute(Worker *w, Client *client, const Frame *frame, const uint8_t *message, const Naming *naming,
                      const Analysis *found, Turn *turn) noexcept nogil:
    """What an EXECUTE may do is what its text shows (there may be CREATE TABLE in front), and its statement."""
    cdef uint32_t effects = found.effects
    cdef Naming *why
    cdef Step step
    suspect(w, client, effects, message + HEADER, frame.here - HEADER)
    if naming != NULL:
        effects |= naming.statement.text.effects
        suspect_text(w, client, naming.statement.text)
    why = refusal(w, client, effects)
    if why != NULL:
        return refuse_run(w, client, why, True, turn)
    step = discard_sequences(w, client, effects, turn)
    if step == STEP_FORWARD:
        note_analysis(w, client, found)
    if step == STEP_FORWARD and naming != NULL:
        note_run(w, client, naming.statement.text)
    return step


cdef bint is_kept(const Worker *w, const Client *client, const NameUse *use, const Naming *naming) noexcept nogil:
    """Is the statement one of those that follow the client, or to be?  (What texts of several statements have prepared
    is at its server alone.)"""
    if naming != NULL or not follows(w, client):
        return naming != NULL
    if use.kind == USE_PREPARE:
        return not names_full(&client.names)
    return use.kind == USE_EXECUTE and not client.sql_prepares


cdef uint32_t name_used(const Frame *frame, const uint8_t *message, const NameUse *use, char *name) noexcept nogil:
    """The statement that the Query is about, into `name`; gives its size, 0: none, or it does not matter."""
    if use == NULL or frame.here < frame.size or message[frame.size - 1] != 0 or use.offset > LARGEST_LEAD:
        return 0
    return 0 if use.kind == USE_DEALLOCATE_ALL else used_name(message + HEADER, use, name)


cdef Step other_query(Worker *w, Client *client, const Frame *frame, const uint8_t *message, const Analysis *found,
                      Turn *turn) noexcept nogil:
    """One that goes on as it came, unless it may not."""
    cdef const uint8_t *text = message + HEADER
    cdef Naming *why
    cdef Step step
    if client.rules.lint:
        lint(w, client, text, frame.here - HEADER)
    suspect(w, client, found.effects, text, frame.here - HEADER)
    why = refusal(w, client, found.effects)
    if why != NULL:
        return refuse_run(w, client, why, True, turn)
    step = discard_sequences(w, client, found.effects, turn)
    if step != STEP_FORWARD:
        return step
    note_analysis(w, client, found)
    if found.effects & EFFECT_EXECUTE:
        note_run_by_name(w, client)
    if found.effects & EFFECT_DEALLOCATE:
        client.server.replies.dropping = True
    return note_change(w, client, EXPECT_QUERY, turn)


# ---- DEALLOCATE of one ---------------------------------------------------------------------------------------------

cdef Step deallocate_at_once(Worker *w, Client *client, Naming *naming) noexcept nogil:
    """The client has no server and nothing under way."""
    naming_drop(names_take(&client.names, naming_name(naming), naming.size))
    forget_unnamed(w, client)
    client.request_us = w.now_us if client.begin == NULL else client.request_us
    return say(w, client, "DEALLOCATE", IDLE if client.begin == NULL else IN_TRANSACTION)


cdef Step deallocate(Worker *w, Client *client, const Frame *frame, Naming *naming, Turn *turn) noexcept nogil:
    """Let PostgreSQL do it under the name it knows; what is owed comes first, so that it is known how things stand."""
    cdef Server *server = client.server
    cdef char[LARGEST_TEXT] text
    cdef Step step = STEP_FORWARD
    if not stage_request(w, client, turn):
        return STEP_GONE
    if shelf_find(&server.shelf, naming.statement, 0) == SHELF_LACKS and server.status != IN_FAILED_TRANSACTION:
        snprintf(text, LARGEST_TEXT, b"PREPARE %s AS SELECT 1", naming.statement.name)
        step = put_query(w, client, text, CHANGE_NONE, NULL, EXPECT_QUERY | EXPECT_SWALLOW, turn)
    if step == STEP_FORWARD:
        snprintf(text, LARGEST_TEXT, b"DEALLOCATE %s", naming.statement.name)
        step = put_query(w, client, text, CHANGE_DEALLOCATE, naming_hold(naming), EXPECT_QUERY, turn)
    server.replies.dropping = True
    server.unnamed_owner = 0
    forget_unnamed(w, client)
    if step == STEP_FORWARD:
        turn.start = turn.pos + frame.size
    return step


cdef Step put_query(Worker *w, Client *client, const char *text, uint8_t change, Naming *naming, uint8_t expected,
                    Turn *turn) noexcept nogil:
    """A Query of ours on the stage."""
    cdef Writer message = staging(w)
    compose_query(&message, text)
    staged(w, &message)
    return note_owed(client, expected, change, naming, turn)


# ---- what came of it -----------------------------------------------------------------------------------------------

cdef void one_dropped(Server *server) noexcept nogil:
    """CommandComplete of a DEALLOCATE; of one of ours?"""
    cdef const Owed *owed = first_owed(&server.replies)
    if owed == NULL or owed.change != CHANGE_DEALLOCATE:
        return
    shelf_remove(&server.shelf, owed.naming.statement)
    if server.client != NULL:
        naming_drop(names_take(&server.client.names, naming_name(owed.naming), owed.naming.size))


cdef void all_dropped(Server *server, bint by_client) noexcept nogil:
    """DEALLOCATE ALL or DISCARD ALL has been run there.  What was sent behind it is still to come."""
    cdef const Owed *owed
    shelf_clear(&server.shelf)
    if by_client:
        names_clear(&server.client.names)
    for i in range(server.replies.count):
        owed = owed_at(&server.replies, i)
        if owed.change == CHANGE_PARSE or owed.change == CHANGE_PREPARE:
            shelf_put(&server.shelf, owed.naming.statement, load_i32(&owed.naming.statement.edition))
        if not by_client:
            continue
        if owed.change == CHANGE_PARSE and not names_put(
                &server.client.names, naming_hold(owed.naming), load_i32(&owed.naming.statement.edition)):
            naming_drop(owed.naming)
        elif owed.change == CHANGE_CLOSE:
            naming_drop(names_take(&server.client.names, naming_name(owed.naming), owed.naming.size))
