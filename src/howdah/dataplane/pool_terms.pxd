"""Which pools there are, who has joined them, and on what terms; and the limits that several of them share."""

from libc.stdint cimport uint8_t, uint32_t, uint64_t

from howdah.dataplane.credentials cimport Secret
from howdah.dataplane.pool cimport JoinVerdict, Limit, Pool, PoolTerms, Pools
from howdah.dataplane.stats cimport Tally

cdef bint pools_init(Pools *pools, int workers) noexcept nogil
cdef void pools_free(Pools *pools) noexcept nogil
cdef void pool_free(Pool *pool) noexcept nogil
cdef bint lay_table(Pools *pools, uint32_t size) noexcept nogil
cdef Limit *limit_named(Limit **slots, const char *name) noexcept nogil
cdef JoinVerdict pool_join(Pools *pools, const PoolTerms *terms, const char *login, bint alone, uint64_t now_us,
                           Pool **pool, Limit **user) noexcept nogil
cdef void pool_quit(Pools *pools, Pool *pool, Limit *user, bint alone, uint64_t now_us) noexcept nogil
cdef void pool_tally(const Pools *pools, const Pool *pool, Tally *sum) noexcept nogil
cdef void pool_secret(Pools *pools, Pool *pool, Secret *secret, const uint8_t *client_key) noexcept nogil
cdef void renew(Pools *pools, Pool *pool) noexcept nogil
cdef void set_held(Pools *pools, Pool *pool) noexcept nogil
cdef void pool_terms(Pools *pools, Pool *pool, const PoolTerms *terms, bint replace_servers) noexcept nogil
cdef void keep_addresses(Pools *pools, Pool *pool, const uint32_t *kept, uint32_t count) noexcept nogil
