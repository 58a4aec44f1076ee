"""What has become of the session is asked for."""

from libc.stdint cimport uint8_t, uint32_t

from howdah.dataplane.parties cimport Client, Server, Worker
from howdah.wire.bytes cimport Writer

cdef bint ready_must_wait(Client *client) noexcept nogil
cdef bint resets_owed(const Client *client) noexcept nogil
cdef void say_ready(Client *client, Writer *message) noexcept nogil
cdef bint must_ask(const Client *client) noexcept nogil
cdef void ask_session(Worker *w, Server *server) noexcept nogil
cdef void session_row(Worker *w, Server *server, const uint8_t *message, uint32_t size) noexcept nogil
cdef void session_answered(Worker *w, Server *server) noexcept nogil
