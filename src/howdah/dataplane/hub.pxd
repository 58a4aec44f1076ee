"""The servers that listen for all clients of a database."""

from libc.stdint cimport uint32_t

from howdah.dataplane.parties cimport Hub, Server, Wish, Worker

cdef void wish_came(Worker *w, Wish *wish) noexcept nogil
cdef void hub_event(Worker *w, Server *server, uint32_t events) noexcept nogil
cdef void hubs_go_on(Worker *w) noexcept nogil
cdef void hubs_retry(Worker *w) noexcept nogil
cdef void hub_goes_on(Worker *w, Hub *hub) noexcept nogil
cdef void hubs_free(Worker *w) noexcept nogil
