"""The yardstick: the least work a transaction pooler can do, and nothing else.

One thread, one epoll, one read buffer.  Message boundaries are found in both directions, nothing is looked into but
the type byte and ReadyForQuery's status.  A server is taken at the first byte of a client's request and given back
at the ReadyForQuery with status 'I' that answers the last request; clients without a server wait in a line.
Clients are greeted with the bytes PostgreSQL sent to the relay itself.

What it leaves out makes it unfit for anything but measuring: no time-outs, no cancel requests, no session state, no
errors of its own, and a peer that does not read blocks everybody.
"""

from libc.errno cimport EAGAIN, EINTR, errno
from libc.stdint cimport uint32_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcpy

cdef extern from "<sys/epoll.h>" nogil:
    enum:
        EPOLLIN, EPOLL_CTL_ADD, EPOLL_CTL_DEL, EPOLL_CLOEXEC
    ctypedef union epoll_data_t:
        void* ptr
    struct epoll_event:
        uint32_t events
        epoll_data_t data
    int epoll_create1(int)
    int epoll_ctl(int, int, int, epoll_event*)
    int epoll_wait(int, epoll_event*, int, int)

cdef extern from "<sys/socket.h>" nogil:
    enum:
        MSG_DONTWAIT, MSG_NOSIGNAL, SOCK_NONBLOCK, SOCK_CLOEXEC
    ssize_t recv(int, void*, size_t, int)
    ssize_t send(int, const void*, size_t, int)
    int accept4(int, void*, void*, int)
    int setsockopt(int, int, int, const void*, unsigned int)

cdef extern from "<netinet/in.h>" nogil:
    enum:
        IPPROTO_TCP

cdef extern from "<netinet/tcp.h>" nogil:
    enum:
        TCP_NODELAY

cdef extern from "<poll.h>" nogil:
    enum:
        POLLOUT
    struct pollfd:
        int fd
        short events
        short revents
    int poll(pollfd*, unsigned long, int)

cdef extern from "<unistd.h>" nogil:
    int close(int)

cdef enum:
    FREE = 0
    LISTENER = 1
    GREETING = 2  # a client whose startup packet has not come
    CLIENT = 3
    SERVER = 4
    BUFFER = 65536
    BATCH = 512
    STASH = 16384
    MAX_FD = 65536

#: Slot `fd` of the relay's table belongs to that fd from accept to close; there is one thread.
cdef struct Conn:
    int fd
    int kind
    int owed  # ReadyForQuery that the server still has to send
    char status  # of the server's last ReadyForQuery
    unsigned char head_len  # bytes of a header that a read cut in two
    unsigned char head[5]
    uint32_t body  # bytes of the current message still to come
    int stash_len
    char* stash  # what a waiting client has sent; NULL when nothing
    Conn* peer
    Conn* next  # in the line of waiting clients, the stack of idle servers or of free stashes

cdef struct Relay:
    int epoll
    int listener
    Conn* conns
    Conn* idle  # last in, first out
    Conn* first  # the line of waiting clients
    Conn* last
    char* spare  # stash blocks kept for the next client; each begins with the address of the one after it
    char* greeting
    int greeting_len
    char buffer[BUFFER]

cdef const char* ROLLBACK = b"Q\0\0\0\x0dROLLBACK\0"


cdef inline uint32_t be32(const unsigned char* p) noexcept nogil:
    return (<uint32_t>p[0] << 24) | (<uint32_t>p[1] << 16) | (<uint32_t>p[2] << 8) | p[3]


cdef int put(int fd, const char* data, ssize_t length) noexcept nogil:
    """Send all; waits when the peer does not read (a yardstick may)."""
    cdef ssize_t sent = send(fd, data, length, MSG_DONTWAIT | MSG_NOSIGNAL)
    cdef pollfd waiter
    while sent != length:
        if sent < 0:
            if errno != EAGAIN and errno != EINTR:
                return -1
            waiter.fd, waiter.events = fd, POLLOUT
            poll(&waiter, 1, 1000)
        else:
            data += sent
            length -= sent
        sent = send(fd, data, length, MSG_DONTWAIT | MSG_NOSIGNAL)
    return 0


cdef inline const unsigned char* header(
    Conn* c, const unsigned char** at, const unsigned char* end
) noexcept nogil:
    """Skip the rest of the current message; the next header if it is all there, else NULL with everything used up."""
    cdef const unsigned char* p = at[0]
    if c.body:
        if c.body >= <size_t>(end - p):
            c.body -= <uint32_t>(end - p)
            at[0] = end
            return NULL
        p += c.body
        c.body = 0
    if c.head_len == 0 and end - p >= 5:
        c.body = be32(p + 1) - 4
        at[0] = p + 5
        return p
    while p < end and c.head_len < 5:
        c.head[c.head_len] = p[0]
        c.head_len += 1
        p += 1
    at[0] = p
    if c.head_len < 5:
        return NULL
    c.head_len = 0
    c.body = be32(&c.head[1]) - 4
    return &c.head[0]


cdef ssize_t scan_client(Conn* c, const char* data, ssize_t n) noexcept nogil:
    """Count the requests that end with a ReadyForQuery; how many bytes to forward (all before a Terminate)."""
    cdef const unsigned char* at = <const unsigned char*>data
    cdef const unsigned char* end = at + n
    cdef const unsigned char* h
    while at < end:
        h = header(c, &at, end)
        if h == NULL:
            break
        if h[0] == b'Q' or h[0] == b'S' or h[0] == b'F':
            c.owed += 1
        elif h[0] == b'X':
            return at - 5 - <const unsigned char*>data
    return n


cdef void scan_server(Conn* s, const char* data, ssize_t n) noexcept nogil:
    cdef const unsigned char* at = <const unsigned char*>data
    cdef const unsigned char* end = at + n
    cdef const unsigned char* h
    if s.body == 1 and s.status == b'?' and n:
        s.status = at[0]  # ReadyForQuery was cut before its last byte
    while at < end:
        h = header(s, &at, end)
        if h == NULL:
            break
        if h[0] == b'Z':
            s.owed -= 1
            s.status = <char>at[0] if at < end else b'?'


cdef inline void spare(Relay* r, char* stash) noexcept nogil:
    """Keep a block for the next client that has to wait."""
    (<char**>stash)[0] = r.spare
    r.spare = stash


cdef void hang_up(Relay* r, Conn* c) noexcept nogil:
    """Forget a client; its server comes back when it has answered."""
    cdef Conn* w = r.first
    if c.peer != NULL:
        c.peer.peer = NULL
        if c.peer.owed == 0:  # idle in a transaction
            c.peer.owed = 1
            put(c.peer.fd, ROLLBACK, 14)
    elif c.stash != NULL:
        if w == c:
            r.first = c.next
        else:
            while w.next != c:
                w = w.next
            w.next = c.next
            if r.last == c:
                r.last = w
        spare(r, c.stash)
        c.stash = NULL
    c.kind = FREE
    close(c.fd)


cdef inline void link(Conn* c, Conn* s) noexcept nogil:
    c.peer = s
    s.peer = c


cdef inline void forward(Relay* r, Conn* c, const char* data, ssize_t n) noexcept nogil:
    """A client's bytes to its server; `owed` moves along, it is the server that pays."""
    cdef ssize_t m = scan_client(c, data, n)
    c.peer.owed += c.owed
    c.owed = 0
    if m and put(c.peer.fd, data, m) < 0:
        m = -1
    if m != n:
        hang_up(r, c)


cdef void wait_in_line(Relay* r, Conn* c, const char* data, ssize_t n) noexcept nogil:
    if c.stash == NULL:
        if r.spare != NULL:
            c.stash = r.spare
            r.spare = (<char**>c.stash)[0]
        else:
            c.stash = <char*>malloc(STASH)
        c.next = NULL
        if r.first == NULL:
            r.first = c
        else:
            r.last.next = c
        r.last = c
    if c.stash_len + n > STASH:
        hang_up(r, c)
        return
    memcpy(c.stash + c.stash_len, data, n)
    c.stash_len += <int>n


cdef void give_back(Relay* r, Conn* s) noexcept nogil:
    """To the client that waits longest, else on the stack of idle servers."""
    cdef Conn* c
    if s.peer != NULL:
        s.peer.peer = NULL
        s.peer = NULL
    if r.first == NULL:
        s.next = r.idle
        r.idle = s
        return
    c = r.first
    r.first = c.next
    link(c, s)
    cdef char* stash = c.stash
    cdef int n = c.stash_len
    c.stash, c.stash_len = NULL, 0
    forward(r, c, stash, n)
    spare(r, stash)


cdef void greet(Relay* r, Conn* c, ssize_t n) noexcept nogil:
    """A startup packet (taken to come whole) or a request for encryption."""
    cdef uint32_t code = be32(<unsigned char*>r.buffer + 4) if n >= 8 else 0
    if n == 8 and (code == 80877103 or code == 80877104):
        put(c.fd, b"N", 1)
    elif code >> 16 == 3:
        put(c.fd, r.greeting, r.greeting_len)
        c.kind = CLIENT
    else:
        hang_up(r, c)


cdef void on_client(Relay* r, Conn* c) noexcept nogil:
    cdef ssize_t n = recv(c.fd, r.buffer, BUFFER, MSG_DONTWAIT)
    cdef Conn* s
    if n <= 0:
        if n == 0 or errno != EAGAIN:
            hang_up(r, c)
        return
    if c.kind == GREETING:
        greet(r, c, n)
        return
    if c.peer == NULL:
        if n == 5 and r.buffer[0] == b'X':
            hang_up(r, c)
            return
        s = r.idle
        if s == NULL or c.stash != NULL:
            wait_in_line(r, c, r.buffer, n)
            return
        r.idle = s.next
        link(c, s)
    forward(r, c, r.buffer, n)


cdef int on_server(Relay* r, Conn* s) noexcept nogil:
    cdef ssize_t n = recv(s.fd, r.buffer, BUFFER, MSG_DONTWAIT)
    if n <= 0:
        return 0 if n < 0 and errno == EAGAIN else -1
    scan_server(s, r.buffer, n)
    if s.peer != NULL:
        put(s.peer.fd, r.buffer, n)
    if s.owed == 0:
        if s.status == b'I':
            give_back(r, s)
        elif s.peer == NULL and s.status != b'?':
            s.owed = 1
            put(s.fd, ROLLBACK, 14)
    return 0


cdef void watch(Relay* r, int fd, int kind) noexcept nogil:
    cdef epoll_event event
    cdef int one = 1
    cdef Conn* c = &r.conns[fd]
    c.fd, c.kind, c.owed, c.head_len, c.body = fd, kind, 0, 0, 0
    c.stash_len, c.stash, c.peer, c.next = 0, NULL, NULL, NULL
    if kind == SERVER:  # clients inherit it from the listener
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one))
    event.events, event.data.ptr = EPOLLIN, c
    epoll_ctl(r.epoll, EPOLL_CTL_ADD, fd, &event)


cdef void on_listener(Relay* r) noexcept nogil:
    cdef int fd
    while True:
        fd = accept4(r.listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)
        if fd < 0:
            return
        if fd >= MAX_FD:
            close(fd)
            continue
        watch(r, fd, GREETING)
        on_client(r, &r.conns[fd])  # TCP_DEFER_ACCEPT: the startup packet is there already


cdef int turn(Relay* r) noexcept nogil:
    """Serve until a server goes away."""
    cdef epoll_event events[BATCH]
    cdef int count, i
    cdef Conn* c
    while True:
        count = epoll_wait(r.epoll, events, BATCH, -1)
        if count < 0 and errno != EINTR:
            return -1
        for i in range(count):
            c = <Conn*>events[i].data.ptr
            if c.kind == SERVER:
                if on_server(r, c) < 0:
                    return -1
            elif c.kind == CLIENT or c.kind == GREETING:
                on_client(r, c)
            elif c.kind == LISTENER:
                on_listener(r)


def serve(int listener, servers: list[int], bytes greeting) -> None:
    """Relay between the clients of `listener` (listening, non-blocking) and `servers` (logged in, idle) for ever."""
    cdef Relay* r = <Relay*>calloc(1, sizeof(Relay))
    cdef Conn* conns = <Conn*>calloc(MAX_FD, sizeof(Conn))
    cdef int fd
    if r == NULL or conns == NULL:
        free(r)
        free(conns)
        raise MemoryError
    r.conns, r.listener, r.epoll = conns, listener, epoll_create1(EPOLL_CLOEXEC)
    r.greeting, r.greeting_len = greeting, <int>len(greeting)
    watch(r, listener, LISTENER)
    for fd in servers:
        watch(r, fd, SERVER)
        conns[fd].next = r.idle
        r.idle = &conns[fd]
    with nogil:
        turn(r)
    raise ConnectionError("a server connection ended")
