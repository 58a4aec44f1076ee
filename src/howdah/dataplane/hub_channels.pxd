"""The channels of a hub: which ones are wanted, and what its server is still to be told."""

from howdah.dataplane.parties cimport Hub
from howdah.wire.bytes cimport Writer

cdef void set_wanted(Hub *hub, const char *name, size_t size, int worker, bint wanted) noexcept nogil
cdef void start_over(Hub *hub) noexcept nogil
cdef size_t changes_size(const Hub *hub) noexcept nogil
cdef void write_changes(Hub *hub, Writer *text) noexcept nogil
