"""Words that say what a text does: PostgreSQL's keywords, and its functions with what they do to a session.

A table that is made when the module is loaded, from `builtins` and from what stands here.  Called by `analysis` and
the modules below it.
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc

from howdah.sql.effects cimport (
    EFFECT_ANYTHING,
    EFFECT_CURSOR,
    EFFECT_DEALLOCATE,
    EFFECT_LISTEN,
    EFFECT_LISTENS,
    EFFECT_LOAD,
    EFFECT_LOCK,
    EFFECT_NUMBERS,
    EFFECT_SEED,
    EFFECT_SEQUENCE,
    EFFECT_TAKES_LOCK,
    EFFECT_TEMP,
)
from howdah.sql.lexer cimport TOKEN_QUOTED, TOKEN_WORD, Token
from howdah.wire.bytes cimport Reader, left, read_u8, reader

from howdah.sql.builtins import HARMLESS, KEYWORDS, RESERVED

cdef enum:
    SLOTS = 8192  # some three times as many as there are words, so that few are looked at in vain

# Statements that leave the session alone, apart from the functions that they call.
HARMLESS_STATEMENTS = (
    "select values table with insert update delete merge savepoint release show fetch move lock truncate notify "
    "analyze analyse vacuum reindex cluster checkpoint comment grant revoke reassign refresh security"
).split()

# What the others do, as far as their first word shows it.
STATEMENTS = {
    "create": EFFECT_TEMP, "drop": EFFECT_TEMP, "alter": EFFECT_TEMP,
    "copy": EFFECT_NUMBERS,
    "close": EFFECT_CURSOR,
    "load": EFFECT_LOAD,
    "listen": EFFECT_LISTEN | EFFECT_LISTENS, "unlisten": EFFECT_LISTEN,
    "do": EFFECT_ANYTHING | EFFECT_DEALLOCATE, "call": EFFECT_ANYTHING | EFFECT_DEALLOCATE,
}

CALLS = {
    "nextval": EFFECT_NUMBERS, "setval": EFFECT_NUMBERS, "currval": EFFECT_SEQUENCE, "lastval": EFFECT_SEQUENCE,
    "setseed": EFFECT_SEED,
    "pg_listening_channels": EFFECT_LISTEN,
    "pg_advisory_lock": EFFECT_LOCK | EFFECT_TAKES_LOCK, "pg_advisory_lock_shared": EFFECT_LOCK | EFFECT_TAKES_LOCK,
    "pg_try_advisory_lock": EFFECT_LOCK | EFFECT_TAKES_LOCK,
    "pg_try_advisory_lock_shared": EFFECT_LOCK | EFFECT_TAKES_LOCK,
    "pg_advisory_unlock": EFFECT_LOCK, "pg_advisory_unlock_shared": EFFECT_LOCK,
    "pg_advisory_unlock_all": EFFECT_LOCK,
    # What only the end of the session takes away for certain; slots may be temporary.
    **dict.fromkeys(("pg_replication_origin_session_setup", "pg_backup_start", "pg_start_backup",
                     "pg_create_physical_replication_slot", "pg_create_logical_replication_slot",
                     "pg_copy_physical_replication_slot", "pg_copy_logical_replication_slot",
                     "dblink_connect", "dblink_connect_u"), EFFECT_LOAD),
}

# Words behind which the grammar has a name, and no expression: INSERT INTO t (a), AS t (a, b).
HEADS = (
    "into table exists as references with recursive view update copy analyze vacuum execute function procedure "
    "primary foreign grouping left right full inner outer cross natural time ordinality"
).split()

cdef Word *WORDS = NULL
cdef uint16_t[SLOTS] SLOT  # one more than the place in WORDS; 0: free
cdef Word UNKNOWN
cdef uint8_t[256] LOWER  # of each character, if it is one of ASCII's letters
TEXTS = []  # what WORDS points into


def _fill():
    global WORDS
    cdef bytes text
    numbers = {one.name.removeprefix("KEYWORD_").lower(): int(one) for one in list(Keyword) if one}
    words = sorted({*HARMLESS, *KEYWORDS, *RESERVED, *CALLS, *numbers})
    WORDS = <Word *>calloc(len(words), sizeof(Word))
    if WORDS == NULL:
        raise MemoryError
    for c in range(256):
        LOWER[c] = ord(chr(c).lower()) if c < 128 else c
    for place, word in enumerate(words):
        text = word.encode()
        TEXTS.append(text)
        WORDS[place].text = text
        WORDS[place].size = len(word)
        WORDS[place].keyword = numbers.get(word, 0)
        WORDS[place].known = word in KEYWORDS or word in RESERVED
        WORDS[place].reserved = word in RESERVED
        WORDS[place].heads_name = word in HEADS
        WORDS[place].statement = 0 if word in HARMLESS_STATEMENTS else STATEMENTS.get(word, EFFECT_ANYTHING)
        WORDS[place].call = 0 if word in HARMLESS else CALLS.get(word, EFFECT_ANYTHING)
        _put(text, place)
    UNKNOWN.statement = EFFECT_ANYTHING
    UNKNOWN.call = EFFECT_ANYTHING


def _put(bytes text, place):
    cdef uint64_t key = key_of(reader(text, len(text)), True)
    cdef uint32_t slot = slot_of(key, len(text))
    WORDS[place].key = key
    while SLOT[slot]:
        slot = (slot + 1) % SLOTS
    SLOT[slot] = place + 1


cdef uint64_t key_of(Reader text, bint quoted) noexcept nogil:
    """What tells words of up to eight characters apart."""
    cdef uint64_t key = 0
    if quoted:
        while left(&text):
            key = key << 8 | read_u8(&text)
    else:
        while left(&text):
            key = key << 8 | LOWER[read_u8(&text)]
    return key


cdef uint32_t slot_of(uint64_t key, uint32_t size) noexcept nogil:
    return <uint32_t>((key * <uint64_t>0x9E3779B97F4A7C15ULL >> 32) + size) % SLOTS


cdef bint is_it(Reader text, const Word *word, bint quoted) noexcept nogil:
    """A word of more than eight characters."""
    cdef uint8_t c
    for i in range(word.size):
        c = read_u8(&text)
        if word.text[i] != (c if quoted else LOWER[c]):
            return False
    return True


cdef const Word *word_of(const Token *token) noexcept nogil:
    """What is known of an identifier, in quotes or not; of anything else, and of others, nothing."""
    cdef bint quoted = token.kind == TOKEN_QUOTED
    cdef uint32_t size = token.size - 2 * quoted
    cdef const Word *word
    cdef Reader text
    cdef uint64_t key
    cdef uint32_t slot
    if not quoted and token.kind != TOKEN_WORD:
        return &UNKNOWN
    text = reader(token.text + quoted, size)
    key = key_of(text, quoted)
    slot = slot_of(key, size)
    while SLOT[slot]:
        word = &WORDS[SLOT[slot] - 1]
        if word.key == key and word.size == size and (size <= 8 or is_it(text, word, quoted)):
            return word
        slot = (slot + 1) % SLOTS
    return &UNKNOWN


cdef const Word *keyword_of(const Token *token) noexcept nogil:
    """The same of a word that is no identifier in quotes."""
    return word_of(token) if token.kind == TOKEN_WORD else &UNKNOWN


_fill()
