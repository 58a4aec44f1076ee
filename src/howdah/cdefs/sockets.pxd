"""Sockets, as declared by the system's headers."""

from libc.stdint cimport uint16_t, uint32_t

cdef extern from "<sys/socket.h>" nogil:
    enum:
        AF_UNIX
        AF_INET
        AF_INET6
        SOCK_STREAM
        SOCK_NONBLOCK
        SOCK_CLOEXEC
        SOL_SOCKET
        SO_ERROR
        SO_KEEPALIVE
        SO_PEERCRED
        SO_RCVBUF
        SO_SNDBUF
        MSG_NOSIGNAL
        MSG_DONTWAIT
        MSG_PEEK
        SHUT_RDWR
        SHUT_WR
    ctypedef unsigned int socklen_t
    struct sockaddr:
        unsigned short sa_family
    struct ucred:
        int pid
        unsigned int uid
        unsigned int gid
    struct sockaddr_storage:
        unsigned short ss_family
    int socket(int domain, int type, int protocol) noexcept
    int accept4(int fd, sockaddr *addr, socklen_t *addrlen, int flags) noexcept
    int connect(int fd, const sockaddr *addr, socklen_t addrlen) noexcept
    int shutdown(int fd, int how) noexcept
    int getsockname(int fd, sockaddr *addr, socklen_t *addrlen) noexcept
    int getsockopt(int fd, int level, int optname, void *optval, socklen_t *optlen) noexcept
    int setsockopt(int fd, int level, int optname, const void *optval, socklen_t optlen) noexcept

# The C library's recv and send are points where a thread may be cancelled, which costs two atomic operations a call;
# ours never is.  Checked builds call the library, where the sanitizers listen.
cdef extern from *:
    """
    #include <sys/socket.h>
    #include <sys/syscall.h>
    #include <unistd.h>
    #ifdef HOWDAH_DEBUG
    #define howdah_recv(fd, buf, n, flags) recv((fd), (buf), (n), (flags))
    #define howdah_send(fd, buf, n, flags) send((fd), (buf), (n), (flags))
    #else
    #define howdah_recv(fd, buf, n, flags) ((ssize_t)syscall(SYS_recvfrom, (fd), (buf), (n), (flags), NULL, NULL))
    #define howdah_send(fd, buf, n, flags) ((ssize_t)syscall(SYS_sendto, (fd), (buf), (n), (flags), NULL, 0))
    #endif
    """
    ssize_t recv "howdah_recv"(int fd, void *buf, size_t n, int flags) noexcept nogil
    ssize_t send "howdah_send"(int fd, const void *buf, size_t n, int flags) noexcept nogil

cdef extern from "<netinet/in.h>" nogil:
    enum:
        IPPROTO_TCP
        INET6_ADDRSTRLEN
    struct in_addr:
        uint32_t s_addr
    struct in6_addr:
        unsigned char s6_addr[16]
    struct sockaddr_in:
        unsigned short sin_family
        uint16_t sin_port
        in_addr sin_addr
    struct sockaddr_in6:
        unsigned short sin6_family
        uint16_t sin6_port
        in6_addr sin6_addr

cdef extern from "<netinet/tcp.h>" nogil:
    enum:
        TCP_DEFER_ACCEPT
        TCP_NODELAY
        TCP_KEEPIDLE
        TCP_KEEPINTVL
        TCP_KEEPCNT
        TCP_USER_TIMEOUT

cdef extern from "<arpa/inet.h>" nogil:
    const char *inet_ntop(int af, const void *src, char *dst, socklen_t size) noexcept
    int inet_pton(int af, const char *text, void *to) noexcept
    uint16_t ntohs(uint16_t value) noexcept

cdef extern from "<sys/random.h>" nogil:
    ssize_t getrandom(void *buf, size_t n, unsigned int flags) noexcept

cdef extern from "<unistd.h>" nogil:
    int close(int fd) noexcept
    ssize_t read(int fd, void *buf, size_t n) noexcept
    ssize_t write(int fd, const void *buf, size_t n) noexcept
    unsigned int geteuid() noexcept

cdef extern from "<pwd.h>" nogil:
    struct passwd:
        char *pw_name
    int getpwuid_r(unsigned int uid, passwd *entry, char *room, size_t size, passwd **result) noexcept
