"""Calls `howdah.wire.proxy_header` from Python; see `howdah_probe.frame` on why the input is copied."""

from libc.stdint cimport uint8_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy

from howdah.cdefs.sockets cimport AF_INET
from howdah.wire cimport proxy_header
from howdah.wire.proxy_header cimport PROXY_LOCAL, PROXY_MALFORMED, PROXY_OK, ProxyHeader

from howdah.wire.proxy_header import ProxyVerdict


def read_proxy_header(bytes data):
    """(verdict, what it gives): a size and (address, port) or None; what is wrong; or nothing."""
    cdef size_t size = len(data)
    cdef uint8_t *copy = <uint8_t *>malloc(size)
    cdef ProxyHeader header
    cdef const char *problem = NULL
    memcpy(copy, <const char *>data, size)
    cdef proxy_header.ProxyVerdict verdict = proxy_header.read_proxy_header(copy, size, &header, &problem)
    free(copy)
    found = None
    if verdict == PROXY_OK:
        address = (<const char *>header.source)[:4 if header.family == AF_INET else 16]
        found = header.size, (address, header.source_port)
    elif verdict == PROXY_LOCAL:
        found = header.size, None
        assert header.family == 0
    elif verdict == PROXY_MALFORMED:
        found = (<bytes>problem).decode()
    return ProxyVerdict(verdict), found
