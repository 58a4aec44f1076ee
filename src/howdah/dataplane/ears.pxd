"""What clients hear with: their channels, and what they are to be told."""

from libc.stdint cimport uint8_t, uint32_t

from howdah.dataplane.channels cimport Channel
from howdah.dataplane.parties cimport Board, Client, Ear, Limit, Notification, Shared, ToldQueue, Wish, Worker

cdef enum:
    MOST_UNTOLD = 1048576  # bytes of notifications that a client is behind

# The two strings of a NotificationResponse, as they stand in it.
cdef struct Heard:
    const char *channel
    size_t channel_size
    const char *payload

cdef Notification *notification_new(const uint8_t *message, uint32_t size, Limit *database) noexcept nogil
cdef Notification *notification_hold(Notification *notification) noexcept nogil
cdef void notification_drop(Notification *notification) noexcept nogil
cdef bint read_notification(const uint8_t *message, uint32_t size, Heard *heard) noexcept nogil
cdef bint told_put(ToldQueue *queue, Notification *notification) noexcept nogil
cdef void told_take(ToldQueue *queue) noexcept nogil
cdef void told_clear(ToldQueue *queue) noexcept nogil
cdef void told_join(ToldQueue *queue, ToldQueue *behind) noexcept nogil
cdef int hub_worker(const Shared *shared, const Limit *database) noexcept nogil
cdef Board *board_find(Worker *w, const Limit *database) noexcept nogil
cdef void boards_free(Worker *w) noexcept nogil
cdef Ear *ear_new(Worker *w, Client *client) noexcept nogil
cdef void ear_free(Worker *w, Client *client) noexcept nogil
cdef bint ear_hears(const Ear *ear, const char *channel, size_t size) noexcept nogil
cdef bint ear_confirmed(const Ear *ear) noexcept nogil
cdef bint seats_renew(Worker *w, Ear *ear, const char *names, uint32_t size, bint whole) noexcept nogil
cdef void wish_free(Worker *w, Wish *wish) noexcept nogil
