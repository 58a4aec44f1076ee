"""Drives `howdah.dataplane.cancels` from Python: its keys, and the table of those that are given."""

from libc.stdint cimport uint8_t
from libc.stdlib cimport calloc, free

from howdah.dataplane cimport cancels
from howdah.dataplane.cancels cimport CancelKey, CancelKeys, KeyOwner


cdef bytes secret_of(const CancelKey *key):
    return (<const char *>key.secret)[:key.size]


def made(bytes random, unsigned int size, int peer_id):
    """Process number and secret of a key."""
    cdef CancelKey key
    assert len(random) == cancels.KEY_SIZE
    cancels.key_fill(&key, <const uint8_t *><const char *>random, size, peer_id)
    return key.pid, secret_of(&key)


def peer_of(unsigned int pid):
    return cancels.peer_of_key(pid)


def hops_of(bytes secret):
    return cancels.hops_of_key(<const uint8_t *><const char *>secret, <unsigned int>len(secret))


def passed_on(bytes secret):
    """The secret as the next peer gets it."""
    cdef bytearray copy = bytearray(secret)
    cancels.use_hop(<uint8_t *><char *>copy)
    return bytes(copy)


cdef class Keys:
    """Keys are named by numbers, which are also the slots of their clients."""

    cdef CancelKeys keys
    cdef dict made

    def __cinit__(self):
        self.made = {}
        if not cancels.keys_init(&self.keys):
            raise MemoryError

    def __dealloc__(self):
        for address in self.made.values():
            free(<void *><size_t>address)
        cancels.keys_clear(&self.keys)

    def give(self, int number, bytes random, unsigned int size, int worker, int peer_id):
        """Its process number and secret; None: it will not do."""
        cdef CancelKey *key = <CancelKey *>calloc(1, sizeof(CancelKey))
        cdef bint given
        assert key != NULL and number not in self.made and len(random) == cancels.KEY_SIZE
        key.worker = worker
        key.slot = <unsigned int>number
        cancels.key_fill(key, <const uint8_t *><const char *>random, size, peer_id)
        with nogil:
            given = cancels.key_give(&self.keys, key)
        if not given:
            free(key)
            return None
        self.made[number] = <size_t>key
        return key.pid, secret_of(key)

    def take_back(self, int number):
        cdef CancelKey *key = <CancelKey *><size_t>self.made.pop(number)
        cancels.key_take_back(&self.keys, key)
        cancels.key_take_back(&self.keys, key)  # once more does no harm
        free(key)

    def owner(self, unsigned int pid, bytes secret):
        """Worker and slot; None: it is nobody's."""
        cdef const uint8_t *octets = <const uint8_t *><const char *>secret
        cdef KeyOwner owner = cancels.key_owner(&self.keys, pid, octets, <unsigned int>len(secret))
        return None if owner.worker < 0 else (owner.worker, owner.slot)
