"""Who takes part: workers, clients, servers, and what they have in common.

Declarations only.  They stand in one place because a client points to its server, a server to its client and both to
their worker; what may be done with them is in `client`, `server` and the spine.
"""

from libc.stdint cimport int32_t, uint8_t, uint16_t, uint32_t, uint64_t

from howdah.cdefs.threads cimport pthread_mutex_t
from howdah.dataplane.buffers cimport Block, Slab
from howdah.dataplane.cancels cimport SECRET_SIZE, CancelKey, CancelKeys
from howdah.dataplane.channels cimport Channel, Channels, Seat
from howdah.dataplane.conn cimport Conn
from howdah.dataplane.credentials cimport Lookups, Secret
from howdah.dataplane.handover cimport Handover
from howdah.dataplane.pool cimport Limit, Pool, PooledServer, Pools, WaitingClient
from howdah.dataplane.reply_queue cimport ReplyQueue
from howdah.dataplane.routes cimport CPlan, SessionRules, TimeLimits
from howdah.dataplane.session_state cimport Settings
from howdah.dataplane.statements cimport Names, Shelf
from howdah.dataplane.timers cimport Timer, Wheel
from howdah.dataplane.turnstile cimport Turnstile
from howdah.wire.scram cimport ScramClient, ScramKeys, ScramServer

cpdef enum:
    READ_SIZE = 65536  # bytes read from one connection in one turn at most
    LARGEST_KEPT = 1048576  # of a Parse whose statement can follow its client
    MOST_WORKERS = 64
    CHUNK = 64  # clients allocated together
    MOST_REASONS = 256  # rows of howdah.reasons
    SHOWN_TEXT = 240  # bytes of a statement as operators see it, with its NUL

cpdef enum ClientState:
    CLIENT_FREE  # in the worker's list of free structs
    CLIENT_STARTUP  # connected; its startup packet is not complete
    CLIENT_PROOF  # has been asked to prove who it is
    CLIENT_ASKED  # the control plane has been asked about it
    CLIENT_DELAYED  # its password was wrong, and it will be told so in a while
    CLIENT_LOGIN_WAITING  # waits for a server to be asked what this client's settings look like
    CLIENT_LOGIN_ACTIVE  # linked to that server
    CLIENT_IDLE  # logged in, linked to no server
    CLIENT_WAITING  # has sent something and waits for a server
    CLIENT_ACTIVE  # linked
    CLIENT_CONSOLE  # talks to the control plane
    CLIENT_CANCEL  # asked for a cancel and is told the end of it by our closing the connection
    CLIENT_CLOSING  # has been told why; its socket stays open until it has read that
    CLIENT_STATES  # how many there are

cpdef enum ServerState:
    SERVER_FREE  # in the list of free structs
    SERVER_CONNECTING
    SERVER_LOGIN  # TLS, startup packet, proof
    SERVER_IDLE  # in its pool, or granted to a client that has yet to link it
    SERVER_ACTIVE  # linked
    SERVER_RECYCLING  # unlinked, answering questions of ours
    SERVER_HELD  # clean, but a cancel request may still hit it
    SERVER_LISTENING  # nobody's: it listens for all clients of its database, see `hub`
    SERVER_CLOSING  # told to go; PostgreSQL has not closed the connection yet
    SERVER_STATES

cpdef enum Pin:
    PIN_SESSION_MODE = 1
    PIN_NAMED_STATEMENT = 2
    PIN_UNNAMED_STATEMENT = 4
    PIN_REPLICATION = 8  # the server was opened for this client and goes with it
    PIN_TEMP = 16
    PIN_CURSOR = 32
    PIN_LOCK = 64
    PIN_LISTEN = 128
    PIN_LOAD = 256  # this one and the next last until the client leaves, and their server goes with it
    PIN_SEED = 512
    PIN_SEQUENCE = 2048  # currval and lastval go by what it remembers
    PIN_UNKNOWN = 1024  # a question about the session had no answer

# A client's unnamed statement.
cpdef enum Unnamed:
    UNNAMED_NONE
    UNNAMED_KEPT  # its Parse is in `unnamed_parse`: any server can be given it
    UNNAMED_THERE  # only the server the client is linked to has it

# What comes next from a client in CLIENT_PROOF.
cpdef enum ProofStep:
    PROOF_PASSWORD
    PROOF_SASL_FIRST
    PROOF_SASL_LATE  # the mechanism is chosen; its first message comes by itself
    PROOF_SASL_FINAL

# What comes next from a server in SERVER_LOGIN.
cpdef enum EntryStep:
    ENTRY_TLS_ANSWER  # to our SSLRequest
    ENTRY_HANDSHAKE
    ENTRY_MESSAGES
    ENTRY_CONNECT_QUERY  # logged in; `connect_query` runs

cpdef enum MailKind:
    MAIL_GRANT  # client: a server is yours
    MAIL_REFUSED  # client: the pool cannot open servers
    MAIL_CANCEL  # pid, secret: cancel what the client with this key runs; from: who asks
    MAIL_FORWARD  # the same, where that client is at another process
    MAIL_CANCEL_DONE  # client: the cancel it asked for has been delivered
    MAIL_CONSOLE  # id, data: bytes for a console client
    MAIL_AUTH  # id, pid: the control plane's answer (size: its verdict, data: a Secret or a text)
    MAIL_PLAN  # data: a new plan
    MAIL_SNAPSHOT  # data: rows wanted
    MAIL_WISH  # data: a Wish, for the worker that has the database's hub
    MAIL_HEARD  # data: a Notification, held
    MAIL_HUB  # data: a database's Limit; pid: a HubNews, size: the ticket it is about
    MAIL_POOLS  # pools have been paused, resumed or renewed
    MAIL_KILL  # data: a database's Limit, or NULL: its clients go
    MAIL_KILL_CLIENT  # data: a Killing
    MAIL_LEAVING  # `Shared.leaving` has changed, or there is room for more on the way
    MAIL_ARRIVE  # data: an Arrival
    MAIL_SUSPEND  # flag: it takes too long, who is in the way goes
    MAIL_CLOSE  # nobody is to come any more
    MAIL_DRAIN
    MAIL_STOP

# What is to become of a process that another one takes over from.
cpdef enum Leaving:
    STAYING
    LENDING  # its listening sockets are the other's, too: nobody may shut them down
    LEAVING  # the other accepts, and its clients go there as they become idle

# One client is to go.  Made by `engine`, and done with when `left` is 0.
cdef struct Killing:
    uint64_t id
    int32_t left  # workers that have yet to look whether it is theirs
    int32_t found

# What a hub tells the workers.
cpdef enum HubNews:
    HUB_LISTENS  # to all that was wished up to this ticket
    HUB_FAILS  # no server could be opened; it is tried again
    HUB_LOST  # the server is gone
    HUB_BACK  # another one listens to all that the lost one did

# What the server that a client is linked to has of the client's channels.
cpdef enum OwnChannels:
    OWN_NONE
    OWN_SENT  # it has been told to listen to all of them, and has yet to answer
    OWN_OPEN  # ... which it does if the transaction under way is committed
    OWN_ALL
    OWN_SOME  # new ones, and not those that the hub has
    OWN_LEAVING  # it has been told to listen to none
    OWN_STUCK  # that, or a marker, has failed: until it is next asked, nothing more is tried

# A message to a worker.  Those for grants live in the client, all others are made by the sender and freed by the
# worker that got them.
cdef struct Mail:
    Mail *next
    uint8_t kind
    bint embedded
    Client *client
    uint64_t client_id
    int from_worker
    uint32_t pid
    uint32_t size
    bint flag
    void *data
    uint8_t[SECRET_SIZE] secret
    uint64_t since_us  # of a cancel request that waits: since when,
    uint64_t request_us  # and when that began which is to be cancelled

# An event on its way to the control plane.  Made by the worker that tells it, freed by `engine`.
cdef struct Note:
    Note *next
    uint8_t kind
    int worker
    int reason
    uint32_t slot
    uint64_t at_us
    uint64_t id
    uint64_t age_us
    char[80] address
    char *database
    char *user
    uint32_t size
    # `size` bytes of detail, then the two names, follow the struct

# A client that has left for another process.  Made by `departing`, freed by `engine`, whose its socket is, too.
cdef struct Departure:
    Departure *next
    int fd
    uint64_t number  # its id here
    size_t size
    # `size` bytes of baggage follow the struct

# One that has come.  Made by `engine`, freed by `arriving`.
cdef struct Arrival:
    int fd
    size_t size
    # `size` bytes of baggage follow the struct

# Other end of a socket: enough to print it.
cdef struct Peer:
    uint8_t family
    uint16_t port
    uint8_t[16] address

# A client's login from its StartupMessage until it is in: what must be remembered meanwhile.  Made by `proof`, freed
# with `login_free`.
cdef struct Login:
    Block *kept  # the startup packet, and behind it client-first-message-bare
    uint32_t packet_size
    uint32_t bare_size
    char[64] database  # the entry that stands in for what the packet says; "": none does
    int rule  # in Plan.rules
    uint64_t plan_version  # under which the control plane was asked
    uint8_t method
    uint8_t step
    bint own  # user "pgbouncer" at the Unix socket, of the operating system's user that we are
    bint plus  # SCRAM-SHA-256-PLUS
    bint knows  # the keys are of a secret: without, no proof is right
    bint looked_up  # the secret came from auth_query
    bint has_client_key
    uint8_t[4] salt  # of an MD5 challenge
    Secret *secret  # held; NULL: there is no such user
    ScramServer scram
    ScramKeys keys
    uint8_t[32] client_key
    uint8_t[64] final  # server-final-message, which goes out in front of AuthenticationOk
    uint8_t final_size
    uint64_t tls_us  # how long the handshake took; 0: there was none

# One NotificationResponse on its way to all that hear it.  Made by `ears`, counted by whoever holds it, freed with the
# last `notification_drop`.  Immutable.
cdef struct Notification:
    int32_t holders
    Limit *database  # where it was heard
    uint32_t size  # of the message, which follows the struct

# What a client is to be told.  Lives in one of the two queues of an ear.
cdef struct Told:
    Told *next
    Notification *notification  # held; NULL: the warning that some may have been missed

cdef struct ToldQueue:
    Told *first
    Told *last
    size_t size  # bytes of messages

# What channels some clients of one worker want to hear, and what they want no more; in order.  Made by `ears`, freed
# by the worker that has the hub, and so is its hold on the pool.
cdef struct Wish:
    Limit *database
    Pool *pool
    int worker
    uint32_t ticket
    uint32_t size
    # `size` bytes of entries follow the struct: 1 or 0 (wanted or not), the size of a name, the name

# The channels of one database that clients of one worker hear.  Made and freed by `ears`; touched by its worker alone.
cdef struct Board:
    Board *next
    Limit *database
    Channels channels
    Ear *ears
    uint32_t ticket  # of the last wish
    uint32_t listens  # up to which one the hub listens
    bint lost  # the hub has no server at the moment

# What a client hears with: there is one once it has listened.  Made and freed by `ears` of the client's worker, which
# alone touches it.
cdef struct Ear:
    Client *client
    Board *board
    Ear *next  # at the board
    Ear *prev
    Seat *seats  # one for each channel
    uint32_t count  # of these
    uint32_t ticket  # the wish that the last of them came with
    uint8_t own  # an OwnChannels
    bint may_end  # what may roll something back has been sent since the own server was told
    bint rolled_back  # ... and has
    bint alone_there  # the own server listens to channels that the hub has not been asked for: see OWN_SOME
    bint waits  # a text of the client's, for the end of a handover
    bint missed  # the hub has been lost
    bint overrun  # it takes too long to hear
    uint32_t marker  # number of what the own server was told last
    uint8_t answers  # to come until its own server has been told all that goes with it
    bint marker_alone  # ... which ends with an UNLISTEN of the marker's channel
    Handover handover
    ToldQueue waiting  # until the client is between two transactions, and takes bytes
    ToldQueue kept  # ... and until the handover is over

# The server that listens for all clients of one database.  Made and freed by `hub`; belongs to one worker, which is
# always the same for the same database.
cdef struct Hub:
    Conn conn  # of no socket: so that a timer's owner has a kind
    Hub *next
    Limit *database
    Pool *pool  # whose servers it opens; counted in `Pool.hubs`
    Server *server  # NULL: none
    Channels channels
    Channel *first_changed
    Channel *last_changed
    uint32_t[MOST_WORKERS] wished  # the last ticket of each worker
    uint32_t[MOST_WORKERS] told  # ... that the server has been told of,
    uint32_t[MOST_WORKERS] listens  # and that the worker knows to be in force
    bint busy  # a query is under way, or a server is being opened
    bint ready  # the server has logged in, and listens
    bint was_there  # before it was lost
    uint64_t heard_at_us  # when the server last said something, or was asked
    uint64_t empty_since_us  # when nothing was left to listen to; 0: there is something
    uint64_t retry_at_us
    uint64_t backoff_us
    Timer timer

# Why a server is kept, for one of plan.PinKind.
cdef struct PinRecord:
    uint64_t since_us
    char[SHOWN_TEXT] statement  # that has brought it about, see `sql.normal`; "": not known

# Made and freed by `client_new` and `client_free` of its worker, which alone touches it (but for `line`: see `pool`)
cdef struct Client:
    Conn conn
    int32_t state
    Worker *worker
    Client *next  # in the worker's list of clients, or of free structs
    Client *prev
    Client *next_ready  # in the worker's list of those that can go on
    bint is_ready
    WaitingClient line
    Timer timer
    Mail mail
    Block *held  # bytes read and not yet dealt with
    uint32_t remain  # bytes still to come of the message being passed on
    bint remain_drop  # ... or dropped
    uint8_t remain_tag  # its type
    Server *server
    Login *login  # NULL: not in the middle of one
    Pool *pool
    Limit *user  # whom it logged in as, while `pool` is set
    TimeLimits limits  # by the plan in force
    SessionRules rules  # likewise
    Settings *settings
    Settings *first_settings  # those it logged in with, to which RESET goes back
    uint64_t id
    uint32_t slot
    uint64_t connected_us
    uint64_t request_us  # when it last began to want something
    uint64_t query_us  # when what it waits for now was sent
    Peer peer
    uint32_t version  # of the protocol it speaks
    uint8_t replication  # a Replication (`wire.startup`): with one it has a server of its own, see `replication`
    CancelKey key
    bint owed  # stands in line, or a grant or refusal is on its way
    bint counted  # under max_client_conn; from login to the end, whatever the state
    bint proxied  # a PROXY header comes first
    bint late  # came when nobody was to come any more: may be for the console alone
    bint direct_tls  # TLS without an SSLRequest
    bint asked_ssl  # SSLRequest and GSSENCRequest may come once each before the startup packet
    bint asked_gssenc
    bint notified  # has been told that it waits; of this wait
    bint goodbye  # has sent Terminate; leaves when what it asked for before is answered
    bint stalled  # waits until it is known what is prepared, or until fewer answers are owed
    Names names  # its prepared statements, as far as they follow it
    uint8_t unnamed  # an Unnamed
    uint32_t unnamed_effects  # of running it
    bint unnamed_executes  # it may be an EXECUTE of one of `names`
    Block *unnamed_settings  # names of settings that it sets
    Block *unnamed_parse  # its Parse as it came
    Block *begin  # a BEGIN that has been answered and not yet sent
    Block *group  # the messages since the last Sync, as they came, as long as no answer to them has; see `preparing`
    bint group_ends  # ... and a Sync is the last of them
    bint group_describes  # ... and there is a Describe in it
    bint group_trusts  # ... and a Bind that fits but one result
    bint sql_prepares  # has used PREPARE on the server that it is linked to
    uint32_t left_effects  # of running what it may have prepared there under names that do not follow it
    uint32_t effects  # what was sent since the server was asked last may have had these, see `asking`
    Block *noted  # names of settings that it may have changed, see `sql.effects.write_settings`
    bint undone  # something of it has failed, or was rolled back
    Ear *ear  # NULL: it hears nothing
    Block *suspects  # texts of this transaction that may have brought about a pin, see `suspects`
    bint resets  # a text was sent that may have reset settings it logged in with
    Settings *told  # what it knew of them, while its ReadyForQuery waits
    bint numbers  # has taken numbers of sequences that it may ask for again
    bint curing  # they failed on a stale statement and will be sent again
    bint cured  # ... which they have been

# Our login at a server.  Made by `connecting` before there is a socket, freed with `entry_free`.
cdef struct Entry:
    uint8_t step
    bint tls  # to be used, or tried: see `connecting.other_way`
    bint last_try  # do not come back with or without TLS
    bint plus  # with channel binding
    bint proven  # the server has shown that it knows the password
    Secret *secret  # held; NULL: none
    bint has_client_key
    uint8_t[32] client_key
    ScramClient scram

# Made and freed by `server_new` and `server_free`; touched by the worker `pooled.worker` alone, with the exceptions
# that `pool` names.  The memory is never given back, so a late event may still look at `state` and `pooled.worker`.
cdef struct Server:
    Conn conn
    int32_t state
    PooledServer pooled
    Server *next_free
    Client *client
    Timer timer
    ReplyQueue replies
    Block *held
    uint32_t remain
    bint remain_drop
    uint8_t status  # transaction status of the last ReadyForQuery
    uint16_t pins
    uint16_t pins_counted  # of these, those that `records` and the pool's counters know of
    bint has_share  # it is one of those that `Pool.pinned` counts
    PinRecord *pin_records  # PIN_KINDS of them; NULL: it has never been kept, or memory is out
    uint16_t pins_to_tell  # of which the client is to be warned
    int forbidden  # why the client must go, in howdah.reasons, because of a pin; 0: it may stay
    uint16_t forbidden_pin
    uint8_t replication  # its client's
    Hub *hub  # NULL: it listens for nobody but its client
    int32_t channels  # that it listens to for its hub; read by anybody for display
    bint fatal_sent  # the client has seen the server's own last words
    bint half_sent  # a message to it lacks its end
    uint32_t evictions_lost  # statements that it was to close for others, and was kept from by an error
    bint unsettled  # got a Query behind extended messages without a Sync; see `recycle`
    uint8_t settling  # answers to come before it is known to have its client's settings
    bint telling  # ... and the client is to see them, too
    bint overflowed  # its client has more settings than can follow it, and must go
    bint channels_overflowed  # ... or more channels
    bint asking  # has been asked what has become of the session
    Block *answer  # pairs of strings
    bint answer_lost  # there is none, or not all of it
    bint front_failed  # what was put in front of a Query did, and the client knows: the Query's error is no news
    bint soiled  # nobody knows what its last client has left in the session
    uint32_t described  # the parameters of the statement whose description is coming, see `wire.replies`
    Shelf shelf  # the prepared statements it has under names of ours
    uint64_t unnamed_owner  # id of the client whose unnamed statement it has, 0: nobody's, or nobody knows whose
    bint settings_refused  # the client is to be told with `Worker.refusal`
    bint reset_wanted  # by the plan under which it was linked
    bint under_check
    bint ending  # has said its last words
    bint question_failed  # a query of ours that must not fail did: nobody knows what state the session is in
    bint settings_unsure  # a query that changes its settings failed
    uint64_t recover_by_us  # until when it may take to come back in step
    int32_t cancels  # cancel requests on their way to it: one at a time
    int32_t cancels_asked  # clients that wait for that one to arrive
    int32_t cancels_waiting  # ... and for the next
    Mail *first_asker  # MAIL_CANCELs of the latter, in order; there are none while no request is on its way
    Mail *last_asker
    uint64_t id
    uint64_t connected_us
    uint64_t request_us
    uint32_t backend_pid
    uint8_t *backend_secret
    uint32_t backend_secret_size
    Entry *entry  # NULL: logged in
    uint32_t attempts  # to connect: see `connecting.elsewhere`
    Settings *settings
    uint64_t hidden_by  # id of the client that may have set more than those, see `settling`; 0: none has
    uint64_t numbers_by  # id of the last client that may have taken numbers of sequences; 0: none has
    char *parameters  # ParameterStatus as it stands: name and value strings
    uint32_t parameters_size
    const char *endpoint  # text of the address, copied
    const char *host  # as configured, copied
    char[64] tls  # version and cipher; "" for none
    uint32_t sockaddr_size
    char[128] sockaddr

# One cancel request of ours on its way to PostgreSQL.  Made and freed by `canceller`; belongs to the worker of
# `target`.
cdef struct Cancel:
    Conn conn
    Worker *worker
    Server *target
    Timer timer
    bint connected
    uint8_t step  # an EntryStep
    Mail *askers  # MAIL_CANCELs that are answered when it is done

# Cancel requests for one of [peers].  Made by `forwarding` of one worker, always the same for the same peer, which
# alone touches it, but for the counts, which anybody may read; freed by `engine`.
cdef struct PeerPool:
    Conn conn  # of no socket: so that a timer's owner has a kind
    PeerPool *next
    int peer_id
    int worker
    Timer timer  # of the first that waits
    Mail *first_waiting  # MAIL_FORWARDs, oldest first
    Mail *last_waiting
    Forward *forwards  # on their way
    int32_t waiting
    int32_t connecting
    int32_t sent  # and the peer has not closed the connection yet
    uint64_t passed_on  # in all

# One of these on its way.  Made and freed by `forwarding`.
cdef struct Forward:
    Conn conn
    Forward *next  # of its peer's
    Forward *prev
    PeerPool *pool
    Timer timer
    Mail *mail  # the request, answered when it is done
    uint32_t attempt  # which of the peer's addresses
    bint sent

# One thread.  Touched by that thread alone, but for the inbox.
cdef struct Worker:
    int index
    int epoll_fd
    int mail_fd
    Conn mail_conn
    int login_fd  # epoll of listeners and of clients that are not in yet: their share of a turn is bounded
    Conn login_conn
    int still_fd  # epoll of a worker that stands still, see `suspension`
    bint still
    int32_t unsent  # connections that have bytes to send then; may be read by others
    Mail *first_put_off
    Mail *last_put_off
    int tick_fd
    Conn tick_conn
    bint logins_ready
    int32_t logging_in  # clients that are not in yet; read by anybody
    Shared *shared
    CPlan *plan
    uint64_t now_us  # when this turn began
    Slab slab
    Wheel wheel
    uint64_t[MOST_REASONS] told  # by reason: how often something was refused or closed; read by anybody
    uint8_t *buffer  # what was held back, then READ_SIZE bytes newly read
    uint8_t *stage  # see `turn`; STAGE_SIZE bytes
    size_t staged_size
    Client *clients
    int client_count
    Client *looked_at  # where the snapshot under way goes on, see `snapshot`
    Client *free_clients
    Client **chunks
    uint32_t chunk_count
    Client *first_ready
    Client *last_ready
    char[6] refusal_sqlstate  # PostgreSQL's words about settings it did not take
    char[256] refusal
    uint8_t[4096] randomness  # for cancel keys
    size_t randomness_left
    pthread_mutex_t inbox_lock
    Mail *first_mail
    Mail *last_mail
    Conn *listeners
    int listener_count
    bint accept_paused
    uint64_t accept_again_us
    uint64_t housekeeping_us
    uint8_t leaving  # a Leaving
    bint closed  # nobody comes any more but to the console, over the Unix socket
    bint draining
    bint open_wanted  # a server is gone: some pool may be allowed another
    Board *boards
    Hub *hubs
    bint hub_wanted  # one of them has something to do
    bint stopping
    int32_t ended  # the thread touches nothing any more

# Made and freed by `engine`.
cdef struct Shared:
    Pools pools
    Worker *workers
    int worker_count
    int32_t client_count  # logged in or about to; under max_client_conn
    int32_t login_count  # about to; under max_concurrent_logins
    int32_t connected  # all there are
    Turnstile turnstile
    Lookups lookups
    CancelKeys keys
    pthread_mutex_t peer_lock
    PeerPool *peer_pools
    uint8_t[32] process_key  # random; of salts for users there are not
    uint64_t last_id
    char[32] marker_channel  # where markers are sent, see `handover`; no other process has it
    int32_t suspended
    int32_t leaving  # a Leaving
    int32_t berths  # how many more clients may be on their way to another process
    int32_t has_predecessor  # whoever's key is not known here may be there
    pthread_mutex_t departure_lock
    Departure *first_departure
    Departure *last_departure
    int departure_fd
    uint64_t wall_offset_us  # CLOCK_REALTIME minus CLOCK_MONOTONIC
    pthread_mutex_t server_lock
    Server *free_servers
    Server **server_chunks
    uint32_t server_chunk_count
    long servers_out
    pthread_mutex_t note_lock
    Note *first_note
    Note *last_note
    int note_count
    uint64_t notes_lost
    int note_fd
