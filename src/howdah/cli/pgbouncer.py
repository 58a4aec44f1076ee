"""``howdah-pgbouncer CONFIG``: howdah in PgBouncer's place, with its command line, log and habits."""

import getopt
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import howdah

if TYPE_CHECKING:
    from howdah.control.config import Config
    from howdah.control.config.load import Option

_USAGE = """\
{program} is howdah, a connection pooler for PostgreSQL, in PgBouncer's place.

Usage:
  {program} [OPTION]... CONFIG_FILE

Options:
  -d, --daemon         run in background (as a daemon)
  -q, --quiet          write nothing to the terminal; a log file is written all the same
  -R, --reboot         take over from the process that runs, clients and all
  -u, --user=USERNAME  assume identity of USERNAME
  -v, --verbose        increase verbosity
  -V, --version        show version, then exit
  -h, --help           show this help, then exit
"""
_SHORT, _LONG = "dqRvVhu:", ("daemon", "quiet", "reboot", "verbose", "version", "help", "user=")
#: More of them say no more.
_MOST_VERBOSE = 3


class UsageFault(Exception):
    """The command line is not understood; the text says why."""


@dataclass(slots=True)
class Switches:
    """What the command line says."""

    names: set[str] = field(default_factory=set)  # long ones
    user: str = ""
    verbose: int = 0
    config: str = ""


def parse(arguments: Sequence[str]) -> Switches:
    """As getopt_long does, in any order."""
    try:
        options, rest = getopt.gnu_getopt(list(arguments), _SHORT, _LONG)
    except getopt.GetoptError as error:
        raise UsageFault(_complaint(error)) from None
    switches = Switches()
    for option, value in options:
        name = next((name for name in _LONG if option in (f"--{name.rstrip('=')}", f"-{_letter(name)}")), "")
        switches.names.add(name.rstrip("="))
        switches.verbose += name == "verbose"
        switches.user = value if name == "user=" else switches.user
    if not switches.names & {"help", "version"}:
        if len(rest) != 1:
            raise UsageFault("no configuration file specified")
        switches.config = rest[0]
    return switches


def _letter(name: str) -> str:
    """Of a long option: its first, but for two."""
    return {"version": "V", "reboot": "R"}.get(name, name[0])


def _complaint(error: getopt.GetoptError) -> str:
    """In the C library's words."""
    long = len(error.opt) > 1
    if "requires argument" in error.msg:
        return (
            f"option '--{error.opt}' requires an argument" if long else f"option requires an argument -- '{error.opt}'"
        )
    if "must not have an argument" in error.msg:
        return f"option '--{error.opt}' doesn't allow an argument"
    if "not a unique prefix" in error.msg:
        return f"option '--{error.opt}' is ambiguous"
    return f"unrecognized option '--{error.opt}'" if long else f"invalid option -- '{error.opt}'"


def main() -> None:
    """The console script."""
    program = sys.argv[0]
    try:
        switches = parse(sys.argv[1:])
    except UsageFault as fault:
        print(f'{program}: {fault}\nTry "{program} --help" for more information.', file=sys.stderr)
        sys.exit(1)
    if "help" in switches.names:
        print(_USAGE.format(program=program), end="")
    elif "version" in switches.names:
        print(f"howdah {howdah.__version__}, in place of PgBouncer")
    else:
        sys.exit(_run(switches))


def _run(switches: Switches) -> int:
    from howdah.control.config.errors import StartError
    from howdah.control.config.load import Request, read
    from howdah.control.log import configure, logger

    configure(level="info", json=False, stream=sys.stderr, colors=False, drop_in=True)
    # A howdah.toml is taken, too: its owner may want PgBouncer's log and texts alone.
    request = Request(
        switches.config, tuple(_options(switches)), pgbouncer=not (switches.config or "").endswith(".toml")
    )

    def reread() -> "Config":
        return read(request).model_copy(update={"drop_in": True})

    try:
        config = reread()
    except StartError as error:
        for line in str(error).splitlines():
            logger().error(line)
        logger().critical("cannot load config file")
        return 1
    if refusal := _refusal(config):
        logger().critical(refusal)
        return 1
    return _start(switches, config, reread)


def _options(switches: Switches) -> "list[Option]":
    from howdah.control.config.load import Option

    options = [Option("live_line", "false", "drop-in mode")]
    if switches.verbose:
        options.append(Option("verbose", str(min(switches.verbose, _MOST_VERBOSE)), "--verbose"))
    if switches.user:
        options.append(Option("user", switches.user, "--user"))
    return options


def _refusal(config: "Config") -> str:
    if os.geteuid() == 0 and not config.settings.user:
        return "howdah should not run as root in PgBouncer's place: name a user by user = or -u"
    return ""


def _start(switches: Switches, config: "Config", reread: "Callable[[], Config]") -> int:
    from howdah.control.process.daemon import daemonize

    up: Callable[[], None] = daemonize() if "daemon" in switches.names else lambda: None
    # Only now: it brings threads along.
    from howdah.control import supervisor

    launch = supervisor.Launch(quiet="quiet" in switches.names, take_over="reboot" in switches.names, up=up)
    return supervisor.run(config, reread, launch)


if __name__ == "__main__":
    main()
