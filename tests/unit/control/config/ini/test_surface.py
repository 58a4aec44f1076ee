"""Every setting that PgBouncer 1.25 and its development branch have is taken, in the section where PgBouncer has it."""

from pathlib import Path

import pytest

from howdah.control.config.ini.connection_string import pairs
from howdah.control.config.load import Request, read
from howdah.control.config.schema import GlobalSettings

GENERAL = """
admin_users application_name_add_host auth_dbname auth_file auth_hba_file auth_ident_file auth_ldap_options auth_query
auth_type auth_user autodb_idle_timeout cancel_wait_timeout client_idle_timeout client_login_timeout
client_tls13_ciphers client_tls_ca_file client_tls_cert_file client_tls_ciphers client_tls_dheparams
client_tls_ecdhcurve client_tls_key_file client_tls_protocols client_tls_sslmode conffile default_pool_size
disable_pqexec dns_max_ttl dns_nxdomain_ttl dns_zone_check_period idle_transaction_timeout ignore_startup_parameters
job_name listen_addr listen_backlog listen_port log_connections log_disconnections log_pooler_errors log_stats logfile
login_notify_message max_client_conn max_db_client_connections max_db_connections max_packet_size
max_prepared_statements max_user_client_connections max_user_connections min_pool_size peer_id pidfile pkt_buf
pool_mode pool_idle_timeout query_timeout query_wait_notify query_wait_timeout reserve_pool_size reserve_pool_timeout
resolv_conf sbuf_loopcnt scram_iterations server_check_delay server_check_query server_connect_timeout
server_fast_close server_idle_timeout server_lifetime server_login_retry server_reset_query server_reset_query_always
server_round_robin server_tls13_ciphers server_tls_ca_file server_tls_cert_file server_tls_ciphers server_tls_key_file
server_tls_protocols server_tls_sslmode service_name so_reuseport stats_period stats_users suspend_timeout syslog
syslog_facility syslog_ident tcp_defer_accept tcp_keepalive tcp_keepcnt tcp_keepidle tcp_keepintvl tcp_socket_buffer
tcp_user_timeout track_extra_parameters transaction_timeout unix_socket_dir unix_socket_group unix_socket_mode user
verbose
""".split()
DATABASE = """
dbname='x y' host=a,b port=1 user=u password=p auth_user=u auth_query='SELECT 1' auth_dbname=app pool_size=1
min_pool_size=1 reserve_pool_size=1 reserve_pool=1 pool_mode=session max_db_connections=9 max_db_client_connections=1
server_lifetime=1 query_wait_timeout=1 load_balance_hosts=round-robin connect_query='SELECT 1' client_encoding=UTF8
datestyle=ISO timezone=UTC application_name=x
"""
USER = """
pool_size=1 reserve_pool_size=1 pool_mode=session max_user_connections=1 max_user_client_connections=1 query_timeout=1
query_wait_timeout=1 idle_transaction_timeout=1 transaction_timeout=1 client_idle_timeout=1
"""
PEER = "host=/tmp port=1 pool_size=1"


def test_all_general_settings_are_known() -> None:
    assert len(GENERAL) == 101
    assert set(GENERAL) - set(GlobalSettings.model_fields) == set()


def names(connection_string: str) -> set[str]:
    return {key for key, _ in pairs(" ".join(connection_string.split("\n")))}


def test_all_settings_of_databases_users_and_peers_are_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    sections = {"databases": f"app = {DATABASE}", "users": f"bob = {USER}", "peers": f"1 = {PEER}"}
    text = "".join(f"[{name}]\n{' '.join(line.split(chr(10)))}\n" for name, line in sections.items())
    Path("p.ini").write_text(f"{text}[pgbouncer]\nauth_type = trust\n")
    config = read(Request("p.ini"), {})
    assert config.databases["app"].model_fields_set == names(DATABASE) - {"reserve_pool"}
    assert config.users["bob"].model_fields_set == names(USER)
    assert config.peers["1"].model_fields_set == names(PEER)
