"""SCRAM-SHA-256 and SCRAM-SHA-256-PLUS: the messages, the proofs and the keys.

Takes messages, gives verdicts and messages; knows no sockets, keeps nothing that its caller does not hold, and asks
nobody for passwords.  Follows RFC 5802, and PostgreSQL (src/backend/libpq/auth-scram.c, fe-auth-scram.c) where that is
stricter.  Called by the logins on both sides.
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t
from libc.stdio cimport snprintf
from libc.string cimport memcmp, memcpy, memset, strchr, strlen

from howdah.cdefs.crypto cimport (
    CRYPTO_memcmp, EVP_MD, EVP_Digest, EVP_MD_fetch, OPENSSL_cleanse, PKCS5_PBKDF2_HMAC, RAND_bytes,
)
from howdah.wire.base64 cimport base64_decode, base64_encode
from howdah.wire.bytes cimport (
    Reader, Writer, left, read_bytes, read_u8, reader, write_bytes, write_u8, writer,
)

cdef enum:
    BLOCK = 64  # bytes SHA-256 takes at a time; HMAC puts one block in front of its text
    LARGEST_AUTH_MESSAGE = 3200  # client-first-message-bare, server-first-message, client-final-message-without-proof
    LARGEST_BINDING_TEXT = 128  # base64 of a GS2 header and the hash of a certificate
    MOCK_SALT = 16

cdef const char *PLUS_HEADER = b"p=tls-server-end-point,,"
cdef const char *NAMES_OF_SCRAM = b"anmrcsipve"  # attributes that RFC 5802 gives a meaning: no extension may have them

cdef EVP_MD *sha256 = EVP_MD_fetch(NULL, "SHA256", NULL)
if sha256 == NULL:
    raise ImportError("OpenSSL has no SHA-256; without it no SCRAM login works")


# what an HMAC is taken of: one block of room, then the text; so that neither is copied
cdef struct Text:
    uint8_t[BLOCK] key
    uint8_t[LARGEST_AUTH_MESSAGE] bytes


cdef struct Attribute:
    uint8_t name
    const uint8_t *value  # points into the message
    size_t size
    bint more  # another must follow


# hashes


cdef bint sha256_of(const void *data, size_t size, uint8_t *to) noexcept nogil:
    return EVP_Digest(data, size, to, NULL, sha256, NULL) == 1


cdef bint hmac_of(const uint8_t *key, Text *text, size_t size, uint8_t *to) noexcept nogil:
    """HMAC-SHA-256 of the first `size` bytes of `text`; False: OpenSSL has no memory.

    By hand on top of the hash: OpenSSL's own looks its parts up by name each time, which makes it four times as slow.
    """
    cdef uint8_t[BLOCK + SCRAM_KEY] outer
    cdef bint done
    cdef int i
    memset(text.key, 0x36, BLOCK)
    memset(outer, 0x5C, BLOCK)
    for i in range(SCRAM_KEY):
        text.key[i] ^= key[i]
        outer[i] ^= key[i]
    done = sha256_of(text, BLOCK + size, outer + BLOCK) and sha256_of(outer, sizeof(outer), to)
    OPENSSL_cleanse(text.key, BLOCK)
    OPENSSL_cleanse(outer, sizeof(outer))
    return done


cdef bint hmac_of_words(const uint8_t *key, const char *words, uint8_t *to) noexcept nogil:
    cdef Text text
    cdef size_t size = strlen(words)
    memcpy(text.bytes, words, size)
    return hmac_of(key, &text, size, to)


# keys


cdef void scram_derive(const char *password, size_t size, const uint8_t *salt, uint8_t salt_size, uint32_t iterations,
                       ScramKeys *keys, uint8_t *client_key) noexcept nogil:
    """Keys of a password, which is taken as it is (SASLprep is the caller's).  `client_key`: SCRAM_KEY bytes or NULL.

    Takes 0.3 µs an iteration.  Where that cannot be done (no memory, no iterations), the keys are such that no password
    fits.
    """
    cdef uint8_t[SCRAM_KEY] salted
    cdef uint8_t[SCRAM_KEY] key
    cdef bint done
    memset(keys, 0, sizeof(ScramKeys))
    keys.iterations = iterations
    keys.salt_size = min(salt_size, <uint8_t>SCRAM_LARGEST_SALT)
    memcpy(keys.salt, salt, keys.salt_size)
    done = (
        salt_size <= SCRAM_LARGEST_SALT
        and PKCS5_PBKDF2_HMAC(password, <int>size, salt, salt_size, <int>iterations, sha256, SCRAM_KEY, salted) == 1
        and hmac_of_words(salted, "Client Key", key)
        and hmac_of_words(salted, "Server Key", keys.server_key)
        and sha256_of(key, SCRAM_KEY, keys.stored_key)
    )
    if not done:
        RAND_bytes(keys.stored_key, SCRAM_KEY)
        RAND_bytes(keys.server_key, SCRAM_KEY)
        RAND_bytes(key, SCRAM_KEY)
    if client_key != NULL:
        memcpy(client_key, key, SCRAM_KEY)
    OPENSSL_cleanse(salted, SCRAM_KEY)
    OPENSSL_cleanse(key, SCRAM_KEY)


cdef void scram_mock(const uint8_t *key, const char *user, uint32_t iterations, ScramKeys *keys) noexcept nogil:
    """Keys for a user that there is not; `key`: SCRAM_KEY bytes that nobody else knows and that stay the same.

    Who asks twice must get the same salt, as with a user that there is.  No password fits, since nobody knows anything
    whose hash `stored_key` is.
    """
    cdef Text text
    cdef uint8_t[SCRAM_KEY] salt
    memset(text.bytes, 0, SCRAM_KEY + 1)
    memset(salt, 0, SCRAM_KEY)
    memset(keys, 0, sizeof(ScramKeys))
    keys.iterations = iterations
    keys.salt_size = MOCK_SALT
    sha256_of(user, strlen(user), text.bytes)
    hmac_of(key, &text, SCRAM_KEY + 1, salt)
    text.bytes[SCRAM_KEY] = 1
    hmac_of(key, &text, SCRAM_KEY + 1, keys.stored_key)
    text.bytes[SCRAM_KEY] = 2
    hmac_of(key, &text, SCRAM_KEY + 1, keys.server_key)
    memcpy(keys.salt, salt, MOCK_SALT)


# messages: comma-separated attributes, each a letter, "=" and a value


cdef bint is_letter(uint8_t c) noexcept nogil:
    return c"a" <= c <= c"z" or c"A" <= c <= c"Z"


cdef bint read_attribute(Reader *r, Attribute *a) noexcept nogil:
    """The attribute at hand, without the comma behind it."""
    cdef uint8_t c = 0
    a.name = read_u8(r)
    if not is_letter(a.name) or read_u8(r) != c"=":
        return False
    a.value = r.at
    a.size = 0
    a.more = False
    while left(r) and not a.more:
        c = read_u8(r)
        if c == 0:
            return False
        a.more = c == c","
        a.size += not a.more
    return True


cdef bint read_named(Reader *r, Attribute *a, uint8_t name) noexcept nogil:
    return read_attribute(r, a) and a.name == name


cdef bint is_extension(const Attribute *a) noexcept nogil:
    """May be ignored: neither an attribute come twice or too late, nor m=, which must not be ignored."""
    return strchr(NAMES_OF_SCRAM, a.name) == NULL


cdef bint is_nonce(const Attribute *a) noexcept nogil:
    """Visible ASCII characters, one at least; a comma ends the attribute anyway."""
    cdef size_t i
    for i in range(a.size):
        if a.value[i] < 0x21 or a.value[i] > 0x7E:
            return False
    return a.size > 0


cdef bint read_key(const Attribute *a, uint8_t *to) noexcept nogil:
    return base64_decode(<const char *>a.value, a.size, to, SCRAM_KEY) == SCRAM_KEY


cdef bint skip_words(Reader *r, const char *words) noexcept nogil:
    """Go on behind these words; False: something else is there, unread."""
    if left(r) < strlen(words) or memcmp(r.at, words, strlen(words)) != 0:
        return False
    read_bytes(r, strlen(words))
    return True


cdef void write_words(Writer *w, const char *words) noexcept nogil:
    write_bytes(w, words, strlen(words))


cdef void write_base64(Writer *w, const void *data, size_t size) noexcept nogil:
    cdef ssize_t written = base64_encode(<const uint8_t *>data, size, <char *>w.start + w.used, w.capacity - w.used)
    if written < 0:
        w.ok = False
    else:
        w.used += written


cdef void write_header(Writer *w, uint8_t flag) noexcept nogil:
    """The GS2 header."""
    if flag == c"p":
        write_words(w, PLUS_HEADER)
    else:
        write_u8(w, flag)
        write_words(w, ",,")


cdef bint write_binding(Writer *w, uint8_t flag, const uint8_t *end_point, size_t end_point_size) noexcept nogil:
    """The value of c=: the GS2 header again and, with PLUS, the hash of the server's certificate.

    False: there is no such hash.
    """
    cdef uint8_t[LARGEST_BINDING_TEXT] header
    cdef Writer plain = writer(header, sizeof(header))
    write_header(&plain, flag)
    if flag == c"p":
        if end_point == NULL or end_point_size == 0 or end_point_size > SCRAM_LARGEST_END_POINT:
            return False
        write_bytes(&plain, end_point, end_point_size)
    write_base64(w, header, plain.used)
    return True


# the server's side


cdef ScramVerdict scram_read_first(ScramServer *s, const uint8_t *data, size_t size, bint plus, bint plus_offered,
                                   const uint8_t **bare, size_t *bare_size) noexcept nogil:
    """client-first-message; `plus`: the client chose SCRAM-SHA-256-PLUS, which we did or did not offer.

    `bare`, a part of `data`, must be kept and given to the other two.  The user's name in it does not count (the
    startup packet's does), as with PostgreSQL.
    """
    cdef Reader r = reader(data, size)
    bare[0] = NULL
    bare_size[0] = 0
    memset(s, 0, sizeof(ScramServer))
    if size > SCRAM_LARGEST_FIRST or (plus and not plus_offered):
        return SCRAM_MALFORMED
    if not read_header(&r, &s.flag):
        return SCRAM_UNSUPPORTED if at_word(&r, "a=") else SCRAM_MALFORMED
    if (s.flag == c"p") != plus:
        return SCRAM_MALFORMED
    if s.flag == c"y" and plus_offered:
        return SCRAM_BINDING  # it did not see PLUS in our offer: somebody between us took it out
    bare[0] = r.at
    bare_size[0] = left(&r)
    if at_word(&r, "m="):
        return SCRAM_UNSUPPORTED
    return SCRAM_OK if read_bare(s, &r, bare[0]) else SCRAM_MALFORMED


cdef bint at_word(const Reader *r, const char *word) noexcept nogil:
    """Do the two characters come next?"""
    return left(r) >= 2 and r.at[0] == <uint8_t>word[0] and r.at[1] == <uint8_t>word[1]


cdef bint read_header(Reader *r, uint8_t *flag) noexcept nogil:
    """The GS2 header, up to where PostgreSQL, too, has nothing: an authorization identity, which is left unread."""
    flag[0] = read_u8(r)
    if flag[0] == c"p":
        return skip_words(r, "=tls-server-end-point,") and skip_words(r, ",")
    return (flag[0] == c"n" or flag[0] == c"y") and skip_words(r, ",") and skip_words(r, ",")


cdef bint read_bare(ScramServer *s, Reader *r, const uint8_t *bare) noexcept nogil:
    cdef Attribute a
    if not read_named(r, &a, c"n") or not a.more:
        return False
    if not read_named(r, &a, c"r") or not is_nonce(&a):
        return False
    s.nonce_at = <uint16_t>(a.value - bare)
    s.nonce_size = <uint16_t>a.size
    while a.more:
        if not read_attribute(r, &a) or not is_extension(&a):
            return False
    return True


cdef bint scram_write_challenge(ScramServer *s, const uint8_t *bare, size_t bare_size, const ScramKeys *keys,
                                Writer *to) noexcept nogil:
    """server-first-message.  False: no random numbers, or no room."""
    if RAND_bytes(s.nonce, SCRAM_NONCE) != 1:
        return False
    write_server_first(s, bare, bare_size, keys, to)
    return to.ok


cdef void write_nonce(const ScramServer *s, const uint8_t *bare, size_t bare_size, Writer *to) noexcept nogil:
    """The client's and ours."""
    if <size_t>s.nonce_at + s.nonce_size > bare_size:  # not the `bare` that was read
        to.ok = False
        return
    write_bytes(to, bare + s.nonce_at, s.nonce_size)
    write_base64(to, s.nonce, SCRAM_NONCE)


cdef void write_server_first(const ScramServer *s, const uint8_t *bare, size_t bare_size, const ScramKeys *keys,
                             Writer *to) noexcept nogil:
    cdef char[16] iterations
    snprintf(iterations, sizeof(iterations), "%u", keys.iterations)
    write_words(to, "r=")
    write_nonce(s, bare, bare_size, to)
    write_words(to, ",s=")
    write_base64(to, keys.salt, min(keys.salt_size, <uint8_t>SCRAM_LARGEST_SALT))
    write_words(to, ",i=")
    write_words(to, iterations)


cdef ScramVerdict scram_read_final(ScramServer *s, const uint8_t *bare, size_t bare_size, const ScramKeys *keys,
                                   const uint8_t *end_point, size_t end_point_size, const uint8_t *data, size_t size,
                                   uint8_t *client_key, Writer *to) noexcept nogil:
    """client-final-message.  When OK, fills `client_key` (SCRAM_KEY bytes) and writes server-final-message to `to`.

    `keys` must be those of the challenge.  `end_point`: the hash of our certificate; read with PLUS alone.
    """
    cdef Text text
    cdef Writer auth_message = writer(text.bytes, sizeof(text.bytes))
    cdef uint8_t[SCRAM_KEY] proof
    cdef size_t without_proof = 0
    cdef ScramVerdict verdict
    if size > SCRAM_LARGEST_MESSAGE:
        return SCRAM_MALFORMED
    verdict = read_client_final(s, bare, bare_size, end_point, end_point_size, data, size, proof, &without_proof)
    if verdict != SCRAM_OK:
        return verdict
    write_bytes(&auth_message, bare, bare_size)
    write_u8(&auth_message, c",")
    write_server_first(s, bare, bare_size, keys, &auth_message)
    write_u8(&auth_message, c",")
    write_bytes(&auth_message, data, without_proof)
    if not auth_message.ok:
        return SCRAM_MALFORMED
    return check_proof(keys, &text, auth_message.used, proof, client_key, to)


cdef ScramVerdict read_client_final(const ScramServer *s, const uint8_t *bare, size_t bare_size,
                                    const uint8_t *end_point, size_t end_point_size, const uint8_t *data, size_t size,
                                    uint8_t *proof, size_t *without_proof) noexcept nogil:
    """The proof, and how many bytes of the message are in front of it."""
    cdef Reader r = reader(data, size)
    cdef Attribute a
    cdef uint8_t[SCRAM_LARGEST_FIRST + SCRAM_NONCE_TEXT] expected
    cdef Writer w = writer(expected, sizeof(expected))
    if not read_named(&r, &a, c"c"):
        return SCRAM_MALFORMED
    if not write_binding(&w, s.flag, end_point, end_point_size) or not is_what(&a, &w):
        return SCRAM_BINDING
    w.used = 0
    write_nonce(s, bare, bare_size, &w)
    if not a.more or not read_named(&r, &a, c"r") or not is_what(&a, &w):
        return SCRAM_MALFORMED
    while True:
        without_proof[0] = size - left(&r) - 1
        if not a.more or not read_attribute(&r, &a):
            return SCRAM_MALFORMED
        if a.name == c"p":
            return SCRAM_OK if not a.more and read_key(&a, proof) else SCRAM_MALFORMED
        if not is_extension(&a):
            return SCRAM_MALFORMED


cdef bint is_what(const Attribute *a, const Writer *w) noexcept nogil:
    """Has the attribute the value that `w` holds?"""
    return w.ok and a.size == w.used and memcmp(a.value, w.start, a.size) == 0


cdef ScramVerdict check_proof(const ScramKeys *keys, Text *text, size_t size, const uint8_t *proof,
                              uint8_t *client_key, Writer *to) noexcept nogil:
    """The proof is the client's key, hidden by a signature that only whoever has the stored key can take off again."""
    cdef uint8_t[SCRAM_KEY] signature
    cdef uint8_t[SCRAM_KEY] key
    cdef uint8_t[SCRAM_KEY] stored
    cdef bint right = hmac_of(keys.stored_key, text, size, signature)
    cdef int i
    if right:
        for i in range(SCRAM_KEY):
            key[i] = proof[i] ^ signature[i]
        right = sha256_of(key, SCRAM_KEY, stored) and CRYPTO_memcmp(stored, keys.stored_key, SCRAM_KEY) == 0
    if right:
        right = hmac_of(keys.server_key, text, size, signature)
    if right:
        memcpy(client_key, key, SCRAM_KEY)
        write_words(to, "v=")
        write_base64(to, signature, SCRAM_KEY)
    OPENSSL_cleanse(key, SCRAM_KEY)
    return SCRAM_OK if right else SCRAM_WRONG


# the client's side


cdef bint scram_client_first(ScramClient *c, bint plus, bint tls, Writer *to) noexcept nogil:
    """client-first-message, without a user's name, as libpq sends it.  False: no random numbers, or no room.

    `tls`: we could have bound the login to the TLS connection, had the server offered PLUS.
    """
    cdef uint8_t[SCRAM_NONCE] nonce
    memset(c, 0, sizeof(ScramClient))
    if RAND_bytes(nonce, SCRAM_NONCE) != 1:
        return False
    base64_encode(nonce, SCRAM_NONCE, c.nonce, sizeof(c.nonce))
    c.flag = c"p" if plus else c"y" if tls else c"n"
    write_header(to, c.flag)
    write_client_first_bare(c, to)
    return to.ok


cdef void write_client_first_bare(const ScramClient *c, Writer *to) noexcept nogil:
    write_words(to, "n=,r=")
    write_bytes(to, c.nonce, sizeof(c.nonce))


cdef ScramVerdict scram_client_final(ScramClient *c, const uint8_t *data, size_t size, const char *password,
                                     size_t password_size, const ScramKeys *keys, const uint8_t *client_key,
                                     const uint8_t *end_point, size_t end_point_size, Writer *to) noexcept nogil:
    """From server-first-message to client-final-message, which goes to `to`.

    With a `password` (after SASLprep), `keys` and `client_key` may be NULL.  Without one, those are used; if the server
    asks for another salt or another number of iterations than theirs, they are WRONG.
    """
    cdef ScramKeys terms
    cdef ScramKeys used
    cdef uint8_t[SCRAM_KEY] used_key
    cdef Attribute nonce
    cdef ScramVerdict verdict
    c.signed = False
    if size > SCRAM_LARGEST_MESSAGE or not read_server_first(c, data, size, &nonce, &terms):
        return SCRAM_MALFORMED
    if password != NULL:
        scram_derive(password, password_size, terms.salt, terms.salt_size, terms.iterations, &used, used_key)
    elif keys != NULL and client_key != NULL and same_terms(&terms, keys):
        used = keys[0]
        memcpy(used_key, client_key, SCRAM_KEY)
    else:
        return SCRAM_WRONG
    verdict = write_client_final(c, data, size, &nonce, &used, used_key, end_point, end_point_size, to)
    OPENSSL_cleanse(&used, sizeof(used))
    OPENSSL_cleanse(used_key, SCRAM_KEY)
    return verdict


cdef bint same_terms(const ScramKeys *a, const ScramKeys *b) noexcept nogil:
    return (
        a.iterations == b.iterations and a.salt_size == b.salt_size and memcmp(a.salt, b.salt, a.salt_size) == 0
    )


cdef bint read_server_first(const ScramClient *c, const uint8_t *data, size_t size, Attribute *nonce,
                            ScramKeys *terms) noexcept nogil:
    """The whole nonce, and into `terms` salt and iterations.  Extensions are refused, as libpq does."""
    cdef Reader r = reader(data, size)
    cdef Attribute a
    cdef ssize_t salt_size
    if not read_named(&r, nonce, c"r") or not is_nonce(nonce) or not nonce.more:
        return False
    if nonce.size <= sizeof(c.nonce) or memcmp(nonce.value, c.nonce, sizeof(c.nonce)) != 0:
        return False  # not an answer to our message, or the server added nothing of its own
    if not read_named(&r, &a, c"s") or not a.more:
        return False
    salt_size = base64_decode(<const char *>a.value, a.size, terms.salt, sizeof(terms.salt))
    if salt_size < 1:
        return False
    terms.salt_size = <uint8_t>salt_size
    return read_named(&r, &a, c"i") and not a.more and read_iterations(&a, &terms.iterations)


cdef bint read_iterations(const Attribute *a, uint32_t *iterations) noexcept nogil:
    """A decimal number from 1, with no zero in front, up to what we are willing to work through."""
    cdef size_t i
    iterations[0] = 0
    if a.size == 0 or a.value[0] == c"0":
        return False
    for i in range(a.size):
        if not c"0" <= a.value[i] <= c"9":
            return False
        iterations[0] = iterations[0] * 10 + (a.value[i] - c"0")
        if iterations[0] > SCRAM_LARGEST_ITERATIONS:
            return False
    return True


cdef ScramVerdict write_client_final(ScramClient *c, const uint8_t *data, size_t size, const Attribute *nonce,
                                     const ScramKeys *keys, const uint8_t *client_key, const uint8_t *end_point,
                                     size_t end_point_size, Writer *to) noexcept nogil:
    cdef Text text
    cdef Writer auth_message = writer(text.bytes, sizeof(text.bytes))
    cdef uint8_t[SCRAM_KEY] proof
    cdef size_t start
    cdef int i
    write_client_first_bare(c, &auth_message)
    write_u8(&auth_message, c",")
    write_bytes(&auth_message, data, size)
    write_u8(&auth_message, c",")
    start = auth_message.used
    write_words(&auth_message, "c=")
    if not write_binding(&auth_message, c.flag, end_point, end_point_size):
        return SCRAM_BINDING
    write_words(&auth_message, ",r=")
    write_bytes(&auth_message, nonce.value, nonce.size)
    if not auth_message.ok:
        return SCRAM_MALFORMED
    if not hmac_of(keys.stored_key, &text, auth_message.used, proof):
        return SCRAM_WRONG
    c.signed = hmac_of(keys.server_key, &text, auth_message.used, c.signature)
    for i in range(SCRAM_KEY):
        proof[i] ^= client_key[i]
    write_bytes(to, text.bytes + start, auth_message.used - start)
    write_words(to, ",p=")
    write_base64(to, proof, SCRAM_KEY)
    return SCRAM_OK


cdef ScramVerdict scram_client_verify(ScramClient *c, const uint8_t *data, size_t size) noexcept nogil:
    """server-final-message: does the server know the password too?  Until it has said so we are not logged in."""
    cdef Reader r = reader(data, size)
    cdef Attribute a
    cdef uint8_t[SCRAM_KEY] signature
    if not read_attribute(&r, &a):
        return SCRAM_MALFORMED
    if a.name == c"e":
        return SCRAM_SERVER_ERROR
    if a.name != c"v" or a.more or not read_key(&a, signature):
        return SCRAM_MALFORMED
    if not c.signed or CRYPTO_memcmp(signature, c.signature, SCRAM_KEY) != 0:
        return SCRAM_WRONG
    return SCRAM_OK
