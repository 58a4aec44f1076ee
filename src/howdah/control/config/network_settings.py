"""Settings of [howdah] about names and sockets, and of its neighbours in a group of processes: [peers.NAME]."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator

from howdah.control.config.addresses import server_hosts
from howdah.control.config.table import Table, setting
from howdah.control.config.units import (
    Count,
    File,
    Kind,
    Milliseconds,
    Seconds,
    Size,
    Switch,
    WholeSeconds,
    Words,
    between,
    count,
    one_of,
    words,
)

#: Cancel keys have room for no more.
LARGEST_PEER_ID = 16383

Hosts = Annotated[
    tuple[str, ...], BeforeValidator(words), AfterValidator(server_hosts), Kind("host, or a list of hosts")
]
Port = Annotated[int, BeforeValidator(count), AfterValidator(between(1, 65535)), Kind("port")]
PeerId = Annotated[int, BeforeValidator(count), AfterValidator(between(0, LARGEST_PEER_ID)), Kind("number")]
LoadBalance = Annotated[
    Literal["round-robin", "disable"],
    BeforeValidator(one_of("round-robin", "disable")),
    Kind("one of round-robin, disable"),
]
_FOR_PGBOUNCER = "Taken for PgBouncer's sake, and without effect: "


class NetworkSettings(Table):
    """Names and sockets."""

    dns_max_ttl: Seconds = setting(
        15.0,
        "How long the addresses of a database's host name are kept. With `resolv_conf`, or less, if name servers say "
        "so.",
    )
    dns_nxdomain_ttl: Seconds = setting(
        2.0, "How long it is kept that a host name has no address. PgBouncer's default is 15 seconds."
    )
    dns_zone_check_period: Seconds = setting(
        0.0,
        "How often to ask name servers for the serials of the zones that host names are in (what is behind a name's "
        "first dot). Names of a zone whose serial has changed are looked up at once. 0: never.",
    )
    resolv_conf: File = setting(
        "",
        "Look host names up at the name servers of this file, which has the form of `/etc/resolv.conf`; a port may "
        "follow an address, as in `127.0.0.1:5353` and `[::1]:5353`. `/etc/hosts` goes first. Empty: the operating "
        "system looks them up.",
        restart=True,
    )
    tcp_defer_accept: Switch = setting(
        False,
        "Leave connections to the kernel until their first bytes are there, for up to 45 seconds (TCP_DEFER_ACCEPT). "
        "PgBouncer's default is on.",
    )
    tcp_socket_buffer: Size = setting(
        0, "Size of the kernel's buffers of each TCP connection, in each direction. 0: the system's default."
    )
    so_reuseport: Switch = setting(
        False,
        "Share the TCP port with other processes of the same user that have this set, too: the kernel spreads clients "
        "over all of them. Each needs a `unix_socket_dir` of its own. The worker threads of one process share its port "
        "in any case.",
        restart=True,
    )
    tcp_keepalive: Switch = setting(True, "Whether TCP keepalive is on.")
    tcp_keepidle: WholeSeconds = setting(0, "Idle time before the first keepalive probe. 0: the system's default.")
    tcp_keepintvl: WholeSeconds = setting(0, "Time between keepalive probes. 0: the system's default.")
    tcp_keepcnt: Count = setting(0, "Lost keepalive probes that end a connection. 0: the system's default.")
    tcp_user_timeout: Milliseconds = setting(
        0, "How long sent data may stay unacknowledged before the connection ends. 0: the system's default."
    )
    pkt_buf: Size = setting(
        4096, f"{_FOR_PGBOUNCER}an idle connection has no buffer, all connections of a worker share one.", restart=True
    )
    sbuf_loopcnt: Count = setting(5, f"{_FOR_PGBOUNCER}each connection is read once before it is the next one's turn.")
    track_extra_parameters: Words = setting(
        ("IntervalStyle",), f"{_FOR_PGBOUNCER}all settings follow their client.", restart=True
    )
    peer_id: PeerId = setting(
        0,
        "Which of `[peers]` this process is. Its clients' cancel keys tell the others so: a cancel request that "
        "reaches one of these is passed on to it. 0: none.",
    )


class PeerSettings(Table):
    """Table [peers.NAME]; NAME is the peer's `peer_id`."""

    host: Hosts = setting((), "Name or address of the peer, or the directory of its Unix socket.")
    port: Port = setting(6432, "Port of the peer.")
    pool_size: Count | None = setting(
        None,
        "Most cancel requests on their way to the peer at a time. Others wait, up to `cancel_wait_timeout`.",
        shown="`default_pool_size`",
    )
