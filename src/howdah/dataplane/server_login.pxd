"""Our way in at a server."""

from howdah.dataplane.parties cimport Server, Worker

cdef void server_login(Worker *w, Server *server, unsigned int events) noexcept nogil
cdef void server_login_late(Worker *w, Server *server) noexcept nogil
