"""epoll, level-triggered: what a connection's owner is told is what it registered as `owner`.

Events are hints.  A connection may have moved to another worker or been freed since the kernel queued one, so a
receiver looks at its own state first and then asks the socket.  Called by `conn`, `listener`, `mailbox`, `worker`.
"""

from libc.stdint cimport uint32_t

from howdah.cdefs.epoll cimport EPOLL_CTL_ADD, EPOLL_CTL_DEL, EPOLL_CTL_MOD, epoll_ctl, epoll_event


cdef bint poller_add(int epoll_fd, int fd, uint32_t events, void *owner) noexcept nogil:
    cdef epoll_event event
    event.events = events
    event.data.ptr = owner
    return epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0


cdef bint poller_change(int epoll_fd, int fd, uint32_t events, void *owner) noexcept nogil:
    cdef epoll_event event
    event.events = events
    event.data.ptr = owner
    return epoll_ctl(epoll_fd, EPOLL_CTL_MOD, fd, &event) == 0


cdef void poller_remove(int epoll_fd, int fd) noexcept nogil:
    epoll_ctl(epoll_fd, EPOLL_CTL_DEL, fd, NULL)
