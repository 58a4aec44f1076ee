"""After a transaction that may have changed the session, the server is asked what has become of it.

What texts may do is noted as they are sent (`noting`).  When the transaction is over and something is noted, one
question goes to the server while the client still has it; the answer says which settings are the client's from now on
and what keeps the server (pins).  Rollbacks, savepoints and functions need no case of their own: PostgreSQL is asked,
not guessed.  Called by `linking` and `relay`.
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t
from libc.string cimport strchr, strcmp

from howdah.dataplane.buffers cimport block_data, block_drop, hold_more
from howdah.dataplane.channel_queries cimport ask_channels
from howdah.dataplane.listening cimport channels_answered
from howdah.dataplane.noting cimport is_noted, is_reset, next_noted
from howdah.dataplane.parties cimport (
    CLIENT_ACTIVE,
    PIN_CURSOR,
    PIN_LOAD,
    PIN_LOCK,
    PIN_NAMED_STATEMENT,
    PIN_SEED,
    PIN_TEMP,
    PIN_UNKNOWN,
    UNNAMED_THERE,
    Client,
    Server,
    Worker,
)
from howdah.dataplane.pinning cimport follows_client, pin, sort_of
from howdah.dataplane.recycle cimport send_to_server
from howdah.dataplane.reply_queue cimport EXPECT_QUERY, EXPECT_SWALLOW, ReplyQueue, all_replied, ends_with_ready, expect
from howdah.dataplane.server cimport at_rest
from howdah.dataplane.session_state cimport (
    BEGIN_OURS,
    Draft,
    Settings,
    differs,
    draft_from,
    draft_init,
    draft_remove,
    draft_set,
    is_identity,
    same_name,
    settings_data,
    settings_drop,
    settings_hold,
    settings_new,
    settings_value,
    write_hex,
    write_literal,
    write_text,
)
from howdah.dataplane.settling cimport settle_now
from howdah.dataplane.statements cimport shelf_stale
from howdah.dataplane.turn cimport LARGEST_STAGED
from howdah.sql.effects cimport (
    EFFECT_ANYTHING,
    EFFECT_DEALLOCATE,
    EFFECT_DISCARD,
    EFFECT_LISTEN,
    EFFECT_LOAD,
    EFFECT_PREPARE,
    EFFECT_ROLE,
    EFFECT_SEED,
    EFFECT_SETTING,
    EFFECT_SETTINGS,
)
from howdah.wire cimport tags
from howdah.wire.bytes cimport (
    Reader,
    Writer,
    begin_message,
    end_message,
    left,
    read_bytes,
    read_u8,
    read_u16,
    read_u32,
    reader,
    write_u8,
    writer,
)
from howdah.wire.compose cimport compose_parameter_status, compose_query, compose_ready
from howdah.wire.startup cimport next_parameter

cdef enum:
    HEADER = 5
    NO_VALUE = 0xFFFFFFFF
    ALL_SETTINGS = EFFECT_SETTINGS | EFFECT_ROLE | EFFECT_DISCARD | EFFECT_ANYTHING
    ON_CHANNELS = EFFECT_LISTEN | EFFECT_DISCARD | EFFECT_ANYTHING

# What keeps a server, the word for it in the answer, and how it is found out.
cdef struct Reason:
    uint16_t pin
    const char *word
    const char *condition

cdef enum:
    REASONS = 4

cdef Reason[REASONS] reasons
reasons[0] = Reason(
    PIN_TEMP, b"temp",
    b"EXISTS(SELECT FROM pg_catalog.pg_depend WHERE refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_namespace'::"
    b"pg_catalog.regclass AND refobjid OPERATOR(pg_catalog.=) pg_catalog.pg_my_temp_schema())")
reasons[1] = Reason(
    PIN_CURSOR, b"cursor", b"EXISTS(SELECT FROM pg_catalog.pg_cursors WHERE is_holdable)")
reasons[2] = Reason(
    PIN_LOCK, b"lock",
    b"EXISTS(SELECT FROM pg_catalog.pg_locks WHERE locktype OPERATOR(pg_catalog.=) 'advisory' AND pid "
    b"OPERATOR(pg_catalog.=) pg_catalog.pg_backend_pid())")
reasons[3] = Reason(
    PIN_NAMED_STATEMENT, b"prepare",
    b"EXISTS(SELECT FROM pg_catalog.pg_prepared_statements WHERE NOT pg_catalog.starts_with(name, 'howdah_'))")


cdef bint is_over(const Client *client) noexcept nogil:
    """Is the transaction over, and nothing of the client's on its way?"""
    cdef const Server *server = client.server
    return (at_rest(server) and client.state == CLIENT_ACTIVE and client.remain == 0
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
    if client.ear != NULL and client.effects & (ALL_SETTINGS | EFFECT_SETTING):
        client.effects |= EFFECT_LISTEN  # the encoding decides who can tell it
    write_text(&message, BEGIN_OURS)
    if client.effects & ALL_SETTINGS or client.noted != NULL:
        next_part(&message, &first)
        ask_settings(&message, client)
    for i in range(REASONS):
        if is_asked(client, &reasons[i]):
            next_part(&message, &first)
            write_text(&message, "SELECT '',")
            write_literal(&message, reasons[i].word)
            write_text(&message, " WHERE ")
            write_text(&message, reasons[i].condition)
    if client.effects & ON_CHANNELS:
        next_part(&message, &first)
        ask_channels(client.ear, &message)
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


cdef bint is_asked(const Client *client, const Reason *reason) noexcept nogil:
    """May something that was sent have to do with it?"""
    return client.effects & (sort_of(reason.pin).effects | EFFECT_DISCARD | EFFECT_ANYTHING) != 0


cdef void next_part(Writer *message, bint *first) noexcept nogil:
    if not first[0]:
        write_text(message, " UNION ALL ")
    first[0] = False


cdef void ask_settings(Writer *message, const Client *client) noexcept nogil:
    """In the server's encoding, whatever the client's is: another client's may have no such letters, and escapes in our
    literals are read in it."""
    cdef bint first = True
    write_text(message, "SELECT ")
    write_escaped(message, "name")
    write_u8(message, c",")
    write_escaped(message, "value")
    write_text(message, " FROM(")
    if client.effects & ALL_SETTINGS:
        next_part(message, &first)
        write_text(
            message, "SELECT name,pg_catalog.current_setting(name,true) FROM pg_catalog.pg_settings WHERE source "
            "OPERATOR(pg_catalog.=) 'session' AND NOT name OPERATOR(pg_catalog.=) ANY "
            "('{transaction_isolation,transaction_read_only,transaction_deferrable}')")
    ask_names(message, client, &first)
    write_text(message, ")settings(name,value)")


cdef void write_escaped(Writer *message, const char *column) noexcept nogil:
    """As ASCII, see `keep_escaped`."""
    write_text(message, "pg_catalog.encode(pg_catalog.convert_to(")
    write_text(message, column)
    write_text(message, ",pg_catalog.getdatabaseencoding()),'escape')")


cdef void ask_names(Writer *message, const Client *client, bint *first) noexcept nogil:
    """The settings that were noted; and those that PostgreSQL does not list, where all are asked for: who the session
    is, and what applications have set under names of their own."""
    cdef const char *at = NULL
    cdef const char *end
    cdef const char *value = NULL
    cdef const char *name = next_noted(client, &at)
    while name != NULL:
        if not (client.effects & ALL_SETTINGS and is_listed(name)) and not is_identity(name):
            ask_name(message, name, True, first)
        name = next_noted(client, &at)
    if not client.effects & ALL_SETTINGS:
        return
    at = settings_data(client.settings)
    end = at + client.settings.size
    while next_parameter(&at, end, &name, &value):
        if not is_listed(name) and not is_identity(name) and not is_noted(client, name):
            ask_name(message, name, False, first)
    ask_identity(message, "session_authorization", client, first)
    ask_identity(message, "role", client, first)


cdef bint is_listed(const char *name) noexcept nogil:
    """Is it in pg_settings?  (Its list says also which ones have been reset, which a value alone does not.)"""
    return strchr(name, c".") == NULL and not is_identity(name)


cdef void ask_name(Writer *message, const char *name, bint noted, bint *first) noexcept nogil:
    """`noted`: the name comes from a text, and so in the client's encoding."""
    next_part(message, first)
    write_text(message, "SELECT ")
    write_name(message, name, noted)
    write_text(message, ",pg_catalog.current_setting(")
    write_name(message, name, noted)
    write_text(message, ",true)")


cdef void ask_identity(Writer *message, const char *name, const Client *client, bint *first) noexcept nogil:
    """A value that is the login's is none of the session's own; but it may be one of the client's where that logged in
    with another.  (Which role is the login's may have been said by ALTER ROLE, or in the options of a database: what
    it is to be reset to tells, which ends with our transaction.)"""
    next_part(message, first)
    write_text(message, "SELECT ")
    write_literal(message, name)
    write_text(message, ",own FROM(SELECT pg_catalog.current_setting(")
    write_literal(message, name)
    write_text(message, ",true) OFFSET 0)identity(own)")
    if settings_value(client.first_settings, name) != NULL:
        return
    write_text(message, " WHERE own OPERATOR(pg_catalog.<>) ")
    if same_name(name, "role"):
        write_text(message, "pg_catalog.set_config('role',NULL,true)")
    else:
        write_literal(message, client.pool.server_user)


cdef void write_name(Writer *message, const char *name, bint noted) noexcept nogil:
    if noted and not is_ascii(name):
        write_text(message, "pg_catalog.convert_from(E'\\\\x")
        while name[0]:
            write_hex(message, <uint8_t>name[0])
            name += 1
        write_text(message, "',pg_catalog.current_setting('client_encoding'))")
    else:
        write_literal(message, name)


cdef bint is_ascii(const char *text) noexcept nogil:
    while text[0]:
        if <uint8_t>text[0] >= 128:
            return False
        text += 1
    return True


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
    if not r.ok or not (
            keep_escaped(w, server, name, name_size) and keep_escaped(w, server, value, value_size)
            if name_size else keep(w, server, name, 0) and keep(w, server, value, value_size)):
        server.answer_lost = True


cdef bint keep(Worker *w, Server *server, const uint8_t *data, uint32_t size) noexcept nogil:
    cdef uint8_t end = 0
    return hold_more(&w.slab, &server.answer, data, size) and hold_more(&w.slab, &server.answer, &end, 1)


cdef bint keep_escaped(Worker *w, Server *server, const uint8_t *data, uint32_t size) noexcept nogil:
    """What PostgreSQL's encode(..., 'escape') has made ASCII of: other bytes are three octal digits behind a backslash,
    and a backslash is two."""
    cdef Reader r = reader(data, size)
    cdef size_t plain = 0
    cdef uint8_t byte
    while left(&r):
        if read_u8(&r) != c"\\":
            plain += 1
            continue
        if not hold_more(&w.slab, &server.answer, data, plain):
            return False
        byte = read_u8(&r)
        if byte != c"\\":
            byte = (byte & 3) << 6 | (read_u8(&r) & 7) << 3
            byte |= read_u8(&r) & 7
        if not (r.ok and hold_more(&w.slab, &server.answer, &byte, 1)):
            return False
        data += size - left(&r)
        size = left(&r)
        plain = 0
    return keep(w, server, data, size)


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
        pin(w, client, PIN_UNKNOWN)  # what has been noted is asked again after the next transaction
    elif take_settings(server):
        take_pins(w, server)
        if client.effects & ON_CHANNELS:
            channels_answered(w, server)
        client.effects = 0
        client.undone = False
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


cdef bint resets_owed(const Client *client) noexcept nogil:
    """Is a text on its way that may reset what the client logged in with?  What comes behind its ReadyForQuery has to
    wait until that is restored."""
    cdef const ReplyQueue *replies = &client.server.replies
    return client.resets and ends_with_ready(replies) and not all_replied(replies)


cdef void say_ready(Client *client, Writer *message) noexcept nogil:
    """What has become of the settings that it logged in with, where that is news; and the ReadyForQuery."""
    cdef const char *at = settings_data(client.first_settings)
    cdef const char *end = at + client.first_settings.size
    cdef const char *name = NULL
    cdef const char *first = NULL
    while next_parameter(&at, end, &name, &first):
        if settings_value(client.settings, name) != NULL and differs(client.told, client.settings, name):
            write_reported(client.server, name, message)
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

    What the client logged in with and has reset is what it was then, as it would be in a session of its own.
    """
    cdef Client *client = server.client
    cdef Settings *found
    cdef Settings *wanted
    cdef Draft draft
    cdef const char *at = settings_data(client.first_settings)
    cdef const char *end = at + client.first_settings.size
    cdef const char *name = NULL
    cdef const char *value = NULL
    if not client.effects & (ALL_SETTINGS | EFFECT_SETTING):
        return True
    begin_draft(client, &draft)
    if not draft_answer(server, &draft):
        return False
    found = settings_new(&draft)
    while next_parameter(&at, end, &name, &value):
        if is_restored(client, found, name):
            draft_set(&draft, name, value)
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


cdef bint is_restored(const Client *client, const Settings *found, const char *name) noexcept nogil:
    """Has it been reset?  Of what PostgreSQL lists the list says so.  Of others the texts do; and where these have
    failed or were rolled back, that the value is a new one such as RESET leaves."""
    cdef const char *value = settings_value(found, name)
    if value == NULL or is_listed(name):
        return value == NULL
    if not is_reset(client, name):
        return False
    return not client.undone or (
        (value[0] == 0 or strcmp(value, "none") == 0) and differs(client.settings, found, name))


cdef void begin_draft(const Client *client, Draft *draft) noexcept nogil:
    """What was not asked for is as it was."""
    cdef const char *at = NULL
    cdef const char *name
    if client.effects & ALL_SETTINGS:
        draft_init(draft)
        return
    draft_from(draft, client.server.settings)
    name = next_noted(client, &at)
    while name != NULL:
        draft_remove(draft, name)
        name = next_noted(client, &at)


cdef bint draft_answer(Server *server, Draft *draft) noexcept nogil:
    cdef const char *at = NULL
    cdef const char *name = NULL
    cdef const char *value = NULL
    while next_answer(server, &at, &name, &value):
        if name[0] and not draft_set(draft, name, value):
            return False
    return True


cdef bint next_answer(const Server *server, const char **at, const char **name, const char **value) noexcept nogil:
    """Step through the rows, from `at` being NULL until it is False."""
    cdef const char *start
    if server.answer == NULL:
        return False
    start = <const char *>block_data(server.answer)
    at[0] = start if at[0] == NULL else at[0]
    return next_parameter(at, start + server.answer.end, name, value)


# ---- pins ----------------------------------------------------------------------------------------------------------

cdef void take_pins(Worker *w, Server *server) noexcept nogil:
    """What was asked about keeps the server, or does not any more."""
    cdef Client *client = server.client
    server.pins &= ~<uint16_t>PIN_UNKNOWN
    for i in range(REASONS):
        if not is_asked(client, &reasons[i]):
            continue
        if is_answered(server, reasons[i].word):
            pin(w, client, reasons[i].pin)
        else:
            server.pins &= ~reasons[i].pin
    if may_have_renamed(client.effects):
        shelf_stale(&server.shelf)
    if client.effects & EFFECT_LOAD:
        pin(w, client, PIN_LOAD)
    if client.effects & EFFECT_SEED:
        pin(w, client, PIN_SEED)


cdef bint may_have_renamed(uint32_t effects) noexcept nogil:
    """Texts of several statements go as they are: they may have put a statement of their own under a name of ours.
    (What a function drops shows when it is used next, see `curing`.)"""
    return effects & EFFECT_PREPARE != 0 or effects & (EFFECT_DEALLOCATE | EFFECT_ANYTHING) == EFFECT_DEALLOCATE


cdef bint is_answered(Server *server, const char *word) noexcept nogil:
    cdef const char *at = NULL
    cdef const char *name = NULL
    cdef const char *value = NULL
    while next_answer(server, &at, &name, &value):
        if name[0] == 0 and strcmp(value, word) == 0:
            return True
    return False
