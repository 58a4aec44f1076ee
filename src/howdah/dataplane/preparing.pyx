"""Prepared statements on their way: named by the client, kept for it, prepared where they are missing.

A client's named statement has a name of ours at every server, and its messages are forwarded under that; where the
server lacks it, a Parse of ours rides in front.  A client's own Parse always goes to PostgreSQL, so that whatever
there is to complain about is complained about by the one who knows.  What a message changes is taken for done when it
is sent, and taken back (`take_back`) if an error makes the server skip it; what is sent behind a Sync and depends on
it waits for the answer (`stall`).  What has no name is `unnamed`'s.  Called by `relay`.
"""

from libc.stdint cimport int32_t, uint8_t, uint32_t

from howdah.cdefs.atomics cimport add_i32, load_i32, relaxed_add_u64
from howdah.dataplane.buffers cimport block_drop
from howdah.dataplane.curing cimport may_begin_group
from howdah.dataplane.descriptions cimport goes_by_description, is_outdated, type_behind
from howdah.dataplane.linking cimport forward_with, get_server, note_owed
from howdah.dataplane.linting cimport lint
from howdah.dataplane.meanings cimport as_of_now, statement_for
from howdah.dataplane.noting cimport look_at, note_effects, note_run_of_left, running_what_is_left
from howdah.dataplane.parties cimport (
    LARGEST_KEPT,
    PIN_NAMED_STATEMENT,
    PIN_SESSION_MODE,
    READ_SIZE,
    UNNAMED_KEPT,
    UNNAMED_NONE,
    Client,
    Server,
    Worker,
)
from howdah.dataplane.refusing cimport refusal, refusal_of, refuse_run
from howdah.dataplane.reply_queue cimport (
    CHANGE_CLOSE,
    CHANGE_EVICT,
    CHANGE_LENT,
    CHANGE_NONE,
    CHANGE_PARSE,
    CHANGE_PREPARE,
    CHANGE_UNNAMED,
    CHANGE_UNNAMED_KEPT,
    EXPECT_BIND,
    EXPECT_CLOSE,
    EXPECT_DESCRIBE,
    EXPECT_PARSE,
    Owed,
    all_replied,
    names_unsure,
)
from howdah.dataplane.routes cimport SESSION_MODE
from howdah.dataplane.pinning cimport pin
from howdah.dataplane.providing cimport make_way, not_prepared, prepare_where_missing, put_describe
from howdah.dataplane.sequences cimport discard_sequences
from howdah.dataplane.settling cimport must_settle
from howdah.dataplane.sql_prepared cimport parse_with_statement, provide_executed, run_by_parse
from howdah.dataplane.statements cimport (
    names_find,
    names_full,
    names_put,
    names_take,
    shelf_remove,
)
from howdah.dataplane.suspects cimport suspect, suspect_text, suspect_unnamed
from howdah.dataplane.texts cimport (
    LARGEST_NAME,
    Naming,
    Statement,
    Text,
    is_older,
    is_ours,
    naming_drop,
    naming_hold,
    naming_name,
    naming_new,
    nowhere,
    outdated,
    statement_drop,
    taken,
    text_settings,
)
from howdah.dataplane.turn cimport (
    STEP_DROP,
    STEP_FORWARD,
    STEP_GONE,
    STEP_MORE,
    STEP_REFUSE,
    STEP_WAIT,
    Step,
    Turn,
    answer,
    refuse,
    stage_bytes,
    stage_request,
    staged,
    staging,
)
from howdah.dataplane.unnamed cimport (
    forget_unnamed,
    next_change,
    note_change,
    parse_unnamed,
    unnamed_back,
    unnamed_unsure,
    use_unnamed,
)
from howdah.sql.effects cimport EFFECT_DEALLOCATE, EFFECT_PREPARE, Analysis
from howdah.wire cimport tags
from howdah.wire.bytes cimport Writer
from howdah.wire.compose cimport compose_bare
from howdah.wire.extended cimport (
    MENTION_CUT,
    MENTION_STATEMENT,
    Mention,
    MentionVerdict,
    bind_mention,
    compose_renamed,
    parse_mention,
    target_mention,
)
from howdah.wire.frame cimport Frame

from howdah.reasons import NUMBERS

cdef enum:
    HEADER = 5

cdef int MESSAGE_MALFORMED = NUMBERS["message_malformed"]
cdef int OUT_OF_MEMORY = NUMBERS["out_of_memory"]
cdef int TOO_MANY_REPLIES = NUMBERS["pipeline_too_long"]


# ---- the client's messages -----------------------------------------------------------------------------------------

cdef Step parse(Worker *w, Client *client, const Frame *frame, const uint8_t *message, Turn *turn) noexcept nogil:
    cdef Mention mention
    cdef Analysis found
    cdef int32_t *edition
    cdef Step step
    if parse_mention(message, frame.here, &mention) == MENTION_CUT:
        return cut_short(w, client, frame, EXPECT_PARSE, turn)
    if mention.end > READ_SIZE:
        return refuse(turn, MESSAGE_MALFORMED)  # there is no room to say it otherwise
    if frame.here < frame.size <= LARGEST_KEPT:
        return STEP_MORE
    look_at(client, message + mention.end, frame.here - mention.end, &found)
    step = get_server(w, client, found.effects, turn)
    if step != STEP_FORWARD or client.server.replies.skipping:
        return step
    if mention.size == 0:
        return parse_nameless(w, client, frame, message, &mention, &found, turn)
    if must_wait(client):
        return stall(w, client, turn)
    if names_find(&client.names, mention.name, mention.size, &edition) != NULL:
        return parse_again(w, client, frame, message, &mention, turn)
    lint_parse(w, client, frame, message, &mention)
    if not follows(w, client) or frame.size > LARGEST_KEPT or names_full(&client.names):
        return parse_at_server(w, client, frame, message, &mention, found.effects, turn)
    return parse_named(w, client, frame, message, &mention, &found, turn)


cdef Step parse_nameless(Worker *w, Client *client, const Frame *frame, const uint8_t *message, const Mention *mention,
                         const Analysis *found, Turn *turn) noexcept nogil:
    """The unnamed statement's; where it is to run one that was prepared by SQL, under the name that has at servers."""
    cdef int32_t *edition = NULL
    cdef Naming *named = run_by_parse(client, frame, message, mention, found, &edition)
    cdef Step step
    if named != NULL and must_wait(client):
        return stall(w, client, turn)
    if named != NULL:
        return parse_with_statement(w, client, frame, message, mention, found, named, edition[0], turn)
    lint_parse(w, client, frame, message, mention)
    step = discard_sequences(w, client, found.effects, turn)
    return parse_unnamed(w, client, frame, message, found, turn) if step == STEP_FORWARD else step


cdef Step bind(Worker *w, Client *client, const Frame *frame, const uint8_t *message, Turn *turn) noexcept nogil:
    cdef Mention mention
    if bind_mention(message, frame.here, &mention) == MENTION_CUT:
        return cut_short(w, client, frame, EXPECT_BIND, turn)
    if mention.end > READ_SIZE:
        return refuse(turn, MESSAGE_MALFORMED)  # there is no room to say it otherwise
    if (mention.size and frame.size <= READ_SIZE and turn.pos + frame.size == turn.size
            and (client.server == NULL or all_replied(&client.server.replies))):
        return STEP_MORE  # what is behind it may matter, and without that it is answered by nothing (but in a copy)
    return use(w, client, frame, message, &mention, EXPECT_BIND, turn)


cdef Step describe(Worker *w, Client *client, const Frame *frame, const uint8_t *message, Turn *turn) noexcept nogil:
    cdef Mention mention
    cdef MentionVerdict said = target_mention(message, frame.here, &mention)
    if said == MENTION_CUT:
        return cut_short(w, client, frame, EXPECT_DESCRIBE, turn)
    if said != MENTION_STATEMENT:
        return forward_with(w, client, EXPECT_DESCRIBE, CHANGE_NONE, turn)
    if mention.end > READ_SIZE:
        return refuse(turn, MESSAGE_MALFORMED)  # there is no room to say it otherwise
    return use(w, client, frame, message, &mention, EXPECT_DESCRIBE, turn)


cdef Step close_target(Worker *w, Client *client, const Frame *frame, const uint8_t *message,
                       Turn *turn) noexcept nogil:
    """Close: a statement of the client's stays at the server, for others; only the name goes."""
    cdef Mention mention
    cdef MentionVerdict said = target_mention(message, frame.here, &mention)
    if said == MENTION_CUT:
        return cut_short(w, client, frame, EXPECT_CLOSE, turn)
    if said != MENTION_STATEMENT:
        return forward_with(w, client, EXPECT_CLOSE, CHANGE_NONE, turn)
    if mention.end > READ_SIZE:
        return refuse(turn, MESSAGE_MALFORMED)  # there is no room to say it otherwise
    if client.server == NULL and frame.here == frame.size == mention.end:
        return close_at_once(w, client, &mention)
    return close_statement(w, client, frame, message, &mention, turn)


cdef Step cut_short(Worker *w, Client *client, const Frame *frame, uint8_t expected, Turn *turn) noexcept nogil:
    """The name is still to come.  A whole message without one is for PostgreSQL to complain about; part of one must not
    get there: what it is about would go unnoticed."""
    if frame.here == frame.size:
        return forward_with(w, client, expected, CHANGE_NONE, turn)
    return STEP_MORE if frame.here < READ_SIZE else refuse(turn, MESSAGE_MALFORMED)


# ---- waiting for answers -------------------------------------------------------------------------------------------

cdef bint must_wait(const Client *client) noexcept nogil:
    """Does it depend on answers still to come what the client's names mean?  (In the middle of a copy in nothing would
    come until the client goes on.)"""
    return names_unsure(&client.server.replies) and not client.server.replies.copying_in


cdef Step stall(Worker *w, Client *client, Turn *turn) noexcept nogil:
    """Deal with the message at hand later; see that the answers come, also where the client has sent no Sync, or one
    that a copy will ignore."""
    cdef Writer message
    client.stalled = True
    if not stage_request(w, client, turn):
        return STEP_GONE
    message = staging(w)
    compose_bare(&message, tags.FLUSH)
    staged(w, &message)
    return STEP_WAIT


# ---- named statements ----------------------------------------------------------------------------------------------

cdef bint follows(const Worker *w, const Client *client) noexcept nogil:
    """Do the client's named statements follow it from server to server, or are they the server's own?"""
    return (load_i32(&client.pool.mode) != SESSION_MODE and w.plan.max_prepared_statements > 0
            and not client.server.pins & (PIN_NAMED_STATEMENT | PIN_SESSION_MODE))


cdef Step parse_at_server(Worker *w, Client *client, const Frame *frame, const uint8_t *message,
                          const Mention *mention, uint32_t effects, Turn *turn) noexcept nogil:
    """A named statement that cannot follow: the client keeps its server as long as that exists, if it may."""
    cdef Naming *why
    if client.server.pooled.dedicated:
        client.server.pins |= PIN_NAMED_STATEMENT
    elif not client.server.pins & (PIN_NAMED_STATEMENT | PIN_SESSION_MODE):
        suspect(w, client, EFFECT_PREPARE, message + mention.end, frame.here - mention.end)
        why = refusal_of(w, client, PIN_NAMED_STATEMENT)
        if why != NULL:
            return refuse_run(w, client, why, False, turn)
        client.effects |= EFFECT_DEALLOCATE  # for how long, the server is asked
        if client.server.status == tags.IN_FAILED_TRANSACTION:
            client.server.pins |= PIN_NAMED_STATEMENT  # or whether: it counts when that is known
        else:
            pin(w, client, PIN_NAMED_STATEMENT)
    client.left_effects |= effects
    return note_owed(client, EXPECT_PARSE, CHANGE_NONE, NULL, turn)


cdef void lint_parse(Worker *w, Client *client, const Frame *frame, const uint8_t *message,
                     const Mention *mention) noexcept nogil:
    if client.rules.lint:
        lint(w, client, message + mention.end, frame.here - mention.end)


cdef Step renamed(Worker *w, Client *client, const Frame *frame, const uint8_t *message, const Mention *mention,
                  const Statement *statement, Naming *naming, uint8_t expected, uint8_t change,
                  Turn *turn) noexcept nogil:
    """Forward the message under the name that `statement` has at servers.  The hold on `naming` is taken over."""
    cdef Writer head
    cdef Step step
    if not stage_request(w, client, turn):
        naming_drop(naming)
        return STEP_GONE
    step = note_owed(client, expected, change, naming, turn)
    if step == STEP_FORWARD:
        head = staging(w)
        compose_renamed(&head, message, frame.size, mention, statement.name, statement.name_size)
        staged(w, &head)
        turn.start = turn.pos + mention.end
    return step


cdef Step parse_named(Worker *w, Client *client, const Frame *frame, const uint8_t *message, const Mention *mention,
                      const Analysis *found, Turn *turn) noexcept nogil:
    """A new name.  The text is analysed anew even where the server has it: what it means may have changed, and from
    now on this client wants it nowhere in an older sense."""
    cdef uint32_t size = frame.size - mention.end
    cdef Statement *statement = statement_for(w, client, message + mention.end, size, found)
    cdef Naming *naming = naming_new(mention.name, mention.size, statement) if statement != NULL else NULL
    cdef int32_t edition
    cdef Step step
    statement_drop(statement)
    if naming == NULL:
        return refuse(turn, OUT_OF_MEMORY)
    edition = add_i32(&statement.edition, 1)
    if not names_put(&client.names, naming_hold(naming), edition):
        naming_drop(naming)
        naming_drop(naming)
        return refuse(turn, OUT_OF_MEMORY)
    step = make_way(w, client, statement, edition, turn)
    if step == STEP_FORWARD:
        relaxed_add_u64(&client.pool.tallies[w.index].client_parses, 1)
        relaxed_add_u64(&client.pool.tallies[w.index].server_parses, 1)
        step = renamed(w, client, frame, message, mention, statement, naming, EXPECT_PARSE, CHANGE_PARSE, turn)
        if step == STEP_FORWARD and statement.shape and type_behind(frame, turn) != tags.DESCRIBE:
            step = describe_behind(w, client, frame, message, mention, naming, turn)
    else:
        naming_drop(naming)
    return step if step != STEP_REFUSE else not_prepared(client, statement)


cdef Step describe_behind(Worker *w, Client *client, const Frame *frame, const uint8_t *message,
                          const Mention *mention, Naming *naming, Turn *turn) noexcept nogil:
    """Ask what the statement takes and gives now: what is known may be of a time before this Parse, and to take the
    difference for a later change would tell this client of one that it has not missed."""
    if not stage_bytes(w, client, message + mention.end, frame.size - mention.end):
        return STEP_GONE
    turn.start = turn.pos + frame.size
    return put_describe(w, client, naming, turn)


cdef Step parse_again(Worker *w, Client *client, const Frame *frame, const uint8_t *message, const Mention *mention,
                      Turn *turn) noexcept nogil:
    """A name that the client has already: PostgreSQL is to say so, if the text does not have another fault."""
    cdef Naming *naming = naming_new(mention.name, mention.size, taken())
    cdef Step step
    if naming == NULL:
        return refuse(turn, OUT_OF_MEMORY)
    step = prepare_where_missing(w, client, naming, 0, turn)
    if step != STEP_FORWARD:
        naming_drop(naming)
        return step
    return renamed(w, client, frame, message, mention, taken(), naming, EXPECT_PARSE, CHANGE_NONE, turn)


cdef Step use(Worker *w, Client *client, const Frame *frame, const uint8_t *message, const Mention *mention,
              uint8_t expected, Turn *turn) noexcept nogil:
    """Bind or Describe of a statement."""
    cdef Naming *naming
    cdef Naming *why = NULL
    cdef int32_t *edition
    cdef uint32_t effects = effects_run(client, mention) if expected == EXPECT_BIND and client.ear != NULL else 0
    cdef Step step = get_server(w, client, effects, turn)
    if step != STEP_FORWARD or client.server.replies.skipping:
        return step
    if mention.size == 0 and (unnamed_unsure(client) or must_settle(client, client.unnamed_effects)):
        return stall(w, client, turn)
    if mention.size == 0 and client.unnamed_executes and client.unnamed == UNNAMED_KEPT:
        step = provide_executed(w, client, turn)
        if step != STEP_FORWARD:
            return step
    if mention.size == 0:
        if expected == EXPECT_BIND and client.unnamed != UNNAMED_NONE:
            suspect_unnamed(w, client)
            why = refusal(w, client, client.unnamed_effects)
        return use_unnamed(w, client, expected, turn) if why == NULL else refuse_run(w, client, why, False, turn)
    if must_wait(client):
        return stall(w, client, turn)
    naming = names_find(&client.names, mention.name, mention.size, &edition)
    if naming == NULL and is_the_servers(w, client, mention):
        return use_at_server(w, client, expected, turn)
    if naming == NULL:
        return point_to(w, client, frame, message, mention, nowhere(), expected, turn)
    if expected == EXPECT_BIND and must_settle(client, naming.statement.text.effects):
        return stall(w, client, turn)
    naming = as_of_now(w, client, naming, &edition)
    if naming == NULL:
        return refuse(turn, OUT_OF_MEMORY)
    if expected == EXPECT_DESCRIBE:
        edition[0] = load_i32(&naming.statement.edition)  # the client will know it as it is now
    elif is_outdated(naming.statement, edition[0]) and trusts(client, frame, message, mention, turn):
        return point_to(w, client, frame, message, mention, outdated(), expected, turn)
    if expected == EXPECT_BIND:
        suspect_text(w, client, naming.statement.text)
        why = refusal(w, client, naming.statement.text.effects)
        if why != NULL:
            return refuse_run(w, client, why, False, turn)
        step = discard_sequences(w, client, naming.statement.text.effects, turn)
        if step != STEP_FORWARD:
            return step
    may_begin_group(w, client)
    naming = called(naming, mention)
    if naming == NULL:
        return refuse(turn, OUT_OF_MEMORY)
    step = prepare_where_missing(w, client, naming, edition[0], turn)
    if (step == STEP_FORWARD and expected == EXPECT_BIND and client.server.replies.describing
            and is_older(edition[0], load_i32(&naming.statement.edition))
            and trusts(client, frame, message, mention, turn)):
        step = stall(w, client, turn)  # is it still what the client knows?
    if step != STEP_FORWARD:
        naming_drop(naming)
        return step
    if expected == EXPECT_BIND:
        relaxed_add_u64(&client.pool.tallies[w.index].binds, 1)
        note_run(w, client, naming.statement.text)
    return renamed(w, client, frame, message, mention, naming.statement, naming, expected, CHANGE_NONE, turn)


cdef Step use_at_server(Worker *w, Client *client, uint8_t expected, Turn *turn) noexcept nogil:
    """The same of one that may be the server's own."""
    if expected == EXPECT_BIND:
        if must_settle(client, running_what_is_left(client)):
            return stall(w, client, turn)
        note_run_of_left(w, client)
    return note_owed(client, expected, CHANGE_NONE, NULL, turn)


cdef uint32_t effects_run(const Client *client, const Mention *mention) noexcept nogil:
    """Of the statement that a Bind names."""
    cdef int32_t *edition
    cdef Naming *naming
    if mention.size == 0:
        return client.unnamed_effects
    naming = names_find(&client.names, mention.name, mention.size, &edition)
    return naming.statement.text.effects if naming != NULL else 0


cdef void note_run(Worker *w, Client *client, const Text *text) noexcept nogil:
    """A statement is about to be run."""
    note_effects(w, client, text.effects, text_settings(text), text.settings_size)
    if text.effects & EFFECT_DEALLOCATE:
        client.server.replies.dropping = True


cdef bint trusts(const Client *client, const Frame *frame, const uint8_t *message, const Mention *mention,
                 const Turn *turn) noexcept nogil:
    """Would this Bind run as the client was once told?  (In a failed transaction it would not run.)"""
    return (client.server.status != tags.IN_FAILED_TRANSACTION
            and goes_by_description(frame, message, mention, turn))


cdef bint is_the_servers(const Worker *w, const Client *client, const Mention *mention) noexcept nogil:
    """May a name that is not among the client's be one that the server has for it alone?  (Otherwise the server may
    have it from another client.)"""
    return not follows(w, client) or (client.sql_prepares and not is_ours(mention.name, mention.size))


cdef Step point_to(Worker *w, Client *client, const Frame *frame, const uint8_t *message, const Mention *mention,
                   Statement *special, uint8_t expected, Turn *turn) noexcept nogil:
    """Forward the message so that it fails in its place, about something that no server has."""
    cdef Naming *naming = naming_new(mention.name, mention.size, special)
    if naming == NULL:
        return refuse(turn, OUT_OF_MEMORY)
    return renamed(w, client, frame, message, mention, special, naming, expected, CHANGE_NONE, turn)


cdef Naming *called(Naming *naming, const Mention *mention) noexcept nogil:
    """The naming, held, as the message at hand has it: of long names only the beginning counts, but PostgreSQL's
    errors show all of it."""
    if mention.size <= LARGEST_NAME:
        return naming_hold(naming)
    return naming_new(mention.name, mention.size, naming.statement)


cdef Step close_at_once(Worker *w, Client *client, const Mention *mention) noexcept nogil:
    """The client has no server and nothing under way: there is nobody to ask."""
    cdef const char *closed = b"3\x00\x00\x00\x04"
    if mention.size == 0:
        forget_unnamed(w, client)
    else:
        naming_drop(names_take(&client.names, mention.name, mention.size))
    return STEP_DROP if answer(w, client, closed, HEADER) else STEP_GONE


cdef Step close_statement(Worker *w, Client *client, const Frame *frame, const uint8_t *message,
                          const Mention *mention, Turn *turn) noexcept nogil:
    """PostgreSQL answers it in its turn, for a name that it does not know."""
    cdef Naming *naming
    cdef Step step = get_server(w, client, 0, turn)
    if step != STEP_FORWARD or client.server.replies.skipping:
        return step
    if mention.size == 0:
        return note_change(w, client, EXPECT_CLOSE, turn)
    if must_wait(client):
        return stall(w, client, turn)
    naming = names_take(&client.names, mention.name, mention.size)
    if naming == NULL and is_the_servers(w, client, mention):
        note_effects(w, client, EFFECT_DEALLOCATE, NULL, 0)
        return note_owed(client, EXPECT_CLOSE, CHANGE_NONE, NULL, turn)
    return renamed(w, client, frame, message, mention, nowhere(), naming, EXPECT_CLOSE,
                   CHANGE_NONE if naming == NULL else CHANGE_CLOSE, turn)


# ---- what came of it -----------------------------------------------------------------------------------------------

cdef void take_back(Worker *w, Server *server, Owed *owed, bint failed) noexcept nogil:
    """A message was skipped by the server, or is the one that `failed`: what was taken for done is not.  The hold on
    its naming is dropped."""
    cdef Client *client = server.client
    cdef Naming *naming = owed.naming
    if owed.change == CHANGE_PARSE or owed.change == CHANGE_PREPARE:
        shelf_remove(&server.shelf, naming.statement)
    elif owed.change == CHANGE_EVICT:
        server.evictions_lost += 1
    elif owed.change == CHANGE_LENT and next_change(server) == NULL:
        server.unnamed_owner = 0
    if client != NULL:
        if owed.change == CHANGE_PARSE:
            naming_drop(names_take(&client.names, naming_name(naming), naming.size))
        elif owed.change == CHANGE_CLOSE and names_put(
                &client.names, naming, load_i32(&naming.statement.edition)):
            return
        elif CHANGE_UNNAMED <= owed.change <= CHANGE_UNNAMED_KEPT:
            unnamed_back(w, server, owed, failed)
    block_drop(&w.slab, &owed.before)
    naming_drop(naming)
