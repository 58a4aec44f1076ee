"""Calls `howdah.dataplane.access` from Python."""

from libc.stdint cimport uint8_t
from libc.string cimport memcpy

from howdah.cdefs.sockets cimport AF_INET, AF_INET6
from howdah.dataplane cimport access
from howdah.dataplane.access cimport Access as CAccess, Networks as CNetworks, Rule, Visitor


cdef class Access:
    cdef CAccess *access

    def __cinit__(self, rules=(), maps=()):
        self.access = access.access_new(rules, maps)

    def __dealloc__(self):
        if self.access != NULL:
            access.access_free(self.access)

    def find(self, bytes database, bytes user, bytes address=b"", bint tls=False, bint replication=False, int times=1):
        """What the first rule that fits says, as a dictionary; None: no rule.  `address` b"": over a Unix socket."""
        cdef Visitor visitor
        cdef const Rule *rule = NULL
        visitor.database = database
        visitor.user = user
        visitor.local = not address
        visitor.tls = tls
        visitor.replication = replication
        visitor.family = AF_INET if len(address) == 4 else AF_INET6
        memcpy(visitor.address, <const char *>address, min(len(address), 16))
        with nogil:
            for _ in range(times):
                rule = access.access_find(self.access, &visitor)
        if rule == NULL:
            return None
        return {
            "number": rule.number, "where": rule.where.decode(), "method": rule.method, "map": rule.map.decode(),
            "any_user": rule.any_user, "client_certificate": rule.client_certificate,
            "distinguished_name": rule.distinguished_name,
        }

    def maps(self, bytes name, bytes system_user, bytes user):
        cdef const char *c_name = name
        cdef const char *c_system_user = system_user
        cdef const char *c_user = user
        cdef bint may
        with nogil:
            may = access.access_maps(self.access, c_name, c_system_user, c_user)
        return may


cdef class Networks:
    cdef CNetworks *networks

    def __cinit__(self, networks):
        self.networks = access.networks_new(networks)

    def __dealloc__(self):
        if self.networks != NULL:
            access.networks_free(self.networks)

    def have(self, bytes address):
        cdef uint8_t family = AF_INET if len(address) == 4 else AF_INET6
        return access.networks_have(self.networks, family, <const uint8_t *><const char *>address)
