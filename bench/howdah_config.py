"""howdah's configuration for a measurement: like PgBouncer's in `bench.pgbouncer`."""

from pathlib import Path

CONFIG = """\
[howdah]
listen_addr = "127.0.0.1"
listen_port = {port}
unix_socket_dir = ""
auth_type = "trust"
pool_mode = "transaction"
default_pool_size = {pool_size}
max_client_conn = 15000
ignore_startup_parameters = "extra_float_digits"
workers = {workers}
log_connections = false
log_disconnections = false
live_line = false

[databases.bench]
host = "127.0.0.1"
port = {server_port}
dbname = "bench"
"""


def write(home: Path, port: int, server_port: int, pool_size: int, workers: int) -> Path:
    """A howdah.toml in `home`."""
    path = home / "howdah.toml"
    path.write_text(CONFIG.format(port=port, server_port=server_port, pool_size=pool_size, workers=workers))
    return path
