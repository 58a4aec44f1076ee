"""A wheel of deadlines: arming and disarming cost a few instructions, and each is at most a tick late.

Owners arm lazily: a timer that fires looks at the true deadline of its owner's state and arms itself again if that
is still to come, so that nothing is done per message.  Called by everything that has a time-out, and by `worker`
once a turn.
"""

from libc.stdint cimport uint64_t

from howdah.cdefs.clock cimport CLOCK_MONOTONIC
from howdah.cdefs.epoll cimport TFD_CLOEXEC, TFD_NONBLOCK, timerfd_create, timerfd_tick
from howdah.cdefs.sockets cimport close, read


cdef void wheel_init(Wheel *wheel, uint64_t now_us) noexcept nogil:
    cdef Timer *slot
    for i in range(WHEEL_SLOTS):
        slot = &wheel.slots[i]
        slot.next = slot.prev = slot
    wheel.tick = now_us // TICK_US


cdef void timer_arm(Wheel *wheel, Timer *timer, uint64_t deadline_us) noexcept nogil:
    """Fire at `deadline_us` or up to a tick later; arming again moves the timer."""
    cdef uint64_t tick = deadline_us // TICK_US + 1
    cdef Timer *slot
    timer_disarm(timer)
    slot = &wheel.slots[max(tick, wheel.tick) % WHEEL_SLOTS]
    timer.deadline_us = deadline_us
    timer.next = slot
    timer.prev = slot.prev
    slot.prev.next = timer
    slot.prev = timer


cdef void timer_arm_sooner(Wheel *wheel, Timer *timer, uint64_t deadline_us) noexcept nogil:
    """Arm unless the timer is armed for an earlier time already."""
    if timer.prev == NULL or timer.deadline_us > deadline_us:
        timer_arm(wheel, timer, deadline_us)


cdef void timer_disarm(Timer *timer) noexcept nogil:
    if timer.prev == NULL:
        return
    timer.prev.next = timer.next
    timer.next.prev = timer.prev
    timer.next = timer.prev = NULL


cdef Timer *next_expired(Wheel *wheel, uint64_t now_us) noexcept nogil:
    """Disarm and give the next timer that is due, NULL when there is none (left)."""
    cdef uint64_t now_tick = now_us // TICK_US
    cdef Timer *slot
    cdef Timer *timer
    if now_tick - wheel.tick >= WHEEL_SLOTS and now_tick > wheel.tick:
        wheel.tick = now_tick - WHEEL_SLOTS + 1  # a very long turn: one round sees every slot
    while wheel.tick <= now_tick:
        slot = &wheel.slots[wheel.tick % WHEEL_SLOTS]
        timer = slot.next
        while timer != slot:
            if timer.deadline_us <= now_us:
                timer_disarm(timer)
                return timer
            timer = timer.next
        wheel.tick += 1
    return NULL


cdef int wheel_ticks(const Wheel *wheel) noexcept nogil:
    """A new timerfd that becomes readable with each tick of `wheel`, until `next_tick`; -1 on failure.

    A time-out of epoll_wait would do the same, and would be set and cleared with each message: a seventh of what a
    transaction of a single client costs.
    """
    cdef int fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC)
    if fd >= 0 and timerfd_tick(fd, (wheel.tick + 1) * TICK_US, TICK_US) != 0:
        close(fd)
        return -1
    return fd


cdef void next_tick(int fd) noexcept nogil:
    """A tick has come: read it off, upon which the kernel sets the next."""
    cdef uint64_t ticks
    read(fd, &ticks, sizeof(ticks))
