"""What a client takes along to another process: bytes."""

from libc.stdint cimport uint8_t, uint32_t, uint64_t

from howdah.wire.bytes cimport Reader, Writer

cpdef enum:
    LARGEST_BAGGAGE = 134217728  # bytes; what a client may have comes to a good deal less
    KEY_SIZE = 32
    ADDRESS_SIZE = 16

# One tag, the size of what follows, and that.  A number means the same for ever; what is not there has not been.
cpdef enum Item:
    ITEM_DATABASE = 1  # a string
    ITEM_USER = 2  # a string: whom it logged in as
    ITEM_PROTOCOL = 3  # the version, 4 bytes
    ITEM_KEY = 4  # its cancel key: 4 bytes, then KEY_SIZE of which its protocol may use fewer
    ITEM_PEER = 5  # family (1), port (2), address (ADDRESS_SIZE)
    ITEM_TIMES = 6  # connected, last request: microseconds of the machine's monotonic clock, 8 bytes each
    ITEM_SETTING = 7  # two strings: a setting that it has now
    ITEM_FIRST_SETTING = 8  # ... that it logged in with
    ITEM_STATEMENT = 9  # shape (4), outdated (1), its name (a string), the text as it stands behind the name
    ITEM_UNNAMED = 10  # the Parse of its unnamed statement
    ITEM_CHANNELS = 11  # strings, one behind the other
    ITEM_SECRET = 12  # with which servers may be logged in to on its behalf, see `credentials`
    ITEM_CLIENT_KEY = 13  # KEY_SIZE bytes, likewise

cdef struct Packed:
    uint8_t item  # an Item
    Reader content

cdef size_t begin_item(Writer *to, Item item) noexcept nogil
cdef void end_item(Writer *to, size_t mark) noexcept nogil
cdef void write_u64(Writer *to, uint64_t value) noexcept nogil
cdef uint64_t read_u64(Reader *r) noexcept nogil
cdef bint next_item(Reader *r, Packed *found) noexcept nogil
cdef bint is_sound(const uint8_t *data, size_t size) noexcept nogil
