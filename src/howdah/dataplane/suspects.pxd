"""The texts that may have brought a pin about."""

from libc.stdint cimport uint8_t, uint32_t

from howdah.dataplane.parties cimport Client, Worker
from howdah.dataplane.texts cimport Text

cdef void suspect(Worker *w, Client *client, uint32_t effects, const uint8_t *text, size_t size) noexcept nogil
cdef void suspect_text(Worker *w, Client *client, const Text *text) noexcept nogil
cdef void suspect_unnamed(Worker *w, Client *client) noexcept nogil
cdef void find_suspect(const Client *client, uint32_t certain, uint32_t effects, char *to) noexcept nogil
