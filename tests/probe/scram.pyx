"""Drives `howdah.wire.scram` from Python; see `howdah_probe.frame` on why the input is copied."""

from collections import namedtuple

from libc.stdint cimport uint8_t, uint32_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy

from howdah.wire cimport scram
from howdah.wire.bytes cimport Writer, writer
from howdah.wire.scram cimport SCRAM_KEY, SCRAM_OK, ScramClient, ScramKeys, ScramServer

from howdah.wire.scram import ScramVerdict

#: What a server knows of a password.
Keys = namedtuple("Keys", "iterations salt stored_key server_key")

cdef enum:
    ROOM = 2048


cdef class Copy:
    """A block of exactly the size of the bytes in it; NULL for None."""

    cdef uint8_t *data
    cdef size_t size

    def __cinit__(self, bytes data):
        self.data = NULL
        self.size = 0
        if data is not None:
            self.size = len(data)
            self.data = <uint8_t *>malloc(self.size)
            memcpy(self.data, <const char *>data, self.size)

    def __dealloc__(self):
        free(self.data)

    cdef const char *text(self):
        return <const char *>self.data


cdef ScramKeys keys_of(object given):
    cdef ScramKeys keys
    cdef bytes salt = given.salt
    keys.iterations = given.iterations
    keys.salt_size = <uint8_t>len(salt)
    memcpy(keys.salt, <const char *>salt, keys.salt_size)
    memcpy(keys.stored_key, <const char *><bytes>given.stored_key, SCRAM_KEY)
    memcpy(keys.server_key, <const char *><bytes>given.server_key, SCRAM_KEY)
    return keys


cdef object given_of(const ScramKeys *keys):
    return Keys(
        keys.iterations,
        (<const char *>keys.salt)[:keys.salt_size],
        (<const char *>keys.stored_key)[:SCRAM_KEY],
        (<const char *>keys.server_key)[:SCRAM_KEY],
    )


cdef object written(const Writer *w):
    """None: it did not fit."""
    return (<const char *>w.start)[:w.used] if w.ok else None


def derive(bytes password, bytes salt, uint32_t iterations):
    """(keys, the client's key)."""
    cdef ScramKeys keys
    cdef uint8_t[SCRAM_KEY] client_key
    cdef Copy secret = Copy(password)
    cdef Copy salted = Copy(salt)
    scram.scram_derive(
        secret.text(), secret.size, salted.data, <uint8_t>salted.size, iterations, &keys, client_key)
    return given_of(&keys), (<const char *>client_key)[:SCRAM_KEY]


def mock(bytes key, bytes user, uint32_t iterations):
    cdef ScramKeys keys
    scram.scram_mock(<const uint8_t *><const char *>key, user, iterations, &keys)
    return given_of(&keys)


cdef class Server:
    cdef ScramServer s
    cdef Copy bare

    def first(self, bytes data, bint plus=False, bint plus_offered=False):
        cdef Copy copy = Copy(data)
        cdef const uint8_t *bare
        cdef size_t bare_size
        cdef scram.ScramVerdict verdict = scram.scram_read_first(
            &self.s, copy.data, copy.size, plus, plus_offered, &bare, &bare_size)
        self.bare = Copy((<const char *>bare)[:bare_size] if verdict == SCRAM_OK else b"")
        return ScramVerdict(verdict)

    def challenge(self, keys, size_t room=ROOM):
        """None: it did not fit."""
        cdef uint8_t[ROOM] to
        cdef Writer w = writer(to, room)
        cdef ScramKeys of = keys_of(keys)
        cdef bint done = scram.scram_write_challenge(&self.s, self.bare.data, self.bare.size, &of, &w)
        assert done == w.ok
        return written(&w)

    def final(self, bytes data, keys, bytes end_point=None, size_t room=ROOM):
        """(verdict, the client's key, server-final-message); the last two are None without SCRAM_OK."""
        cdef uint8_t[ROOM] to
        cdef uint8_t[SCRAM_KEY] client_key
        cdef Writer w = writer(to, room)
        cdef Copy copy = Copy(data)
        cdef Copy end = Copy(end_point)
        cdef ScramKeys of = keys_of(keys)
        cdef scram.ScramVerdict verdict = scram.scram_read_final(
            &self.s, self.bare.data, self.bare.size, &of, end.data, end.size, copy.data, copy.size, client_key, &w)
        if verdict != SCRAM_OK:
            assert w.used == 0
            return ScramVerdict(verdict), None, None
        return ScramVerdict(verdict), (<const char *>client_key)[:SCRAM_KEY], written(&w)


cdef class Client:
    cdef ScramClient c

    def first(self, bint plus=False, bint tls=False, size_t room=ROOM):
        """None: it did not fit."""
        cdef uint8_t[ROOM] to
        cdef Writer w = writer(to, room)
        cdef bint done = scram.scram_client_first(&self.c, plus, tls, &w)
        assert done == w.ok
        return written(&w)

    def final(self, bytes data, bytes password=None, keys=None, bytes client_key=None, bytes end_point=None):
        """(verdict, client-final-message); the latter is None without SCRAM_OK."""
        cdef uint8_t[ROOM] to
        cdef Writer w = writer(to, ROOM)
        cdef Copy copy = Copy(data)
        cdef Copy secret = Copy(password)
        cdef Copy key = Copy(client_key)
        cdef Copy end = Copy(end_point)
        cdef ScramKeys of
        cdef ScramKeys *known = NULL
        if keys is not None:
            of = keys_of(keys)
            known = &of
        cdef scram.ScramVerdict verdict = scram.scram_client_final(
            &self.c, copy.data, copy.size, secret.text(), secret.size, known, key.data, end.data, end.size, &w)
        if verdict != SCRAM_OK:
            assert w.used == 0
            return ScramVerdict(verdict), None
        return ScramVerdict(verdict), written(&w)

    def verify(self, bytes data):
        cdef Copy copy = Copy(data)
        return ScramVerdict(scram.scram_client_verify(&self.c, copy.data, copy.size))
