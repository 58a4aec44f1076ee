"""PgBouncer's settings that this version does not have, so that a reader of its manual gets a straight answer.

An entry leaves this list when the schema gets the setting; a test holds the two apart.
"""

from collections.abc import Mapping

_GENERAL = """
application_name_add_host auth_dbname auth_file auth_hba_file auth_ident_file auth_ldap_options auth_query auth_type
auth_user autodb_idle_timeout cancel_wait_timeout client_tls13_ciphers client_tls_ca_file client_tls_cert_file
client_tls_ciphers client_tls_dheparams client_tls_ecdhcurve client_tls_key_file client_tls_protocols
client_tls_sslmode conffile disable_pqexec dns_nxdomain_ttl dns_zone_check_period job_name log_pooler_errors log_stats
logfile login_notify_message max_db_client_connections max_prepared_statements max_user_client_connections peer_id
pidfile pkt_buf pool_idle_timeout query_timeout query_wait_notify resolv_conf sbuf_loopcnt scram_iterations
server_check_delay server_check_query server_fast_close server_reset_query_always server_round_robin
server_tls13_ciphers server_tls_ca_file server_tls_cert_file server_tls_ciphers server_tls_key_file
server_tls_protocols server_tls_sslmode service_name so_reuseport stats_period suspend_timeout syslog
syslog_facility syslog_ident tcp_defer_accept tcp_socket_buffer track_extra_parameters transaction_timeout user verbose
"""
_DATABASE = """
auth_dbname auth_query auth_user connect_query load_balance_hosts max_db_client_connections query_wait_timeout
"""
_USER = """
client_idle_timeout idle_transaction_timeout max_user_client_connections query_timeout query_wait_timeout
transaction_timeout
"""

NOT_HERE: Mapping[str, frozenset[str]] = {
    "howdah": frozenset(_GENERAL.split()),
    "databases": frozenset(_DATABASE.split()),
    "users": frozenset(_USER.split()),
}
