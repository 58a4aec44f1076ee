"""What else than its text decides what a statement means."""

from libc.stdint cimport int32_t, uint8_t, uint32_t

from howdah.dataplane.parties cimport Client, Worker
from howdah.dataplane.texts cimport Naming, Statement
from howdah.sql.effects cimport Analysis

cdef Statement *statement_for(Worker *w, const Client *client, const uint8_t *data, uint32_t size,
                              const Analysis *found) noexcept nogil
cdef Naming *as_of_now(Worker *w, Client *client, Naming *naming, int32_t **edition) noexcept nogil
