"""Logins: of clients at howdah, of howdah at servers."""

from howdah.dataplane.parties cimport Client, Server, Worker
from howdah.dataplane.pool cimport Pool, PoolTerms
from howdah.dataplane.routes cimport CPlan, Route

cdef void tune(const CPlan *plan, int fd) noexcept nogil
cdef void client_startup(Worker *w, Client *client) noexcept nogil
cdef void login_granted(Worker *w, Client *client) noexcept nogil
cdef void login_answered(Worker *w, Client *client) noexcept nogil
cdef bint apply_settings(Worker *w, Client *client, Server *server) noexcept nogil
cdef void client_refused_by_pool(Worker *w, Client *client) noexcept nogil
cdef void pool_terms_of(CPlan *plan, Route *found, const char *database, const char *user,
                        PoolTerms *terms) noexcept nogil
cdef void open_server(Worker *w, Pool *pool) noexcept nogil
cdef void server_login(Worker *w, Server *server, unsigned int events) noexcept nogil
cdef void server_login_failed(Worker *w, Server *server, int reason, bint refused, const char *sqlstate,
                              const char *message) noexcept nogil
