"""A client: made, moved from state to state, freed."""

from libc.stdint cimport uint8_t, uint64_t

from howdah.dataplane.parties cimport Client, ClientState, Login, Worker
from howdah.wire.startup cimport Startup

# The next thing that time brings a client.
cdef struct Deadline:
    uint64_t at_us  # 0: never
    int reason  # in howdah.reasons; "none": it is to go without a word

cdef Client *client_new(Worker *w, int fd) noexcept nogil
cdef bint logging_in(const Client *client) noexcept nogil
cdef void login_packet(Login *login, Startup *packet) noexcept nogil
cdef void login_free(Client *client) noexcept nogil
cdef void client_free(Worker *w, Client *client) noexcept nogil
cdef void client_move(Client *client, ClientState to) noexcept nogil
cdef Deadline client_deadline(const Client *client) noexcept nogil
cdef void client_watch_deadline(Client *client) noexcept nogil
cdef void set_ready(Client *client) noexcept nogil
cdef Client *next_ready(Worker *w) noexcept nogil
cdef Client *client_at(Worker *w, unsigned int slot) noexcept nogil
cdef size_t read_room(const Client *client, size_t most) noexcept nogil
cdef size_t address_key(const Client *client, uint8_t *to) noexcept nogil
cdef void print_address(const Client *client, char *to, size_t size) noexcept nogil
