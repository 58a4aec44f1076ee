"""One worker thread: waits for events, hands each to the part of the spine that its party's state names.

Called by `engine`, once, for the life of the thread.
"""

from libc.stdint cimport int32_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc

from howdah.cdefs.atomics cimport add_i32, load_i32, store_i32
from howdah.cdefs.clock cimport CLOCK_MONOTONIC, clock_us
from howdah.cdefs.epoll cimport (
    EFD_CLOEXEC,
    EFD_NONBLOCK,
    EPOLL_CLOEXEC,
    EPOLLIN,
    EPOLLOUT,
    epoll_create1,
    epoll_event,
    epoll_wait,
    eventfd,
)
from howdah.cdefs.sockets cimport SHUT_RDWR, close, shutdown, write
from howdah.cdefs.threads cimport (
    pthread_mutex_destroy,
    pthread_mutex_init,
    pthread_mutex_lock,
    pthread_mutex_unlock,
)
from howdah.dataplane.arriving cimport arrival_drop, arrive
from howdah.dataplane.assignment cimport check_idle
from howdah.dataplane.buffers cimport LARGEST_BLOCK, slab_clear
from howdah.dataplane.canceller cimport CANCEL_ENDED, cancel_asked, cancel_end, cancel_event
from howdah.dataplane.client cimport (
    Deadline,
    client_at,
    client_deadline,
    client_watch_deadline,
    logging_in,
    next_ready,
)
from howdah.dataplane.conn cimport (
    CONN_CANCEL,
    CONN_CLIENT,
    CONN_FORWARD,
    CONN_HUB,
    CONN_LISTENER,
    CONN_LOGINS,
    CONN_MAILBOX,
    CONN_PEER,
    CONN_SERVER,
    CONN_TICK,
    FILL_AGAIN,
    FILL_DATA,
    SEND_ERROR,
    Conn,
    conn_fill,
    conn_flush,
    conn_init,
    conn_send,
    conn_unwatch,
    conn_watch,
)
from howdah.dataplane.connecting cimport open_server
from howdah.dataplane.credentials cimport Secret, secret_drop
from howdah.dataplane.ears cimport boards_free, notification_drop, wish_free
from howdah.dataplane.departing cimport goes, let_depart
from howdah.dataplane.forwarding cimport (
    forward_asked,
    forward_event,
    forward_late,
    forwards_end,
    forwards_go_on,
    peers_changed,
)
from howdah.dataplane.handshake cimport (
    client_refused_by_pool,
    login_answered,
    login_granted,
)
from howdah.dataplane.hearing cimport hub_news, notified
from howdah.dataplane.hub cimport hub_event, hub_goes_on, hubs_free, hubs_go_on, wish_came
from howdah.dataplane.listener cimport accept_clients, is_local, tune_listeners, watch_listeners
from howdah.dataplane.listening cimport listening_goes_on
from howdah.dataplane.mailbox cimport mail_fetch, mail_free, mail_send, tell_client
from howdah.dataplane.opening cimport client_startup
from howdah.dataplane.parties cimport (
    CLIENT_ACTIVE,
    CLIENT_ASKED,
    CLIENT_CANCEL,
    CLIENT_CLOSING,
    CLIENT_CONSOLE,
    CLIENT_DELAYED,
    CLIENT_IDLE,
    CLIENT_LOGIN_ACTIVE,
    CLIENT_LOGIN_WAITING,
    CLIENT_PROOF,
    CLIENT_STARTUP,
    CLIENT_WAITING,
    LEAVING,
    MAIL_ARRIVE,
    MAIL_AUTH,
    MAIL_CANCEL,
    MAIL_CANCEL_DONE,
    MAIL_CLOSE,
    MAIL_CONSOLE,
    MAIL_DRAIN,
    MAIL_FORWARD,
    MAIL_GRANT,
    MAIL_HEARD,
    MAIL_HUB,
    MAIL_KILL,
    MAIL_KILL_CLIENT,
    MAIL_LEAVING,
    MAIL_PLAN,
    MAIL_POOLS,
    MAIL_REFUSED,
    MAIL_SNAPSHOT,
    MAIL_STOP,
    MAIL_SUSPEND,
    MAIL_WISH,
    READ_SIZE,
    SERVER_ACTIVE,
    SERVER_CLOSING,
    SERVER_CONNECTING,
    SERVER_HELD,
    SERVER_IDLE,
    SERVER_LISTENING,
    SERVER_LOGIN,
    SERVER_RECYCLING,
    STAYING,
    Arrival,
    Cancel,
    Client,
    Forward,
    Hub,
    Killing,
    Limit,
    Mail,
    Notification,
    PeerPool,
    Server,
    Shared,
    Wish,
    Worker,
)
from howdah.dataplane.operations cimport kill_client, kill_clients, pools_changed
from howdah.dataplane.pinning cimport pin_name
from howdah.dataplane.poller cimport poller_add
from howdah.dataplane.pool cimport Pool, PooledServer, WaitingClient, claim, next_to_check, superseded
from howdah.dataplane.pool_terms cimport pool_free
from howdah.dataplane.proof cimport outside_answered, proof_came, proof_held, refuse_password
from howdah.dataplane.pruning cimport prune
from howdah.dataplane.recycle cimport (
    client_leave,
    client_lingers,
    client_lost,
    client_refuse,
    grant_not_wanted,
    recovery_due,
    recycle,
    server_close,
    server_ended,
    watch_client,
)
from howdah.dataplane.relay cimport (
    console_held,
    paused,
    relay_client,
    relay_console,
    relay_granted,
    relay_held,
    relay_server,
)
from howdah.dataplane.replication cimport replication_login
from howdah.dataplane.reply_queue cimport is_streaming, work_to_do
from howdah.dataplane.rooms cimport next_alone
from howdah.dataplane.routes cimport CPlan, Route, find_route, find_session_rules, find_time_limits
from howdah.dataplane.server cimport at_rest, server_move
from howdah.dataplane.server_login cimport server_login, server_login_late
from howdah.dataplane.snapshot cimport LOOK_MORE, Snapshot, take_snapshot
from howdah.dataplane.suspension cimport (
    end_suspension,
    put_off,
    still_event,
    still_watch,
    suspend,
    suspend_overdue,
)
from howdah.dataplane.turn cimport STAGE_SIZE
from howdah.dataplane.timers cimport Timer, next_expired, next_tick, timer_arm, wheel_init, wheel_ticks
from howdah.dataplane.upkeep cimport next_outdated, next_to_open
from howdah.dataplane.welcome cimport welcomes_free
from howdah.wire.bytes cimport Writer, writer
from howdah.wire.compose cimport LARGEST_ERROR, compose_notice
from howdah.wire.tags cimport IDLE

from howdah.dataplane.rows import EventKind
from howdah.reasons import NUMBERS

cdef enum:
    EVENTS_AT_ONCE = 256
    LOGINS_AT_ONCE = 4
    LOGINS_US = 500  # a turn's share for those who are not in yet; the next turn goes on
    HOUSEKEEPING_US = 100000

cdef uint8_t CLIENT_CLOSED = EventKind.CLIENT_CLOSED
cdef int NONE = NUMBERS["none"]
cdef int CLIENT_EOF = NUMBERS["client_eof"]
cdef int CLIENT_TERMINATE = NUMBERS["client_terminate"]
cdef int SHUTDOWN = NUMBERS["shutdown"]
cdef int DATABASE_REMOVED = NUMBERS["database_removed"]
cdef int FAST_CLOSE = NUMBERS["server_fast_close"]
cdef int CONSOLE_CLOSED = NUMBERS["console_closed"]
cdef int WAIT_NOTIFY = NUMBERS["query_wait_notify"]
cdef int WAIT_TIMEOUT = NUMBERS["query_wait_timeout"]
cdef int PIN_TIMEOUT = NUMBERS["pin_timeout"]
cdef int REMOVED = NUMBERS["server_removed"]
cdef int IDLE_TIMEOUT = NUMBERS["server_idle_timeout"]
cdef int EVICTED = NUMBERS["server_evicted"]


cdef bint worker_init(Worker *w, Shared *shared, int index) noexcept nogil:
    w.shared = shared
    w.index = index
    w.now_us = clock_us(CLOCK_MONOTONIC)
    w.epoll_fd = epoll_create1(EPOLL_CLOEXEC)
    w.login_fd = epoll_create1(EPOLL_CLOEXEC)
    w.still_fd = epoll_create1(EPOLL_CLOEXEC)
    w.mail_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)
    w.buffer = <unsigned char *>malloc(LARGEST_BLOCK + READ_SIZE)
    w.stage = <unsigned char *>malloc(STAGE_SIZE)
    w.staged_size = 0
    pthread_mutex_init(&w.inbox_lock, NULL)
    wheel_init(&w.wheel, w.now_us)
    w.tick_fd = wheel_ticks(&w.wheel)
    conn_init(&w.mail_conn, w.mail_fd, CONN_MAILBOX)
    conn_init(&w.login_conn, w.login_fd, CONN_LOGINS)
    conn_init(&w.tick_conn, w.tick_fd, CONN_TICK)
    return (w.epoll_fd >= 0 and w.login_fd >= 0 and w.still_fd >= 0 and w.mail_fd >= 0 and w.tick_fd >= 0
            and w.buffer != NULL and w.stage != NULL
            and conn_watch(w.epoll_fd, &w.mail_conn, EPOLLIN)
            and poller_add(w.still_fd, w.mail_fd, EPOLLIN, &w.mail_conn)
            and conn_watch(w.epoll_fd, &w.login_conn, EPOLLIN)
            and conn_watch(w.epoll_fd, &w.tick_conn, EPOLLIN))


cdef void worker_free(Worker *w) noexcept nogil:
    """Everything but the clients and servers, which are gone."""
    leave_mail(w)
    hubs_free(w)
    boards_free(w)
    slab_clear(&w.slab)
    for i in range(w.chunk_count):
        free(w.chunks[i])
    free(w.chunks)
    free(w.buffer)
    free(w.stage)
    free(w.listeners)
    if w.epoll_fd >= 0:
        close(w.epoll_fd)
    if w.login_fd >= 0:
        close(w.login_fd)
    if w.still_fd >= 0:
        close(w.still_fd)
    if w.mail_fd >= 0:
        close(w.mail_fd)
    if w.tick_fd >= 0:
        close(w.tick_fd)
    pthread_mutex_destroy(&w.inbox_lock)


cdef void worker_run(Worker *w) noexcept nogil:
    """Turn after turn until told to stop."""
    cdef epoll_event[EVENTS_AT_ONCE] events
    cdef int count
    tune_listeners(w)
    watch_listeners(w, True)
    while not w.stopping:
        count = epoll_wait(w.still_fd if w.still else w.epoll_fd, events, EVENTS_AT_ONCE, -1)
        w.now_us = clock_us(CLOCK_MONOTONIC)
        for i in range(count):
            dispatch(w, <Conn *>events[i].data.ptr, events[i].events)
            go_on(w)
        if w.still:
            continue
        if w.logins_ready:
            logins(w)
        expire(w)
        if w.index == 0 and w.now_us >= w.housekeeping_us:
            housekeeping(w)
        if w.hub_wanted:
            w.hub_wanted = False
            hubs_go_on(w)
        if w.open_wanted:
            w.open_wanted = False
            open_servers(w, False)
        go_on(w)
        if w.accept_paused and w.now_us >= w.accept_again_us:
            w.accept_paused = False
            watch_listeners(w, True)
    part_from_all(w)
    forwards_end(w)
    store_i32(&w.ended, True)


cdef void logins(Worker *w) noexcept nogil:
    """Some of those who want to come in, after everybody who is in: a storm must not be felt by them."""
    cdef epoll_event[LOGINS_AT_ONCE] events
    cdef int count = epoll_wait(w.login_fd, events, LOGINS_AT_ONCE, 0)
    cdef uint64_t until_us = clock_us(CLOCK_MONOTONIC) + LOGINS_US
    w.logins_ready = False
    for i in range(count):
        dispatch(w, <Conn *>events[i].data.ptr, events[i].events)
        go_on(w)
        if clock_us(CLOCK_MONOTONIC) >= until_us:
            break  # level-triggered: the others are told again


cdef void dispatch(Worker *w, Conn *conn, uint32_t events) noexcept nogil:
    """An event for one of the things that are registered with epoll."""
    if w.still and conn.kind != CONN_MAILBOX:
        still_event(w, conn, events)
    elif conn.kind == CONN_CLIENT:
        client_event(w, <Client *>conn, events)
    elif conn.kind == CONN_SERVER:
        server_event(w, <Server *>conn, events)
    elif conn.kind == CONN_MAILBOX:
        deliver_mail(w)
    elif conn.kind == CONN_LOGINS:
        w.logins_ready = True
    elif conn.kind == CONN_LISTENER:
        accept_clients(w, conn)
    elif conn.kind == CONN_TICK:
        next_tick(conn.fd)  # `expire` comes after all events
    elif conn.kind == CONN_FORWARD:
        forward_event(w, <Forward *>conn)
    elif cancel_event(w, <Cancel *>conn, events) == CANCEL_ENDED:
        cancel_over(w, <Cancel *>conn)


cdef void client_event(Worker *w, Client *client, uint32_t events) noexcept nogil:
    if client.conn.fd < 0:
        return
    if client.state == CLIENT_IDLE or client.state == CLIENT_ACTIVE or client.state == CLIENT_WAITING:
        relay_client(w, client, events)
    elif logging_in(client):
        login_event(w, client, events)
    elif client.state == CLIENT_LOGIN_WAITING or client.state == CLIENT_LOGIN_ACTIVE:
        relay_client(w, client, events)
    elif client.state == CLIENT_CONSOLE:
        relay_console(w, client, events)
    elif client.state == CLIENT_CANCEL:
        client_leave(w, client, NONE, b"")
    elif client.state == CLIENT_CLOSING:
        client_lingers(w, client)


cdef void login_event(Worker *w, Client *client, uint32_t events) noexcept nogil:
    if events & EPOLLOUT:
        if conn_flush(&w.slab, &client.conn) == SEND_ERROR:
            client_lost(w, client)
            return
        if client.conn.out.size == 0:
            conn_watch(w.login_fd, &client.conn, client.conn.interest & ~<uint32_t>EPOLLOUT)
        if not events & ~<uint32_t>EPOLLOUT:
            return
    if client.state == CLIENT_STARTUP:
        client_startup(w, client)
    elif client.state == CLIENT_PROOF:
        proof_came(w, client)
    else:
        client_leave(w, client, CLIENT_EOF, b"")  # it waits for an answer, and only its leaving is watched for


cdef void server_event(Worker *w, Server *server, uint32_t events) noexcept nogil:
    """The state is read before the owner: a worker that takes an idle server writes them the other way round."""
    cdef int32_t state = load_i32(&server.state)
    cdef size_t got = 0
    if load_i32(&server.pooled.worker) != w.index or server.conn.fd < 0:
        return
    if state == SERVER_ACTIVE or state == SERVER_RECYCLING or state == SERVER_HELD:
        relay_server(w, server, events)
    elif state == SERVER_IDLE:
        if claim(&w.shared.pools, &server.pooled, w.index):
            server_move(server, SERVER_RECYCLING)
            relay_server(w, server, events)
    elif state == SERVER_LISTENING:
        hub_event(w, server, events)
    elif state == SERVER_CONNECTING or state == SERVER_LOGIN:
        server_login(w, server, events)
    elif state == SERVER_CLOSING:
        if conn_fill(&w.slab, &server.conn, w.buffer, READ_SIZE, &got) not in (FILL_DATA, FILL_AGAIN):
            server_ended(w, server)


cdef void cancel_over(Worker *w, Cancel *cancel) noexcept nogil:
    """A cancel request has been delivered or given up: its target may go on."""
    cdef Server *target = cancel_end(w, cancel)
    if target.cancels:
        return
    if target.state == SERVER_HELD:
        recycle(w, target)
    elif target.state == SERVER_CLOSING and target.conn.fd < 0:
        server_ended(w, target)


cdef void go_on(Worker *w) noexcept nogil:
    """Clients that were given a server, or have bytes left to deal with."""
    cdef Client *client = NULL if w.still else next_ready(w)
    while client != NULL:
        if client.state == CLIENT_WAITING:
            relay_granted(w, client)
        elif client.state == CLIENT_LOGIN_WAITING and client.replication:
            replication_login(w, client)
        elif client.state == CLIENT_LOGIN_WAITING:
            login_granted(w, client)
        elif client.state == CLIENT_LOGIN_ACTIVE:
            login_answered(w, client)
        elif client.state == CLIENT_CLOSING:
            grant_not_wanted(w, client)
        elif client.state == CLIENT_PROOF:
            proof_held(w, client)
        elif client.state == CLIENT_CONSOLE:
            console_held(w, client)
        elif said_goodbye(client):
            client_leave(w, client, CLIENT_TERMINATE, b"")
        elif w.leaving == LEAVING and client.pool != NULL and goes(w, client):
            pass
        elif w.draining and between_transactions(client):
            client_refuse(w, client, SHUTDOWN, b"")
        elif client.state == CLIENT_IDLE and load_i32(&client.pool.removed):
            client_refuse(w, client, DATABASE_REMOVED, b"")
        elif must_part(w, client):
            client_refuse(w, client, FAST_CLOSE, b"")
        elif client.state == CLIENT_IDLE or client.state == CLIENT_ACTIVE:
            watch_client(w, client)
            if (client.ear == NULL or listening_goes_on(w, client)) and not paused(client):
                relay_held(w, client)
        client = next_ready(w)


cdef bint said_goodbye(const Client *client) noexcept nogil:
    """Has all been done that the client has asked for before it left?"""
    return client.goodbye and client.held == NULL and (
        client.server == NULL or not work_to_do(&client.server.replies))


cdef bint between_transactions(const Client *client) noexcept nogil:
    """Nothing is lost when this client goes: it is idle, with a server (a pin) or without, or takes up its stream
    again where it was."""
    if client.state == CLIENT_IDLE:
        return client.begin == NULL
    if client.state != CLIENT_ACTIVE or client.server.status != IDLE:
        return False
    return is_streaming(&client.server.replies) or at_rest(client.server)


cdef bint must_part(const Worker *w, const Client *client) noexcept nogil:
    """Does server_fast_close end this session between two transactions, because its server must go?"""
    return (w.plan.server_fast_close and client.state == CLIENT_ACTIVE and superseded(&client.server.pooled)
            and between_transactions(client))


# ---- time ----------------------------------------------------------------------------------------------------------

cdef void expire(Worker *w) noexcept nogil:
    cdef Timer *timer = next_expired(&w.wheel, w.now_us)
    cdef Conn *conn
    while timer != NULL:
        conn = <Conn *>timer.owner
        if conn.kind == CONN_CLIENT:
            client_expired(w, <Client *>conn)
        elif conn.kind == CONN_SERVER:
            server_expired(w, <Server *>conn)
        elif conn.kind == CONN_HUB:
            hub_goes_on(w, <Hub *>conn)
        elif conn.kind == CONN_FORWARD:
            forward_late(w, <Forward *>conn)
        elif conn.kind == CONN_PEER:
            forwards_go_on(w, <PeerPool *>conn)
        elif conn.kind == CONN_CANCEL:
            # PostgreSQL may still take the request later: its target must not be anybody's then.
            (<Cancel *>conn).target.question_failed = True
            cancel_over(w, <Cancel *>conn)
        timer = next_expired(&w.wheel, w.now_us)


cdef void client_expired(Worker *w, Client *client) noexcept nogil:
    """The timer fired; the state says what the true deadline is."""
    cdef Deadline deadline = client_deadline(client)
    if deadline.at_us == 0 or client.conn.fd < 0:
        return
    if deadline.at_us > w.now_us:
        timer_arm(&w.wheel, &client.timer, deadline.at_us)
    elif deadline.reason == WAIT_NOTIFY:
        tell_waiting(w, client)
    elif deadline.reason == NONE:
        client_leave(w, client, NONE, b"")
    elif client.state == CLIENT_CANCEL:
        tell_client(w, CLIENT_CLOSED, client, deadline.reason, NULL, 0)
        client_leave(w, client, NONE, b"")  # a cancel request is never answered
    elif client.state == CLIENT_DELAYED:
        refuse_password(w, client)
    elif deadline.reason == WAIT_TIMEOUT and not client.replication and pool_fails(w, client):
        client_refused_by_pool(w, client)
    elif deadline.reason == PIN_TIMEOUT:
        client_refuse(w, client, PIN_TIMEOUT, pin_name(client.server.pins_counted))
    else:
        client_refuse(w, client, deadline.reason, b"")


cdef bint pool_fails(Worker *w, const Client *client) noexcept nogil:
    """Has the client waited because no server can be opened?"""
    cdef bint failing
    pthread_mutex_lock(&w.shared.pools.lock)
    failing = client.pool.failing
    pthread_mutex_unlock(&w.shared.pools.lock)
    return failing


cdef void tell_waiting(Worker *w, Client *client) noexcept nogil:
    """A notice; a client that waits has been sent whole messages only, so nothing is torn by it."""
    cdef uint8_t[LARGEST_ERROR] data
    cdef Writer message = writer(data, LARGEST_ERROR)
    client.notified = True
    compose_notice(&message, WAIT_NOTIFY, b"")
    if conn_send(&w.slab, &client.conn, data, message.used) == SEND_ERROR:
        client_lost(w, client)
        return
    if client.conn.out.size:
        watch_client(w, client)
    client_watch_deadline(client)


cdef void server_expired(Worker *w, Server *server) noexcept nogil:
    if server.state == SERVER_CONNECTING or server.state == SERVER_LOGIN:
        server_login_late(w, server)
    elif server.state == SERVER_RECYCLING:
        recovery_due(w, server)
    elif server.state == SERVER_CLOSING:
        server_ended(w, server)


cdef void housekeeping(Worker *w) noexcept nogil:
    """What no event asks for: servers that are too old, pools below their minimum, retries, the reserve."""
    cdef PooledServer *pooled = next_outdated(&w.shared.pools, w.now_us)
    w.housekeeping_us = w.now_us + HOUSEKEEPING_US
    while pooled != NULL:
        close_idle(w, pooled, REMOVED if superseded(pooled) else IDLE_TIMEOUT)
        pooled = next_outdated(&w.shared.pools, w.now_us)
    free_unused(w)
    open_servers(w, True)


cdef void free_unused(Worker *w) noexcept nogil:
    cdef Pool *pool = prune(&w.shared.pools, w.now_us)
    cdef Pool *next_pool
    while pool != NULL:
        next_pool = pool.next
        welcomes_free(pool)
        pool_free(pool)
        pool = next_pool


cdef void close_idle(Worker *w, PooledServer *pooled, int reason) noexcept nogil:
    """Close a server just taken out of the idle list, whosever it was."""
    cdef Server *server = <Server *>pooled.owner
    cdef int owner = load_i32(&pooled.worker)
    if owner != w.index:
        conn_unwatch(w.shared.workers[owner].epoll_fd, &server.conn)
        store_i32(&pooled.worker, w.index)
    server_close(w, server, reason)


cdef void open_servers(Worker *w, bint fill) noexcept nogil:
    cdef PooledServer *victim = NULL
    cdef PooledServer *doubtful = next_to_check(&w.shared.pools)
    cdef Pool *pool
    while doubtful != NULL:
        check_idle(w, doubtful, load_i32(&doubtful.worker))
        doubtful = next_to_check(&w.shared.pools)
    pool = next_to_open(&w.shared.pools, fill, w.now_us, &victim)
    while pool != NULL or victim != NULL:
        if pool != NULL:
            open_server(w, pool)
        else:
            close_idle(w, victim, EVICTED)
        pool = next_to_open(&w.shared.pools, fill, w.now_us, &victim)
    give_room(w)


cdef void give_room(Worker *w) noexcept nogil:
    """To clients that want a server of their own, which their own worker opens."""
    cdef PooledServer *victim = NULL
    cdef WaitingClient *waiting = next_alone(&w.shared.pools, &victim)
    cdef Client *client
    while waiting != NULL or victim != NULL:
        if waiting == NULL:
            close_idle(w, victim, EVICTED)
        else:
            client = <Client *>waiting.owner
            client.mail.kind = MAIL_GRANT
            mail_send(&w.shared.workers[waiting.worker], &client.mail)
        waiting = next_alone(&w.shared.pools, &victim)


# ---- mail ----------------------------------------------------------------------------------------------------------

cdef void deliver_mail(Worker *w) noexcept nogil:
    cdef Mail *mail = mail_fetch(w)
    cdef Mail *next_mail
    while mail != NULL:
        next_mail = mail.next
        deliver(w, mail)
        mail = next_mail


cdef void deliver(Worker *w, Mail *mail) noexcept nogil:
    """One mail, which is freed or sent on.  (A client's own mail may be used again as soon as this is called.)"""
    cdef uint8_t kind = mail.kind
    if put_off(w, mail):
        return
    if kind == MAIL_GRANT:
        granted(w, mail.client)
        return
    if kind == MAIL_REFUSED:
        refused(w, mail.client)
        return
    if kind == MAIL_SNAPSHOT:
        snapshot_here(w, mail)
        return
    if kind == MAIL_CANCEL:
        cancel_asked(w, mail)
        return
    if kind == MAIL_FORWARD:
        forward_asked(w, mail)
        return
    if kind == MAIL_CANCEL_DONE:
        if (mail.client != NULL and mail.client.id == mail.client_id
                and mail.client.state == CLIENT_CANCEL):
            client_leave(w, mail.client, NONE, b"")
    elif kind == MAIL_HEARD:
        notified(w, <Notification *>mail.data)
    elif kind == MAIL_HUB:
        hub_news(w, <Limit *>mail.data, mail.pid, mail.size)
    elif kind == MAIL_WISH:
        wish_came(w, <Wish *>mail.data)
    elif kind == MAIL_CONSOLE:
        console_answer(w, mail)
    elif kind == MAIL_AUTH:
        auth_answer(w, mail)
    elif kind == MAIL_PLAN:
        new_plan(w, <CPlan *>mail.data, <int32_t *>mail.client)
    elif kind == MAIL_POOLS:
        pools_changed(w)
        part_where_due(w)
        go_on_after_suspension(w)
    elif kind == MAIL_KILL:
        kill_clients(w, <const Limit *>mail.data)
    elif kind == MAIL_KILL_CLIENT:
        kill_client(w, <Killing *>mail.data)
    elif kind == MAIL_ARRIVE:
        arrive(w, <Arrival *>mail.data)
    elif kind == MAIL_LEAVING:
        leave(w, <int32_t *>mail.data)
    elif kind == MAIL_SUSPEND and mail.flag:
        suspend_overdue(w)
    elif kind == MAIL_SUSPEND:
        suspend(w)
    elif kind == MAIL_CLOSE:
        close_doors(w)
    elif kind == MAIL_DRAIN:
        drain(w)
    elif kind == MAIL_STOP:
        w.stopping = True
    mail_free(mail)


cdef void leave_mail(Worker *w) noexcept nogil:
    """What has come too late, and is nobody else's to free."""
    leave_mails(w, w.first_mail)
    leave_mails(w, w.first_put_off)
    w.first_mail = w.last_mail = w.first_put_off = w.last_put_off = NULL


cdef void leave_mails(Worker *w, Mail *mail) noexcept nogil:
    cdef Mail *next_mail
    while mail != NULL:
        next_mail = mail.next
        if mail.kind == MAIL_HEARD:
            notification_drop(<Notification *>mail.data)
        elif mail.kind == MAIL_WISH:
            wish_free(w, <Wish *>mail.data)
        elif mail.kind == MAIL_ARRIVE:
            arrival_drop(<Arrival *>mail.data)
        if mail.kind in (
                MAIL_ARRIVE, MAIL_HEARD, MAIL_WISH, MAIL_HUB, MAIL_CANCEL, MAIL_FORWARD, MAIL_CANCEL_DONE):
            mail_free(mail)
        mail = next_mail


cdef void granted(Worker *w, Client *client) noexcept nogil:
    if client.state == CLIENT_WAITING:
        relay_granted(w, client)
    elif client.state == CLIENT_LOGIN_WAITING and client.replication:
        replication_login(w, client)
    elif client.state == CLIENT_LOGIN_WAITING:
        login_granted(w, client)
    else:
        grant_not_wanted(w, client)


cdef void refused(Worker *w, Client *client) noexcept nogil:
    if client.state == CLIENT_WAITING or client.state == CLIENT_LOGIN_WAITING:
        client.owed = False
        client_refused_by_pool(w, client)
    else:
        grant_not_wanted(w, client)


cdef void console_answer(Worker *w, Mail *mail) noexcept nogil:
    """Bytes from the control plane for a console client; `data` is freed here."""
    cdef Client *client = client_at(w, mail.pid)
    if client != NULL and client.id == mail.client_id and client.state == CLIENT_CONSOLE:
        if conn_send(&w.slab, &client.conn, mail.data, mail.size) == SEND_ERROR:
            client_leave(w, client, NONE, b"")
        elif mail.flag:
            client_leave(w, client, CONSOLE_CLOSED, b"")
        else:
            watch_client(w, client)
            if w.still:
                still_watch(w, &client.conn)
    free(mail.data)


cdef void auth_answer(Worker *w, Mail *mail) noexcept nogil:
    """The control plane's answer about a login; `data` is a secret (`flag`) or a text, and ours."""
    cdef Client *client = client_at(w, mail.pid)
    if client != NULL and client.id == mail.client_id and client.state == CLIENT_ASKED and client.conn.fd >= 0:
        outside_answered(w, client, <uint8_t>mail.size, mail.data)
        if mail.flag:
            return
    elif mail.flag:
        secret_drop(<Secret *>mail.data)
        return
    free(mail.data)


cdef void new_plan(Worker *w, CPlan *plan, int32_t *left) noexcept nogil:
    """Use the new plan from here on; `left` counts the workers that still use the old one."""
    cdef Client *client = w.clients
    cdef Client *next_client
    w.plan = plan
    w.hub_wanted = True
    tune_listeners(w)
    peers_changed(w)
    add_i32(left, -1)
    while client != NULL:
        next_client = client.next
        if (client.pool != NULL and load_i32(&client.pool.removed) and client.server == NULL
                and client.state != CLIENT_CLOSING):
            client_refuse(w, client, DATABASE_REMOVED, b"")
        elif client.pool != NULL and must_part(w, client):
            client_refuse(w, client, FAST_CLOSE, b"")
        elif client.pool != NULL:
            new_limits(w, client)
        client = next_client


cdef void new_limits(Worker *w, Client *client) noexcept nogil:
    """What the client is at now falls under the new plan's limits, too."""
    cdef Route *route = find_route(w.plan, client.pool.database)
    if route != NULL:  # else it keeps what it has until it is between two transactions
        find_time_limits(w.plan, route, client.user.name, &client.limits)
        find_session_rules(w.plan, route, client.user.name, &client.rules)
        client_watch_deadline(client)


cdef void part_where_due(Worker *w) noexcept nogil:
    """Servers have been superseded: with server_fast_close, some of their clients go with them at once."""
    cdef Client *client = w.clients
    cdef Client *next_client
    while client != NULL:
        next_client = client.next
        if client.pool != NULL and must_part(w, client):
            client_refuse(w, client, FAST_CLOSE, b"")
        client = next_client


cdef void go_on_after_suspension(Worker *w) noexcept nogil:
    """RESUME: what has been put off is delivered now."""
    cdef Mail *mail
    cdef Mail *next_mail
    if not w.still or load_i32(&w.shared.suspended):
        return
    mail = end_suspension(w)
    while mail != NULL:
        next_mail = mail.next
        deliver(w, mail)
        mail = next_mail


cdef void close_doors(Worker *w) noexcept nogil:
    """Nobody is to come any more, but for an administrator over the Unix socket.

    Who has connected already is in time; with the port closed right behind, as few as can be are lost in between.
    """
    for i in range(w.listener_count):
        if w.closed or w.leaving != STAYING or w.listeners[i].lent or is_local(&w.listeners[i]):
            continue
        while accept_clients(w, &w.listeners[i]):
            pass
        shutdown(w.listeners[i].fd, SHUT_RDWR)
    w.closed = True
    watch_listeners(w, True)


cdef void leave(Worker *w, int32_t *left) noexcept nogil:
    """Another process takes over, or does not after all.

    `left` (NULL: nobody asks) counts the workers that have yet to know.
    """
    cdef int32_t leaving = load_i32(&w.shared.leaving)
    if leaving != w.leaving:
        w.leaving = <uint8_t>leaving
        w.housekeeping_us = w.now_us
        watch_listeners(w, not w.accept_paused)
    if leaving == LEAVING and not w.still:
        let_depart(w)
    if left != NULL:
        add_i32(left, -1)


cdef void drain(Worker *w) noexcept nogil:
    """Accept nobody any more; whoever is not in a transaction is sent away, the others when theirs is over."""
    cdef Client *client = w.clients
    cdef Client *next_client
    close_doors(w)
    w.draining = True
    while client != NULL:
        next_client = client.next
        if between_transactions(client) or client.state == CLIENT_WAITING or logging_in(client) or (
                client.state == CLIENT_LOGIN_WAITING):
            client_refuse(w, client, SHUTDOWN, b"")
        client = next_client


cdef void snapshot_here(Worker *w, Mail *mail) noexcept nogil:
    """Add our rows and send the mail on; the last worker tells who asked."""
    cdef Snapshot *snapshot = <Snapshot *>mail.data
    cdef uint64_t one = 1
    if take_snapshot(w, snapshot) == LOOK_MORE:
        mail_send(w, mail)
        return
    if w.index + 1 < w.shared.worker_count:
        mail_send(&w.shared.workers[w.index + 1], mail)
        return
    mail_free(mail)
    write(snapshot.done_fd, &one, sizeof(one))


# ---- the end -------------------------------------------------------------------------------------------------------

cdef void part_from_all(Worker *w) noexcept nogil:
    """Send the last word to every client that is still there; their servers are left to `engine`."""
    cdef Client *client = w.clients
    cdef Client *next_client
    while client != NULL:
        next_client = client.next
        if client.state != CLIENT_CLOSING:
            client_refuse(w, client, SHUTDOWN, b"")
        client = next_client
    client = w.clients
    while client != NULL:
        next_client = client.next
        if client.conn.fd >= 0:
            client_leave(w, client, NONE, b"")
        client = next_client
