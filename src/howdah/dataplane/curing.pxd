"""A stale statement is prepared again and what failed on it repeated."""

from libc.stdint cimport uint8_t

from howdah.dataplane.parties cimport Client, Server, Worker
from howdah.dataplane.texts cimport Naming
from howdah.wire.frame cimport Frame
from howdah.wire.replies cimport ErrorFields

cdef void may_begin_group(Worker *w, Client *client) noexcept nogil
cdef void add_to_group(Worker *w, Client *client, const Frame *frame, const uint8_t *message) noexcept nogil
cdef void forget_group(Worker *w, Client *client) noexcept nogil
cdef bint tells_of_stale(Server *server, const Naming *naming, const ErrorFields *error) noexcept nogil
cdef bint cure(Worker *w, Server *server, const ErrorFields *error) noexcept nogil
cdef void cured(Client *client) noexcept nogil
