"""What a client is told about the session when it has logged in."""

from libc.stdint cimport uint8_t, uint32_t

from howdah.dataplane.pool cimport Pool, Pools
from howdah.dataplane.session_state cimport Settings
from howdah.wire.bytes cimport Writer

cdef bint write_welcome(Pools *pools, Pool *pool, Settings *settings, Writer *w) noexcept nogil
cdef void keep_welcome(Pools *pools, Pool *pool, Settings *settings, const char *parameters, uint32_t size,
                       bint fresh) noexcept nogil
cdef void welcomes_free(Pool *pool) noexcept nogil
