"""Messages to workers, and events up to the control plane."""

from libc.stdint cimport uint8_t, uint64_t

from howdah.cdefs.sockets cimport sockaddr_storage
from howdah.dataplane.parties cimport Client, Mail, Note, Peer, Server, Shared, Worker

cdef Mail *mail_new(uint8_t kind) noexcept nogil
cdef void mail_free(Mail *mail) noexcept nogil
cdef void mail_send(Worker *to, Mail *mail) noexcept nogil
cdef Mail *mail_fetch(Worker *worker) noexcept nogil
cdef void fill_peer(Peer *peer, const sockaddr_storage *address) noexcept nogil
cdef bint own_end(int fd, Peer *own) noexcept nogil
cdef void own_address(int fd, char *to, size_t size) noexcept nogil
cdef void tell_client(Worker *w, uint8_t kind, Client *client, int reason, const void *detail,
                      size_t size) noexcept nogil
cdef void tell_reserve(Worker *w, Client *client) noexcept nogil
cdef void tell_server(Worker *w, uint8_t kind, Server *server, int reason, const void *detail,
                      size_t size) noexcept nogil
cdef void tell_peer(Worker *w, int reason, int peer_id, const char *where, const char *problem) noexcept nogil
cdef void tell_worker(Worker *w, uint8_t kind, int reason, const char *detail) noexcept nogil
cdef Note *note_new(Worker *w, uint8_t kind, int reason, const char *database, const char *user,
                    const void *detail, size_t size) noexcept nogil
cdef void note_send(Shared *shared, Note *note) noexcept nogil
cdef Note *notes_fetch(Shared *shared) noexcept nogil
