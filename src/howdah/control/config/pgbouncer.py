"""PgBouncer's settings that this version does not have, so that a reader of its manual gets a straight answer.

An entry leaves this list when the schema gets the setting; a test holds the two apart.
"""

from collections.abc import Mapping

_GENERAL = """
dns_nxdomain_ttl dns_zone_check_period login_notify_message peer_id pkt_buf pool_idle_timeout resolv_conf sbuf_loopcnt
so_reuseport suspend_timeout tcp_defer_accept tcp_socket_buffer track_extra_parameters
"""
_DATABASE = """
load_balance_hosts
"""

NOT_HERE: Mapping[str, frozenset[str]] = {
    "howdah": frozenset(_GENERAL.split()),
    "databases": frozenset(_DATABASE.split()),
    "users": frozenset(),
}
