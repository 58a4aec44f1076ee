"""A wheel of deadlines: arming and disarming cost a few instructions, and each is at most a tick late.

Owners arm lazily: a timer that fires looks at the true deadline of its owner's state and arms itself again if that
is still to come, so that nothing is done per message.  Called by everything that has a time-out, and by `worker`
once a turn.
"""

from libc.stdint cimport uint64_t


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


cdef int wait_ms(Wheel *wheel, uint64_t now_us) noexcept nogil:
    """How long a worker may sleep without missing a tick."""
    cdef uint64_t due_us = wheel.tick * TICK_US
    if due_us <= now_us:
        return 0
    return <int>((due_us - now_us + 999) // 1000)
