"""The switches of howdah-pgbouncer, and what is said of those it does not have."""

import pytest

from howdah.cli.pgbouncer import UsageFault, parse


def test_switches_come_in_any_order_and_together() -> None:
    switches = parse(["-dq", "pgbouncer.ini", "-v", "--verbose", "-u", "postgres"])
    assert switches.names == {"daemon", "quiet", "verbose", "user"}
    assert (switches.config, switches.verbose, switches.user) == ("pgbouncer.ini", 2, "postgres")


@pytest.mark.parametrize("given, name", [("-R", "reboot"), ("-V", "version"), ("-v", "verbose"), ("--reb", "reboot")])
def test_each_letter_has_its_long_name(given: str, name: str) -> None:
    assert parse([given, "a.ini"]).names == {name}


def test_help_and_version_need_no_file() -> None:
    assert parse(["-h"]).names == {"help"}
    assert parse(["--version"]).names == {"version"}


@pytest.mark.parametrize(
    "arguments, complaint",
    [
        ([], "no configuration file specified"),
        (["a.ini", "b.ini"], "no configuration file specified"),
        (["--foo"], "unrecognized option '--foo'"),
        (["-x"], "invalid option -- 'x'"),
        (["-u"], "option requires an argument -- 'u'"),
        (["--user"], "option '--user' requires an argument"),
        (["--daemon=yes"], "option '--daemon' doesn't allow an argument"),
        (["--ver"], "option '--ver' is ambiguous"),
    ],
)
def test_what_is_wrong_is_said_in_the_c_librarys_words(arguments: list[str], complaint: str) -> None:
    with pytest.raises(UsageFault) as raised:
        parse(arguments)
    assert str(raised.value) == complaint
