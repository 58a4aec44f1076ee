"""``python -m bench.bare_relay PORT SERVER_PORT [SERVERS]``: relay from PORT to PostgreSQL on SERVER_PORT."""

import resource
import signal
import socket
import sys

from bench.bare_relay import SOURCE
from bench.compiled import load
from bench.wire import Connection


def main(port: int, server_port: int, servers: int = 20) -> None:
    """Log the servers in, listen, relay until killed."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    connections = [Connection(server_port) for _ in range(servers)]
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, 45)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # accepted sockets inherit it
    listener.bind(("127.0.0.1", port))
    listener.listen(4096)
    listener.setblocking(False)
    relay = load(SOURCE)
    relay.serve(listener.fileno(), [c.socket.fileno() for c in connections], connections[0].greeting)


main(*map(int, sys.argv[1:]))
