"""``howdah show``, ``reload``, ``pause`` and the others that send one command to the console of a running howdah."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., None])

_WHERE = (
    click.option("-c", "--config", metavar="FILE", help="Configuration that says where howdah listens. [howdah.toml]"),
    click.option("--host", metavar="HOST", help="Address, or directory of the Unix socket."),
    click.option("-p", "--port", type=click.IntRange(1, 65535), metavar="PORT", help="[default: 6432]"),
    click.option("-U", "--user", metavar="USER", help="User of the console. [default at a Unix socket: pgbouncer]"),
)
_JSON = click.option("--json", "in_json", is_flag=True, help="Print a list of JSON objects.")


def _at_a_place(command: F) -> F:
    """Options that say whom to ask; the password comes from PGPASSWORD or ~/.pgpass."""
    for option in reversed(_WHERE):
        command = option(command)
    return command


def _send(sql: str, where: dict[str, Any], in_json: bool = False) -> None:
    from howdah.cli.ask import ask, find_place
    from howdah.cli.tables import aligned, as_json

    reply = ask(find_place(where["config"], where["host"], where["port"], where["user"]), sql)
    for notice in reply.notices:
        click.echo(notice, err=True)
    if reply.columns:
        click.echo((as_json if in_json else aligned)(reply.columns, reply.rows))
    elif reply.status != "SHOW":
        click.echo(reply.status, err=True)


def _name(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def _string(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


@click.command()
@click.argument("table", metavar="[TABLE]", default="help")
@click.option("--where", "condition", metavar="SQL", help='Only rows for which this is true: "cl_waiting > 0".')
@click.option("--order-by", "order", metavar="SQL", help='Sort by this: "cl_active DESC".')
@click.option("--columns", metavar="SQL", help='Only these: "database, cl_active".')
@_JSON
@_at_a_place
def show(
    table: str, condition: str | None, order: str | None, columns: str | None, in_json: bool, **where: Any
) -> None:
    """Print a table of a running howdah: pools, clients, servers, stats, ... (without one: which there are)."""
    if condition is None and order is None and columns is None:
        _send(f"SHOW {table}", where, in_json)
        return
    parts = [f"SELECT {columns or '*'} FROM {table}"]  # noqa: S608  the console judges it
    parts += [f"WHERE {condition}"] if condition else []
    parts += [f"ORDER BY {order}"] if order else []
    _send(" ".join(parts), where, in_json)


@click.command()
@click.argument("sql")
@_JSON
@_at_a_place
def console(sql: str, in_json: bool, **where: Any) -> None:
    """Send one statement to the console of a running howdah: howdah console "PAUSE app"."""
    _send(sql, where, in_json)


@click.command("set")
@click.argument("name")
@click.argument("value")
@_at_a_place
def set_(name: str, value: str, **where: Any) -> None:
    """Change a setting of a running howdah, until its next reload."""
    _send(f"SET {name} = {_string(value)}", where)


@click.command("kill-client")
@click.argument("client", type=int, metavar="ID")
@_at_a_place
def kill_client(client: int, **where: Any) -> None:
    """Drop one client, by its id in 'howdah show clients'."""
    _send(f"KILL_CLIENT {client}", where)


@click.command()
@click.option("--wait-for", type=click.Choice(["servers", "clients"]), help="End when these have gone.")
@_at_a_place
def shutdown(wait_for: str | None, **where: Any) -> None:
    """Stop a running howdah, at once or when its servers or clients have gone."""
    _send(f"SHUTDOWN WAIT_FOR_{wait_for.upper()}" if wait_for else "SHUTDOWN", where)


def _plain(name: str, about: str) -> click.Command:
    def send(**where: Any) -> None:
        _send(name.upper(), where)

    return click.command(name, help=about)(_at_a_place(send))


def _of_database(name: str, about: str, needed: bool = False) -> click.Command:
    def send(database: str | None, **where: Any) -> None:
        verb = name.upper().replace("-", "_")
        _send(f"{verb} {_name(database)}" if database else verb, where)

    argument = click.argument("database", required=needed)
    return click.command(name, help=about)(argument(_at_a_place(send)))


COMMANDS = (
    show,
    console,
    set_,
    _plain("reload", "Have a running howdah read its configuration again, and print what has changed."),
    _of_database("pause", "Wait until no server is in use, and let clients queue."),
    _of_database("resume", "Go on after pause, kill or suspend."),
    _of_database("disable", "Refuse new clients of a database.", needed=True),
    _of_database("enable", "Let new clients of a database in again.", needed=True),
    _of_database("reconnect", "Replace each server connection when it is next free."),
    _of_database("wait-close", "Wait until all that reconnect has marked are closed."),
    _of_database("kill", "Drop all clients and servers of a database, until resume.", needed=True),
    kill_client,
    _plain("suspend", "Stop reading from all connections, once what is under way has been sent."),
    shutdown,
)
