"""PgBouncer's settings that this version does not have, so that a reader of its manual gets a straight answer.

An entry leaves this list when the schema gets the setting; a test holds the two apart.
"""

from collections.abc import Mapping

_GENERAL = """
cancel_wait_timeout conffile disable_pqexec dns_nxdomain_ttl dns_zone_check_period job_name log_pooler_errors
log_stats logfile login_notify_message max_prepared_statements peer_id pidfile pkt_buf pool_idle_timeout query_timeout
query_wait_notify resolv_conf sbuf_loopcnt server_check_delay server_check_query server_fast_close
server_reset_query_always server_round_robin service_name so_reuseport stats_period suspend_timeout syslog
syslog_facility syslog_ident tcp_defer_accept tcp_socket_buffer track_extra_parameters transaction_timeout user
verbose
"""
_DATABASE = """
connect_query load_balance_hosts query_wait_timeout
"""
_USER = """
client_idle_timeout idle_transaction_timeout query_timeout query_wait_timeout transaction_timeout
"""

NOT_HERE: Mapping[str, frozenset[str]] = {
    "howdah": frozenset(_GENERAL.split()),
    "databases": frozenset(_DATABASE.split()),
    "users": frozenset(_USER.split()),
}
