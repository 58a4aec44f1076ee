"""The unnamed statement, which is a client's own."""

from libc.stdint cimport uint8_t

from howdah.dataplane.parties cimport Client, Server, Worker
from howdah.dataplane.reply_queue cimport Owed
from howdah.dataplane.turn cimport Step, Turn
from howdah.sql.effects cimport Analysis
from howdah.wire.frame cimport Frame

cdef Step parse_unnamed(Worker *w, Client *client, const Frame *frame, const uint8_t *message, const Analysis *found,
                        Turn *turn) noexcept nogil
cdef bint unnamed_unsure(const Client *client) noexcept nogil
cdef Step use_unnamed(Worker *w, Client *client, uint8_t expected, Turn *turn) noexcept nogil
cdef Step note_change(Worker *w, Client *client, uint8_t expected, Turn *turn) noexcept nogil
cdef void forget_unnamed(Worker *w, Client *client) noexcept nogil
cdef Owed *next_change(const Server *server) noexcept nogil
cdef void unnamed_back(Worker *w, Server *server, Owed *owed, bint failed) noexcept nogil
