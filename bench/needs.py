"""What a scenario wants of the poolers it compares: the same of each."""

from dataclasses import dataclass
from typing import Literal

Key = Literal["ecdsa", "rsa"]


@dataclass(frozen=True, slots=True)
class Needs:
    """Plain TCP and trust unless said otherwise."""

    workers: int = 1  # howdah's; PgBouncer and the relay are single-threaded
    scram: bool = False  # clients log in with SCRAM-SHA-256
    client_tls: Key | None = None  # TLS 1.3 towards clients, required, with a certificate of this kind
    server_tls: bool = False  # TLS towards PostgreSQL, required
