"""Which of two servers tells a client what is notified."""

from libc.stdint cimport uint8_t

cpdef enum Teller:
    TELLER_OWN  # the server that the client is linked to
    TELLER_HUB  # the listening server of its database

# What becomes of a notification.
cpdef enum Hearing:
    HEAR_TELL  # the client is told, behind what waits already
    HEAR_DROP  # the other has told it, or will
    HEAR_KEEP  # it is told when the other teller has come as far

# What a marker means for what is kept: bits.
cpdef enum Mark:
    MARK_NOTHING = 0
    MARK_FORGET = 1  # the other one has told that
    MARK_OVER = 2  # (then) it is to be told now

# Lives inside an ear.
cdef struct Handover:
    uint8_t teller  # a Teller
    bint turning  # to the other one
    bint old_done  # the teller has told all up to the marker
    bint new_began  # the other one has come to it

cdef void handover_turn(Handover *handover, Teller to) noexcept nogil
cdef Hearing handover_hear(const Handover *handover, Teller source) noexcept nogil
cdef int handover_mark(Handover *handover, Teller source) noexcept nogil
cdef int handover_without(Handover *handover, Teller source) noexcept nogil
cdef int handover_back(Handover *handover) noexcept nogil
