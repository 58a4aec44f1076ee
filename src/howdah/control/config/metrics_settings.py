"""Settings of the HTTP listener for monitoring."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator

from howdah.control.config.table import Table, setting
from howdah.control.config.units import Kind, Words, between, count, one_of

HttpPort = Annotated[int, BeforeValidator(count), AfterValidator(between(0, 65535)), Kind("port")]
MetricsBy = Annotated[
    Literal["pool", "database"], BeforeValidator(one_of("pool", "database")), Kind("one of pool, database")
]


class MetricsSettings(Table):
    """Metrics and health over HTTP."""

    http_port: HttpPort = setting(
        0,
        "Port of the HTTP listener with `/metrics` (Prometheus), `/healthz` and `/readyz`. 0: there is none. With "
        "`so_reuseport` other processes may have it, too: a request goes to any of them.",
        restart=True,
    )
    http_addr: Words = setting(
        ("127.0.0.1",),
        "Addresses of the HTTP listener; `*` for all. It asks for no password: who reaches it can read the names of "
        "databases and users, and how much they do.",
        restart=True,
    )
    metrics_by: MetricsBy = setting(
        "pool",
        "Whether metrics of pools are told apart by database and user, or by database alone, which is less for "
        "Prometheus to keep where there are many users.",
    )
