"""POSIX mutexes and condition variables, and C's assert."""

cdef extern from "<pthread.h>" nogil:
    ctypedef struct pthread_mutex_t:
        pass
    int pthread_mutex_init(pthread_mutex_t *mutex, const void *attributes) noexcept
    int pthread_mutex_lock(pthread_mutex_t *mutex) noexcept
    int pthread_mutex_unlock(pthread_mutex_t *mutex) noexcept
    int pthread_mutex_destroy(pthread_mutex_t *mutex) noexcept

cdef extern from "<assert.h>" nogil:
    void c_assert "assert"(bint condition) noexcept
