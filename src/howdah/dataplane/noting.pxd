"""What the texts that a client sends may do to its session."""

from libc.stdint cimport uint8_t, uint32_t

from howdah.dataplane.buffers cimport Block
from howdah.dataplane.parties cimport Client, Worker
from howdah.sql.effects cimport Analysis

cdef void look_at(const Client *client, const uint8_t *text, size_t size, Analysis *found) noexcept nogil
cdef void note_effects(Worker *w, Client *client, uint32_t effects, const char *names, uint32_t size) noexcept nogil
cdef void note_analysis(Worker *w, Client *client, const Analysis *found) noexcept nogil
cdef bint hold_settings(Worker *w, Block **held, const Analysis *found) noexcept nogil
cdef void setting_reported(Client *client, const char *name) noexcept nogil
cdef uint32_t running_what_is_left(const Client *client) noexcept nogil
cdef void note_run_by_name(Worker *w, Client *client) noexcept nogil
cdef void note_run_of_left(Worker *w, Client *client) noexcept nogil
cdef void undone(Client *client) noexcept nogil
cdef bint is_reset(const Client *client, const char *name) noexcept nogil
cdef bint is_noted(const Client *client, const char *name) noexcept nogil
cdef const char *next_noted(const Client *client, const char **at) noexcept nogil
