"""This machine's network interfaces, getifaddrs(3)."""

from howdah.cdefs.sockets cimport sockaddr

cdef extern from "<ifaddrs.h>" nogil:
    struct ifaddrs:
        ifaddrs *ifa_next
        sockaddr *ifa_addr
        sockaddr *ifa_netmask
    int getifaddrs(ifaddrs **first) noexcept
    void freeifaddrs(ifaddrs *first) noexcept
