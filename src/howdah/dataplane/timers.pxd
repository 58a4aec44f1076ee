"""A wheel of deadlines."""

from libc.stdint cimport uint32_t, uint64_t

cpdef enum:
    TICK_US = 50000  # how late a timer may be
    WHEEL_SLOTS = 1024

# Lives inside what it times; linked into the wheel of that one's worker while armed.
cdef struct Timer:
    Timer *next
    Timer *prev  # NULL: not armed
    uint64_t deadline_us
    void *owner

# Touched by its worker alone.
cdef struct Wheel:
    Timer[WHEEL_SLOTS] slots  # list heads
    uint64_t tick  # the next one to look at

cdef void wheel_init(Wheel *wheel, uint64_t now_us) noexcept nogil
cdef void timer_arm(Wheel *wheel, Timer *timer, uint64_t deadline_us) noexcept nogil
cdef void timer_arm_sooner(Wheel *wheel, Timer *timer, uint64_t deadline_us) noexcept nogil
cdef void timer_disarm(Timer *timer) noexcept nogil
cdef Timer *next_expired(Wheel *wheel, uint64_t now_us) noexcept nogil
cdef int wheel_ticks(const Wheel *wheel) noexcept nogil
cdef void next_tick(int fd) noexcept nogil
