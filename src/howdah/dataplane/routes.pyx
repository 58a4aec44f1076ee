"""What a login maps to.

`plan_new` turns the published `howdah.dataplane.plan.Plan` into C structs once per configuration change; everything
else here is lookup.  Called by `engine` (making and freeing) and the logins (lookup).
"""

from libc.stdint cimport int64_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, strcmp, strlen

from howdah.cdefs.openssl cimport SSL_CTX_free
from howdah.dataplane.access cimport access_free, access_new, networks_free, networks_new
from howdah.dataplane.credentials cimport secret_drop, secret_new
from howdah.dataplane.hashes cimport text_hash
from howdah.dataplane.tls cimport tls_context


cdef class Memory:
    """Everything one plan points to, so that it can be freed in one go."""

    cdef list blocks

    def __cinit__(self):
        self.blocks = []

    cdef void *take(self, size_t size) except NULL:
        cdef void *block = calloc(1, max(size, <size_t>1))
        if block == NULL:
            raise MemoryError
        self.blocks.append(<size_t>block)
        return block

    cdef const char *text(self, value) except? NULL:
        """A NUL-terminated copy, NULL for None."""
        if value is None:
            return NULL
        return self.octets(value.encode() + b"\0")

    cdef const char *octets(self, bytes value) except NULL:
        cdef char *copy = <char *>self.take(len(value))
        memcpy(copy, <const char *>value, len(value))
        return copy

    cdef const char *names(self, values) except NULL:
        return self.octets(b"".join(value.encode() + b"\0" for value in values) + b"\0")


cdef uint32_t *index_of(Memory memory, list names, uint32_t *slots) except NULL:
    """An open-addressing table from name to number plus one, at most half full."""
    cdef uint32_t size = 8
    cdef uint32_t at
    cdef bytes name
    while size < 2 * len(names):
        size *= 2
    cdef uint32_t *table = <uint32_t *>memory.take(size * sizeof(uint32_t))
    for number, text in enumerate(names):
        name = text.encode()
        at = text_hash(name) & (size - 1)
        while table[at]:
            at = (at + 1) & (size - 1)
        table[at] = number + 1
    slots[0] = size
    return table


cdef Endpoint *endpoints_of(Memory memory, object addresses) except NULL:
    cdef Endpoint *endpoints = <Endpoint *>memory.take(len(addresses) * sizeof(Endpoint))
    cdef Endpoint *endpoint
    for i, address in enumerate(addresses):
        endpoint = &endpoints[i]
        endpoint.sockaddr = memory.octets(address.packed)
        endpoint.size = <uint32_t>len(address.packed)
        endpoint.text = memory.text(address.text)
        endpoint.hash = text_hash(endpoint.text)
        endpoint.host = memory.text(address.host)
    return endpoints


cdef int fill_peer(Memory memory, PeerRoute *peer, object entry) except -1:
    peer.peer_id = entry.peer_id
    peer.host = memory.text(entry.host)
    peer.endpoint_count = <uint32_t>len(entry.addresses)
    peer.endpoints = endpoints_of(memory, entry.addresses)
    peer.resolve_error = memory.text(entry.resolve_error)
    peer.pool_size = entry.pool_size
    return 0


cdef int fill_route(Memory memory, Route *route, object entry) except -1:
    route.name = memory.text(entry.name)
    route.dbname = memory.text(entry.dbname)
    route.host = memory.text(entry.host)
    route.port = entry.port
    route.endpoint_count = <uint32_t>len(entry.addresses)
    route.endpoints = endpoints_of(memory, entry.addresses)
    route.in_order = entry.in_order
    route.resolve_error = memory.text(entry.resolve_error)
    route.force_user = memory.text(entry.force_user)
    route.pool_size = entry.pool_size
    route.min_pool_size = entry.min_pool_size
    route.reserve_pool_size = entry.reserve_pool_size
    route.mode = entry.pool_mode
    route.max_db_connections = entry.max_db_connections
    route.server_lifetime_us = entry.server_lifetime_us
    startup = b"".join(text.encode() + b"\0" for pair in entry.startup_parameters for text in pair)
    route.startup = memory.octets(startup)
    route.startup_size = <uint32_t>len(startup)
    route.lookup = entry.lookup
    route.max_db_client_connections = entry.max_db_client_connections
    route.query_wait_timeout_us = entry.query_wait_timeout_us
    route.connect_query = memory.text(entry.connect_query)
    route.pin_warn = entry.pin_rules.warn
    route.pin_deny = entry.pin_rules.deny
    route.pin_timeout_us = entry.pin_timeout_us
    route.max_pinned = entry.max_pinned
    route.session_lint = entry.session_lint
    if entry.secret is not None:
        route.secret = secret_new(entry.secret)
    return 0


cdef object own(value):
    """A value of a user's own; -1: none."""
    return -1 if value is None else value


cdef int fill_user(Memory memory, UserRule *rule, object entry) except -1:
    rule.name = memory.text(entry.name)
    rule.pool_size = own(entry.pool_size)
    rule.reserve_pool_size = own(entry.reserve_pool_size)
    rule.mode = own(entry.pool_mode)
    rule.max_user_connections = own(entry.max_user_connections)
    rule.max_user_client_connections = own(entry.max_user_client_connections)
    rule.query_timeout_us = own(entry.query_timeout_us)
    rule.query_wait_timeout_us = own(entry.query_wait_timeout_us)
    rule.transaction_timeout_us = own(entry.transaction_timeout_us)
    rule.idle_transaction_timeout_us = own(entry.idle_transaction_timeout_us)
    rule.client_idle_timeout_us = own(entry.client_idle_timeout_us)
    rule.pin_warn = -1 if entry.pin_rules is None else entry.pin_rules.warn
    rule.pin_deny = -1 if entry.pin_rules is None else entry.pin_rules.deny
    rule.pin_timeout_us = own(entry.pin_timeout_us)
    rule.max_pinned = own(entry.max_pinned)
    if entry.secret is not None:
        rule.secret = secret_new(entry.secret)
    return 0


cdef int fill_settings(Memory memory, CPlan *plan, object settings) except -1:
    plan.max_client_conn = settings.max_client_conn
    plan.max_user_connections = settings.max_user_connections
    plan.max_packet_size = settings.max_packet_size
    plan.client_idle_timeout_us = settings.client_idle_timeout_us
    plan.idle_transaction_timeout_us = settings.idle_transaction_timeout_us
    plan.client_login_timeout_us = settings.client_login_timeout_us
    plan.server_idle_timeout_us = settings.server_idle_timeout_us
    plan.server_connect_timeout_us = settings.server_connect_timeout_us
    plan.server_login_retry_us = settings.server_login_retry_us
    plan.reserve_pool_timeout_us = settings.reserve_pool_timeout_us
    plan.tcp_keepalive = settings.tcp_keepalive
    plan.tcp_keepidle = settings.tcp_keepidle
    plan.tcp_keepintvl = settings.tcp_keepintvl
    plan.tcp_keepcnt = settings.tcp_keepcnt
    plan.tcp_user_timeout = settings.tcp_user_timeout
    plan.tcp_socket_buffer = settings.tcp_socket_buffer
    plan.tcp_defer_accept = settings.tcp_defer_accept
    plan.server_reset_query = memory.text(settings.server_reset_query)
    plan.log_connections = settings.log_connections
    plan.log_disconnections = settings.log_disconnections
    plan.ignored_parameters = memory.names(settings.ignore_startup_parameters)
    plan.console_users = memory.names(settings.console_users)
    plan.console_for_all = settings.console_for_all
    plan.max_user_client_connections = settings.max_user_client_connections
    plan.scram_iterations = settings.scram_iterations
    plan.auth_cache_us = settings.auth_cache_us
    plan.password_passthrough = settings.password_passthrough
    plan.application_name_add_host = settings.application_name_add_host
    plan.login_rate_per_address = settings.login_rate_per_address
    plan.login_rate_per_user = settings.login_rate_per_user
    plan.login_failure_delay_us = settings.login_failure_delay_us
    plan.max_concurrent_logins = settings.max_concurrent_logins
    plan.fallback_timeout_us = settings.autodb_idle_timeout_us
    plan.pool_idle_timeout_us = settings.pool_idle_timeout_us
    plan.login_notify_message = memory.text(settings.login_notify_message)
    plan.query_timeout_us = settings.query_timeout_us
    plan.transaction_timeout_us = settings.transaction_timeout_us
    plan.query_wait_notify_us = settings.query_wait_notify_us
    plan.cancel_wait_timeout_us = settings.cancel_wait_timeout_us
    plan.max_prepared_statements = settings.max_prepared_statements
    plan.deferred_begin = settings.deferred_begin
    plan.session_check = settings.session_check
    plan.session_sequences = settings.session_sequences
    plan.disable_pqexec = settings.disable_pqexec
    plan.server_fast_close = settings.server_fast_close
    plan.server_round_robin = settings.server_round_robin
    plan.server_reset_query_always = settings.server_reset_query_always
    plan.server_check_query = memory.text(settings.server_check_query)
    plan.server_check_delay_us = settings.server_check_delay_us
    plan.drop_in = settings.drop_in
    plan.peer_id = settings.peer_id
    plan.proxies = networks_new(settings.proxy_networks)
    return 0


cdef int fill_logins(CPlan *plan, object source) except -1:
    plan.access = access_new(source.rules, source.maps)
    plan.client_tls = source.client_tls.mode
    if plan.client_tls != TLS_DISABLE:
        plan.client_context = tls_context(source.client_tls, True)
    plan.server_tls = source.server_tls.mode
    plan.server_tls_direct = source.server_tls.direct
    secrets = [entry.secret for entry in source.users if entry.secret is not None]
    known = sum(secret.scram is not None for secret in secrets)
    lookups = any(entry.lookup for entry in source.databases)  # PostgreSQL's own secrets: SCRAM's since version 14
    plan.mostly_scram = lookups or 2 * known > len(secrets)
    if plan.server_tls != TLS_DISABLE:
        plan.server_context = tls_context(source.server_tls, False)
    return 0


cdef int fill_plan(Memory memory, CPlan *plan, object source) except -1:
    plan.version = source.version
    fill_settings(memory, plan, source.settings)
    plan.route_count = <uint32_t>len(source.databases)
    plan.routes = <Route *>memory.take(len(source.databases) * sizeof(Route))
    for i, entry in enumerate(source.databases):
        fill_route(memory, &plan.routes[i], entry)
        if entry.name == "*":
            plan.fallback = &plan.routes[i]
    if len({(entry.host, entry.port, entry.force_user) for entry in source.databases}) == 1:
        plan.cluster = plan.routes
    plan.route_index = index_of(memory, [entry.name for entry in source.databases], &plan.route_slots)
    plan.user_count = <uint32_t>len(source.users)
    plan.users = <UserRule *>memory.take(len(source.users) * sizeof(UserRule))
    for i, entry in enumerate(source.users):
        fill_user(memory, &plan.users[i], entry)
    plan.user_index = index_of(memory, [entry.name for entry in source.users], &plan.user_slots)
    plan.peer_count = <uint32_t>len(source.peers)
    plan.peers = <PeerRoute *>memory.take(len(source.peers) * sizeof(PeerRoute))
    for i, entry in enumerate(source.peers):
        fill_peer(memory, &plan.peers[i], entry)
    fill_logins(plan, source)
    return 0


cdef CPlan *plan_new(object plan) except NULL:
    """The C form of `plan`.  Raises what the plan's values are not fit for (a NUL in a name, a number out of range)."""
    cdef Memory memory = Memory()
    cdef CPlan *made = <CPlan *>memory.take(sizeof(CPlan))
    try:
        fill_plan(memory, made, plan)
        made.memory_count = len(memory.blocks) + 1
        made.memory = <void **>memory.take(made.memory_count * sizeof(void *))
        for i, block in enumerate(memory.blocks):
            made.memory[i] = <void *><size_t>block
    except BaseException:
        let_go(made)
        for block in memory.blocks:
            free(<void *><size_t>block)
        raise
    return made


cdef void let_go(CPlan *plan) noexcept nogil:
    """Of what the plan holds that is not simply memory."""
    for i in range(plan.route_count):
        if plan.routes != NULL:
            secret_drop(plan.routes[i].secret)
    for i in range(plan.user_count):
        if plan.users != NULL:
            secret_drop(plan.users[i].secret)
    if plan.proxies != NULL:
        networks_free(plan.proxies)
    if plan.access != NULL:
        access_free(plan.access)
    SSL_CTX_free(plan.client_context)
    SSL_CTX_free(plan.server_context)


cdef void plan_free(CPlan *plan) noexcept nogil:
    # The struct itself is the first block and the list of blocks the last one.
    cdef void **blocks = plan.memory
    cdef size_t count = plan.memory_count
    let_go(plan)
    for i in range(count - 1):
        free(blocks[i])
    free(blocks)


cdef Route *find_route(CPlan *plan, const char *database) noexcept nogil:
    """The entry for `database`, else "*", else NULL."""
    cdef uint32_t at = text_hash(database) & (plan.route_slots - 1)
    cdef Route *route
    while plan.route_index[at]:
        route = &plan.routes[plan.route_index[at] - 1]
        if strcmp(route.name, database) == 0:
            return route
        at = (at + 1) & (plan.route_slots - 1)
    return plan.fallback


cdef PeerRoute *find_peer(const CPlan *plan, int peer_id) noexcept nogil:
    """NULL: there is none with that number."""
    for i in range(plan.peer_count):
        if plan.peers[i].peer_id == peer_id:
            return &plan.peers[i]
    return NULL


cdef UserRule *find_user(CPlan *plan, const char *user) noexcept nogil:
    cdef uint32_t at = text_hash(user) & (plan.user_slots - 1)
    cdef UserRule *rule
    while plan.user_index[at]:
        rule = &plan.users[plan.user_index[at] - 1]
        if strcmp(rule.name, user) == 0:
            return rule
        at = (at + 1) & (plan.user_slots - 1)
    return NULL


cdef uint64_t first(int64_t own_us, uint64_t general_us) noexcept nogil:
    return general_us if own_us < 0 else <uint64_t>own_us


cdef void find_time_limits(CPlan *plan, const Route *route, const char *user, TimeLimits *limits) noexcept nogil:
    """For a client that logged in as `user`: the user's own, else the database's, else the general ones."""
    cdef const UserRule *rule = find_user(plan, user)
    limits.query_us = plan.query_timeout_us
    limits.query_wait_us = route.query_wait_timeout_us
    limits.transaction_us = plan.transaction_timeout_us
    limits.idle_transaction_us = plan.idle_transaction_timeout_us
    limits.idle_us = plan.client_idle_timeout_us
    limits.pin_us = route.pin_timeout_us
    if rule != NULL:
        limits.query_us = first(rule.query_timeout_us, limits.query_us)
        limits.query_wait_us = first(rule.query_wait_timeout_us, limits.query_wait_us)
        limits.transaction_us = first(rule.transaction_timeout_us, limits.transaction_us)
        limits.idle_transaction_us = first(rule.idle_transaction_timeout_us, limits.idle_transaction_us)
        limits.idle_us = first(rule.client_idle_timeout_us, limits.idle_us)
        limits.pin_us = first(rule.pin_timeout_us, limits.pin_us)


cdef void find_session_rules(CPlan *plan, const Route *route, const char *user, SessionRules *rules) noexcept nogil:
    """The same of what it may do to its session."""
    cdef const UserRule *rule = find_user(plan, user)
    rules.pin_warn = route.pin_warn
    rules.pin_deny = route.pin_deny
    rules.lint = route.session_lint
    if rule != NULL and rule.pin_warn >= 0:
        rules.pin_warn = <uint16_t>rule.pin_warn
        rules.pin_deny = <uint16_t>rule.pin_deny


cdef bint listed(const char *names, const char *name) noexcept nogil:
    """Is `name` among the strings that end with an empty one?"""
    while names[0]:
        if strcmp(names, name) == 0:
            return True
        names += strlen(names) + 1
    return False
