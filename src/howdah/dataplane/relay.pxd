"""What a client sends goes to a server, what the server answers goes back."""

from howdah.dataplane.parties cimport Client, Server, Worker

cdef void relay_client(Worker *w, Client *client, unsigned int events) noexcept nogil
cdef bint paused(const Client *client) noexcept nogil
cdef void relay_held(Worker *w, Client *client) noexcept nogil
cdef void relay_granted(Worker *w, Client *client) noexcept nogil
cdef void relay_server(Worker *w, Server *server, unsigned int events) noexcept nogil
cdef void console_held(Worker *w, Client *client) noexcept nogil
cdef void relay_console(Worker *w, Client *client, unsigned int events) noexcept nogil
