"""The first rule that fits a login, and which outside names may log in as which user.

Matching is PostgreSQL's (its manual: "The pg_hba.conf File", "User Name Maps"; src/backend/libpq/hba.c), with three
things of our own:

- an IPv4-mapped IPv6 address (::ffff:a.b.c.d) is the IPv4 address it stands for, in rules and in visitors, because a
  socket that listens on [::] shows IPv4 clients that way;
- regular expressions are POSIX's; who reads the files has brought PostgreSQL's dialect to it;
- a name longer than `LONGEST_MATCHED` is not tried on them, so that a stranger cannot buy much of a worker's time with
  a long one.  Nobody knows then whether the rule fits: the login fits none.

`access_new` is called for a published plan, by the thread that publishes it; the rest is lookup, called while clients
log in.  Proofs (passwords, certificates) are not this module's business.
"""

import os

from libc.errno cimport errno
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcmp, memcpy, memset, strcmp, strlen, strncmp, strstr

from howdah.cdefs.interfaces cimport freeifaddrs, getifaddrs, ifaddrs
from howdah.cdefs.regex cimport (
    REG_EXTENDED, REG_NOMATCH, REG_NOSUB, regcomp, regerror, regex_t, regexec, regfree, regmatch_t,
)
from howdah.cdefs.sockets cimport AF_INET, AF_INET6, sockaddr, sockaddr_in, sockaddr_in6


# Numbers of plan.Transport, plan.NameKind and plan.Nearby.
cdef enum:
    TRANSPORT_LOCAL = 0
    TRANSPORT_HOST = 1
    TRANSPORT_HOSTSSL = 2
    TRANSPORT_HOSTNOSSL = 3
    NAME_EXACT = 0
    NAME_ALL = 1
    NAME_SAME_USER = 2
    NAME_REPLICATION = 3
    NAME_REGEX = 4
    NEARBY_NO = 0
    NEARBY_SAME_HOST = 1

cdef enum Fit:
    FITS_NOT
    FITS
    UNCLEAR  # too long for a regular expression, or the regular expression failed


# Networks

cdef const uint8_t *MAPPED = <const uint8_t *>b"\0\0\0\0\0\0\0\0\0\0\xff\xff"


cdef uint8_t address_bits(uint8_t family, const uint8_t *address, uint64_t *bits) noexcept nogil:
    """Fill two words with an address; gives the family it really is of, 0 for none that can be in a network."""
    bits[0] = bits[1] = 0
    if family == AF_INET:
        memcpy(bits, address, 4)
        return AF_INET
    if family != AF_INET6:
        return 0
    if memcmp(address, MAPPED, 12) == 0:
        memcpy(bits, address + 12, 4)
        return AF_INET
    memcpy(bits, address, 16)
    return AF_INET6


cdef bint bits_in(const Networks *networks, uint8_t family, const uint64_t *bits) noexcept nogil:
    cdef const Network *network
    for i in range(networks.count):
        network = &networks.all[i]
        if network.family == family and not (
            (bits[0] ^ network.bits[0]) & network.mask[0] | (bits[1] ^ network.bits[1]) & network.mask[1]
        ):
            return True
    return False


cdef bint networks_have(const Networks *networks, uint8_t family, const uint8_t *address) noexcept nogil:
    """Is the address in one of the networks?  An empty set has nobody."""
    cdef uint64_t[2] bits
    cdef uint8_t real = address_bits(family, address, bits)
    return real != 0 and bits_in(networks, real, bits)


cdef void set_network(Network *network, uint8_t family, const uint8_t *address, const uint8_t *mask) noexcept nogil:
    cdef size_t size = 4 if family == AF_INET else 16
    memset(network, 0, sizeof(Network))
    network.family = family
    memcpy(network.bits, address, size)
    memcpy(network.mask, mask, size)


cdef int fill_network(Network *network, object source) except -1:
    """`source` is an IPv4Network or IPv6Network."""
    cdef bytes address = source.network_address.packed
    cdef bytes mask = source.netmask.packed
    if source.version == 6 and source.prefixlen >= 96 and source.network_address.ipv4_mapped is not None:
        address, mask = address[12:], mask[12:]
    set_network(
        network, AF_INET if len(address) == 4 else AF_INET6,
        <const uint8_t *><const char *>address, <const uint8_t *><const char *>mask,
    )
    return 0


cdef Networks *networks_new(object networks) except NULL:
    """The C form of a sequence of IPv4Network and IPv6Network."""
    cdef Networks *made = <Networks *>calloc(1, sizeof(Networks) + len(networks) * sizeof(Network))
    if made == NULL:
        raise MemoryError
    made.all = <Network *>(made + 1)
    made.count = <uint32_t>len(networks)
    try:
        for i, network in enumerate(networks):
            fill_network(&made.all[i], network)
    except BaseException:
        free(made)
        raise
    return made


cdef void networks_free(Networks *networks) noexcept nogil:
    free(networks)


# This machine's own networks

cdef const uint8_t *WHOLE = <const uint8_t *>b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"
cdef const uint8_t *NOTHING = <const uint8_t *>b"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"


cdef const uint8_t *address_octets(const sockaddr *address) noexcept nogil:
    """NULL for what is not an IP address."""
    if address == NULL:
        return NULL
    if address.sa_family == AF_INET:
        return <const uint8_t *>&(<const sockaddr_in *>address).sin_addr
    if address.sa_family == AF_INET6:
        return <const uint8_t *>&(<const sockaddr_in6 *>address).sin6_addr
    return NULL


cdef const uint8_t *interface_mask(const ifaddrs *interface) noexcept nogil:
    """As PostgreSQL: an interface with no mask, or one that lets everybody in, counts for its own address alone."""
    cdef const uint8_t *mask = address_octets(interface.ifa_netmask)
    if mask == NULL or interface.ifa_netmask.sa_family != interface.ifa_addr.sa_family:
        return WHOLE
    if memcmp(mask, NOTHING, 4 if interface.ifa_addr.sa_family == AF_INET else 16) == 0:
        return WHOLE
    return mask


cdef list interface_networks(int nearby):
    """The addresses of this machine (SAME_HOST) or the networks it is in, each as the bytes of a `Network`."""
    cdef ifaddrs *first = NULL
    cdef ifaddrs *interface
    cdef const uint8_t *octets
    cdef Network network
    if getifaddrs(&first) != 0:
        raise OSError(errno, f"cannot list the network interfaces: {os.strerror(errno)}")
    found = []
    try:
        interface = first
        while interface != NULL:
            octets = address_octets(interface.ifa_addr)
            if octets != NULL:
                set_network(
                    &network, <uint8_t>interface.ifa_addr.sa_family, octets,
                    WHOLE if nearby == NEARBY_SAME_HOST else interface_mask(interface),
                )
                found.append((<const char *>&network)[:sizeof(Network)])
            interface = interface.ifa_next
    finally:
        freeifaddrs(first)
    return found


# Making

cdef class Memory:
    """Everything one Access points to, so that it can be freed in one go if making it fails."""

    cdef list blocks
    cdef list regexes

    def __cinit__(self):
        self.blocks = []
        self.regexes = []

    cdef void *take(self, size_t size) except NULL:
        cdef void *block = calloc(1, max(size, <size_t>1))
        if block == NULL:
            raise MemoryError
        self.blocks.append(<size_t>block)
        return block

    cdef const char *text(self, str where, str value) except NULL:
        """A NUL-terminated copy."""
        cdef bytes octets = value.encode()
        if b"\0" in octets:
            raise ValueError(f"{where}: a name holds a NUL character")
        cdef char *copy = <char *>self.take(len(octets) + 1)
        memcpy(copy, <const char *>octets, len(octets))
        return copy

    cdef regex_t *regex(self, str where, str pattern, int flags) except NULL:
        cdef regex_t *made = <regex_t *>self.take(sizeof(regex_t))
        cdef char[200] words
        cdef int code = regcomp(made, self.text(where, pattern), REG_EXTENDED | flags)
        if code != 0:
            regerror(code, made, words, sizeof(words))
            why = (<bytes>words).decode(errors="replace")
            raise ValueError(f'{where}: cannot use the regular expression "{pattern}": {why}')
        self.regexes.append(<size_t>made)
        return made

    cdef void release(self):
        for regex in self.regexes:
            regfree(<regex_t *><size_t>regex)
        for block in self.blocks:
            free(<void *><size_t>block)


cdef int fill_name(Memory memory, NameTest *test, str where, object name, tuple kinds, int flags) except -1:
    """`kinds` are those that have a meaning in this column: to pass over another could pass over a reject."""
    if name.kind not in kinds:
        raise ValueError(f"{where}: a name of kind {name.kind!r} cannot stand here")
    test.kind = name.kind
    test.text = memory.text(where, name.text)
    if name.kind == NAME_REGEX:
        test.regex = memory.regex(where, name.text, flags)
    return 0


cdef int fill_names(Memory memory, NameTests *tests, str where, object names, tuple kinds) except -1:
    tests.count = <uint32_t>len(names)
    tests.all = <NameTest *>memory.take(len(names) * sizeof(NameTest))
    for i, name in enumerate(names):
        fill_name(memory, &tests.all[i], where, name, kinds, REG_NOSUB)
    return 0


cdef int fill_networks(Memory memory, AccessLine *line, object rule) except -1:
    cdef list nearby = interface_networks(rule.nearby) if rule.nearby != NEARBY_NO else []
    cdef size_t count = len(rule.networks)
    line.any_address = count == 0 and rule.nearby == NEARBY_NO
    line.networks.count = <uint32_t>(count + len(nearby))
    line.networks.all = <Network *>memory.take(line.networks.count * sizeof(Network))
    for i, network in enumerate(rule.networks):
        fill_network(&line.networks.all[i], network)
    for i, octets in enumerate(nearby):
        memcpy(&line.networks.all[count + <size_t>i], <const char *><bytes>octets, sizeof(Network))
    return 0


cdef int fill_line(Memory memory, AccessLine *line, int number, object rule) except -1:
    cdef str where = rule.where
    line.rule.number = number
    line.rule.where = memory.text(where, where)
    line.rule.map = memory.text(where, rule.map)
    line.rule.method = rule.method
    line.rule.client_certificate = rule.client_certificate
    line.rule.any_user = rule.any_user
    line.rule.distinguished_name = rule.distinguished_name
    for transport in rule.transport:
        line.transports |= <uint8_t>(1 << <int>transport)
    fill_names(
        memory, &line.databases, where, rule.databases,
        (NAME_EXACT, NAME_ALL, NAME_SAME_USER, NAME_REPLICATION, NAME_REGEX),
    )
    fill_names(memory, &line.users, where, rule.users, (NAME_EXACT, NAME_ALL, NAME_REGEX))
    fill_networks(memory, line, rule)
    return 0


cdef int fill_map_line(Memory memory, AccessMapLine *line, object source) except -1:
    cdef str where = f'ident map "{source.map}"'
    cdef bint refers = source.user.kind == NAME_EXACT and "\\1" in source.user.text
    line.map = memory.text(where, source.map)
    fill_name(
        memory, &line.system_user, where, source.system_user, (NAME_EXACT, NAME_REGEX), 0 if refers else REG_NOSUB
    )
    fill_name(memory, &line.user, where, source.user, (NAME_EXACT, NAME_ALL, NAME_REGEX), REG_NOSUB)
    if refers and line.system_user.regex != NULL and line.system_user.regex.re_nsub == 0:
        raise ValueError(
            f'{where}: "{source.user.text}" refers to the first group of the regular expression '
            f'"{source.system_user.text}", which has none'
        )
    return 0


cdef int fill_access(Memory memory, Access *access, object rules, object maps) except -1:
    access.line_count = <uint32_t>len(rules)
    access.lines = <AccessLine *>memory.take(len(rules) * sizeof(AccessLine))
    for i, rule in enumerate(rules):
        fill_line(memory, &access.lines[i], i, rule)
    access.map_count = <uint32_t>len(maps)
    access.maps = <AccessMapLine *>memory.take(len(maps) * sizeof(AccessMapLine))
    for i, line in enumerate(maps):
        fill_map_line(memory, &access.maps[i], line)
    access.regex_count = <uint32_t>len(memory.regexes)
    access.regexes = <regex_t **>memory.take(len(memory.regexes) * sizeof(regex_t *))
    for i, regex in enumerate(memory.regexes):
        access.regexes[i] = <regex_t *><size_t>regex
    access.memory_count = <uint32_t>len(memory.blocks) + 1
    access.memory = <void **>memory.take(access.memory_count * sizeof(void *))
    for i, block in enumerate(memory.blocks):
        access.memory[i] = <void *><size_t>block
    return 0


cdef Access *access_new(object rules, object maps) except NULL:
    """The C form of `Plan.rules` and `Plan.maps`.

    ValueError names the rule's `where`, or the map, and what is wrong with it: a regular expression, a NUL in a name, a
    kind of name that cannot stand in its column.  OSError: the network interfaces cannot be listed.
    """
    cdef Memory memory = Memory()
    cdef Access *made
    try:
        made = <Access *>memory.take(sizeof(Access))
        fill_access(memory, made, rules, maps)
    except BaseException:
        memory.release()
        raise
    return made


cdef void access_free(Access *access) noexcept nogil:
    # The struct itself is the first block and the list of blocks the last one.
    cdef void **blocks = access.memory
    cdef size_t count = access.memory_count
    for i in range(access.regex_count):
        regfree(access.regexes[i])
    for i in range(count - 1):
        free(blocks[i])
    free(blocks)


# Finding

cdef Fit regex_fits(const NameTest *test, const char *name, size_t groups, regmatch_t *found) noexcept nogil:
    cdef int code
    if strlen(name) > LONGEST_MATCHED:
        return UNCLEAR
    code = regexec(test.regex, name, groups, found, 0)
    if code == 0:
        return FITS
    return FITS_NOT if code == REG_NOMATCH else UNCLEAR


cdef Fit name_fits(const NameTest *test, const char *name, const char *user) noexcept nogil:
    if test.kind == NAME_ALL:
        return FITS
    if test.kind == NAME_REGEX:
        return regex_fits(test, name, 0, NULL)
    if test.kind == NAME_EXACT:
        return FITS if strcmp(test.text, name) == 0 else FITS_NOT
    if test.kind == NAME_SAME_USER:
        return FITS if strcmp(name, user) == 0 else FITS_NOT
    return FITS_NOT  # NAME_REPLICATION: this is a login to a database


cdef Fit names_fit(const NameTests *tests, const char *name, const char *user) noexcept nogil:
    """Does one of them fit?"""
    cdef Fit fit = FITS_NOT
    cdef Fit one
    for i in range(tests.count):
        one = name_fits(&tests.all[i], name, user)
        if one == FITS:
            return FITS
        if one == UNCLEAR:
            fit = UNCLEAR
    return fit


cdef Fit database_fits(const NameTests *tests, const Visitor *visitor) noexcept nogil:
    if not visitor.replication:
        return names_fit(tests, visitor.database, visitor.user)
    for i in range(tests.count):
        if tests.all[i].kind == NAME_REPLICATION:
            return FITS
    return FITS_NOT


cdef uint8_t transports_of(const Visitor *visitor) noexcept nogil:
    """The first words of a line that take this visitor in, a bit each."""
    if visitor.local:
        return 1 << TRANSPORT_LOCAL
    return <uint8_t>(1 << TRANSPORT_HOST | 1 << (TRANSPORT_HOSTSSL if visitor.tls else TRANSPORT_HOSTNOSSL))


cdef const Rule *access_find(Access *access, const Visitor *visitor) noexcept nogil:
    """The first rule that fits, NULL: none (or a name is too long to say)."""
    cdef uint8_t transports = transports_of(visitor)
    cdef uint64_t[2] bits
    cdef uint8_t family = 0 if visitor.local else address_bits(visitor.family, visitor.address, bits)
    cdef AccessLine *line
    cdef Fit database
    cdef Fit user
    for i in range(access.line_count):
        line = &access.lines[i]
        if not line.transports & transports:
            continue
        if not (visitor.local or line.any_address or bits_in(&line.networks, family, bits)):
            continue
        database = database_fits(&line.databases, visitor)
        if database == FITS_NOT:
            continue
        user = names_fit(&line.users, visitor.user, visitor.user)
        if user == FITS_NOT:
            continue
        return &line.rule if database == FITS and user == FITS else NULL
    return NULL


cdef bint is_expanded(
    const char *user, const char *text, const char *reference, const char *group, size_t size
) noexcept nogil:
    """Is `user` what `text` becomes when the \\1 at `reference` gives way to `group`?"""
    cdef size_t before = reference - text
    if strlen(user) != before + size + strlen(reference + 2):
        return False
    return (
        strncmp(user, text, before) == 0
        and strncmp(user + before, group, size) == 0
        and strcmp(user + before + size, reference + 2) == 0
    )


cdef Fit map_line_fits(const AccessMapLine *line, const char *system_user, const char *user) noexcept nogil:
    cdef regmatch_t[2] groups
    cdef const char *reference = NULL
    cdef Fit fit
    if line.system_user.kind == NAME_EXACT:
        return name_fits(&line.user, user, user) if strcmp(line.system_user.text, system_user) == 0 else FITS_NOT
    if line.user.kind == NAME_EXACT:
        reference = strstr(line.user.text, "\\1")
    fit = regex_fits(&line.system_user, system_user, 0 if reference == NULL else 2, groups)
    if fit != FITS:
        return fit
    if reference == NULL:
        return name_fits(&line.user, user, user)
    if groups[1].rm_so < 0:
        return UNCLEAR
    return FITS if is_expanded(
        user, line.user.text, reference, system_user + groups[1].rm_so, groups[1].rm_eo - groups[1].rm_so
    ) else FITS_NOT


cdef bint access_maps(Access *access, const char *map, const char *system_user, const char *user) noexcept nogil:
    """May `system_user` log in as `user`?  As PostgreSQL, a line that cannot be judged ends the search."""
    cdef Fit fit
    if map[0] == 0:
        return strcmp(system_user, user) == 0
    for i in range(access.map_count):
        if strcmp(access.maps[i].map, map) != 0:
            continue
        fit = map_line_fits(&access.maps[i], system_user, user)
        if fit != FITS_NOT:
            return fit == FITS
    return False
