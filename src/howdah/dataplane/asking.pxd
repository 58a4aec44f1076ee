"""What has become of the session is asked for."""

from libc.stdint cimport uint8_t, uint32_t

from howdah.dataplane.buffers cimport Block
from howdah.dataplane.parties cimport Client, Server, Worker
from howdah.sql.effects cimport Analysis
from howdah.wire.bytes cimport Writer

cdef bint follows_client(const Client *client) noexcept nogil
cdef void note_effects(Worker *w, Client *client, uint32_t effects, const char *names, uint32_t size) noexcept nogil
cdef void setting_reported(Client *client, const char *name) noexcept nogil
cdef void note_analysis(Worker *w, Client *client, const Analysis *analysis) noexcept nogil
cdef bint hold_settings(Worker *w, Block **held, const Analysis *found) noexcept nogil
cdef void sequences_discarded(Client *client) noexcept nogil
cdef void pin_sequences(Worker *w, Client *client) noexcept nogil
cdef void undone(Client *client) noexcept nogil
cdef bint ready_must_wait(Client *client) noexcept nogil
cdef void say_ready(Client *client, Writer *message) noexcept nogil
cdef bint must_ask(const Client *client) noexcept nogil
cdef void ask_session(Worker *w, Server *server) noexcept nogil
cdef void session_row(Worker *w, Server *server, const uint8_t *message, uint32_t size) noexcept nogil
cdef void session_answered(Worker *w, Server *server) noexcept nogil
