"""Notifications on their way to clients."""

from libc.stdint cimport uint8_t, uint32_t

from howdah.dataplane.handover cimport Teller
from howdah.dataplane.parties cimport Client, Ear, Limit, Notification, Worker
from howdah.dataplane.turn cimport Step

cdef void notified(Worker *w, Notification *notification) noexcept nogil
cdef Step own_server_tells(Worker *w, Client *client, const uint8_t *message, uint32_t size) noexcept nogil
cdef void hub_news(Worker *w, Limit *database, uint32_t news, uint32_t ticket) noexcept nogil
cdef void marked(Ear *ear, int mark) noexcept nogil
cdef bint tell(Worker *w, Client *client) noexcept nogil
cdef bint is_marker_for(const Client *client, const char *payload) noexcept nogil
