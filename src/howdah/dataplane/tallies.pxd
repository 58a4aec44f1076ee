"""How long what took, pool by pool."""

from howdah.dataplane.parties cimport Shared

cdef list durations_rows(Shared *shared)
