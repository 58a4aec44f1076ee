"""Our way in at a server."""

from howdah.dataplane.parties cimport Client, Hub, Server, Worker
from howdah.dataplane.pool cimport Pool
from howdah.dataplane.routes cimport CPlan

cdef void tune(const CPlan *plan, int fd) noexcept nogil
cdef void open_server(Worker *w, Pool *pool) noexcept nogil
cdef void open_listening(Worker *w, Hub *hub) noexcept nogil
cdef void open_dedicated(Worker *w, Client *client) noexcept nogil
cdef void server_login(Worker *w, Server *server, unsigned int events) noexcept nogil
cdef void server_login_late(Worker *w, Server *server) noexcept nogil
cdef void server_login_failed(Worker *w, Server *server, int reason, bint refused, const char *sqlstate,
                              const char *message) noexcept nogil
