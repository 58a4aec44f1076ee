"""Who may log in, from where, as whom and by what proof: the plan's rules and ident maps as C structs."""

from libc.stdint cimport uint8_t, uint32_t, uint64_t

from howdah.cdefs.regex cimport regex_t

# Numbers of plan.Method and plan.ClientCertificate.
cpdef enum AccessMethod:
    METHOD_REJECT = 0
    METHOD_TRUST = 1
    METHOD_PLAIN = 2
    METHOD_MD5 = 3
    METHOD_SCRAM = 4
    METHOD_CERT = 5
    METHOD_PEER = 6
    METHOD_LDAP = 7
    METHOD_PAM = 8

cpdef enum AccessCertificate:
    CERTIFICATE_NO = 0
    CERTIFICATE_VERIFY_CA = 1
    CERTIFICATE_VERIFY_FULL = 2

cpdef enum:
    LONGEST_MATCHED = 256  # bytes of a name that a regular expression is tried on

# An address fits when it is of this family and has these bits under the mask.  IPv4 uses the first four bytes.
cdef struct Network:
    uint64_t[2] bits
    uint64_t[2] mask
    uint8_t family

# A set of networks.  Made by `networks_new`, freed by `networks_free`, or part of an `Access`; immutable in between, so
# any thread may read it.
cdef struct Networks:
    Network *all
    uint32_t count

# One name of a rule or of a map.
cdef struct NameTest:
    const char *text
    regex_t *regex  # NULL: not of kind REGEX
    uint8_t kind

cdef struct NameTests:
    NameTest *all
    uint32_t count

# What a rule says about a login it fits.  Part of the rule's `AccessLine`, lives as long as the `Access`.
cdef struct Rule:
    const char *map  # "": none
    const char *where
    int number  # in Plan.rules
    uint8_t method
    uint8_t client_certificate
    bint any_user
    bint distinguished_name

cdef struct AccessLine:
    Rule rule
    NameTests databases
    NameTests users
    Networks networks
    uint8_t transports  # a bit for each plan.Transport
    bint any_address

cdef struct AccessMapLine:
    const char *map
    NameTest system_user
    NameTest user

# Made by `access_new`, freed by `access_free` when no worker uses it any more.  Immutable in between, so any thread may
# read it.
cdef struct Access:
    AccessLine *lines
    uint32_t line_count
    AccessMapLine *maps
    uint32_t map_count
    regex_t **regexes  # every one that was compiled
    uint32_t regex_count
    void **memory  # everything the struct points to, and itself
    uint32_t memory_count

# A login as the rules see it.  A value on the caller's stack.
cdef struct Visitor:
    const char *database
    const char *user
    bint local  # over a Unix socket; `family` and `address` are then not looked at
    bint tls
    bint replication  # physical replication, which is to no database
    uint8_t family  # AF_INET or AF_INET6
    uint8_t[16] address  # in network order

cdef Access *access_new(object rules, object maps) except NULL
cdef void access_free(Access *access) noexcept nogil
cdef const Rule *access_find(Access *access, const Visitor *visitor) noexcept nogil
cdef bint access_maps(Access *access, const char *map, const char *system_user, const char *user) noexcept nogil
cdef Networks *networks_new(object networks) except NULL
cdef void networks_free(Networks *networks) noexcept nogil
cdef bint networks_have(const Networks *networks, uint8_t family, const uint8_t *address) noexcept nogil
