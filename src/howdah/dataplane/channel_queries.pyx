"""What is said to a client's own server about channels, and what it answers.

A server is told to listen to all of the client's channels in one Query, with a marker behind them (`handover`) where
that server is to tell the client from there on.  A rollback, to a savepoint even, may take it all back unseen: so the
setting `howdah.marker` goes with it, which PostgreSQL takes back together with the rest, and which tells afterwards
whether it stands.  Decides nothing.  Called by `listening` and `asking`.
"""

from libc.stdint cimport uint8_t, uint32_t
from libc.stdlib cimport malloc
from libc.string cimport memcpy, strcmp, strlen

from howdah.dataplane.buffers cimport block_data
from howdah.dataplane.channels cimport MOST_CHANNELS, Seat
from howdah.dataplane.parties cimport Client, Ear, Server, Worker
from howdah.dataplane.session_state cimport write_text
from howdah.wire.bytes cimport Writer, begin_message, end_message, write_u8, writer
from howdah.wire.compose cimport write_identifier
from howdah.wire.startup cimport next_parameter
from howdah.wire.tags cimport QUERY

cdef extern from "<stdio.h>" nogil:
    int snprintf(char *to, size_t size, const char *format, ...) noexcept

cdef enum:
    LARGEST_LISTEN = 140  # of one channel, each byte of its name a quote
    LARGEST_REST = 768
    LARGEST_MARKER = 80


# ---- what is said --------------------------------------------------------------------------------------------------

cdef bint compose_listen(Ear *ear, bint telling, bint again, bint alone, Writer *message) noexcept nogil:
    """LISTEN to all; False: out of memory.  `message.start` is to be freed.

    `telling`: with a marker, behind which this server tells.  `again`: the same as before, if that was rolled back.
    `alone`: in a transaction of its own.
    """
    cdef size_t room = LARGEST_REST + <size_t>ear.count * LARGEST_LISTEN
    cdef uint8_t *data = <uint8_t *>malloc(room)
    cdef size_t mark
    message[0] = writer(data, room)
    if data == NULL:
        return False
    if not again:
        ear.marker += 1
    mark = begin_message(message, QUERY)
    if again:
        begin_unless_it_stands(ear, message)
    write_channels(ear, message)
    if telling:
        write_marker(ear, message)
    write_text(message, "SET howdah.marker=")
    write_marker_text(ear, message)
    write_u8(message, c";")
    if again:
        end_block(ear, message)
    end_query(message, mark)
    end_marker(ear, telling and alone, message)
    return True


cdef void write_channels(const Ear *ear, Writer *message) noexcept nogil:
    cdef const Seat *seat = ear.seats
    while seat != NULL:
        write_text(message, "LISTEN ")
        write_identifier(message, seat.channel.name, seat.channel.size)
        write_u8(message, c";")
        seat = seat.next


cdef void begin_unless_it_stands(const Ear *ear, Writer *message) noexcept nogil:
    """(Our channel is the tag of the quotes: it stands in no name of a channel.)"""
    write_text(message, "DO $")
    write_text(message, marker_channel(ear))
    write_text(message, "$BEGIN IF pg_catalog.current_setting('howdah.marker',true) OPERATOR(pg_catalog.=) ")
    write_marker_text(ear, message)
    write_text(message, " THEN RETURN;END IF;")


cdef void end_block(const Ear *ear, Writer *message) noexcept nogil:
    write_text(message, "END$")
    write_text(message, marker_channel(ear))
    write_u8(message, c"$")


cdef const char *marker_channel(const Ear *ear) noexcept nogil:
    return ear.client.worker.shared.marker_channel


cdef void write_marker(const Ear *ear, Writer *message) noexcept nogil:
    write_text(message, "LISTEN ")
    write_text(message, marker_channel(ear))
    write_text(message, ";NOTIFY ")
    write_text(message, marker_channel(ear))
    write_u8(message, c",")
    write_marker_text(ear, message)
    write_u8(message, c";")


cdef void write_marker_text(const Ear *ear, Writer *message) noexcept nogil:
    """Whose marker it is, and its number: see `hearing.is_marker_for`."""
    cdef const Client *client = ear.client
    cdef const Worker *w = client.worker
    cdef char[LARGEST_MARKER] text
    snprintf(text, sizeof(text), b"'%d.%u.%llu.%u'", w.index, client.slot, <unsigned long long>client.id, ear.marker)
    write_text(message, text)


cdef void end_query(Writer *message, size_t mark) noexcept nogil:
    write_u8(message, 0)
    end_message(message, mark)


cdef void end_marker(Ear *ear, bint alone, Writer *message) noexcept nogil:
    """Where the marker is in a transaction of its own, it has been heard by now, and the client need not see the
    channel among its own."""
    ear.answers = 1
    ear.marker_alone = alone
    if alone:
        compose_unlisten(ear, marker_channel(ear), message)
        ear.answers = 2


cdef void compose_marker(Ear *ear, Writer *message) noexcept nogil:
    """A marker by itself, between two transactions."""
    cdef size_t mark = begin_message(message, QUERY)
    ear.marker += 1
    write_marker(ear, message)
    end_query(message, mark)
    end_marker(ear, True, message)


cdef void compose_unlisten(Ear *ear, const char *channel, Writer *message) noexcept nogil:
    """`channel`: ours, or "*"."""
    cdef size_t mark = begin_message(message, QUERY)
    ear.answers = 1
    write_text(message, "UNLISTEN ")
    write_text(message, channel)
    end_query(message, mark)


# ---- what it answers -----------------------------------------------------------------------------------------------

cdef void ask_channels(const Ear *ear, Writer *message) noexcept nogil:
    """The part of the question of `asking` that is about channels, each with "=" in front, and the setting with "+"."""
    cdef char[16] most
    snprintf(most, sizeof(most), b"%d", MOST_CHANNELS + 2)  # ours may be among them, and one too many is enough
    write_text(message, "(SELECT '','=' OPERATOR(pg_catalog.||) channel FROM pg_catalog.pg_listening_channels() "
               "AS listening(channel) LIMIT ")
    write_text(message, most)
    write_u8(message, c")")
    if ear != NULL:
        write_text(message, " UNION ALL SELECT '','+' WHERE pg_catalog.current_setting('howdah.marker',true) "
                   "OPERATOR(pg_catalog.=) ")
        write_marker_text(ear, message)


cdef bint read_channels(const Server *server, Listened *found) noexcept nogil:
    """Out of the server's answer; False: out of memory."""
    cdef const char *at = <const char *>block_data(server.answer) if server.answer != NULL else NULL
    cdef const char *end = at + server.answer.end if at != NULL else NULL
    cdef const char *name = NULL
    cdef const char *value = NULL
    found.names = <char *>malloc(end - at + 1)
    found.size = found.count = 0
    found.marker = found.stands = False
    if found.names == NULL:
        return False
    while next_parameter(&at, end, &name, &value):
        if name[0] == 0 and value[0] == c"+":
            found.stands = True
        elif name[0] == 0 and value[0] == c"=":
            take_name(server, value + 1, found)
    return True


cdef void take_name(const Server *server, const char *name, Listened *found) noexcept nogil:
    cdef uint32_t size = <uint32_t>strlen(name) + 1
    if strcmp(name, server.client.worker.shared.marker_channel) == 0:
        found.marker = True
        return
    memcpy(found.names + found.size, name, size)
    found.size += size
    found.count += 1
