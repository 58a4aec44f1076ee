"""``howdah run [TARGET]``: the pooler itself."""

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from howdah.control.config.load import Option

#: Settings given by one option: name and value, None when it was not given.
Given = Iterable[tuple[str, str | None]]


def _listen(values: Sequence[str]) -> Iterator[tuple[str, str]]:
    """ADDRESS, ADDRESS:PORT, :PORT or [ADDRESS]:PORT, as the settings they stand for.

    What is neither of these is passed on as an address: the setting's own check says what is wrong with it.
    """
    addresses, ports = [], []
    for value in (part.strip() for given in values for part in given.split(",")):
        head, colon, tail = value.rpartition(":")
        if colon and tail.isdigit() and (":" not in head or (head.startswith("[") and head.endswith("]"))):
            ports.append(tail)
            addresses.append(head)
        else:
            addresses.append(value)
    addresses = [address for address in addresses if address]
    if len(set(ports)) > 1:
        raise click.BadOptionUsage("listen", f"all addresses share one port, not {' and '.join(ports)}")
    if addresses:
        yield "listen_addr", ",".join(addresses)
    if ports:
        yield "listen_port", ports[0]


def _assignments(values: Sequence[str]) -> Iterator[tuple[str, str]]:
    for value in values:
        name, equals, text = value.partition("=")
        if not equals:
            raise click.BadOptionUsage("set", f"--set {value}: write it as NAME=VALUE")
        yield name.strip(), text


def _options(*given: tuple[str, Given]) -> tuple["Option", ...]:
    """In the order in which later ones win."""
    from howdah.control.config.load import Option

    return tuple(
        Option(name, value, shown) for shown, settings in given for name, value in settings if value is not None
    )


@click.command()
@click.argument("target", required=False)
@click.option(
    "--listen",
    multiple=True,
    metavar="ADDRESS[:PORT]",
    help="Listen on this TCP address (repeat for several); '*' is all. [default: 127.0.0.1 and ::1, port 6432]",
)
@click.option("-p", "--port", metavar="PORT", help="Port to listen on. [default: 6432]")
@click.option("--pool-size", metavar="N", help="Server connections of each pool. [default: 20]")
@click.option("--pool-mode", metavar="MODE", help="transaction, session or statement. [default: transaction]")
@click.option("--workers", metavar="N", help="Worker threads. [default: usable cores, at most 4]")
@click.option("-s", "--set", "assignments", multiple=True, metavar="NAME=VALUE", help="Any other setting of [howdah].")
@click.option("--log-level", metavar="LEVEL", help="debug, info, warning or error. [default: info]")
@click.option("--json-logs", is_flag=True, help="Log one JSON object a line.")
@click.option("--take-over", is_flag=True, help="Take over from the process that runs, clients and all.")
@click.option("-q", "--quiet", is_flag=True, help="Only warnings and errors, and no live line.")
@click.option("-v", "--verbose", is_flag=True, help="Log what helps to find faults: the same as --log-level debug.")
def run(
    target: str | None,
    listen: tuple[str, ...],
    port: str | None,
    pool_size: str | None,
    pool_mode: str | None,
    workers: str | None,
    assignments: tuple[str, ...],
    log_level: str | None,
    json_logs: bool,
    take_over: bool,
    quiet: bool,
    verbose: bool,
) -> None:
    """Run the pooler until Ctrl-C or SIGTERM.

    TARGET says where PostgreSQL is:

    \b
      postgresql://user:pw@host:port/name    every database of that server; clients log in
                                             with that user and password, too
      howdah.toml                            a configuration file (see 'howdah check')
      pgbouncer.ini                          one of PgBouncer's, read as PgBouncer reads it
      nothing                                ./howdah.toml, else the URL in DATABASE_URL,
                                             else howdah starts a PostgreSQL of its own

    Other users of the machine see a command line in its first moments, and that of the shell or the make that starts
    howdah for longer: a URL with a password is safer in DATABASE_URL.

    Any setting can also come from the environment: HOWDAH_POOL_MODE=session. Options win over the environment, and
    that over the file. SIGHUP reads the configuration again.

    \b
    Examples:
      howdah run
      howdah run postgresql://app@db.example/app --pool-size 50
      DATABASE_URL=postgresql://app:secret@db.example/app howdah run
      howdah run howdah.toml --set query_wait_timeout=5s --json-logs
    """  # noqa: D301  \\b is click's mark for lines that stay as they are
    from functools import partial

    from howdah.control.config.load import Request, read

    options = _options(
        ("--quiet", [("log_level", "warning"), ("live_line", "false")] if quiet else []),
        ("--verbose", [("log_level", "debug")] if verbose else []),
        ("--listen", _listen(listen)),
        ("--port", [("listen_port", port)]),
        ("--pool-size", [("default_pool_size", pool_size)]),
        ("--pool-mode", [("pool_mode", pool_mode)]),
        ("--workers", [("workers", workers)]),
        ("--log-level", [("log_level", log_level)]),
        ("--json-logs", [("log_format", "json")] if json_logs else []),
        ("--set", _assignments(assignments)),
    )
    again = partial(read, Request(target, options))
    config = again()
    # Only now, so that a fault in the configuration is told at once.
    from howdah.control import supervisor

    click.get_current_context().exit(supervisor.run(config, again, supervisor.Launch(take_over=take_over)))
