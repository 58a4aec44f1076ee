"""Reads the PROXY protocol's header, as HAProxy's specification (proxy-protocol.txt) has it.

Takes the first bytes of a connection, gives a verdict and the source address; whether the peer may send such a header
is its caller's question.  What is sure to be wrong is said before the header is complete.  Called by the client's
login on listeners that want the header.
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t
from libc.string cimport memchr, memcmp, memcpy, memset, strlen

from howdah.cdefs.sockets cimport AF_INET, AF_INET6, inet_pton
from howdah.wire.bytes cimport Reader, left, read_bytes, read_u8, read_u16, read_u32, reader

cdef enum:
    V2_SIGNATURE = 12
    V2_FIXED = 16  # signature, version and command, family, length
    V2_LOCAL = 0x20
    V2_PROXY = 0x21
    V2_UNSPECIFIED = 0x00
    V2_TCP4 = 0x11
    V2_TCP6 = 0x21
    V2_UNIX = 0x31
    TLV_CRC32C = 0x03
    UNKNOWN_ALONE = 15  # bytes of "PROXY UNKNOWN" and the line's end
    LARGEST_WORD = 48  # an IPv6 address takes 45 characters at most, and a NUL

cdef uint32_t CRC32C = 0x82F63B78  # the polynomial, lowest bit first
cdef const char *SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
cdef const char *ADDRESS_CHARACTERS = b"0123456789abcdefABCDEF.: \r"


cdef ProxyVerdict read_proxy_header(const uint8_t *data, size_t size, ProxyHeader *header,
                                    const char **problem) noexcept nogil:
    """`problem` says what is wrong where the verdict is PROXY_MALFORMED, in words for "the PROXY header ..."."""
    cdef Reader r = reader(data, size)
    memset(header, 0, sizeof(ProxyHeader))
    problem[0] = b""
    if size == 0:
        return PROXY_NEED_MORE
    if data[0] == c"\r":
        return read_binary(&r, header, problem)
    return read_line(&r, header, problem)


cdef ProxyVerdict malformed(const char **problem, const char *words) noexcept nogil:
    problem[0] = words
    return PROXY_MALFORMED


cdef bint begins_like(const Reader *r, const char *words, size_t size) noexcept nogil:
    """As far as bytes are at hand."""
    return memcmp(r.at, words, min(left(r), size)) == 0


# version 1: a line of text


cdef ProxyVerdict read_line(Reader *r, ProxyHeader *header, const char **problem) noexcept nogil:
    """`PROXY TCP4 source destination source-port destination-port`, or `PROXY UNKNOWN` and anything."""
    cdef const uint8_t *start = r.at
    cdef size_t at_hand = left(r)
    cdef size_t size = line_size(r)
    if not begins_like(r, "PROXY ", 6):
        return malformed(problem, "is not there")
    if size == 0 and at_hand >= PROXY_LARGEST_V1:
        return malformed(problem, "is longer than 107 bytes")
    read_bytes(r, min(at_hand, <size_t>6))
    if begins_like(r, "UNKNOWN", 7):
        return read_unknown(r, size, header, problem)
    if not begins_like(r, "TCP4 ", 5) and not begins_like(r, "TCP6 ", 5):
        return malformed(problem, "names neither TCP4, TCP6 nor UNKNOWN")
    if size:
        r[0] = reader(start, size)
        header.size = <uint32_t>size
        return read_addresses(r, header, problem)
    return read_part(r, problem)


cdef size_t line_size(const Reader *r) noexcept nogil:
    """With its CR and LF; 0 where they are not there (yet)."""
    cdef Reader ahead = r[0]
    cdef uint8_t before = 0
    cdef uint8_t c = 0
    while left(&ahead) and left(r) - left(&ahead) < PROXY_LARGEST_V1:
        before = c
        c = read_u8(&ahead)
        if before == c"\r" and c == c"\n":
            return left(r) - left(&ahead)
    return 0


cdef ProxyVerdict read_unknown(Reader *r, size_t size, ProxyHeader *header, const char **problem) noexcept nogil:
    cdef uint8_t c
    if read_bytes(r, 7) == NULL:
        return PROXY_NEED_MORE
    c = read_u8(r)
    if r.ok and c != c" " and (c != c"\r" or (left(r) and size != UNKNOWN_ALONE)):
        return malformed(problem, "names neither TCP4, TCP6 nor UNKNOWN")
    header.size = <uint32_t>size
    return PROXY_LOCAL if size else PROXY_NEED_MORE


cdef ProxyVerdict read_part(Reader *r, const char **problem) noexcept nogil:
    """A line whose end is not there yet."""
    cdef uint8_t c
    read_bytes(r, min(left(r), <size_t>5))
    while left(r):
        c = read_u8(r)
        if memchr(ADDRESS_CHARACTERS, c, strlen(ADDRESS_CHARACTERS)) == NULL:
            return malformed(problem, "has something other than addresses and ports in it")
        if c == c"\r" and left(r):
            return malformed(problem, "has a carriage return in it that no line feed follows")
    return PROXY_NEED_MORE


cdef ProxyVerdict read_addresses(Reader *r, ProxyHeader *header, const char **problem) noexcept nogil:
    """The whole line is at hand."""
    cdef char[LARGEST_WORD] word
    cdef uint8_t[16] destination
    cdef uint16_t destination_port
    cdef int family
    read_bytes(r, 9)  # PROXY TCP
    family = AF_INET if read_u8(r) == c"4" else AF_INET6
    read_u8(r)
    if not read_word(r, word, c" ") or inet_pton(family, word, header.source) != 1:
        return malformed(problem, "has a source address that is none of its family")
    if not read_word(r, word, c" ") or inet_pton(family, word, destination) != 1:
        return malformed(problem, "has a destination address that is none of its family")
    if not read_word(r, word, c" ") or not read_port(word, &header.source_port):
        return malformed(problem, "has a source port that is no number from 0 to 65535")
    if not read_word(r, word, c"\r") or left(r) != 1 or not read_port(word, &destination_port):
        return malformed(problem, "has a destination port that is no number from 0 to 65535")
    header.family = <uint8_t>family
    return PROXY_OK


cdef bint read_word(Reader *r, char *word, uint8_t end) noexcept nogil:
    """The characters up to `end`, which is taken too; NUL-terminated."""
    cdef size_t size = 0
    cdef uint8_t c = 0
    while size < LARGEST_WORD:
        c = read_u8(r)
        if not r.ok or c == 0:
            return False
        if c == end:
            word[size] = 0
            return True
        word[size] = <char>c
        size += 1
    return False


cdef bint read_port(const char *word, uint16_t *port) noexcept nogil:
    """Decimal digits without a zero in front."""
    cdef size_t size = strlen(word)
    cdef uint32_t value = 0
    cdef size_t i
    if size < 1 or size > 5 or (size > 1 and word[0] == c"0"):
        return False
    for i in range(size):
        if not c"0" <= word[i] <= c"9":
            return False
        value = value * 10 + <uint32_t>(word[i] - c"0")
    port[0] = <uint16_t>value
    return value <= 0xFFFF


# version 2: binary


cdef ProxyVerdict read_binary(Reader *r, ProxyHeader *header, const char **problem) noexcept nogil:
    cdef Reader whole = r[0]
    cdef uint8_t command, family
    cdef uint16_t size
    if not begins_like(r, SIGNATURE, V2_SIGNATURE):
        return malformed(problem, "is not there")
    if read_bytes(r, V2_SIGNATURE) == NULL:
        return PROXY_NEED_MORE
    command = read_u8(r)
    if r.ok and command != V2_LOCAL and command != V2_PROXY:
        return malformed(problem, "has a version or a command that is not known")
    family = read_u8(r)
    if r.ok and command == V2_PROXY and not is_family(family):
        return malformed(problem, "has an address family or a transport that clients cannot come by")
    size = read_u16(r)
    if not r.ok:
        return PROXY_NEED_MORE
    if size > PROXY_LARGEST_V2 - V2_FIXED:
        return malformed(problem, "is longer than 536 bytes")
    if command == V2_PROXY and size < addresses_size(family):
        return malformed(problem, "is too short for its addresses")
    if left(r) < size:
        return PROXY_NEED_MORE
    header.size = V2_FIXED + <uint32_t>size
    if command == V2_LOCAL or family == V2_UNSPECIFIED:
        return PROXY_LOCAL  # what else is in it must be ignored
    whole = reader(whole.at, header.size)
    return read_block(&whole, family, header, problem)


cdef bint is_family(uint8_t family) noexcept nogil:
    return family == V2_UNSPECIFIED or family == V2_TCP4 or family == V2_TCP6 or family == V2_UNIX


cdef size_t addresses_size(uint8_t family) noexcept nogil:
    """Of both addresses and both ports."""
    if family == V2_TCP4:
        return 12
    if family == V2_TCP6:
        return 36
    return 216 if family == V2_UNIX else 0


cdef ProxyVerdict read_block(Reader *whole, uint8_t family, ProxyHeader *header, const char **problem) noexcept nogil:
    """The addresses, and what follows them: type, length and value, as often as there is room."""
    cdef Reader r = whole[0]
    cdef const uint8_t *value
    cdef uint8_t kind
    cdef uint16_t size
    read_bytes(&r, V2_FIXED)
    read_source(&r, family, header)
    while left(&r):
        kind = read_u8(&r)
        size = read_u16(&r)
        value = read_bytes(&r, size)
        if not r.ok:
            return malformed(problem, "has a field that goes on behind its end")
        if kind == TLV_CRC32C and (size != 4 or not is_checksum(whole, value)):
            return malformed(problem, "does not match its checksum")
    return PROXY_LOCAL if family == V2_UNIX else PROXY_OK


cdef void read_source(Reader *r, uint8_t family, ProxyHeader *header) noexcept nogil:
    """Reads both addresses; keeps nothing of a Unix socket's, which say nothing about a client."""
    cdef size_t size = 4 if family == V2_TCP4 else 16
    if family == V2_UNIX:
        read_bytes(r, addresses_size(family))
        return
    header.family = AF_INET if family == V2_TCP4 else AF_INET6
    memcpy(header.source, read_bytes(r, size), size)
    read_bytes(r, size)
    header.source_port = read_u16(r)
    read_u16(r)


cdef bint is_checksum(const Reader *whole, const uint8_t *value) noexcept nogil:
    """CRC-32C of the whole header, in which the checksum's own four bytes count as zeros."""
    cdef Reader r = whole[0]
    cdef Reader own = reader(value, 4)
    cdef uint32_t crc = 0xFFFFFFFF
    cdef const uint8_t *here
    cdef uint8_t c
    cdef int _bit
    while left(&r):
        here = r.at
        c = read_u8(&r)
        crc ^= 0 if value <= here < value + 4 else c
        for _bit in range(8):
            crc = (crc >> 1) ^ (CRC32C if crc & 1 else 0)
    return ~crc == read_u32(&own)
