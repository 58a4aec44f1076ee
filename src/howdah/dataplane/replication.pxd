"""Replication clients, each with a server of its own."""

from howdah.dataplane.parties cimport Client, Worker

cdef void replication_login(Worker *w, Client *client) noexcept nogil
