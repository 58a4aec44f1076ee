"""A server connection: made, moved from state to state, freed."""

from libc.stdint cimport uint32_t, uint8_t

from howdah.dataplane.parties cimport Server, ServerState, Shared, Worker

cdef enum:
    SERVERS_AT_ONCE = 16  # allocated together

cdef Server *server_new(Worker *w) noexcept nogil
cdef void entry_free(Server *server) noexcept nogil
cdef void server_free(Worker *w, Server *server) noexcept nogil
cdef void server_move(Server *server, ServerState to) noexcept nogil
cdef bint at_rest(const Server *server) noexcept nogil
cdef const char *server_parameter(const Server *server, const char *name) noexcept nogil
cdef void leave_hub(Worker *w, Server *server) noexcept nogil
cdef bint remember_parameter(Server *server, const char *name, const char *value) noexcept nogil
cdef bint remember_key(Server *server, uint32_t pid, const uint8_t *secret, uint32_t size) noexcept nogil
cdef void free_servers(Shared *shared) noexcept nogil
