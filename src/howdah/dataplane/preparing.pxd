"""Prepared statements on their way: named by the client, kept for it, prepared where they are missing."""

from libc.stdint cimport uint8_t

from howdah.dataplane.parties cimport Client, Server, Worker
from howdah.dataplane.reply_queue cimport Owed
from howdah.dataplane.texts cimport Text
from howdah.dataplane.turn cimport Step, Turn
from howdah.wire.frame cimport Frame

cdef Step parse(Worker *w, Client *client, const Frame *frame, const uint8_t *message, Turn *turn) noexcept nogil
cdef Step bind(Worker *w, Client *client, const Frame *frame, const uint8_t *message, Turn *turn) noexcept nogil
cdef Step describe(Worker *w, Client *client, const Frame *frame, const uint8_t *message, Turn *turn) noexcept nogil
cdef Step close_target(Worker *w, Client *client, const Frame *frame, const uint8_t *message,
                       Turn *turn) noexcept nogil
cdef bint follows(const Worker *w, const Client *client) noexcept nogil
cdef void note_run(Worker *w, Client *client, const Text *text) noexcept nogil
cdef Step stall(Worker *w, Client *client, Turn *turn) noexcept nogil
cdef void take_back(Worker *w, Server *server, Owed *owed, bint failed) noexcept nogil
