"""PROXY headers: what is said of the first bytes holds for all of them, and nothing behind the header is read."""

from libc.stdint cimport uint8_t

from howdah.cdefs.sockets cimport AF_INET, AF_INET6
from howdah.wire.proxy_header cimport (
    PROXY_LARGEST_V2, PROXY_LOCAL, PROXY_MALFORMED, PROXY_NEED_MORE, PROXY_OK, ProxyHeader, ProxyVerdict,
    read_proxy_header,
)

cdef extern from "claim.h" nogil:
    void claim(bint holds)


cdef ProxyVerdict first_verdict(const uint8_t *data, size_t size, ProxyHeader *header, size_t *at) noexcept nogil:
    """What is said once enough bytes are there to say anything, and with how many."""
    cdef const char *problem
    cdef ProxyVerdict verdict = PROXY_NEED_MORE
    at[0] = 0
    while verdict == PROXY_NEED_MORE and at[0] < size:
        at[0] += 1
        verdict = read_proxy_header(data, at[0], header, &problem)
    return verdict


cdef api int one_input(const uint8_t *data, size_t size) noexcept nogil:
    cdef ProxyHeader header
    cdef ProxyHeader first
    cdef const char *problem
    cdef size_t at = 0
    cdef ProxyVerdict verdict = read_proxy_header(data, size, &header, &problem)
    claim(first_verdict(data, size, &first, &at) == verdict)
    claim((problem[0] != 0) == (verdict == PROXY_MALFORMED))
    if verdict == PROXY_OK or verdict == PROXY_LOCAL:
        claim(header.size == at and first.size == at)
        claim(header.source_port == first.source_port)
    if verdict == PROXY_OK:
        claim(header.family == AF_INET or header.family == AF_INET6)
    elif verdict == PROXY_LOCAL:
        claim(header.family == 0)
    elif verdict == PROXY_NEED_MORE:
        claim(size < PROXY_LARGEST_V2)
    return 0


def replay(bytes data):
    """Run one input from Python: a claim that does not hold ends the process."""
    one_input(<const uint8_t *><const char *>data, len(data))
