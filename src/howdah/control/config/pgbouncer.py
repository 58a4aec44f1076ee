"""PgBouncer's settings that this version does not have, so that a reader of its manual gets a straight answer.

An entry leaves this list when the schema gets the setting; a test holds the two apart.
"""

from collections.abc import Mapping

_GENERAL = """
conffile dns_nxdomain_ttl dns_zone_check_period job_name log_pooler_errors log_stats logfile
peer_id pidfile pkt_buf resolv_conf sbuf_loopcnt service_name so_reuseport stats_period
syslog syslog_facility syslog_ident tcp_defer_accept tcp_socket_buffer track_extra_parameters user
verbose
"""
_DATABASE = """
load_balance_hosts
"""

NOT_HERE: Mapping[str, frozenset[str]] = {
    "howdah": frozenset(_GENERAL.split()),
    "databases": frozenset(_DATABASE.split()),
    "users": frozenset(),
}
