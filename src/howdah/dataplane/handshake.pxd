"""A client's way in."""

from libc.stdint cimport uint8_t

from howdah.dataplane.parties cimport Client, Server, Worker
from howdah.dataplane.pool cimport PoolTerms
from howdah.dataplane.routes cimport CPlan, Route
from howdah.wire.bytes cimport Writer

cdef void login_granted(Worker *w, Client *client) noexcept nogil
cdef void login_answered(Worker *w, Client *client) noexcept nogil
cdef void client_refused_by_pool(Worker *w, Client *client) noexcept nogil
cdef void pool_terms_of(CPlan *plan, Route *found, const char *database, const char *user,
                        PoolTerms *terms) noexcept nogil
cdef void admit(Worker *w, Client *client) noexcept nogil
cdef void make_key(Worker *w, Client *client, Writer *message) noexcept nogil
cdef void count_login(Worker *w, Client *client) noexcept nogil
cdef void tell_attempt(Worker *w, Client *client) noexcept nogil
cdef void give_notice(const Worker *w, Writer *message) noexcept nogil
cdef void tell_login(Worker *w, Client *client) noexcept nogil
cdef bint random_bytes(Worker *w, uint8_t *random, size_t size) noexcept nogil
