"""Messages of logins: the first byte picks the reader, the rest is the message."""

from libc.stdint cimport int32_t, uint8_t
from libc.string cimport memcmp, memset, strlen

from howdah.wire.base64 cimport base64_decode, base64_encode
from howdah.wire.bytes cimport Writer, writer
from howdah.wire.password cimport read_password_message, read_sasl_initial, read_sasl_mechanisms
from howdah.wire.scram cimport (
    SCRAM_KEY, SCRAM_LARGEST_FIRST, SCRAM_LARGEST_MESSAGE, SCRAM_NONCE, SCRAM_NONCE_TEXT, SCRAM_OK, SCRAM_WRONG,
    ScramClient, ScramKeys, ScramServer, ScramVerdict, scram_client_final, scram_client_first, scram_client_verify,
    scram_read_final, scram_read_first, scram_write_challenge,
)

cdef extern from "claim.h" nogil:
    void claim(bint holds)

cdef enum:
    ROOM = 2048
    END_POINT = 32
    SALT = 16

cdef const char *FIRST = b"n,,n=,r=rOprNGfwEbeRWgbNEkqO"
cdef const char *FIRST_PLUS = b"p=tls-server-end-point,,n=,r=rOprNGfwEbeRWgbNEkqO"
cdef const char *NO_SIGNATURE = b"v=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="


cdef void fixed_keys(ScramKeys *keys) noexcept nogil:
    memset(keys, 0, sizeof(ScramKeys))
    keys.iterations = 4096
    keys.salt_size = SALT


cdef void client_first(const uint8_t *data, size_t size, bint plus, bint plus_offered) noexcept nogil:
    """What is kept of the message is its end; a challenge begins with the nonce in it."""
    cdef ScramServer s
    cdef ScramKeys keys
    cdef const uint8_t *bare
    cdef size_t bare_size
    cdef uint8_t[ROOM] to
    cdef Writer w = writer(to, sizeof(to))
    if scram_read_first(&s, data, size, plus, plus_offered, &bare, &bare_size) != SCRAM_OK:
        return
    claim(size <= SCRAM_LARGEST_FIRST and bare > data and bare + bare_size == data + size)
    claim((s.flag == c"p") == plus and not (s.flag == c"y" and plus_offered))
    claim(s.nonce_size > 0 and s.nonce_at + s.nonce_size <= bare_size)
    claim(memcmp(bare, "n=", 2) == 0 and memcmp(bare + s.nonce_at - 3, ",r=", 3) == 0)
    fixed_keys(&keys)
    claim(scram_write_challenge(&s, bare, bare_size, &keys, &w))
    claim(memcmp(to, "r=", 2) == 0 and memcmp(to + 2, bare + s.nonce_at, s.nonce_size) == 0)


cdef void client_final(const uint8_t *data, size_t size, bint plus) noexcept nogil:
    """No message proves anything to keys that are the hash of nothing."""
    cdef ScramServer s
    cdef ScramKeys keys
    cdef const char *first = FIRST_PLUS if plus else FIRST
    cdef const uint8_t *bare
    cdef size_t bare_size
    cdef uint8_t[ROOM] to
    cdef uint8_t[END_POINT] end_point
    cdef uint8_t[SCRAM_KEY] client_key
    cdef Writer w = writer(to, sizeof(to))
    memset(end_point, 7, END_POINT)
    fixed_keys(&keys)
    claim(scram_read_first(&s, <const uint8_t *>first, strlen(first), plus, plus, &bare, &bare_size) == SCRAM_OK)
    claim(scram_write_challenge(&s, bare, bare_size, &keys, &w))
    memset(s.nonce, 0, SCRAM_NONCE)
    w.used = 0
    claim(scram_read_final(
        &s, bare, bare_size, &keys, end_point, END_POINT, data, size, client_key, &w) != SCRAM_OK)
    claim(w.used == 0)


cdef void server_messages(const uint8_t *data, size_t size, bint last) noexcept nogil:
    """server-first-message or server-final-message, to a client whose nonce is all A."""
    cdef ScramClient c
    cdef ScramKeys keys
    cdef uint8_t[ROOM] to
    cdef Writer w = writer(to, sizeof(to))
    cdef uint8_t[SCRAM_KEY] client_key
    cdef ScramVerdict verdict
    fixed_keys(&keys)
    memset(client_key, 0, SCRAM_KEY)
    claim(scram_client_first(&c, False, False, &w))
    memset(c.nonce, c"A", SCRAM_NONCE_TEXT)
    if last:
        claim(scram_client_verify(&c, data, size) != SCRAM_OK)  # nothing was signed yet
        c.signed = True
        claim((scram_client_verify(&c, data, size) == SCRAM_OK) == is_no_signature(data, size))
        return
    w.used = 0
    verdict = scram_client_final(&c, data, size, NULL, 0, &keys, client_key, NULL, 0, &w)
    claim(c.signed == (verdict == SCRAM_OK))
    if verdict == SCRAM_OK:
        claim(w.ok and memcmp(to, "c=biws,r=AAAAAAAAAAAAAAAAAAAAAAAA", 33) == 0)
        claim(size <= SCRAM_LARGEST_MESSAGE and data[size - 1] == c"6")
    elif verdict == SCRAM_WRONG:
        claim(w.used == 0)


cdef bint is_no_signature(const uint8_t *data, size_t size) noexcept nogil:
    return size == strlen(NO_SIGNATURE) and memcmp(data, NO_SIGNATURE, size) == 0


cdef void wrappings(uint8_t kind, const uint8_t *data, size_t size) noexcept nogil:
    cdef const char *text = NULL
    cdef const uint8_t *inner = NULL
    cdef size_t text_size = 0
    cdef int32_t inner_size = 0
    cdef bint scram = False
    cdef bint plus = False
    if kind == c"P" and read_password_message(data, size, &text, &text_size):
        claim(text == <const char *>data and strlen(text) == text_size and text_size + 1 == size)
    elif kind == c"I" and read_sasl_initial(data, size, &text, &inner, &inner_size):
        claim(text == <const char *>data and data + strlen(text) + 5 == inner)
        claim(inner + max(inner_size, 0) == data + size and inner_size >= -1)
    elif kind == c"M" and read_sasl_mechanisms(data, size, &scram, &plus):
        claim(size > 0 and data[size - 1] == 0)


cdef void base64_text(const uint8_t *data, size_t size) noexcept nogil:
    """What can be read is written in the same way."""
    cdef uint8_t[ROOM] plain
    cdef char[ROOM * 2] text
    cdef ssize_t found = base64_decode(<const char *>data, size, plain, sizeof(plain))
    if found >= 0:
        claim(base64_encode(plain, found, text, sizeof(text)) == <ssize_t>size)
        claim(memcmp(text, data, size) == 0)


cdef api int one_input(const uint8_t *data, size_t size) noexcept nogil:
    cdef uint8_t kind
    if size == 0:
        return 0
    kind = data[0]
    data += 1
    size -= 1
    if kind == c"1" or kind == c"2" or kind == c"3":
        client_first(data, size, kind == c"2", kind != c"1")
    elif kind == c"F" or kind == c"G":
        client_final(data, size, kind == c"G")
    elif kind == c"S" or kind == c"V":
        server_messages(data, size, kind == c"V")
    elif kind == c"B":
        base64_text(data, size)
    else:
        wrappings(kind, data, size)
    return 0


def replay(bytes data):
    """Run one input from Python: a claim that does not hold ends the process."""
    one_input(<const uint8_t *><const char *>data, len(data))
