"""A server is kept for its client."""

from libc.stdint cimport uint16_t, uint32_t

from howdah.dataplane.parties cimport Client, Server, Worker
from howdah.dataplane.stats cimport PIN_KINDS

# Never changes.
cdef struct PinSort:
    uint16_t pin  # a `parties.Pin`
    uint32_t effects  # of texts that may bring it about
    uint32_t certain  # ... and of those that do, unless they fail or are rolled back
    int reason  # in howdah.reasons

cdef PinSort[PIN_KINDS] PIN_SORTS  # in the order of plan.PinKind

cdef bint follows_client(const Client *client) noexcept nogil
cdef void pin(Worker *w, Client *client, uint16_t why) noexcept nogil
cdef void pins_end(Worker *w, Server *server, uint16_t left) noexcept nogil
cdef bint take_share(Client *client) noexcept nogil
cdef bint has_room(const Client *client) noexcept nogil
cdef const PinSort *sort_of(uint16_t pins) noexcept nogil
cdef const char *pin_name(uint16_t pins) noexcept nogil
