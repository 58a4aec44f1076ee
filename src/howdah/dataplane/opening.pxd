"""A client's first packets."""

from howdah.dataplane.parties cimport Client, Worker

cdef void client_startup(Worker *w, Client *client) noexcept nogil
