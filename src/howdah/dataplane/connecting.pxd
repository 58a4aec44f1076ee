"""A server from its first moment until the socket is connected, and what becomes of an attempt that fails."""

from libc.stdint cimport uint8_t

from howdah.dataplane.parties cimport Client, Hub, Server, Worker
from howdah.dataplane.pool cimport Pool
from howdah.dataplane.routes cimport CPlan

cdef void tune(const CPlan *plan, int fd) noexcept nogil
cdef void tune_anew(const CPlan *plan, int fd) noexcept nogil
cdef void open_server(Worker *w, Pool *pool) noexcept nogil
cdef void open_listening(Worker *w, Hub *hub) noexcept nogil
cdef void open_dedicated(Worker *w, Client *client) noexcept nogil
cdef bint other_way(Worker *w, Server *server) noexcept nogil
cdef void unreachable(Worker *w, Server *server, int error) noexcept nogil
cdef void server_login_failed(Worker *w, Server *server, int reason, bint refused, const char *sqlstate,
                              const char *message) noexcept nogil
cdef bint send_login(Worker *w, Server *server, const uint8_t *data, size_t size) noexcept nogil
