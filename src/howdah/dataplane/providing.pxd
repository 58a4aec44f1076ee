"""A server is given the prepared statements that it lacks."""

from libc.stdint cimport int32_t

from howdah.dataplane.parties cimport Client, Worker
from howdah.dataplane.texts cimport Naming, Statement
from howdah.dataplane.turn cimport Step, Turn

cdef Step prepare_where_missing(Worker *w, Client *client, Naming *naming, int32_t edition, Turn *turn) noexcept nogil
cdef Step make_way(Worker *w, Client *client, Statement *statement, int32_t edition, Turn *turn) noexcept nogil
cdef Step not_prepared(Client *client, const Statement *statement) noexcept nogil
cdef Step put_describe(Worker *w, Client *client, Naming *naming, Turn *turn) noexcept nogil
cdef Step put_sync(Worker *w, Client *client, Turn *turn) noexcept nogil
