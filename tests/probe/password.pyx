"""Calls `howdah.wire.password` and composes authentication messages, from Python.

See `howdah_probe.frame` on why the input is copied.
"""

from libc.stdint cimport int32_t, uint8_t, uint32_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy

from howdah.wire cimport compose, password
from howdah.wire.bytes cimport Writer, writer
from howdah.wire.password cimport MD5_TEXT


def md5_of_password(bytes secret, bytes user):
    cdef char[MD5_TEXT] to
    password.md5_of_password(secret, user, to)
    return <bytes>to


def md5_of_challenge(bytes md5_secret, bytes salt):
    cdef char[MD5_TEXT] to
    password.md5_of_challenge(md5_secret, <const uint8_t *><const char *>salt, to)
    return <bytes>to


def read_password_message(bytes body):
    """The password; None: malformed."""
    cdef size_t size = len(body)
    cdef uint8_t *copy = <uint8_t *>malloc(size)
    cdef const char *found = NULL
    cdef size_t found_size = 0
    memcpy(copy, <const char *>body, size)
    answer = found[:found_size] if password.read_password_message(copy, size, &found, &found_size) else None
    free(copy)
    return answer


def read_sasl_initial(bytes body):
    """(mechanism, data or None where the client sends none yet); None: malformed."""
    cdef size_t size = len(body)
    cdef uint8_t *copy = <uint8_t *>malloc(size)
    cdef const char *mechanism = NULL
    cdef const uint8_t *data = NULL
    cdef int32_t data_size = 0
    memcpy(copy, <const char *>body, size)
    answer = None
    if password.read_sasl_initial(copy, size, &mechanism, &data, &data_size):
        answer = <bytes>mechanism, None if data_size == -1 else (<const char *>data)[:data_size]
    free(copy)
    return answer


def read_sasl_mechanisms(bytes body):
    """(is SCRAM-SHA-256 offered, is SCRAM-SHA-256-PLUS); None: malformed."""
    cdef size_t size = len(body)
    cdef uint8_t *copy = <uint8_t *>malloc(size)
    cdef bint scram = False
    cdef bint plus = False
    memcpy(copy, <const char *>body, size)
    answer = (scram, plus) if password.read_sasl_mechanisms(copy, size, &scram, &plus) else None
    free(copy)
    return answer


cdef class Message:
    """A message in the making; `room` bytes are all there is."""

    cdef uint8_t *data
    cdef Writer w

    def __cinit__(self, size_t room=2048):
        self.data = <uint8_t *>malloc(room)
        self.w = writer(self.data, room)

    def __dealloc__(self):
        free(self.data)

    @property
    def bytes(self):
        """None: it did not fit."""
        return (<char *>self.data)[:self.w.used] if self.w.ok else None

    def authentication(self, uint32_t code):
        compose.compose_authentication(&self.w, code)
        return self.bytes

    def authentication_md5(self, bytes salt):
        compose.compose_authentication_md5(&self.w, <const uint8_t *><const char *>salt)
        return self.bytes

    def authentication_sasl(self, bint plus):
        compose.compose_authentication_sasl(&self.w, plus)
        return self.bytes

    def authentication_data(self, uint32_t code, bytes data):
        compose.compose_authentication_data(&self.w, code, <const uint8_t *><const char *>data, len(data))
        return self.bytes

    def password(self, bytes text):
        compose.compose_password(&self.w, text, len(text))
        return self.bytes

    def sasl_initial(self, bytes mechanism, bytes data):
        compose.compose_sasl_initial(&self.w, mechanism, <const uint8_t *><const char *>data, len(data))
        return self.bytes

    def sasl_response(self, bytes data):
        compose.compose_sasl_response(&self.w, <const uint8_t *><const char *>data, len(data))
        return self.bytes

    def ssl_request(self):
        compose.compose_ssl_request(&self.w)
        return self.bytes
