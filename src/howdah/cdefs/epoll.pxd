"""epoll(7), eventfd(2) and timerfd_create(2), as declared by the system's headers."""

from libc.stdint cimport uint32_t, uint64_t

cdef extern from "<sys/epoll.h>" nogil:
    enum:
        EPOLLIN
        EPOLLOUT
        EPOLLERR
        EPOLLHUP
        EPOLLRDHUP
        EPOLLEXCLUSIVE
        EPOLL_CTL_ADD
        EPOLL_CTL_MOD
        EPOLL_CTL_DEL
        EPOLL_CLOEXEC
    ctypedef union epoll_data_t:
        void *ptr
        uint64_t u64
    struct epoll_event:
        uint32_t events
        epoll_data_t data
    int epoll_create1(int flags) noexcept
    int epoll_ctl(int epfd, int op, int fd, epoll_event *event) noexcept
    int epoll_wait(int epfd, epoll_event *events, int maxevents, int timeout_ms) noexcept

cdef extern from "<sys/eventfd.h>" nogil:
    enum:
        EFD_NONBLOCK
        EFD_CLOEXEC
    int eventfd(unsigned int initval, int flags) noexcept

cdef extern from "<sys/timerfd.h>" nogil:
    """
    #include <stdint.h>
    #include <sys/timerfd.h>
    static inline struct timespec howdah_timespec(uint64_t us) {
        struct timespec t = {.tv_sec = us / 1000000u, .tv_nsec = us % 1000000u * 1000u};
        return t;
    }
    static inline int howdah_tick(int fd, uint64_t first_us, uint64_t every_us) {
        struct itimerspec spec = {howdah_timespec(every_us), howdah_timespec(first_us)};
        return timerfd_settime(fd, TFD_TIMER_ABSTIME, &spec, NULL);
    }
    """
    enum:
        TFD_NONBLOCK
        TFD_CLOEXEC
    int timerfd_create(int clock_id, int flags) noexcept
    int timerfd_tick "howdah_tick"(int fd, uint64_t first_us, uint64_t every_us) noexcept  # first: on its clock
