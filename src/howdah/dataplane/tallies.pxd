"""What workers have counted, as rows."""

from howdah.dataplane.parties cimport Shared

cdef list stats_rows(Shared *shared)
cdef list pin_reason_rows(Shared *shared)
cdef list duration_rows(Shared *shared)
cdef list peer_pool_rows(Shared *shared)
