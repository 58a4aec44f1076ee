"""epoll, level-triggered."""

from libc.stdint cimport uint32_t

cdef bint poller_add(int epoll_fd, int fd, uint32_t events, void *owner) noexcept nogil
cdef bint poller_change(int epoll_fd, int fd, uint32_t events, void *owner) noexcept nogil
cdef void poller_remove(int epoll_fd, int fd) noexcept nogil
