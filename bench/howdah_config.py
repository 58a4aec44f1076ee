"""howdah's configuration for a measurement: like PgBouncer's in `bench.pgbouncer`."""

from pathlib import Path

from bench.credentials import Certificate, userlist
from bench.needs import Needs

CONFIG = """\
[howdah]
listen_addr = "127.0.0.1"
listen_port = {port}
unix_socket_dir = ""
auth_type = "{auth_type}"
auth_file = "{users}"
pool_mode = "transaction"
default_pool_size = {pool_size}
max_client_conn = 15000
max_prepared_statements = 200
server_tls_sslmode = "{server_tls}"
ignore_startup_parameters = "extra_float_digits"
workers = {workers}
log_connections = false
log_disconnections = false
live_line = false
{client_tls}
[databases.bench]
host = "127.0.0.1"
port = {server_port}
dbname = "bench"
"""
CLIENT_TLS = """\
client_tls_sslmode = "require"
client_tls_cert_file = "{certificate}"
client_tls_key_file = "{key}"
client_tls_protocols = "tlsv1.3"
"""


def write(
    home: Path, port: int, server_port: int, pool_size: int, needs: Needs, certificate: Certificate | None
) -> Path:
    """A howdah.toml in `home`, and the user list."""
    tls = ""
    if certificate is not None:
        tls = CLIENT_TLS.format(certificate=certificate.certificate, key=certificate.key)
    path = home / "howdah.toml"
    path.write_text(
        CONFIG.format(
            port=port, server_port=server_port, pool_size=pool_size, workers=needs.workers, client_tls=tls,
            users=userlist(home, scram=needs.scram), auth_type="scram-sha-256" if needs.scram else "trust",
            server_tls="require" if needs.server_tls else "disable",
        )
    )  # fmt: skip
    return path
