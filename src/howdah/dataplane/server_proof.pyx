"""How we prove to a server who we are: by password, MD5 or SCRAM, with what the database's entry, the user list or the
client's own login gives.  The server has to prove itself, too, where the method has it.  Called by `server_login`.
"""

from libc.stdint cimport uint8_t, uint32_t
from libc.string cimport memcpy

from howdah.cdefs.crypto cimport OPENSSL_cleanse
from howdah.cdefs.openssl cimport SSL_get0_peer_certificate
from howdah.dataplane.certificates cimport LARGEST_END_POINT, end_point
from howdah.dataplane.conn cimport conn_secure
from howdah.dataplane.connecting cimport send_login, server_login_failed
from howdah.dataplane.credentials cimport Secret, secret_hold, secret_md5
from howdah.dataplane.parties cimport Entry, Server, Worker
from howdah.dataplane.pool cimport Pool
from howdah.dataplane.routes cimport Route, UserRule, find_user
from howdah.wire.bytes cimport Reader, Writer, left, read_bytes, writer
from howdah.wire.compose cimport compose_password, compose_sasl_initial, compose_sasl_response
from howdah.wire.password cimport MD5_TEXT, md5_of_challenge, read_sasl_mechanisms
from howdah.wire.scram cimport (
    SCRAM_LARGEST_MESSAGE,
    SCRAM_OK,
    SCRAM_WRONG,
    ScramVerdict,
    scram_client_final,
    scram_client_first,
    scram_client_verify,
)

from howdah.reasons import NUMBERS

cdef enum:
    LARGEST_PROOF = 66000
    # AuthenticationXXX
    AUTHENTICATION_OK = 0
    CLEARTEXT = 3
    MD5 = 5
    SASL = 10
    SASL_CONTINUE = 11
    SASL_FINAL = 12

cdef extern from "<stdio.h>" nogil:
    int snprintf(char *to, size_t size, const char *format, ...) noexcept

cdef int OUT_OF_MEMORY = NUMBERS["out_of_memory"]
cdef int AUTH_UNSUPPORTED = NUMBERS["server_auth_unsupported"]
cdef int SERVER_PROTOCOL = NUMBERS["server_protocol"]
cdef int NO_PASSWORD = NUMBERS["server_no_password"]
cdef int FALSE_PROOF = NUMBERS["server_proof"]


cdef void take_secret(Worker *w, Entry *entry, Pool *pool, const Route *found) noexcept nogil:
    """The entry's password, else the user list's, else that of the client who logged in last.

    Where only SCRAM keys are known, they are of use if a client has proved by SCRAM that it knows the password.
    """
    cdef UserRule *rule = find_user(w.plan, pool.server_user)
    if found.secret != NULL:
        entry.secret = secret_hold(found.secret)
    elif rule != NULL and rule.secret != NULL and not rule.secret.scram:
        entry.secret = secret_hold(rule.secret)
    else:
        entry.secret = secret_hold(pool.secret)
        entry.has_client_key = pool.has_client_key
        memcpy(entry.client_key, pool.client_key, sizeof(entry.client_key))


cdef bint asked_for_proof(Worker *w, Server *server, uint32_t method, Reader *r) noexcept nogil:
    """AuthenticationXXX; False: the server is gone."""
    cdef char[64] text
    if r.ok and method == AUTHENTICATION_OK:
        # Having been asked to prove that it knows the password, a server must not be able to leave that out.
        if server.entry.scram.flag and not server.entry.proven:
            server_login_failed(w, server, FALSE_PROOF, True, b"08006",
                                b"the server ended the SCRAM exchange without proving that it knows the password")
            return False
        return True
    if r.ok and method == CLEARTEXT:
        return give_password(w, server)
    if r.ok and method == MD5 and left(r) == 4:
        return give_md5(w, server, read_bytes(r, 4))
    if r.ok and method == SASL:
        return begin_scram(w, server, r)
    if r.ok and method == SASL_CONTINUE and server.entry.scram.flag:
        return give_scram(w, server, r)
    if r.ok and method == SASL_FINAL and server.entry.scram.flag:
        if scram_client_verify(&server.entry.scram, r.at, left(r)) == SCRAM_OK:
            server.entry.proven = True
            return True
        server_login_failed(w, server, FALSE_PROOF, True, b"08006", b"the server's SCRAM signature is wrong")
        return False
    snprintf(text, sizeof(text), b"authentication method %u", method)
    server_login_failed(w, server, AUTH_UNSUPPORTED, True, b"28000", text)
    return False


cdef bint no_password(Worker *w, Server *server, const char *what) noexcept nogil:
    cdef char[250] text
    snprintf(text, sizeof(text), b"no %s for user \"%.63s\"", what, server.pooled.pool.server_user)
    server_login_failed(w, server, NO_PASSWORD, True, b"28000", text)
    return False


cdef bint give_password(Worker *w, Server *server) noexcept nogil:
    """AuthenticationCleartextPassword."""
    cdef uint8_t[LARGEST_PROOF] data
    cdef Writer message = writer(data, sizeof(data))
    cdef Secret *secret = server.entry.secret
    cdef bint sent
    if secret == NULL or secret.password == NULL:
        return no_password(w, server, b"password")
    compose_password(&message, secret.password, secret.password_size)
    sent = send_login(w, server, data, message.used)
    OPENSSL_cleanse(data, message.used)
    return sent


cdef bint give_md5(Worker *w, Server *server, const uint8_t *salt) noexcept nogil:
    """AuthenticationMD5Password."""
    cdef uint8_t[64] data
    cdef Writer message = writer(data, sizeof(data))
    cdef char[MD5_TEXT] secret
    cdef char[MD5_TEXT] answer
    if not secret_md5(server.entry.secret, server.pooled.pool.server_user, secret):
        return no_password(w, server, b"password or MD5 secret")
    md5_of_challenge(secret, salt, answer)
    compose_password(&message, answer, MD5_TEXT - 1)
    return send_login(w, server, data, message.used)


cdef bint begin_scram(Worker *w, Server *server, Reader *r) noexcept nogil:
    """AuthenticationSASL: SCRAM, with channel binding where both sides have it."""
    cdef uint8_t[SCRAM_LARGEST_MESSAGE] text
    cdef uint8_t[SCRAM_LARGEST_MESSAGE + 64] data
    cdef Writer first = writer(text, sizeof(text))
    cdef Writer message = writer(data, sizeof(data))
    cdef Entry *entry = server.entry
    cdef uint8_t[LARGEST_END_POINT] hash
    cdef bint scram = False
    cdef bint plus = False
    if entry.scram.flag or not read_sasl_mechanisms(r.at, left(r), &scram, &plus) or not (scram or plus):
        server_login_failed(w, server, AUTH_UNSUPPORTED, True, b"28000", b"SASL mechanisms other than SCRAM-SHA-256")
        return False
    if entry.secret == NULL or (entry.secret.password == NULL and not (entry.secret.scram and entry.has_client_key)):
        return no_password(w, server, b"password or SCRAM keys")
    entry.plus = plus and server_end_point(server, hash) > 0
    if not entry.plus and not scram:
        server_login_failed(w, server, AUTH_UNSUPPORTED, True, b"28000", b"SCRAM-SHA-256-PLUS alone")
        return False
    if not scram_client_first(&entry.scram, entry.plus, conn_secure(&server.conn) and not plus, &first):
        server_login_failed(w, server, OUT_OF_MEMORY, False, b"53200", b"no random numbers")
        return False
    compose_sasl_initial(&message, "SCRAM-SHA-256-PLUS" if entry.plus else "SCRAM-SHA-256", text, first.used)
    return send_login(w, server, data, message.used)


cdef size_t server_end_point(const Server *server, uint8_t *hash) noexcept nogil:
    if not conn_secure(&server.conn):
        return 0
    return end_point(SSL_get0_peer_certificate(server.conn.tls.ssl), hash)


cdef bint give_scram(Worker *w, Server *server, const Reader *r) noexcept nogil:
    """AuthenticationSASLContinue: salt and nonce are there, the proof is due."""
    cdef uint8_t[SCRAM_LARGEST_MESSAGE] text
    cdef uint8_t[SCRAM_LARGEST_MESSAGE + 64] data
    cdef Writer final = writer(text, sizeof(text))
    cdef Writer message = writer(data, sizeof(data))
    cdef Entry *entry = server.entry
    cdef uint8_t[LARGEST_END_POINT] hash
    cdef size_t hash_size = server_end_point(server, hash) if entry.plus else 0
    cdef ScramVerdict verdict = scram_client_final(
        &entry.scram, r.at, left(r), entry.secret.prepared, entry.secret.prepared_size, &entry.secret.keys,
        entry.client_key, hash, hash_size, &final)
    if verdict == SCRAM_OK:
        compose_sasl_response(&message, text, final.used)
        return send_login(w, server, data, message.used)
    if entry.secret.prepared == NULL and verdict == SCRAM_WRONG:
        return no_password(w, server, b"SCRAM keys with the server's own salt and iterations")
    server_login_failed(w, server, SERVER_PROTOCOL, False, b"08P01", b"a malformed SCRAM challenge")
    return False
