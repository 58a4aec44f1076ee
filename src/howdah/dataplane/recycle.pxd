"""Ends: of a link, of a client, of a server."""

from howdah.dataplane.parties cimport Client, Server, Worker

cdef void watch_both(Worker *w, Client *client) noexcept nogil
cdef void watch_server(Worker *w, Server *server) noexcept nogil
cdef void watch_client(Worker *w, Client *client) noexcept nogil
cdef void send_to_server(Worker *w, Server *server, const void *data, size_t size) noexcept nogil
cdef void unlink_and_recycle(Worker *w, Server *server) noexcept nogil
cdef void check(Worker *w, Server *server) noexcept nogil
cdef void end_copy(Worker *w, Server *server) noexcept nogil
cdef void recycle(Worker *w, Server *server) noexcept nogil
cdef void adopt(Worker *w, Server *server) noexcept nogil
cdef void client_refuse(Worker *w, Client *client, int reason, const char *detail) noexcept nogil
cdef void client_refuse_text(Worker *w, Client *client, int reason, const char *sqlstate,
                             const char *message) noexcept nogil
cdef void client_lost(Worker *w, Client *client) noexcept nogil
cdef void client_leave(Worker *w, Client *client, int reason, const char *detail) noexcept nogil
cdef void client_lingers(Worker *w, Client *client) noexcept nogil
cdef void grant_not_wanted(Worker *w, Client *client) noexcept nogil
cdef void server_lost(Worker *w, Server *server, int reason, const char *detail) noexcept nogil
cdef void server_close(Worker *w, Server *server, int reason) noexcept nogil
cdef void recovery_due(Worker *w, Server *server) noexcept nogil
cdef void server_ended(Worker *w, Server *server) noexcept nogil
