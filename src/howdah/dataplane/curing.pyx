"""A stale statement is prepared again and what failed on it repeated.

After a change of the schema PostgreSQL refuses some prepared statements ("cached plan must not change result type"),
and only the one who prepared them can mend that.  So the messages of a group, from the first behind a Sync to the next
Sync, are kept until the first answer to them has been seen.  Where that is such a refusal, and no transaction was open,
the client does not see it: the group is read once more as if it had just come, and what it uses is prepared anew.

A group that asks for no description, or for a format for each of several columns, is repeated only where the statement
was lost: its client goes by what it was told of the statement before, and PostgreSQL's error is how it learns that this
holds no more.  There and everywhere else the error passes, and the statements are prepared anew before their next use.
Called by `relay` and `preparing`.
"""

from libc.stdint cimport uint8_t, uint32_t
from libc.string cimport memcpy, strcmp, strncmp

from howdah.dataplane.buffers cimport Block, block_data, block_drop, block_new, hold_more
from howdah.dataplane.client cimport set_ready
from howdah.dataplane.parties cimport PIN_TEMP, Client, Server, Worker
from howdah.dataplane.recycle cimport send_to_server
from howdah.dataplane.reply_queue cimport EXPECT_SWALLOW, EXPECT_SYNC, expect, swallow_first
from howdah.dataplane.statements cimport shelf_clear, shelf_stale
from howdah.dataplane.texts cimport Naming, statement_changes
from howdah.sql.effects cimport EFFECT_TEMP
from howdah.wire cimport tags
from howdah.wire.bytes cimport Writer, writer
from howdah.wire.compose cimport compose_bare
from howdah.wire.extended cimport MENTION_STATEMENT, Mention, bind_mention, result_formats
from howdah.wire.frame cimport Frame
from howdah.wire.replies cimport ErrorFields

cdef enum:
    LARGEST_GROUP = 16384


# ---- keeping a group -----------------------------------------------------------------------------------------------

cdef void may_begin_group(Worker *w, Client *client) noexcept nogil:
    """The message at hand uses a named statement: is it the first of a group that could be repeated?"""
    cdef Server *server = client.server
    cdef bint first = server.replies.count == server.settling
    if client.group == NULL and server.status == tags.IDLE and first and not client.cured:
        client.group = block_new(&w.slab, LARGEST_GROUP)
        client.group_ends = client.group_describes = client.group_trusts = False


cdef void add_to_group(Worker *w, Client *client, const Frame *frame, const uint8_t *message) noexcept nogil:
    """The message has been forwarded.  What cannot be repeated ends the keeping."""
    cdef Block *group = client.group
    if (client.group_ends or frame.here < frame.size or group.capacity - group.end < frame.size
            or frame.tag not in (tags.BIND, tags.DESCRIBE, tags.EXECUTE, tags.SYNC, tags.FLUSH, tags.CLOSE)):
        forget_group(w, client)
        return
    memcpy(block_data(group) + group.end, message, frame.size)
    group.end += frame.size
    client.group_ends = frame.tag == tags.SYNC
    client.group_describes = client.group_describes or frame.tag == tags.DESCRIBE
    client.group_trusts = client.group_trusts or frame.tag == tags.BIND and fits_one_result(message, frame.size)


cdef bint fits_one_result(const uint8_t *message, uint32_t size) noexcept nogil:
    """Has the Bind a format for each of several columns?"""
    cdef Mention mention
    return (bind_mention(message, size, &mention) == MENTION_STATEMENT
            and result_formats(message, size, mention.end) > 1)


cdef void forget_group(Worker *w, Client *client) noexcept nogil:
    block_drop(&w.slab, &client.group)


# ---- repeating it --------------------------------------------------------------------------------------------------

cdef bint tells_of_stale(Server *server, const Naming *naming, const ErrorFields *error) noexcept nogil:
    """Is this an error that a statement prepared anew would not give?  `naming`: the statement it is about, if any."""
    cdef bint about_ours = naming != NULL and naming.statement.text != NULL
    if about_ours and is_lost(error):
        shelf_clear(&server.shelf)  # something (a function) has dropped them
        return True
    if strcmp(error.sqlstate, "0A000") == 0 and strcmp(error.routine, "RevalidateCachedQuery") == 0:
        shelf_stale(&server.shelf)
        if about_ours and not has_temporary(server):
            statement_changes(naming.statement)
        return about_ours
    if strcmp(error.sqlstate, "XX000") == 0 and strncmp(error.message, "cache lookup failed", 19) == 0:
        shelf_stale(&server.shelf)
        return about_ours
    return False


cdef bint is_lost(const ErrorFields *error) noexcept nogil:
    """Is it just that the server does not have the statement?"""
    return strcmp(error.sqlstate, "26000") == 0


cdef bint may_change(const Client *client) noexcept nogil:
    """Will the client take another result than it was once told of?"""
    return client.group_describes and not client.group_trusts


cdef bint has_temporary(const Server *server) noexcept nogil:
    """Are there tables that its client alone sees?  What they change is changed for nobody else."""
    return server.pins & PIN_TEMP != 0 or (server.client != NULL and server.client.effects & EFFECT_TEMP != 0)


cdef bint cure(Worker *w, Server *server, const ErrorFields *error) noexcept nogil:
    """The first answer to what the client sent is such an error: can it be spared the client?  Then it is being done.
    """
    cdef Client *client = server.client
    cdef uint8_t[8] data
    cdef Writer message = writer(data, sizeof(data))
    if (client == NULL or client.group == NULL or not (is_lost(error) or may_change(client))
            or client.remain or client.curing or server.replies.count != (1 if client.group_ends else 0)
            or not held_behind_group(w, client)):
        return False
    client.curing = True
    if client.group_ends:
        swallow_first(&server.replies)
        return True
    expect(&server.replies, EXPECT_SYNC | EXPECT_SWALLOW)  # there is room: nothing is owed
    compose_bare(&message, tags.SYNC)
    send_to_server(w, server, data, message.used)
    return True


cdef bint held_behind_group(Worker *w, Client *client) noexcept nogil:
    """Put what the client has sent since, and was not dealt with, behind the group.  False: that is too much."""
    cdef Block *held = client.held
    if held != NULL and not hold_more(&w.slab, &client.group, block_data(held), held.end):
        return False
    block_drop(&w.slab, &client.held)
    return True


cdef void cured(Client *client) noexcept nogil:
    """The server is ready again: the group is to be dealt with once more."""
    client.curing = False
    client.cured = True
    client.held = client.group
    client.group = NULL
    set_ready(client)
