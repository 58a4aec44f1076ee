"""What a client takes along when it goes to another process, as bytes; no sockets.

`is_sound` is asked first about bytes that come from elsewhere: whatever it lets through can be read without further
questions.  An item that is not known here makes them unsound, as a client must not lose what an older howdah cannot
carry.  Called by `departing`, which writes, and `arriving`, which reads.
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memchr, memset

from howdah.wire.bytes cimport (
    Reader,
    Writer,
    left,
    read_bytes,
    read_string,
    read_u8,
    read_u16,
    read_u32,
    reader,
    write_u8,
    write_u32,
)

cdef enum:
    HEADER = 5  # of an item, and of a message
    LARGEST_CHANNEL_NAME = 63
    SECRETS = 3  # kinds of them


cdef size_t begin_item(Writer *to, Item item) noexcept nogil:
    """Gives the mark that `end_item` wants."""
    write_u8(to, item)
    write_u32(to, 0)
    return to.used


cdef void end_item(Writer *to, size_t mark) noexcept nogil:
    cdef size_t size = to.used - mark
    cdef size_t end = to.used
    if not to.ok:
        return
    to.used = mark - 4
    write_u32(to, <uint32_t>size)
    to.used = end


cdef void write_u64(Writer *to, uint64_t value) noexcept nogil:
    write_u32(to, <uint32_t>(value >> 32))
    write_u32(to, <uint32_t>value)


cdef uint64_t read_u64(Reader *r) noexcept nogil:
    cdef uint64_t high = read_u32(r)
    return high << 32 | read_u32(r)


cdef bint next_item(Reader *r, Packed *found) noexcept nogil:
    """False: there is none left, or what is left is none (then `ok` is off)."""
    cdef uint32_t size
    if left(r) == 0:
        return False
    found.item = read_u8(r)
    size = read_u32(r)
    found.content = reader(read_bytes(r, size), size if r.ok else 0)
    return r.ok


# ---- bytes from elsewhere ------------------------------------------------------------------------------------------

cdef bint is_sound(const uint8_t *data, size_t size) noexcept nogil:
    cdef Reader r = reader(data, size)
    cdef uint32_t[ITEM_CLIENT_KEY + 1] seen
    cdef Packed found
    memset(seen, 0, sizeof(seen))
    while next_item(&r, &found):
        if not ITEM_DATABASE <= found.item <= ITEM_CLIENT_KEY or not item_is_sound(&found):
            return False
        seen[found.item] += 1
    for item in range(<int>ITEM_DATABASE, ITEM_CLIENT_KEY + 1):
        if seen[item] > 1 and item not in (ITEM_SETTING, ITEM_FIRST_SETTING, ITEM_STATEMENT):
            return False
    for item in range(<int>ITEM_DATABASE, ITEM_KEY + 1):
        if not seen[item]:
            return False
    return r.ok


cdef bint item_is_sound(Packed *found) noexcept nogil:
    cdef Reader content = found.content
    cdef size_t size = left(&content)
    if found.item in (ITEM_DATABASE, ITEM_USER):
        return strings_are_sound(&content, 1)
    if found.item in (ITEM_SETTING, ITEM_FIRST_SETTING):
        return strings_are_sound(&content, 2)
    if found.item == ITEM_PROTOCOL:
        return size == 4
    if found.item == ITEM_KEY:
        return size == 4 + KEY_SIZE
    if found.item == ITEM_PEER:
        return size == 3 + ADDRESS_SIZE
    if found.item == ITEM_TIMES:
        return size == 16
    if found.item == ITEM_CLIENT_KEY:
        return size == KEY_SIZE
    if found.item == ITEM_STATEMENT:
        return statement_is_sound(&content)
    if found.item == ITEM_UNNAMED:
        return parse_is_sound(&content)
    if found.item == ITEM_CHANNELS:
        return channels_are_sound(&content)
    return size >= 1 and 1 <= read_u8(&content) <= SECRETS  # the rest: `credentials.secret_read`


cdef bint strings_are_sound(Reader *content, int count) noexcept nogil:
    """So many and nothing behind them; the first is not empty."""
    cdef size_t size = 0
    for i in range(count):
        read_string(content, &size)
        if not content.ok or (i == 0 and size == 0):
            return False
    return left(content) == 0


cdef bint channels_are_sound(Reader *content) noexcept nogil:
    cdef size_t size = 0
    while content.ok and left(content):
        read_string(content, &size)
        if not 1 <= size <= LARGEST_CHANNEL_NAME:
            return False
    return content.ok


cdef bint statement_is_sound(Reader *content) noexcept nogil:
    cdef size_t size = 0
    read_u32(content)
    if read_u8(content) > 1:
        return False
    read_string(content, &size)
    return content.ok and size and text_is_sound(content)


cdef bint text_is_sound(Reader *content) noexcept nogil:
    """What stands behind the name in a Parse; or, prepared by SQL, in a PREPARE: with one NUL, at its end."""
    cdef size_t size = left(content)
    cdef const uint8_t *end = <const uint8_t *>memchr(content.at, 0, size) if size else NULL
    if end == NULL:
        return False
    return end == content.at + size - 1 or parameters_are_sound(content)


cdef bint parameters_are_sound(Reader *content) noexcept nogil:
    """A query and the types of its parameters."""
    cdef size_t size = 0
    cdef uint16_t count
    read_string(content, &size)
    count = read_u16(content)
    return content.ok and left(content) == 4 * <size_t>count


cdef bint parse_is_sound(Reader *content) noexcept nogil:
    """A whole Parse of the unnamed statement."""
    cdef size_t size = left(content)
    if size < HEADER + 1 or read_u8(content) != c"P" or read_u32(content) != size - 1 or read_u8(content) != 0:
        return False
    return parameters_are_sound(content)
