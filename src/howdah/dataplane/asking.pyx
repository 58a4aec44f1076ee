"""After a transaction that may have changed the session, the server is asked what has become of it.

What texts may do is noted as they are sent (`note_effects`).  When the transaction is over and something is noted, one
question goes to the server while the client still has it; the answer says which settings are the client's from now on
and what keeps the server (pins).  Rollbacks, savepoints and functions need no case of their own: PostgreSQL is asked,
not guessed.  Called by `linking` and `relay`, and by the modules that send texts.
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t
from libc.string cimport strchr, strcmp, strlen

from howdah.cdefs.atomics cimport load_i32, store_i32
from howdah.dataplane.buffers cimport Block, block_data, block_drop, hold_more
from howdah.dataplane.mailbox cimport tell_client
from howdah.dataplane.parties cimport (
    CLIENT_ACTIVE,
    PIN_CURSOR,
    PIN_LISTEN,
    PIN_LOAD,
    PIN_LOCK,
    PIN_NAMED_STATEMENT,
    PIN_SEED,
    PIN_SEQUENCE,
    PIN_SESSION_MODE,
    PIN_TEMP,
    PIN_UNKNOWN,
    UNNAMED_THERE,
    Client,
    Server,
    Worker,
)
from howdah.dataplane.recycle cimport send_to_server
from howdah.dataplane.reply_queue cimport EXPECT_QUERY, EXPECT_SWALLOW, all_replied, ends_with_ready, expect
from howdah.dataplane.routes cimport CHECK_ALWAYS, CHECK_OFF, SEQUENCES_LEARN, SEQUENCES_PIN
from howdah.dataplane.session_state cimport (
    Draft,
    Settings,
    draft_from,
    draft_remove,
    draft_set,
    same_name,
    settings_data,
    settings_drop,
    settings_hold,
    settings_new,
    settings_value,
    write_literal,
    write_text,
)
from howdah.dataplane.settling cimport settle_now
from howdah.dataplane.turn cimport LARGEST_STAGED
from howdah.sql.effects cimport (
    EFFECT_ANYTHING,
    EFFECT_BEGINS,
    EFFECT_CURSOR,
    EFFECT_DEALLOCATE,
    EFFECT_DISCARD,
    EFFECT_ENDS,
    EFFECT_EXECUTE,
    EFFECT_LISTEN,
    EFFECT_LOAD,
    EFFECT_LOCK,
    EFFECT_NUMBERS,
    EFFECT_PREPARE,
    EFFECT_ROLE,
    EFFECT_SEED,
    EFFECT_SEQUENCE,
    EFFECT_SETTING,
    EFFECT_SETTINGS,
    EFFECT_SEVERAL,
    EFFECT_TEMP,
    Analysis,
)
from howdah.wire cimport tags
from howdah.wire.bytes cimport (
    Reader,
    Writer,
    begin_message,
    end_message,
    read_bytes,
    read_u16,
    read_u32,
    reader,
    write_u8,
    writer,
)
from howdah.wire.compose cimport compose_parameter_status, compose_query, compose_ready
from howdah.wire.startup cimport next_parameter

from howdah.dataplane.rows import EventKind
from howdah.reasons import NUMBERS

cdef enum:
    HEADER = 5
    MOST_NOTED = 4096  # bytes of names of settings; with more, all settings are asked for
    NO_VALUE = 0xFFFFFFFF
    # These leave nothing that a question would find.
    NOT_ASKED = EFFECT_BEGINS | EFFECT_ENDS | EFFECT_SEVERAL | EFFECT_EXECUTE | EFFECT_SEQUENCE | EFFECT_NUMBERS
    ALL_SETTINGS = EFFECT_SETTINGS | EFFECT_ROLE | EFFECT_DISCARD | EFFECT_ANYTHING

# What keeps a server, what may have to do with it, the word for it in the answer, and how it is found out.
cdef struct Reason:
    uint16_t pin
    uint32_t effects
    const char *word
    const char *condition
    int number  # in howdah.reasons

cdef enum:
    REASONS = 5

cdef Reason[REASONS] reasons
reasons[0] = Reason(
    PIN_TEMP, EFFECT_TEMP, b"temp",
    b"EXISTS(SELECT FROM pg_catalog.pg_depend WHERE refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_namespace'::"
    b"pg_catalog.regclass AND refobjid OPERATOR(pg_catalog.=) pg_catalog.pg_my_temp_schema())",
    NUMBERS["pin_temporary_object"])
reasons[1] = Reason(
    PIN_CURSOR, EFFECT_CURSOR, b"cursor", b"EXISTS(SELECT FROM pg_catalog.pg_cursors WHERE is_holdable)",
    NUMBERS["pin_holdable_cursor"])
reasons[2] = Reason(
    PIN_LOCK, EFFECT_LOCK, b"lock",
    b"EXISTS(SELECT FROM pg_catalog.pg_locks WHERE locktype OPERATOR(pg_catalog.=) 'advisory' AND pid "
    b"OPERATOR(pg_catalog.=) pg_catalog.pg_backend_pid())",
    NUMBERS["pin_advisory_lock"])
reasons[3] = Reason(
    PIN_LISTEN, EFFECT_LISTEN, b"listen", b"EXISTS(SELECT FROM pg_catalog.pg_listening_channels())",
    NUMBERS["pin_listen"])
reasons[4] = Reason(
    PIN_NAMED_STATEMENT, EFFECT_PREPARE | EFFECT_DEALLOCATE, b"prepare",
    b"EXISTS(SELECT FROM pg_catalog.pg_prepared_statements WHERE NOT pg_catalog.starts_with(name, 'howdah_'))",
    NUMBERS["pin_named_statement"])

cdef uint8_t EVENT_PIN = EventKind.PIN
cdef int PINNED_LOAD = NUMBERS["pin_load"]
cdef int PINNED_SEQUENCE = NUMBERS["pin_sequence"]
cdef int PINNED_SEED = NUMBERS["pin_random_seed"]
cdef int PINNED_UNKNOWN = NUMBERS["pin_unknown"]


# ---- what has been sent --------------------------------------------------------------------------------------------

cdef bint follows_client(const Client *client) noexcept nogil:
    """Is it a session that goes from server to server?  (Otherwise the server is the client's own until it leaves.)"""
    return not (client.server.pins & PIN_SESSION_MODE or client.server.pooled.dedicated)


cdef void note_effects(Worker *w, Client *client, uint32_t effects, const char *names, uint32_t size) noexcept nogil:
    """A text with these effects goes to the client's server; `names`: of settings, each with its NUL."""
    cdef const char *at = names
    if effects & (EFFECT_NUMBERS | EFFECT_SEQUENCE | EFFECT_ANYTHING):
        note_sequences(w, client, effects)
    if w.plan.session_check == CHECK_ALWAYS:
        effects |= EFFECT_ANYTHING
    elif w.plan.session_check == CHECK_OFF:
        effects &= ~<uint32_t>EFFECT_ANYTHING
    if effects & ~<uint32_t>NOT_ASKED == 0 or not follows_client(client):
        return
    client.effects |= effects & ~<uint32_t>NOT_ASKED
    while at < names + size:
        note_setting(w, client, at)
        at += strlen(at) + 1


cdef void undone(Client *client) noexcept nogil:
    """Something has failed or was rolled back: a setting that was to be changed may have the server's own value, and
    only the list of all says whether it has."""
    if client.effects & EFFECT_SETTING:
        client.effects |= EFFECT_SETTINGS


cdef void note_sequences(Worker *w, Client *client, uint32_t effects) noexcept nogil:
    """Numbers that the client takes keep the server where it may ask for them again: nothing tells what a session
    remembers of them, and nothing but the session itself has it."""
    cdef uint8_t mode = w.plan.session_sequences
    if effects & EFFECT_SEQUENCE and not load_i32(&client.pool.sequences):
        store_i32(&client.pool.sequences, True)
    if mode == SEQUENCES_PIN:
        client.numbers = client.numbers or effects & (EFFECT_NUMBERS | EFFECT_ANYTHING)
    elif mode == SEQUENCES_LEARN and effects & EFFECT_NUMBERS and load_i32(&client.pool.sequences):
        client.numbers = True


cdef void sequences_discarded(Client *client) noexcept nogil:
    client.numbers = False
    client.server.pins &= ~<uint16_t>PIN_SEQUENCE


cdef void setting_reported(Client *client, const char *name) noexcept nogil:
    """PostgreSQL has told of a change; was it the text that was sent, or something inside a function?"""
    if not is_noted(client, name):
        client.effects |= EFFECT_SETTINGS


cdef void note_analysis(Worker *w, Client *client, const Analysis *found) noexcept nogil:
    note_effects(w, client, found.effects, NULL, 0)
    client.resets = client.resets or (may_reset(found) and client.first_settings.count and follows_client(client))
    for i in range(found.setting_count):
        note_setting(w, client, found.settings[i].name)


cdef bint may_reset(const Analysis *found) noexcept nogil:
    """Does it take settings back, as far as can be seen, to what they were at login?"""
    if found.effects & (EFFECT_SETTINGS | EFFECT_DISCARD):
        return True
    for i in range(found.setting_count):
        if found.settings[i].reset:
            return True
    return False


cdef bint hold_settings(Worker *w, Block **held, const Analysis *found) noexcept nogil:
    """Keep the names of the settings, each with its NUL; False: out of memory."""
    for i in range(found.setting_count):
        if not hold_more(&w.slab, held, found.settings[i].name, found.settings[i].size + 1):
            return False
    return True


cdef void note_setting(Worker *w, Client *client, const char *name) noexcept nogil:
    """This setting may not be what it was.  (What the client has logged in with may have been reset to that, which a
    value does not tell.)"""
    cdef size_t size = strlen(name) + 1
    if not follows_client(client):
        return
    client.effects |= EFFECT_SETTING
    if settings_value(client.first_settings, name) != NULL:
        client.effects |= EFFECT_SETTINGS
    if is_noted(client, name):
        return
    if (client.noted != NULL and client.noted.end + size > MOST_NOTED) or not hold_more(
            &w.slab, &client.noted, name, size):
        client.effects |= EFFECT_SETTINGS


cdef bint is_noted(const Client *client, const char *name) noexcept nogil:
    cdef const char *at
    cdef const char *end
    if client.noted == NULL:
        return False
    at = <const char *>block_data(client.noted)
    end = at + client.noted.end
    while at < end:
        if same_name(at, name):
            return True
        at += strlen(at) + 1
    return False


cdef void pin_sequences(Worker *w, Client *client) noexcept nogil:
    """The transaction is over."""
    if client.numbers and follows_client(client):
        pin(w, client, PIN_SEQUENCE, PINNED_SEQUENCE)


cdef bint is_over(const Client *client) noexcept nogil:
    """Is the transaction over, and nothing of the client's on its way?"""
    cdef const Server *server = client.server
    return (server.status == tags.IDLE and client.state == CLIENT_ACTIVE and client.remain == 0
            and all_replied(&server.replies) and ends_with_ready(&server.replies)
            and not server.pins & PIN_UNKNOWN)


cdef bint must_ask(const Client *client) noexcept nogil:
    """Not while the server has an unnamed statement that the client may still use: a Query would end it."""
    return client.effects != 0 and follows_client(client) and client.unnamed != UNNAMED_THERE


# ---- the question --------------------------------------------------------------------------------------------------

cdef void ask_session(Worker *w, Server *server) noexcept nogil:
    """Its answer comes in rows of a name and a value."""
    cdef Client *client = server.client
    cdef uint8_t[LARGEST_STAGED] data
    cdef Writer message = writer(data, sizeof(data))
    cdef size_t mark = begin_message(&message, tags.QUERY)
    cdef bint first = True
    write_text(&message, "BEGIN ISOLATION LEVEL READ COMMITTED;")
    if client.effects & ALL_SETTINGS:
        next_part(&message, &first)
        write_text(
            &message, "SELECT name,pg_catalog.current_setting(name,true) FROM pg_catalog.pg_settings WHERE source "
            "OPERATOR(pg_catalog.=) 'session' AND NOT name OPERATOR(pg_catalog.=) ANY "
            "('{transaction_isolation,transaction_read_only,transaction_deferrable}')")
    if client.effects & (ALL_SETTINGS | EFFECT_SETTING):
        ask_names(&message, client, &first)
    for i in range(REASONS):
        if client.effects & (reasons[i].effects | EFFECT_DISCARD | EFFECT_ANYTHING):
            next_part(&message, &first)
            write_text(&message, "SELECT '',")
            write_literal(&message, reasons[i].word)
            write_text(&message, " WHERE ")
            write_text(&message, reasons[i].condition)
    if first:
        write_text(&message, "SELECT")
    write_text(&message, ";COMMIT")
    write_u8(&message, 0)
    end_message(&message, mark)
    if not message.ok or not expect(&server.replies, EXPECT_QUERY | EXPECT_SWALLOW):
        server.overflowed = True
        return
    server.asking = True
    client.query_us = w.now_us  # limits of time are about what the client asks for
    server.unnamed_owner = 0  # a Query ends it
    send_to_server(w, server, data, message.used)


cdef void next_part(Writer *message, bint *first) noexcept nogil:
    if not first[0]:
        write_text(message, " UNION ALL ")
    first[0] = False


cdef void ask_names(Writer *message, const Client *client, bint *first) noexcept nogil:
    """The settings that were noted; and those that PostgreSQL does not list, where all are asked for: who the session
    is, and what applications have set under names of their own."""
    cdef const char *at = NULL
    cdef const char *end = NULL
    cdef const char *value
    if client.noted != NULL:
        at = <const char *>block_data(client.noted)
        end = at + client.noted.end
    while at < end:
        if not client.effects & ALL_SETTINGS or not is_listed(at):
            ask_name(message, at, client, first)
        at += strlen(at) + 1
    if not client.effects & ALL_SETTINGS:
        return
    ask_unless_noted(message, "role", client, first)
    ask_unless_noted(message, "session_authorization", client, first)
    at = settings_data(client.settings)
    for _ in range(client.settings.count):
        value = at + strlen(at) + 1
        if not is_listed(at):
            ask_unless_noted(message, at, client, first)
        at = value + strlen(value) + 1


cdef bint is_listed(const char *name) noexcept nogil:
    """Is it in pg_settings?  (Its list says also which ones have been reset, which a value alone does not.)"""
    return strchr(name, c".") == NULL and not (same_name(name, "role") or same_name(name, "session_authorization"))


cdef void ask_unless_noted(Writer *message, const char *name, const Client *client, bint *first) noexcept nogil:
    if not is_noted(client, name):
        ask_name(message, name, client, first)


cdef void ask_name(Writer *message, const char *name, const Client *client, bint *first) noexcept nogil:
    """No value: the session has none of its own."""
    cdef const char *none = NULL
    next_part(message, first)
    if same_name(name, "role"):
        none = b"none"
    elif same_name(name, "session_authorization"):
        none = client.pool.server_user
    write_text(message, "SELECT ")
    write_literal(message, name)
    write_text(message, ",NULLIF(" if none != NULL else ",")
    write_text(message, "pg_catalog.current_setting(")
    write_literal(message, name)
    write_text(message, ",true)")
    if none != NULL:
        write_u8(message, c",")
        write_literal(message, none)
        write_u8(message, c")")


# ---- the answer ----------------------------------------------------------------------------------------------------

cdef void session_row(Worker *w, Server *server, const uint8_t *message, uint32_t size) noexcept nogil:
    """A DataRow of the answer: kept as two strings, or left out where there is no value."""
    cdef Reader r = reader(message + HEADER, size - HEADER)
    cdef const uint8_t *name
    cdef const uint8_t *value
    cdef uint32_t name_size
    cdef uint32_t value_size
    read_u16(&r)
    name_size = read_u32(&r)
    name = read_bytes(&r, name_size)
    value_size = read_u32(&r)
    if not r.ok or value_size == NO_VALUE:
        return
    value = read_bytes(&r, value_size)
    if not (r.ok and keep(w, server, name, name_size) and keep(w, server, value, value_size)):
        server.answer_lost = True


cdef bint keep(Worker *w, Server *server, const uint8_t *data, uint32_t size) noexcept nogil:
    cdef uint8_t end = 0
    return hold_more(&w.slab, &server.answer, data, size) and hold_more(&w.slab, &server.answer, &end, 1)


cdef void session_answered(Worker *w, Server *server) noexcept nogil:
    """All of the answer is here, or an error instead of it."""
    cdef Client *client = server.client
    if server.status != tags.IDLE:  # the question failed, and has left its transaction open
        server.answer_lost = True
        server.overflowed = not roll_back(w, server)
        return
    server.asking = False
    if server.answer_lost:
        server.answer_lost = False
        pin(w, client, PIN_UNKNOWN, PINNED_UNKNOWN)  # what has been noted is asked again after the next transaction
    elif take_settings(server):
        take_pins(w, server)
        client.effects = 0
        block_drop(&w.slab, &client.noted)
    else:
        server.overflowed = True
    block_drop(&w.slab, &server.answer)
    if server.settings != client.settings and not server.overflowed:
        server.telling = settle_now(w, client, server)
        server.overflowed = not server.telling


cdef bint ready_must_wait(Client *client) noexcept nogil:
    """The client's ReadyForQuery has come.  Where it has reset settings, those that it logged in with are to be
    restored first: it must hear of them, and not of the server's own."""
    if not client.resets or not is_over(client) or not must_ask(client):
        return False
    client.told = settings_hold(client.settings)
    return True


cdef void say_ready(Client *client, Writer *message) noexcept nogil:
    """What has become of the settings that it logged in with, where that is news; and the ReadyForQuery."""
    cdef const char *at = settings_data(client.first_settings)
    cdef const char *value
    cdef const char *told
    for _ in range(client.first_settings.count):
        value = settings_value(client.settings, at)
        told = settings_value(client.told, at)
        if value != NULL and (told == NULL or strcmp(value, told) != 0):
            write_reported(client.server, at, message)
        at += strlen(at) + 1
        at += strlen(at) + 1
    compose_ready(message, tags.IDLE)
    settings_drop(client.told)
    client.told = NULL
    client.resets = False


cdef void write_reported(const Server *server, const char *wanted, Writer *message) noexcept nogil:
    """The ParameterStatus of a setting, if it is one that PostgreSQL reports."""
    cdef const char *at = server.parameters
    cdef const char *end = at + server.parameters_size
    cdef const char *name = NULL
    cdef const char *value = NULL
    while next_parameter(&at, end, &name, &value):
        if same_name(name, wanted):
            compose_parameter_status(message, name, value)


cdef bint roll_back(Worker *w, Server *server) noexcept nogil:
    cdef uint8_t[32] data
    cdef Writer message = writer(data, sizeof(data))
    compose_query(&message, "ROLLBACK")
    send_to_server(w, server, data, message.used)
    return expect(&server.replies, EXPECT_QUERY | EXPECT_SWALLOW)


cdef bint take_settings(Server *server) noexcept nogil:
    """The settings that the session has are the server's and the client's; False: they are too many.

    What the client logged in with and does not have any more it has reset, which in a session of its own would have
    taken it back to that.
    """
    cdef Client *client = server.client
    cdef Settings *found
    cdef Settings *wanted
    cdef Draft draft
    cdef const char *at
    cdef const char *value
    if not client.effects & (ALL_SETTINGS | EFFECT_SETTING):
        return True
    begin_draft(client, &draft)
    if not draft_answer(server, &draft):
        return False
    found = settings_new(&draft)
    at = settings_data(client.first_settings)
    for _ in range(client.first_settings.count):
        value = at + strlen(at) + 1
        if is_missing(found, at):
            draft_set(&draft, at, value)
        at = value + strlen(value) + 1
    wanted = settings_new(&draft)
    if found == NULL or wanted == NULL:
        settings_drop(found)
        settings_drop(wanted)
        return False
    settings_drop(server.settings)
    settings_drop(client.settings)
    server.settings = found
    client.settings = wanted
    return True


cdef bint is_missing(const Settings *found, const char *name) noexcept nogil:
    """Has the session no value of its own?  (One with a name of an application's own can be emptied, never removed.)"""
    cdef const char *value = settings_value(found, name)
    return value == NULL or (value[0] == 0 and strchr(name, c".") != NULL)


cdef void begin_draft(const Client *client, Draft *draft) noexcept nogil:
    """What was not asked for is as it was."""
    cdef const char *at
    cdef const char *end
    if client.effects & ALL_SETTINGS:
        draft.count = draft.size = 0
        return
    draft_from(draft, client.server.settings)
    if client.noted == NULL:
        return
    at = <const char *>block_data(client.noted)
    end = at + client.noted.end
    while at < end:
        draft_remove(draft, at)
        at += strlen(at) + 1


cdef bint draft_answer(Server *server, Draft *draft) noexcept nogil:
    cdef const char *at
    cdef const char *end
    cdef const char *value
    if server.answer == NULL:
        return True
    at = <const char *>block_data(server.answer)
    end = at + server.answer.end
    while at < end:
        value = at + strlen(at) + 1
        if at[0] and not draft_set(draft, at, value):
            return False
        at = value + strlen(value) + 1
    return True


# ---- pins ----------------------------------------------------------------------------------------------------------

cdef void take_pins(Worker *w, Server *server) noexcept nogil:
    """What was asked about keeps the server, or does not any more."""
    cdef Client *client = server.client
    server.pins &= ~<uint16_t>PIN_UNKNOWN
    for i in range(REASONS):
        if not client.effects & (reasons[i].effects | EFFECT_DISCARD | EFFECT_ANYTHING):
            continue
        if is_answered(server, reasons[i].word):
            pin(w, client, reasons[i].pin, reasons[i].number)
        else:
            server.pins &= ~reasons[i].pin
    if client.effects & EFFECT_LOAD:
        pin(w, client, PIN_LOAD, PINNED_LOAD)
    if client.effects & EFFECT_SEED:
        pin(w, client, PIN_SEED, PINNED_SEED)


cdef bint is_answered(Server *server, const char *word) noexcept nogil:
    cdef const char *at
    cdef const char *end
    cdef const char *value
    if server.answer == NULL:
        return False
    at = <const char *>block_data(server.answer)
    end = at + server.answer.end
    while at < end:
        value = at + strlen(at) + 1
        if at[0] == 0 and strcmp(value, word) == 0:
            return True
        at = value + strlen(value) + 1
    return False


cdef void pin(Worker *w, Client *client, uint16_t why, int number) noexcept nogil:
    if not client.server.pins & why:
        client.server.pins |= why
        tell_client(w, EVENT_PIN, client, number, NULL, 0)
