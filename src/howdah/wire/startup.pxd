"""The packets a client may send before it has a session: SSLRequest, GSSENCRequest, CancelRequest, StartupMessage."""

from libc.stdint cimport uint8_t, uint32_t

cpdef enum:
    PROTOCOL_3_2 = 196610  # the first version with long cancel keys

cpdef enum StartupVerdict:
    STARTUP_NEED_MORE = 0
    STARTUP_SSL = 1
    STARTUP_GSSENC = 2
    STARTUP_CANCEL = 3
    STARTUP_MESSAGE = 4
    STARTUP_TOO_SHORT = 5
    STARTUP_TOO_LONG = 6
    STARTUP_MALFORMED = 7  # strings that do not end where the packet ends
    STARTUP_NO_USER = 8
    STARTUP_BAD_VERSION = 9
    STARTUP_BAD_CANCEL = 10  # a CancelRequest with an impossible key

# What `replication` in a StartupMessage asks for.
cpdef enum Replication:
    REPLICATION_NONE = 0
    REPLICATION_PHYSICAL = 1  # of the whole cluster: the connection is to no database
    REPLICATION_LOGICAL = 2
    REPLICATION_BAD = 3  # PostgreSQL would not know what to make of it

cdef struct Startup:
    uint32_t size  # of the whole packet
    uint32_t code  # protocol version or request code
    # STARTUP_MESSAGE: name and value strings in turn, then an empty name; all NUL-terminated, inside the input
    const char *parameters
    uint32_t parameters_size  # without the last, empty name
    const char *user
    const char *database  # the user's name where the packet has none
    const char *replication  # NULL where absent
    uint32_t unknown_options  # how many _pq_.* parameters there are
    # STARTUP_CANCEL
    uint32_t pid
    const uint8_t *secret
    uint32_t secret_size

cdef StartupVerdict read_startup(const uint8_t *data, size_t size, Startup *startup) noexcept nogil
cdef Replication replication_wanted(const char *value) noexcept nogil
cdef const char *replication_name(uint8_t kind) noexcept nogil
cdef bint next_parameter(const char **at, const char *end, const char **name, const char **value) noexcept nogil
cdef bint next_option(const char **at, char **scratch, const char **name, const char **value) noexcept nogil
