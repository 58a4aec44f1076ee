"""A server is kept for its client.  Called by `asking`, `noting`, `sequences` and `preparing`."""

from libc.stdint cimport uint8_t, uint16_t

from howdah.dataplane.mailbox cimport tell_client
from howdah.dataplane.parties cimport PIN_SESSION_MODE, Client, Worker

from howdah.dataplane.rows import EventKind

cdef uint8_t EVENT_PIN = EventKind.PIN


cdef bint follows_client(const Client *client) noexcept nogil:
    """Is it a session that goes from server to server?  (Otherwise the server is the client's own until it leaves.)"""
    return not (client.server.pins & PIN_SESSION_MODE or client.server.pooled.dedicated)


cdef void pin(Worker *w, Client *client, uint16_t why, int number) noexcept nogil:
    """For this reason, of this number in howdah.reasons, of which the control plane is told once."""
    if not client.server.pins & why:
        client.server.pins |= why
        tell_client(w, EVENT_PIN, client, number, NULL, 0)
