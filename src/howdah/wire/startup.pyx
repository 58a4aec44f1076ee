"""Reads the packets that open a connection.

Takes bytes, gives a verdict and pointers into those bytes; sends nothing and keeps nothing.  Called by
`howdah.dataplane.handshake`.  The limits and the order of the checks are those of PostgreSQL's
ProcessStartupPacket (src/backend/tcop/backend_startup.c).
"""

from libc.stdint cimport uint8_t, uint32_t
from libc.string cimport strcmp, strlen, strncmp

from howdah.wire.bytes cimport Reader, left, read_bytes, read_string, read_u32, reader

cdef extern from "<strings.h>" nogil:
    int strncasecmp(const char *a, const char *b, size_t size) noexcept

cdef enum:
    CANCEL_CODE = 80877102
    SSL_CODE = 80877103
    GSSENC_CODE = 80877104
    SMALLEST = 8
    LARGEST = 10000
    LARGEST_LENGTH = 0x7FFFFFFF  # PostgreSQL reads it as a signed number: what is above is negative
    LARGEST_SECRET = 256


cdef StartupVerdict read_startup(const uint8_t *data, size_t size, Startup *startup) noexcept nogil:
    """Read the packet at the start of `data`; of a packet not yet complete only what is sure to be wrong is said."""
    cdef Reader r = reader(data, size)
    cdef uint32_t length = read_u32(&r)
    if not r.ok:
        return STARTUP_NEED_MORE
    if length < SMALLEST or length > LARGEST_LENGTH:
        return STARTUP_TOO_SHORT
    if length > LARGEST:
        return STARTUP_TOO_LONG
    if size < length:
        return STARTUP_NEED_MORE
    r = reader(data, length)
    startup.size = read_u32(&r)
    startup.code = read_u32(&r)
    if startup.code == SSL_CODE or startup.code == GSSENC_CODE:
        if left(&r):
            return STARTUP_MALFORMED
        return STARTUP_SSL if startup.code == SSL_CODE else STARTUP_GSSENC
    if startup.code == CANCEL_CODE:
        return read_cancel(&r, startup)
    if startup.code >> 16 != 3:
        return STARTUP_BAD_VERSION
    return read_parameters(&r, startup)


cdef StartupVerdict read_cancel(Reader *r, Startup *startup) noexcept nogil:
    startup.pid = read_u32(r)
    startup.secret_size = <uint32_t>left(r)
    startup.secret = read_bytes(r, startup.secret_size)
    if not r.ok or startup.secret_size == 0 or startup.secret_size > LARGEST_SECRET:
        return STARTUP_BAD_CANCEL
    return STARTUP_CANCEL


cdef StartupVerdict read_parameters(Reader *r, Startup *startup) noexcept nogil:
    cdef const char *name
    cdef const char *value
    cdef size_t length = 0
    startup.parameters = <const char *>r.at
    startup.user = startup.database = startup.replication = NULL
    startup.unknown_options = 0
    while True:
        name = read_string(r, &length)
        if not r.ok:
            return STARTUP_MALFORMED
        if length == 0:
            break
        value = read_string(r, &length)
        if not r.ok:
            return STARTUP_MALFORMED
        if strcmp(name, "user") == 0:
            startup.user = value
        elif strcmp(name, "database") == 0:
            startup.database = value
        elif strcmp(name, "replication") == 0:
            startup.replication = value
        elif strncmp(name, "_pq_.", 5) == 0:
            startup.unknown_options += 1
    if left(r):
        return STARTUP_MALFORMED
    startup.parameters_size = <uint32_t>(<const char *>r.at - startup.parameters - 1)
    if startup.user == NULL or startup.user[0] == 0:
        return STARTUP_NO_USER
    if startup.database == NULL or startup.database[0] == 0:
        startup.database = startup.user
    return STARTUP_MESSAGE


cdef Replication replication_wanted(const char *value) noexcept nogil:
    """`replication` of a StartupMessage, NULL where it has none; a Boolean is what PostgreSQL's parse_bool takes."""
    if value == NULL:
        return REPLICATION_NONE
    if strcmp(value, "database") == 0:
        return REPLICATION_LOGICAL
    if begins(value, "true", 1) or begins(value, "yes", 1) or begins(value, "on", 2) or begins(value, "1", 1):
        return REPLICATION_PHYSICAL
    if begins(value, "false", 1) or begins(value, "no", 1) or begins(value, "off", 2) or begins(value, "0", 1):
        return REPLICATION_NONE
    return REPLICATION_BAD


cdef const char *replication_name(uint8_t kind) noexcept nogil:
    """For people; "" where there is none."""
    if kind == REPLICATION_PHYSICAL:
        return b"physical"
    return b"logical" if kind == REPLICATION_LOGICAL else b""


cdef bint begins(const char *value, const char *word, size_t least) noexcept nogil:
    """Is `value` the beginning of `word`, with `least` letters at least, in whatever case?"""
    cdef size_t size = strlen(value)
    return size >= least and strncasecmp(value, word, size) == 0


cdef bint next_parameter(const char **at, const char *end, const char **name, const char **value) noexcept nogil:
    """Step through a block of name and value strings that `read_startup` has found well-formed."""
    if at[0] >= end:
        return False
    name[0] = at[0]
    value[0] = name[0] + strlen(name[0]) + 1
    at[0] = value[0] + strlen(value[0]) + 1
    return True


cdef bint is_space(char c) noexcept nogil:
    return c == c" " or c"\t" <= c <= c"\r"


cdef bint next_option(const char **at, char **scratch, const char **name, const char **value) noexcept nogil:
    """Step through the words of an `options` parameter: `-c name=value`, `-cname=value`, `--name=value`.

    A backslash takes the next character as it is, as in PostgreSQL's pg_split_opts.  Name and value are written to
    `scratch`, which moves on.  At the end of the options, `at` becomes NULL; at a word that is none of these, not.
    """
    cdef const char *p = at[0]
    cdef char *to = scratch[0]
    cdef bint dashes
    while is_space(p[0]):
        p += 1
    if p[0] == 0:
        at[0] = NULL
        return False
    if p[0] != c"-" or (p[1] != c"c" and p[1] != c"-"):
        return False
    dashes = p[1] == c"-"
    p += 2
    while not dashes and is_space(p[0]):
        p += 1
    name[0] = to
    while p[0] != 0 and p[0] != c"=" and not is_space(p[0]):
        to[0] = c"_" if p[0] == c"-" else p[0]
        to += 1
        p += 1
    if p[0] != c"=" or to == name[0]:
        return False
    to[0] = 0
    to += 1
    p += 1
    value[0] = to
    while p[0] != 0 and not is_space(p[0]):
        if p[0] == c"\\" and p[1] != 0:
            p += 1
        to[0] = p[0]
        to += 1
        p += 1
    to[0] = 0
    scratch[0] = to + 1
    at[0] = p
    return True
