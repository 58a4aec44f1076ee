"""The door of the data plane.

Starts and stops the worker threads, turns the Python plan into the C one, and turns notes and snapshots into Python
rows.  Nothing in here runs once per message.  Called by `howdah.control`.
"""

from cpython.unicode cimport PyUnicode_DecodeUTF8
from libc.stdint cimport int32_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcpy, strcmp, strlen

from howdah.cdefs.atomics cimport add_i32, load_i32, relaxed_load_u64, store_i32
from howdah.cdefs.clock cimport CLOCK_MONOTONIC, CLOCK_REALTIME, clock_us
from howdah.cdefs.crypto cimport OPENSSL_cleanse
from howdah.cdefs.openssl cimport SSL_SESSION_free
from howdah.cdefs.epoll cimport EFD_CLOEXEC, EFD_NONBLOCK, eventfd
from howdah.cdefs.sockets cimport close, read
from howdah.cdefs.threads cimport (
    pthread_mutex_destroy,
    pthread_mutex_init,
    pthread_mutex_lock,
    pthread_mutex_unlock,
)
from howdah.dataplane.baggage cimport is_sound
from howdah.dataplane.cancels cimport SECRET_SIZE, KeyOwner, key_owner, keys_clear, keys_init, new_secret
from howdah.dataplane.conn cimport CONN_LISTENER, Conn, conn_close, conn_init, conn_send
from howdah.dataplane.credentials cimport lookups_clear, lookups_init, secret_new
from howdah.dataplane.departing cimport departures_drop, departures_fetch
from howdah.dataplane.forwarding cimport peer_pools_free
from howdah.dataplane.handshake cimport pool_terms_of
from howdah.dataplane.linting cimport LINT, LINT_SORTS, MOST_LINTED, LintEntry, lint_entries
from howdah.dataplane.mailbox cimport mail_new, mail_send, notes_fetch
from howdah.dataplane.parties cimport (
    LEAVING,
    LENDING,
    MAIL_ARRIVE,
    MAIL_AUTH,
    MAIL_CANCEL,
    MAIL_CLOSE,
    MAIL_CONSOLE,
    MAIL_DRAIN,
    MAIL_KILL,
    MAIL_KILL_CLIENT,
    MAIL_LEAVING,
    MAIL_PLAN,
    MAIL_POOLS,
    MAIL_SNAPSHOT,
    MAIL_STOP,
    MAIL_SUSPEND,
    MOST_WORKERS,
    PIN_CURSOR,
    PIN_LISTEN,
    PIN_LOAD,
    PIN_LOCK,
    PIN_NAMED_STATEMENT,
    PIN_REPLICATION,
    PIN_SEED,
    PIN_SEQUENCE,
    PIN_SESSION_MODE,
    PIN_TEMP,
    PIN_UNKNOWN,
    PIN_UNNAMED_STATEMENT,
    SERVER_ACTIVE,
    SERVER_CLOSING,
    SERVER_HELD,
    SERVER_IDLE,
    SERVER_LISTENING,
    SERVER_RECYCLING,
    STAYING,
    Arrival,
    Client,
    ClientState,
    Departure,
    Killing,
    Mail,
    Note,
    Server,
    ServerState,
    Shared,
    Worker,
)
from howdah.dataplane.operations cimport (
    clients_left,
    keep_states,
    limit_of,
    renew_servers,
    servers_left,
    set_disabled,
    set_paused,
)
from howdah.dataplane.pinning cimport PIN_SORTS
from howdah.dataplane.pool cimport (
    JOIN_DONE,
    LIMIT_SLOTS,
    PLACE_IDLE,
    Limit,
    Pool,
    PooledServer,
    Pools,
    PoolTerms,
    doubtful,
    in_use,
)
from howdah.dataplane.pool_terms cimport (
    keep_addresses,
    pool_join,
    pool_quit,
    pool_tally,
    pool_terms,
    pools_free,
    pools_init,
)
from howdah.dataplane.routes cimport CPlan, Route, SESSION_MODE, find_route, plan_free, plan_new
from howdah.dataplane.server cimport SERVERS_AT_ONCE, free_servers, server_free
from howdah.dataplane.snapshot cimport (
    SNAP_CLIENTS,
    SNAP_MEMORY,
    SNAP_PINS,
    STORE_BLOCKS,
    STORE_CLIENTS,
    STORE_LARGE_BLOCKS,
    ClientSnap,
    MemorySnap,
    PinSnap,
    Snapshot,
    local_end,
)
from howdah.dataplane.stats cimport Tally, tally_add
from howdah.dataplane.tallies cimport duration_rows, peer_pool_rows, pin_reason_rows, stats_rows
from howdah.dataplane.timers cimport timer_disarm
from howdah.dataplane.turnstile cimport turnstile_clear, turnstile_init
from howdah.dataplane.welcome cimport welcomes_free
from howdah.dataplane.worker cimport worker_free, worker_init, worker_run

import threading
from typing import NamedTuple

# A door: what the control plane may use of these two.
from howdah.dataplane.certificates import CertificateFacts, TlsError, read_certificates  # no-cython-lint
from howdah.dataplane.mailbox import choose_loud
from howdah.dataplane.plan import PoolMode
from howdah.dataplane.rows import (
    AuthVerdict,
    ClientRow,
    DatabaseState,
    DepartedClient,
    Event,
    EventKind,
    LintRow,
    MemoryRow,
    PinRow,
    PoolRow,
    ServerRow,
    States,
)
from howdah.dataplane.tls import check_tls  # no-cython-lint
from howdah.reasons import REASONS
from howdah.wire.compose import choose_texts
from howdah.wire.startup import Replication

MAX_WORKERS = MOST_WORKERS

cdef extern from "<stdio.h>" nogil:
    int snprintf(char *to, size_t size, const char *format, ...) noexcept

cdef extern from "<unistd.h>" nogil:
    int usleep(unsigned int microseconds) noexcept

CLIENT_STATES = {
    ClientState.CLIENT_STARTUP: "login",
    ClientState.CLIENT_PROOF: "login",
    ClientState.CLIENT_ASKED: "login",
    ClientState.CLIENT_DELAYED: "login",
    ClientState.CLIENT_LOGIN_WAITING: "waiting",
    ClientState.CLIENT_LOGIN_ACTIVE: "login",
    ClientState.CLIENT_IDLE: "idle",
    ClientState.CLIENT_WAITING: "waiting",
    ClientState.CLIENT_ACTIVE: "active",
    ClientState.CLIENT_CONSOLE: "console",
    ClientState.CLIENT_CANCEL: "active_cancel_req",
    ClientState.CLIENT_CLOSING: "closing",
}
SERVER_STATES = {
    ServerState.SERVER_CONNECTING: "new",
    ServerState.SERVER_LOGIN: "new",
    ServerState.SERVER_IDLE: "idle",
    ServerState.SERVER_ACTIVE: "active",
    ServerState.SERVER_RECYCLING: "tested",
    ServerState.SERVER_HELD: "being_canceled",
    ServerState.SERVER_LISTENING: "listening",
    ServerState.SERVER_CLOSING: "closing",
}
PINS = {
    PIN_SESSION_MODE: "pin_session_mode",
    PIN_NAMED_STATEMENT: "pin_named_statement",
    PIN_UNNAMED_STATEMENT: "pin_unnamed_statement",
    PIN_REPLICATION: "pin_replication",
    PIN_TEMP: "pin_temporary_object",
    PIN_CURSOR: "pin_holdable_cursor",
    PIN_LOCK: "pin_advisory_lock",
    PIN_LISTEN: "pin_listen",
    PIN_LOAD: "pin_load",
    PIN_SEED: "pin_random_seed",
    PIN_SEQUENCE: "pin_sequence",
    PIN_UNKNOWN: "pin_unknown",
}
#: As PgBouncer's SHOW MEM calls what it has of the same.
STORE_NAMES = {
    STORE_CLIENTS: "client_cache",
    STORE_BLOCKS: "iobuf_256_cache",
    STORE_BLOCKS + 1: "iobuf_1024_cache",
    STORE_BLOCKS + 2: "iobuf_cache",
    STORE_LARGE_BLOCKS: "iobuf_large_bytes",
}
REPLICATION = {
    Replication.REPLICATION_NONE: "none",
    Replication.REPLICATION_PHYSICAL: "physical",
    Replication.REPLICATION_LOGICAL: "logical",
}


class Totals(NamedTuple):
    """See engine.pyi."""

    clients: int
    waiting: int
    servers: int
    servers_active: int
    xact_count: int
    query_count: int
    events_lost: int


cdef str text(const char *value):
    return "" if value == NULL else PyUnicode_DecodeUTF8(value, <Py_ssize_t>strlen(value), b"replace")


cdef str again(const char *value, const char *before, str shown):
    """`shown` if that is what the text before was shown as: most rows have the same in a column."""
    return shown if shown is not None and strcmp(value, before) == 0 else text(value)


cdef bytes name_of(database):
    """As C has it; None for all databases."""
    return None if database is None else database.encode()


cdef const char *pointer_to(bytes name) noexcept:
    if name is None:
        return NULL
    return name


cdef str first_pin(int pins):
    if not pins:
        return ""
    for bit, code in PINS.items():
        if pins & bit:
            return code
    return ""


cdef bint same_servers(const Route *a, const Route *b) noexcept nogil:
    """Would servers opened under `a` be what `b` asks for, as long as their address is one of those of `b`?"""
    if strcmp(a.host, b.host) != 0 or a.port != b.port or a.startup_size != b.startup_size:
        return False
    for i in range(a.startup_size):
        if a.startup[i] != b.startup[i]:
            return False
    return True


cdef bint same_addresses(const Route *a, const Route *b) noexcept nogil:
    if a.endpoint_count != b.endpoint_count:
        return False
    for i in range(a.endpoint_count):
        if strcmp(a.endpoints[i].text, b.endpoints[i].text) != 0:
            return False
    return True


cdef void use_addresses(Pools *pools, Pool *pool, const Route *route) noexcept nogil:
    """Servers at addresses that `route` does not have must go.  The caller holds the lock."""
    cdef uint32_t *kept = <uint32_t *>calloc(max(route.endpoint_count, <uint32_t>1), sizeof(uint32_t))
    cdef uint32_t count = 0 if kept == NULL else route.endpoint_count  # without memory all go, which is never wrong
    for i in range(count):
        kept[i] = route.endpoints[i].hash
    keep_addresses(pools, pool, kept, count)
    free(kept)


cdef class Engine:
    """N worker threads and the pools they share; see engine.pyi."""

    cdef Shared *shared
    cdef CPlan *plan
    cdef list threads
    cdef object server_tls  # TlsPlan in force: with another one, servers are opened anew
    cdef dict consoles  # id of a console client -> (worker, slot)
    cdef dict asking  # the same of clients whose login waits for an answer
    cdef int32_t berths  # for clients on their way to another process: how many there are
    cdef int turn  # workers take turns with clients of other processes
    cdef object looking  # a lock: one snapshot at a time
    cdef bint stopped

    def __cinit__(self, listeners, proxied=(), lent=()):
        cdef Worker *w
        cdef uint64_t seed = 0
        cdef unsigned long long nonce = 0
        self.threads = []
        self.consoles = {}
        self.asking = {}
        self.looking = threading.Lock()
        if not 1 <= len(listeners) <= MOST_WORKERS:
            raise ValueError(f"workers must be 1 to {MOST_WORKERS}, not {len(listeners)}")
        self.shared = <Shared *>calloc(1, sizeof(Shared))
        if self.shared == NULL:
            raise MemoryError
        self.shared.note_fd = self.shared.departure_fd = -1
        self.shared.workers = <Worker *>calloc(len(listeners), sizeof(Worker))
        if self.shared.workers == NULL:
            raise MemoryError
        self.shared.worker_count = <int>len(listeners)
        self.shared.wall_offset_us = clock_us(CLOCK_REALTIME) - clock_us(CLOCK_MONOTONIC)
        pthread_mutex_init(&self.shared.server_lock, NULL)
        pthread_mutex_init(&self.shared.note_lock, NULL)
        pthread_mutex_init(&self.shared.departure_lock, NULL)
        pthread_mutex_init(&self.shared.peer_lock, NULL)
        self.shared.note_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)
        self.shared.departure_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)
        if not keys_init(&self.shared.keys):
            raise MemoryError
        if not pools_init(&self.shared.pools, self.shared.worker_count) or min(
                self.shared.note_fd, self.shared.departure_fd) < 0:
            raise MemoryError
        if not new_secret(<unsigned char *>&seed, sizeof(seed)) or not new_secret(self.shared.process_key, 32):
            raise OSError("the system gives no random numbers")
        if not new_secret(<unsigned char *>&nonce, sizeof(nonce)):
            raise OSError("the system gives no random numbers")
        snprintf(self.shared.marker_channel, sizeof(self.shared.marker_channel), b"howdah_%016llx", nonce)
        if not turnstile_init(&self.shared.turnstile, seed) or not lookups_init(&self.shared.lookups):
            raise MemoryError
        for i, fds in enumerate(listeners):
            w = &self.shared.workers[i]
            if not worker_init(w, self.shared, i):
                raise OSError("cannot set up a worker: out of memory or file descriptors")
            w.listeners = <Conn *>calloc(max(len(fds), 1), sizeof(Conn))
            if w.listeners == NULL:
                raise MemoryError
            w.listener_count = <int>len(fds)
            for k, fd in enumerate(fds):
                conn_init(&w.listeners[k], fd, CONN_LISTENER)
                w.listeners[k].proxied = fd in proxied
                w.listeners[k].lent = fd in lent

    def __dealloc__(self):
        if self.shared == NULL:
            return
        if self.shared.workers != NULL:
            for i in range(self.shared.worker_count):
                if self.shared.workers[i].shared != NULL:
                    worker_free(&self.shared.workers[i])
        peer_pools_free(self.shared)
        keys_clear(&self.shared.keys)
        drop_notes(self.shared)
        if self.shared.departure_fd >= 0:
            departures_drop(self.shared)
            close(self.shared.departure_fd)
        lookups_clear(&self.shared.lookups)
        turnstile_clear(&self.shared.turnstile)
        free_pools(self.shared)
        free_servers(self.shared)
        if self.plan != NULL:
            plan_free(self.plan)
        if self.shared.note_fd >= 0:
            close(self.shared.note_fd)
        pthread_mutex_destroy(&self.shared.server_lock)
        pthread_mutex_destroy(&self.shared.note_lock)
        pthread_mutex_destroy(&self.shared.departure_lock)
        pthread_mutex_destroy(&self.shared.peer_lock)
        free(self.shared.workers)
        free(self.shared)

    def start(self, plan):
        self.server_tls = plan.server_tls
        choose_texts(plan.settings.drop_in)
        choose_loud(plan.settings.drop_in)
        self.use(plan_new(plan), False)
        for i in range(self.shared.worker_count):
            self.shared.workers[i].plan = self.plan
            thread = threading.Thread(target=self.run, args=(i,), name=f"howdah-worker-{i}", daemon=True)
            self.threads.append(thread)
            thread.start()

    def run(self, int index):
        """The body of a worker's thread."""
        with nogil:
            worker_run(&self.shared.workers[index])

    cdef void use(self, CPlan *plan, bint replace_servers):
        """Make `plan` the one new pools are made from, and apply it to those that exist."""
        cdef Pool *pool
        cdef Route *found
        cdef Route *before
        cdef bint anew, moved
        cdef PoolTerms terms
        self.plan = plan
        with nogil:
            pthread_mutex_lock(&self.shared.pools.lock)
            self.shared.pools.reserve_timeout_us = plan.reserve_pool_timeout_us
            self.shared.pools.login_retry_us = plan.server_login_retry_us
            self.shared.pools.idle_timeout_us = 1 if self.shared.pools.emptying else plan.server_idle_timeout_us
            self.shared.pools.fallback_timeout_us = plan.fallback_timeout_us
            self.shared.pools.unused_timeout_us = plan.pool_idle_timeout_us
            self.shared.pools.round_robin = plan.server_round_robin
            self.shared.pools.checks = plan.server_check_query != NULL
            self.shared.pools.check_delay_us = plan.server_check_delay_us
            pool = self.shared.pools.first
            while pool != NULL:
                found = find_route(plan, pool.database)
                if found != NULL:
                    pool_terms_of(plan, found, pool.database, pool.user, &terms)
                if found == NULL or strcmp(terms.server_user, pool.server_user) != 0:
                    pool_terms(&self.shared.pools, pool, NULL, True)
                else:
                    before = <Route *>pool.route
                    anew = (replace_servers or before == NULL or not same_servers(before, found)
                            or strcmp(pool.server_database, terms.server_database) != 0)
                    moved = not anew and not same_addresses(before, found)
                    pool_terms(&self.shared.pools, pool, &terms, anew)
                    if moved:
                        use_addresses(&self.shared.pools, pool, found)
                if pool.refused:  # what was wrong may be right now
                    pool.refused = False
                    pool.retry_at_us = 0
                SSL_SESSION_free(pool.tls_session)  # it was checked under the old plan's terms
                pool.tls_session = NULL
                pool = pool.next
            keep_states(&self.shared.pools, plan)
            pthread_mutex_unlock(&self.shared.pools.lock)
            lookups_clear(&self.shared.lookups)
            self.warm()

    cdef void warm(self) noexcept nogil:
        """Pools that are to have servers before a client comes: those with a minimum and a user of their own."""
        cdef PoolTerms terms
        cdef Route *route
        cdef Pool *pool = NULL
        cdef Limit *user = NULL
        cdef uint64_t now_us = clock_us(CLOCK_MONOTONIC)
        for i in range(self.plan.route_count):
            route = &self.plan.routes[i]
            if route.min_pool_size and route.force_user != NULL and route != self.plan.fallback:
                pool_terms_of(self.plan, route, route.name, route.force_user, &terms)
                if pool_join(&self.shared.pools, &terms, route.force_user, False, now_us, &pool, &user) == JOIN_DONE:
                    pool_quit(&self.shared.pools, pool, user, False, now_us)

    def publish(self, plan):
        cdef CPlan *old = self.plan
        cdef CPlan *new
        if self.stopped:
            return
        new = plan_new(plan)
        cdef int32_t left = self.shared.worker_count
        cdef Mail *mail
        cdef bint other_tls = plan.server_tls != self.server_tls
        self.server_tls = plan.server_tls
        self.use(new, other_tls)
        for i in range(self.shared.worker_count):
            mail = mail_new(MAIL_PLAN)
            if mail == NULL:
                raise MemoryError
            mail.data = new
            mail.client = <Client *>&left
            mail_send(&self.shared.workers[i], mail)
        with nogil:
            while load_i32(&left) > 0:
                usleep(100)
        self.use(new, other_tls)  # for pools and servers that a worker made from the old one in the meantime
        plan_free(old)

    def event_fd(self):
        return self.shared.note_fd

    def events(self):
        cdef Note *note = notes_fetch(self.shared)
        cdef Note *next_note
        events = []
        while note != NULL:
            next_note = note.next
            detail = (<char *>(note + 1))[:note.size]
            if note.kind == EventKind.CONSOLE_OPEN:
                self.consoles[note.id] = (note.worker, note.slot)
            elif note.kind == EventKind.CONSOLE_CLOSED:
                self.consoles.pop(note.id, None)
            elif note.kind == EventKind.AUTH_WANTED:
                self.asking[note.id] = (note.worker, note.slot)
            events.append(Event(
                EventKind(note.kind), note.at_us, note.worker, note.id,
                REASONS[note.reason].code if note.reason else "",
                text(note.database), text(note.user), text(note.address), note.age_us, detail))
            free(note)
            note = next_note
        return events

    def console_send(self, client, bytes data, bint then_close):
        cdef Mail *mail
        where = self.consoles.get(client)
        if where is None or self.stopped:
            return
        mail = mail_new(MAIL_CONSOLE)
        if mail == NULL:
            raise MemoryError
        mail.data = malloc(max(len(data), 1))
        if mail.data == NULL:
            free(mail)
            raise MemoryError
        memcpy(mail.data, <const char *>data, len(data))
        mail.size = <uint32_t>len(data)
        mail.flag = then_close
        mail.client_id = client
        mail.pid = where[1]
        mail_send(&self.shared.workers[<int>where[0]], mail)

    def auth_answer(self, client, verdict, secret=None, str message=""):
        cdef Mail *mail
        cdef bytes encoded = message.encode("utf-8", "replace")[:300] + b"\0"
        where = self.asking.pop(client, None)
        if where is None or self.stopped:
            return
        if (secret is not None) != (verdict in (AuthVerdict.FOUND, AuthVerdict.ALLOWED)):
            raise ValueError("a secret goes with FOUND and ALLOWED, and with no other verdict")
        mail = mail_new(MAIL_AUTH)
        if mail == NULL:
            raise MemoryError
        try:
            if secret is not None:
                mail.data = secret_new(secret)
                mail.flag = True
            else:
                mail.data = malloc(len(encoded))
                if mail.data == NULL:
                    raise MemoryError
                memcpy(mail.data, <const char *>encoded, len(encoded))
        except BaseException:
            free(mail)
            raise
        mail.size = verdict
        mail.client_id = client
        mail.pid = where[1]
        mail_send(&self.shared.workers[<int>where[0]], mail)

    def totals(self):
        cdef Pool *pool
        cdef Tally sum
        cdef int servers = 0
        cdef int active = 0
        cdef int waiting
        cdef uint64_t lost
        zero(&sum)
        pthread_mutex_lock(&self.shared.pools.lock)
        waiting = self.shared.pools.waiting
        pool = self.shared.pools.first
        while pool != NULL:
            servers += in_use(pool) + pool.dedicated
            active += pool.out + pool.dedicated
            pool_tally(&self.shared.pools, pool, &sum)
            pool = pool.next
        add_past(&self.shared.pools, &sum)
        pthread_mutex_unlock(&self.shared.pools.lock)
        pthread_mutex_lock(&self.shared.note_lock)
        lost = self.shared.notes_lost
        pthread_mutex_unlock(&self.shared.note_lock)
        return Totals(load_i32(&self.shared.client_count), waiting, servers, active,
                      sum.transactions, sum.queries, lost)

    def pools(self):
        cdef Pool *pool
        cdef PooledServer *pooled
        cdef Server *server
        cdef int held, pinned, tested, used, cancels, asked, waiting, state, own, own_login
        cdef uint64_t now = clock_us(CLOCK_MONOTONIC)
        rows = []
        pthread_mutex_lock(&self.shared.pools.lock)
        try:
            pool = self.shared.pools.first
            while pool != NULL:
                held = pinned = tested = used = cancels = asked = waiting = own = own_login = 0
                pooled = pool.servers
                while pooled != NULL:
                    server = <Server *>pooled.owner
                    state = load_i32(&server.state)
                    held += state == SERVER_HELD
                    tested += state == SERVER_RECYCLING
                    own += pooled.dedicated and state == SERVER_ACTIVE
                    own_login += pooled.dedicated and state not in (SERVER_ACTIVE, SERVER_CLOSING, SERVER_LISTENING)
                    pinned += server.pins != 0 and not pooled.dedicated and pool.mode != SESSION_MODE
                    used += pooled.place == PLACE_IDLE and doubtful(&self.shared.pools, pooled, now)
                    cancels += load_i32(&server.cancels)
                    asked += load_i32(&server.cancels_asked)
                    waiting += load_i32(&server.cancels_waiting)
                    pooled = pooled.all_next
                rows.append(PoolRow(
                    text(pool.database), text(pool.user), PoolMode(pool.mode).name.lower(),
                    pool.clients - pool.waiting - pool.alone_waiting, pool.waiting + pool.alone_waiting, asked,
                    waiting, max(pool.out - held - tested, 0) + own, cancels, held, pool.idle_count - used, used,
                    tested, pool.opening + own_login,
                    now - pool.first.since_us if pool.first != NULL else 0, pool.size, pinned))
                pool = pool.next
        finally:
            pthread_mutex_unlock(&self.shared.pools.lock)
        return rows

    cdef int look(self, Snapshot *snapshot) except -1:
        """Have the workers fill `snapshot`, of which `kind` is set; the caller frees its rows.

        One at a time: a worker has but one place where it goes on.
        """
        cdef Mail *mail
        cdef uint64_t count
        snapshot.rows = NULL
        snapshot.count = snapshot.room = 0
        snapshot.failed = snapshot.begun = False
        if self.stopped or not self.threads:
            return 0
        snapshot.done_fd = eventfd(0, EFD_CLOEXEC)
        mail = mail_new(MAIL_SNAPSHOT)
        if snapshot.done_fd < 0 or mail == NULL:
            free(mail)
            raise MemoryError
        mail.data = snapshot
        with self.looking:
            mail_send(&self.shared.workers[0], mail)
            with nogil:
                read(snapshot.done_fd, &count, sizeof(count))
        close(snapshot.done_fd)
        return 0

    def clients(self):
        cdef Snapshot snapshot
        cdef ClientSnap *row
        cdef ClientSnap *before
        cdef str user, database, address, local, application, tls, sni
        user = database = address = local = application = tls = sni = None
        snapshot.kind = SNAP_CLIENTS
        self.look(&snapshot)
        rows = []
        for i in range(snapshot.count):
            row = &(<ClientSnap *>snapshot.rows)[i]
            before = row - 1 if i else row
            user = again(row.user, before.user, user)
            database = again(row.database, before.database, database)
            address = again(row.address, before.address, address)
            local = again(row.local_address, before.local_address, local)
            application = again(row.application_name, before.application_name, application)
            tls = again(row.tls, before.tls, tls)
            sni = again(row.sni, before.sni, sni)
            # Not through the class's own constructor, which costs as much as all the rest: there may be thousands.
            rows.append(tuple.__new__(ClientRow, (
                row.id, user, database, CLIENT_STATES.get(row.state, ""), address, row.port, local, row.local_port,
                row.connected_us, row.request_us, row.wait_us, row.link, application, row.worker, first_pin(row.pins),
                tls, sni, REPLICATION[row.replication], row.prepared_statements, row.channels,
                row.fd, row.held, row.remain, row.unsent)))
        free(snapshot.rows)
        return rows

    def memory(self):
        cdef Snapshot snapshot
        cdef MemorySnap *row
        snapshot.kind = SNAP_MEMORY
        self.look(&snapshot)
        stores = {}
        for i in range(snapshot.count):
            row = &(<MemorySnap *>snapshot.rows)[i]
            _, used, free_ones = stores.get(row.store, (0, 0, 0))
            stores[row.store] = (row.size, used + row.used, free_ones + row.free)
        free(snapshot.rows)
        rows = [MemoryRow(STORE_NAMES[store], *numbers) for store, numbers in sorted(stores.items())]
        pthread_mutex_lock(&self.shared.server_lock)
        used = self.shared.servers_out
        there = self.shared.server_chunk_count * SERVERS_AT_ONCE
        pthread_mutex_unlock(&self.shared.server_lock)
        rows.append(MemoryRow("server_cache", sizeof(Server), used, there - used))
        pthread_mutex_lock(&self.shared.pools.lock)
        pools = self.shared.pools.pool_count
        pthread_mutex_unlock(&self.shared.pools.lock)
        rows.append(MemoryRow("pool_cache", sizeof(Pool), pools, 0))
        return rows

    def pins(self):
        cdef Snapshot snapshot
        cdef PinSnap *row
        snapshot.kind = SNAP_PINS
        self.look(&snapshot)
        rows = []
        for i in range(snapshot.count):
            row = &(<PinSnap *>snapshot.rows)[i]
            rows.append(PinRow(
                row.client, row.server, text(row.database), text(row.user), text(row.application_name),
                REASONS[PIN_SORTS[row.kind].reason].code, row.since_us, text(row.statement)))
        free(snapshot.rows)
        return rows

    def pin_reasons(self):
        return pin_reason_rows(self.shared)

    def lint(self):
        cdef LintEntry[LINT_SORTS] rest
        cdef LintEntry *entries = <LintEntry *>malloc(MOST_LINTED * sizeof(LintEntry))
        cdef size_t count
        if entries == NULL:
            raise MemoryError
        count = lint_entries(entries, rest)
        rows = [lint_row(&entries[i]) for i in range(count)]
        free(entries)
        return rows + [lint_row(&rest[i]) for i in range(LINT_SORTS) if rest[i].count]

    def servers(self):
        cdef Pool *pool
        cdef PooledServer *pooled
        cdef Server *server
        cdef uint64_t now = clock_us(CLOCK_MONOTONIC)
        rows = []
        pthread_mutex_lock(&self.shared.pools.lock)
        try:
            pool = self.shared.pools.first
            while pool != NULL:
                pooled = pool.servers
                while pooled != NULL:
                    server = <Server *>pooled.owner
                    rows.append(server_row(self.shared, pool, server, now))
                    pooled = pooled.all_next
                pool = pool.next
        finally:
            pthread_mutex_unlock(&self.shared.pools.lock)
        return rows

    def stats(self):
        return stats_rows(self.shared)

    def durations(self):
        return duration_rows(self.shared)

    def peer_pools(self):
        return peer_pool_rows(self.shared)

    def reasons(self):
        cdef uint64_t times
        counted = {}
        for number, reason in enumerate(REASONS):
            times = 0
            for i in range(self.shared.worker_count):
                times += relaxed_load_u64(&self.shared.workers[i].told[<int>number])
            if times and reason.code != "none":
                counted[reason.code] = times
        return counted

    def drain(self):
        self.mail_all(MAIL_DRAIN)

    # what operators do

    def pause(self, database):
        self.hold(database, True)

    def resume(self, database):
        if database is None:
            store_i32(&self.shared.suspended, False)
        self.hold(database, False)

    cdef int hold(self, database, bint paused) except -1:
        cdef bytes name = name_of(database)
        if not set_paused(&self.shared.pools, pointer_to(name), paused):
            raise MemoryError
        self.mail_all(MAIL_POOLS)
        return 0

    def reconnect(self, database):
        cdef bytes name = name_of(database)
        renew_servers(&self.shared.pools, pointer_to(name))
        self.mail_all(MAIL_POOLS)

    def kill(self, database):
        cdef bytes name = name_of(database)
        if not set_paused(&self.shared.pools, pointer_to(name), True):
            raise MemoryError
        renew_servers(&self.shared.pools, pointer_to(name))
        self.mail_all(MAIL_KILL, limit_of(&self.shared.pools, pointer_to(name)))
        self.mail_all(MAIL_POOLS)

    def kill_client(self, client):
        cdef Killing killing
        if self.stopped or not self.threads:
            return False
        killing.id = client
        killing.left = self.shared.worker_count
        killing.found = False
        self.mail_all(MAIL_KILL_CLIENT, &killing)
        with nogil:
            while load_i32(&killing.left) > 0:
                usleep(100)
        return bool(load_i32(&killing.found))

    def disable(self, str database, bint disabled):
        cdef bytes name = name_of(database)
        if not set_disabled(&self.shared.pools, pointer_to(name), disabled):
            raise MemoryError

    def suspend(self):
        for i in range(self.shared.worker_count):
            store_i32(&self.shared.workers[i].unsent, 1)  # until it knows better
        store_i32(&self.shared.suspended, True)
        self.mail_all(MAIL_SUSPEND)

    def unsent(self):
        return sum(load_i32(&self.shared.workers[i].unsent) for i in range(self.shared.worker_count))

    def give_up_unsent(self):
        self.mail_all(MAIL_SUSPEND, NULL, True)

    def states(self):
        cdef Limit *limit
        databases = []
        pthread_mutex_lock(&self.shared.pools.lock)
        try:
            for i in range(LIMIT_SLOTS):
                limit = self.shared.pools.databases[i]
                while limit != NULL:
                    if limit.paused or limit.disabled:
                        databases.append(DatabaseState(text(limit.name), bool(limit.paused), bool(limit.disabled)))
                    limit = limit.next
            paused = bool(self.shared.pools.paused)
        finally:
            pthread_mutex_unlock(&self.shared.pools.lock)
        return States(paused, bool(load_i32(&self.shared.suspended)), tuple(sorted(databases)))

    def servers_left(self, database, bint superseded):
        cdef bytes name = name_of(database)
        return servers_left(&self.shared.pools, pointer_to(name), superseded)

    def clients_left(self):
        left = clients_left(&self.shared.pools) + load_i32(&self.shared.login_count)
        return left + self.berths - load_i32(&self.shared.berths)

    def newcomers_left(self):
        return sum(load_i32(&self.shared.workers[i].logging_in) for i in range(self.shared.worker_count))

    def close_doors(self):
        self.mail_all(MAIL_CLOSE)

    # another process

    def lend_doors(self):
        self.leaving(LENDING, 0)

    def hand_over(self, int berths):
        pthread_mutex_lock(&self.shared.pools.lock)
        self.shared.pools.emptying = True
        self.shared.pools.idle_timeout_us = 1
        pthread_mutex_unlock(&self.shared.pools.lock)
        self.leaving(LEAVING, berths)

    def stay(self):
        pthread_mutex_lock(&self.shared.pools.lock)
        self.shared.pools.emptying = False
        self.shared.pools.idle_timeout_us = self.plan.server_idle_timeout_us
        pthread_mutex_unlock(&self.shared.pools.lock)
        self.leaving(STAYING, 0)

    cdef int leaving(self, int32_t what, int32_t berths) except -1:
        """Returns when all workers know."""
        cdef int32_t left = self.shared.worker_count if self.threads and not self.stopped else 0
        add_i32(&self.shared.berths, berths - self.berths)
        self.berths = berths
        store_i32(&self.shared.leaving, what)
        if left:
            self.mail_all(MAIL_LEAVING, &left)
        with nogil:
            while load_i32(&left) > 0:
                usleep(100)
        return 0

    def more_berths(self, int count):
        add_i32(&self.shared.berths, count)
        self.mail_all(MAIL_LEAVING)

    def departure_fd(self):
        return self.shared.departure_fd

    def departures(self):
        cdef Departure *departure = departures_fetch(self.shared)
        cdef Departure *next_departure
        found = []
        while departure != NULL:
            next_departure = departure.next
            found.append(DepartedClient(departure.number, departure.fd, (<char *>(departure + 1))[:departure.size]))
            OPENSSL_cleanse(departure, sizeof(Departure) + departure.size)
            free(departure)
            departure = next_departure
        return found

    def adopt(self, int fd, bytes baggage):
        cdef Arrival *arrival
        cdef Mail *mail
        if self.stopped:
            raise RuntimeError("the engine has stopped")
        if not is_baggage(baggage):
            raise ValueError("this is no client")
        arrival = <Arrival *>malloc(sizeof(Arrival) + len(baggage))
        mail = mail_new(MAIL_ARRIVE)
        if arrival == NULL or mail == NULL:
            free(arrival)
            free(mail)
            raise MemoryError
        arrival.fd = fd
        arrival.size = len(baggage)
        memcpy(arrival + 1, <const char *>baggage, len(baggage))
        mail.data = arrival
        self.turn = (self.turn + 1) % self.shared.worker_count
        mail_send(&self.shared.workers[self.turn], mail)

    def expect_cancels(self, bint expected):
        store_i32(&self.shared.has_predecessor, expected)

    def cancel(self, uint32_t pid, bytes secret):
        cdef KeyOwner owner
        cdef Mail *mail
        if self.stopped or len(secret) > SECRET_SIZE:
            return False
        owner = key_owner(&self.shared.keys, pid, <const unsigned char *><const char *>secret, <uint32_t>len(secret))
        if owner.worker < 0:
            return False
        mail = mail_new(MAIL_CANCEL)
        if mail == NULL:
            raise MemoryError
        mail.pid = pid
        mail.size = <uint32_t>len(secret)
        memcpy(mail.secret, <const char *>secret, len(secret))
        mail_send(&self.shared.workers[owner.worker], mail)
        return True

    cdef int mail_all(self, unsigned char kind, void *data=NULL, bint flag=False) except -1:
        cdef Mail *mail
        for i in range(self.shared.worker_count):
            mail = mail_new(kind)
            if mail == NULL:
                raise MemoryError
            mail.data = data
            mail.flag = flag
            mail_send(&self.shared.workers[i], mail)
        return 0

    def stop(self):
        if self.stopped:
            return
        self.stopped = True
        if self.threads:
            self.mail_all(MAIL_STOP)
            for i, thread in enumerate(self.threads):
                thread.join()
                if not load_i32(&self.shared.workers[<int>i].ended):
                    raise RuntimeError(f"worker {i} did not come to its end")
        part_from_servers(self.shared)


def is_baggage(bytes baggage):
    return bool(is_sound(<const unsigned char *><const char *>baggage, len(baggage)))


cdef object lint_row(const LintEntry *entry):
    return LintRow(
        text(entry.application), text(entry.user), text(entry.database), text(LINT[entry.sort].code),
        bool(entry.pins), entry.count, entry.first_us, entry.last_us, text(entry.text))


cdef void zero(Tally *sum) noexcept nogil:
    for i in range(sizeof(Tally) // sizeof(uint64_t)):
        (<uint64_t *>sum)[i] = 0


cdef void add_past(Pools *pools, Tally *sum) noexcept nogil:
    """What pools had counted that are gone.  The caller holds the lock."""
    cdef Limit *limit
    if pools.past != NULL:
        tally_add(sum, pools.past)
    for i in range(LIMIT_SLOTS):
        limit = pools.databases[i]
        while limit != NULL:
            if limit.past != NULL:
                tally_add(sum, limit.past)
            limit = limit.next


cdef object server_row(Shared *shared, Pool *pool, Server *server, uint64_t now):
    """A row from a server that its worker may be changing: only what can be read at any moment."""
    cdef Client *client = server.client
    cdef char[64] local
    cdef uint16_t local_port = 0
    cdef int32_t state = load_i32(&server.state)
    cdef bint used = state == SERVER_IDLE and doubtful(&shared.pools, &server.pooled, now)
    local_end(server.conn.fd, local, sizeof(local), &local_port)
    address, _, port = text(server.endpoint).rpartition(":")
    if not port.isdigit():
        address, port = text(server.endpoint), "0"
    return ServerRow(
        server.id, text(pool.server_user), text(pool.database),
        "used" if used else SERVER_STATES.get(state, ""),
        address.strip("[]"), int(port), text(local), local_port,
        server.connected_us + shared.wall_offset_us, server.request_us + shared.wall_offset_us,
        int(server.pooled.generation != pool.generation), client.id if client != NULL else 0,
        server.backend_pid, "", load_i32(&server.pooled.worker), text(server.tls),
        REPLICATION[server.replication], server.shelf.count, load_i32(&server.channels),
        server.conn.fd, server.remain, server.conn.out.size)


cdef void drop_notes(Shared *shared) noexcept nogil:
    cdef Note *note = shared.first_note
    cdef Note *next_note
    while note != NULL:
        next_note = note.next
        free(note)
        note = next_note
    shared.first_note = NULL


cdef void free_pools(Shared *shared) noexcept nogil:
    cdef Pool *pool = shared.pools.first
    while pool != NULL:
        welcomes_free(pool)
        pool = pool.next
    pools_free(&shared.pools)


cdef void part_from_servers(Shared *shared) noexcept nogil:
    """The workers have ended: say goodbye to the servers that are left."""
    cdef Pool *pool = shared.pools.first
    cdef PooledServer *pooled
    cdef PooledServer *next_pooled
    cdef Server *server
    while pool != NULL:
        pooled = pool.servers
        pool.servers = NULL
        while pooled != NULL:
            next_pooled = pooled.all_next
            server = <Server *>pooled.owner
            if server.conn.fd >= 0:
                conn_send(&shared.workers[0].slab, &server.conn, b"X\x00\x00\x00\x04", 5)
            conn_close(&shared.workers[0].slab, &server.conn)
            timer_disarm(&server.timer)
            server_free(&shared.workers[0], server)
            pooled = next_pooled
        pool = pool.next
