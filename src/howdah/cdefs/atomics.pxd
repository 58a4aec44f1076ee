"""The few atomic operations the data plane uses, on plain struct fields.

`load` and `store` are acquire and release; the `relaxed` pair is for counters that one thread writes and
others read for display only.
"""

from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t

cdef extern from *:
    """
    #include <stdint.h>
    #define howdah_load(p) __atomic_load_n((p), __ATOMIC_ACQUIRE)
    #define howdah_store(p, v) __atomic_store_n((p), (v), __ATOMIC_RELEASE)
    #define howdah_add(p, v) __atomic_add_fetch((p), (v), __ATOMIC_ACQ_REL)
    #define howdah_exchange(p, v) __atomic_exchange_n((p), (v), __ATOMIC_ACQ_REL)
    static inline int howdah_drop_unless_last(int32_t *p) {
        int32_t now = __atomic_load_n(p, __ATOMIC_RELAXED);
        while (now > 1)
            if (__atomic_compare_exchange_n(p, &now, now - 1, 1, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
                return 1;
        return 0;
    }
    #define howdah_relaxed_load(p) __atomic_load_n((p), __ATOMIC_RELAXED)
    #define howdah_relaxed_add(p, v) \\
        __atomic_store_n((p), __atomic_load_n((p), __ATOMIC_RELAXED) + (v), __ATOMIC_RELAXED)
    """
    int32_t load_i32 "howdah_load"(int32_t *p) noexcept nogil
    void store_i32 "howdah_store"(int32_t *p, int32_t value) noexcept nogil
    int32_t add_i32 "howdah_add"(int32_t *p, int32_t value) noexcept nogil
    bint drop_unless_last "howdah_drop_unless_last"(int32_t *p) noexcept nogil  # a count of holders goes down by one
    int32_t exchange_i32 "howdah_exchange"(int32_t *p, int32_t value) noexcept nogil
    uint64_t add_u64 "howdah_add"(uint64_t *p, uint64_t value) noexcept nogil
    void *load_ptr "howdah_load"(void **p) noexcept nogil
    void store_ptr "howdah_store"(void **p, void *value) noexcept nogil
    uint64_t relaxed_load_u64 "howdah_relaxed_load"(uint64_t *p) noexcept nogil
    void relaxed_add_u64 "howdah_relaxed_add"(uint64_t *p, uint64_t value) noexcept nogil
