"""Drives `howdah.dataplane.handover` from Python."""

from howdah.dataplane cimport handover
from howdah.dataplane.handover cimport Handover as CHandover, Teller


cdef class Handover:
    cdef CHandover handover

    def __cinit__(self, int teller):
        self.handover.teller = teller

    def turn(self, int to):
        handover.handover_turn(&self.handover, <Teller>to)

    def hear(self, int source):
        return handover.handover_hear(&self.handover, <Teller>source)

    def mark(self, int source):
        return handover.handover_mark(&self.handover, <Teller>source)

    def without(self, int source):
        return handover.handover_without(&self.handover, <Teller>source)

    def back(self):
        return handover.handover_back(&self.handover)

    @property
    def teller(self):
        return self.handover.teller

    @property
    def turning(self):
        return self.handover.turning
