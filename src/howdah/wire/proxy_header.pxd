"""The PROXY protocol's header, versions 1 and 2: whom a proxy in front of us speaks for."""

from libc.stdint cimport uint8_t, uint16_t, uint32_t

cpdef enum:
    PROXY_LARGEST_V1 = 107  # bytes
    PROXY_LARGEST_V2 = 536

cpdef enum ProxyVerdict:
    PROXY_NEED_MORE = 0
    PROXY_OK = 1
    PROXY_LOCAL = 2  # the proxy speaks for itself or cannot say: the socket's own address counts
    PROXY_MALFORMED = 3

cdef struct ProxyHeader:
    uint32_t size  # bytes the header takes; what follows is the client's
    uint8_t family  # AF_INET, AF_INET6; 0 with PROXY_LOCAL
    uint8_t[16] source  # in network order; 4 of them for AF_INET
    uint16_t source_port

cdef ProxyVerdict read_proxy_header(const uint8_t *data, size_t size, ProxyHeader *header,
                                    const char **problem) noexcept nogil
