"""From the text of an HBA or ident file to the login it decides: what is read is what the data plane compiles."""

from ipaddress import ip_address
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from howdah.control.auth.hba import read_hba, rules_of_auth_type
from howdah.control.auth.ident import read_ident
from howdah.control.auth.pattern import posix
from howdah.dataplane.plan import MapLine, NameKind, NameMatch

probe = pytest.importorskip("howdah_probe.access", reason="the release build has no probes")

HBA = r"""
local all postgres peer
local sameuser all peer map=m
host "/^db\d{2,4}$",replication all 10.0.0.0 255.0.0.0 md5
host all @list 192.168.0.0/16 reject
hostssl app "/^([\w.-]+)@example\.com$" all cert
hostnossl app all ::/0 trust
host "all" all all trust
"""
IDENT = r"""
m /^(.*)@example\.com$ \1
m root all
m "A B" "/^[[:alpha:]]\d+$"
"""


def line_of(database: str, user: str, address: str = "", tls: bool = False, replication: bool = False) -> int | None:
    """The number of the line that decides, counted from 2 as they stand above."""
    hba = read_hba("hba", HBA, {"list": "bob, carol\n"}.__getitem__)
    assert not hba.problems
    access = probe.Access([line.rule for line in hba.lines])
    packed = ip_address(address).packed if address else b""
    answer = access.find(database.encode(), user.encode(), packed, tls, replication)
    return None if answer is None else int(hba.lines[answer["number"]].rule.where.partition(":")[2])


@pytest.mark.parametrize(
    "login, line",
    [
        (("app", "postgres"), 2),
        (("bob", "bob"), 3),
        (("app", "bob"), None),
        (("db123", "bob", "10.255.0.1"), 4),
        (("db1", "bob", "10.255.0.1"), None),
        (("dbdd", "bob", "10.255.0.1"), None),  # \d is no letter
        (("x", "bob", "10.0.0.1", False, True), 4),
        (("app", "bob", "192.168.1.1", True), 5),
        (("app", "alice", "192.168.1.1", True), None),
        (("app", "a.b-c@example.com", "192.168.1.1", True), 6),
        (("app", "a\\b@example.com", "192.168.1.1", True), None),  # nor a backslash one of [\w.-]
        (("app", "a.b-c@example.com", "fe80::1", False), 7),
        (("all", "bob", "1.2.3.4"), 8),
        (("other", "bob", "1.2.3.4"), None),
    ],
)
def test_the_line_that_fits_first_decides(login: tuple[Any, ...], line: int | None) -> None:
    assert line_of(*login) == line


@pytest.mark.parametrize(
    "system_user, user, may",
    [
        ("bob@example.com", "bob", True),
        ("bob@example.com", "eve", False),
        ("bob@exampleXcom", "bob", False),
        ("root", "anybody", True),
        ("A B", "x12", True),
        ("A B", "12", False),
        ("A", "x12", False),
    ],
)
def test_a_map_says_who_may_be_whom(system_user: str, user: str, may: bool) -> None:
    ident = read_ident("ident", IDENT)
    assert not ident.problems
    assert probe.Access((), ident.lines).maps(b"m", system_user.encode(), user.encode()) == may


@pytest.mark.parametrize("auth_type", ["any", "trust", "plain", "md5", "scram-sha-256", "cert", "pam"])
def test_an_auth_type_decides_for_everybody(auth_type: str) -> None:
    access = probe.Access([line.rule for line in rules_of_auth_type(auth_type, "")])
    by_tls = access.find(b"app", b"bob", ip_address("1.2.3.4").packed, True, False)
    assert by_tls is not None
    assert (access.find(b"app", b"bob", b"", False, False) is None) == (auth_type == "cert")


@given(st.text("ab1(){}[]|*+?^$.\\-,:dwWäA", max_size=12))
def test_every_regular_expression_that_is_read_can_be_compiled(pattern: str) -> None:
    try:
        spelled = posix(pattern)
    except ValueError:
        return
    system_user = NameMatch(NameKind.REGEX, spelled.text)
    user = NameMatch(NameKind.EXACT, "\\1" if spelled.groups else "x")
    assert probe.Access((), [MapLine("m", system_user, user)])
