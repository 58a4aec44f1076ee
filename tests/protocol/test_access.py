"""Access rules and ident maps say what PostgreSQL's manual says, whatever the rules and whoever comes."""

import re
import socket
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any

import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from howdah.dataplane.plan import (
    AccessRule,
    ClientCertificate,
    MapLine,
    Method,
    NameKind,
    NameMatch,
    Nearby,
    Transport,
)

probe = pytest.importorskip("howdah_probe.access", reason="the release build has no probes")
declared = pytest.importorskip("howdah.dataplane.access")

ANY_NAME = NameMatch(NameKind.ALL)
LONGEST = 256  # of names that regular expressions are tried on


@dataclass(frozen=True)
class Login:
    database: str = "app"
    user: str = "alice"
    address: IPv4Address | IPv6Address | None = None  # over a Unix socket
    tls: bool = False
    replication: bool = False


def rule(
    database: NameMatch = ANY_NAME,
    user: NameMatch = ANY_NAME,
    transport: tuple[Transport, ...] = (Transport.LOCAL, Transport.HOST),
    networks: tuple[IPv4Network | IPv6Network, ...] = (),
    nearby: Nearby = Nearby.NO,
) -> AccessRule:
    return AccessRule("pg_hba.conf:7", transport, (database,), (user,), networks, nearby, Method.SCRAM)


def exact(text: str) -> NameMatch:
    return NameMatch(NameKind.EXACT, text)


def regex(text: str) -> NameMatch:
    return NameMatch(NameKind.REGEX, text)


def found(rules: Sequence[AccessRule], login: Login) -> int | None:
    """The number of the rule that the compiled form finds."""
    address = login.address.packed if login.address else b""
    answer = probe.Access(rules).find(
        login.database.encode(), login.user.encode(), address, login.tls, login.replication
    )
    return None if answer is None else int(answer["number"])


def fits(one: AccessRule, login: Login) -> bool:
    return found([one], login) == 0


def maps(lines: Sequence[MapLine], name: str, system_user: str, user: str) -> bool:
    return bool(probe.Access((), lines).maps(name.encode(), system_user.encode(), user.encode()))


# A model of the manual's chapter, for one rule: True, False, None where nobody can say.


def name_model(test: NameMatch, name: str, login: Login) -> bool | None:
    match test.kind:
        case NameKind.ALL:
            return True
        case NameKind.SAME_USER:
            return name == login.user
        case NameKind.EXACT:
            return name == test.text
        case NameKind.REGEX:
            return None if len(name.encode()) > LONGEST else re.search(test.text, name) is not None
        case _:
            return False


def any_of(answers: Sequence[bool | None]) -> bool | None:
    return True if True in answers else None if None in answers else False


def database_model(one: AccessRule, login: Login) -> bool | None:
    if login.replication:
        return any(test.kind is NameKind.REPLICATION for test in one.databases)
    return any_of([name_model(test, login.database, login) for test in one.databases])


def address_model(one: AccessRule, login: Login) -> bool:
    if login.address is None:
        return Transport.LOCAL in one.transport
    first_words = {Transport.HOST, Transport.HOSTSSL if login.tls else Transport.HOSTNOSSL}
    address = login.address
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    return bool(first_words & set(one.transport)) and (
        not one.networks or any(address in network for network in one.networks)
    )


def find_model(rules: Sequence[AccessRule], login: Login) -> int | None:
    for number, one in enumerate(rules):
        database = database_model(one, login)
        user = any_of([name_model(test, login.user, login) for test in one.users])
        if address_model(one, login) and database is not False and user is not False:
            return number if database and user else None
    return None


NAMES = st.sampled_from(["app", "alice", "bob", "all", "replication", "ab", "aab", "dé", "x" * 256, "ax" * 129])
PATTERNS = st.sampled_from(["", "^a", "b$", "^(a|b)+$", "l.c", "^[a-c]{2,3}$", "e|é", "^x*$", r"^\w+b$", r"p\.?p"])
TEXTS = st.one_of(NAMES.map(exact), PATTERNS.map(regex), st.just(ANY_NAME))
DATABASES = st.one_of(TEXTS, st.sampled_from([NameMatch(NameKind.SAME_USER), NameMatch(NameKind.REPLICATION)]))
IPV4 = st.one_of(
    st.sampled_from(["10.0.0.0", "10.1.2.3", "127.0.0.1", "11.0.0.0"]).map(IPv4Address), st.ip_addresses(v=4)
)
IPV6 = st.one_of(st.sampled_from(["::", "::1", "2001:db8::1", "2001:db8:0:1::"]).map(IPv6Address), st.ip_addresses(v=6))
MAPPED = IPV4.map(lambda address: ip_address(f"::ffff:{address}"))
NETWORKS = st.one_of(
    st.tuples(IPV4, st.integers(0, 32)).map(lambda pair: ip_network(pair, strict=False)),
    st.tuples(IPV6, st.integers(0, 128)).map(lambda pair: ip_network(pair, strict=False)),
).filter(lambda network: network.version == 4 or network.network_address.ipv4_mapped is None)

logins = st.builds(
    Login, NAMES, NAMES, st.one_of(st.none(), IPV4, IPV6, MAPPED), tls=st.booleans(), replication=st.booleans()
)
rules_of_files = st.builds(
    AccessRule,
    where=st.just("pg_hba.conf:1"),
    transport=st.lists(st.sampled_from(Transport), min_size=1, max_size=2).map(tuple),
    databases=st.lists(DATABASES, min_size=1, max_size=3).map(tuple),
    users=st.lists(TEXTS, min_size=1, max_size=3).map(tuple),
    networks=st.lists(NETWORKS, max_size=3).map(tuple),
    nearby=st.just(Nearby.NO),
    method=st.sampled_from(Method),
)


@settings(max_examples=800)
@given(st.lists(rules_of_files, max_size=6), logins)
def test_the_first_rule_that_fits_is_found(rules: list[AccessRule], login: Login) -> None:
    assert found(rules, login) == find_model(rules, login)


@settings(max_examples=500)
@given(st.lists(NETWORKS, max_size=8), st.one_of(IPV4, IPV6, MAPPED))
def test_a_set_of_networks_has_the_addresses_in_them(
    networks: list[IPv4Network | IPv6Network], address: IPv4Address | IPv6Address
) -> None:
    real = (address.ipv4_mapped if isinstance(address, IPv6Address) else None) or address
    assert probe.Networks(networks).have(address.packed) == any(real in network for network in networks)


def test_a_network_written_as_mapped_is_the_ipv4_one() -> None:
    networks = probe.Networks([IPv6Network("::ffff:10.1.0.0/112")])
    assert networks.have(bytes([10, 1, 2, 3]))
    assert networks.have(ip_address("::ffff:10.1.2.3").packed)
    assert not networks.have(bytes([10, 2, 0, 1]))
    assert not probe.Networks([IPv6Network("::/0")]).have(bytes([10, 2, 0, 1]))


def test_an_empty_set_of_networks_has_nobody() -> None:
    assert not probe.Networks([]).have(bytes([127, 0, 0, 1]))
    assert not probe.Networks([]).have(IPv6Address("::1").packed)


# One by one, what the manual says in words


def test_local_is_for_unix_sockets_and_host_for_the_rest() -> None:
    local, host = rule(transport=(Transport.LOCAL,)), rule(transport=(Transport.HOST,))
    over_tcp = Login(address=IPv4Address("10.0.0.1"))
    assert fits(local, Login())
    assert not fits(local, over_tcp)
    assert not fits(host, Login())
    assert fits(host, over_tcp)
    assert fits(host, replace(over_tcp, tls=True))


def test_hostssl_and_hostnossl_are_each_others_opposite() -> None:
    with_tls, without = rule(transport=(Transport.HOSTSSL,)), rule(transport=(Transport.HOSTNOSSL,))
    plain, secure = Login(address=IPv6Address("::1")), Login(address=IPv6Address("::1"), tls=True)
    assert [fits(with_tls, plain), fits(with_tls, secure)] == [False, True]
    assert [fits(without, plain), fits(without, secure)] == [True, False]
    assert not fits(with_tls, Login(tls=True))


def test_all_databases_does_not_mean_replication() -> None:
    physical = Login(replication=True)
    assert not fits(rule(), physical)
    assert not fits(rule(exact("app")), physical)
    assert not fits(rule(regex("")), physical)
    assert fits(rule(NameMatch(NameKind.REPLICATION)), physical)
    assert not fits(rule(NameMatch(NameKind.REPLICATION)), Login("replication"))


def test_sameuser_is_the_database_named_like_the_user() -> None:
    same_user = rule(NameMatch(NameKind.SAME_USER))
    assert fits(same_user, Login("alice", "alice"))
    assert not fits(same_user, Login("alice", "bob"))


def test_a_regular_expression_is_looked_for_anywhere_in_the_name() -> None:
    assert fits(rule(user=regex("lic")), Login())
    assert not fits(rule(user=regex("^lic")), Login())


def test_what_a_rule_says_comes_with_it() -> None:
    one = replace(
        rule(), method=Method.CERT, any_user=True, client_certificate=ClientCertificate.VERIFY_FULL, map="people",
        distinguished_name=True,
    )  # fmt: skip
    assert probe.Access([one]).find(b"app", b"alice") == {
        "number": 0, "where": "pg_hba.conf:7", "method": Method.CERT, "any_user": True, "map": "people",
        "client_certificate": ClientCertificate.VERIFY_FULL, "distinguished_name": True,
    }  # fmt: skip


def test_the_numbers_are_those_of_the_plan() -> None:
    assert {f"METHOD_{one.name}": one.value for one in Method} == {one.name: one.value for one in declared.AccessMethod}
    certificates = {one.name: one.value for one in declared.AccessCertificate}
    assert {f"CERTIFICATE_{one.name}": one.value for one in ClientCertificate} == certificates


# Names that are too long for a regular expression


@pytest.mark.parametrize("method", [Method.REJECT, Method.TRUST])
def test_nobody_gets_past_a_regular_expression_with_a_long_name(method: Method) -> None:
    rules = [replace(rule(user=regex("^evil")), method=method), rule()]
    assert found(rules, Login(user="evil")) == 0
    assert found(rules, Login(user="good")) == 1
    assert found(rules, Login(user="good" + "x" * 252)) == 1
    assert found(rules, Login(user="evil" + "x" * 253)) is None
    assert found(rules, Login(user="good" + "x" * 253)) is None


def test_a_long_name_is_no_hindrance_where_another_name_of_the_rule_fits() -> None:
    one = replace(rule(), users=(regex("^evil"), exact("x" * 300)))
    assert fits(one, Login(user="x" * 300))


# This machine's addresses


def own_addresses() -> list[tuple[IPv4Address | IPv6Address, IPv4Network | IPv6Network]]:
    """Each address of this machine and the network it is in."""
    addresses = [one for of_one in psutil.net_if_addrs().values() for one in of_one]
    result: list[tuple[IPv4Address | IPv6Address, IPv4Network | IPv6Network]] = []
    for one in addresses:
        if one.family in {socket.AF_INET, socket.AF_INET6}:
            address = ip_address(one.address.partition("%")[0])
            bits = int(ip_address(one.netmask)).bit_count() if one.netmask else 0
            result.append((address, ip_network((address, bits or address.max_prefixlen), strict=False)))
    return result


def test_samehost_is_this_machines_addresses_alone() -> None:
    same_host = rule(nearby=Nearby.SAME_HOST)
    assert own_addresses()
    for address, _ in own_addresses():
        assert fits(same_host, Login(address=address))
    assert not fits(same_host, Login(address=IPv4Address("127.77.77.77")))
    assert not fits(same_host, Login(address=IPv4Address("192.0.2.1")))
    assert not fits(replace(same_host, transport=(Transport.HOST,)), Login())


@settings(max_examples=100)
@given(st.one_of(IPV4, IPV6, st.sampled_from([address for address, _ in own_addresses()])), st.integers(0, 3))
def test_samenet_is_the_networks_this_machine_is_in(address: IPv4Address | IPv6Address, more: int) -> None:
    neighbour = address + more if int(address) + more < 2**address.max_prefixlen else address
    inside = any(neighbour in network for _, network in own_addresses())
    assert fits(rule(nearby=Nearby.SAME_NET), Login(address=neighbour)) == inside


# Ident maps


def map_line_model(line: MapLine, system_user: str, user: str) -> bool | None:
    wanted = line.user
    if line.system_user.kind is NameKind.EXACT:
        if line.system_user.text != system_user:
            return False
    elif len(system_user.encode()) > LONGEST:
        return None
    else:
        match = re.search(line.system_user.text, system_user)
        if match is None:
            return False
        if wanted.kind is NameKind.EXACT and r"\1" in wanted.text:
            if match[1] is None:
                return None
            wanted = exact(wanted.text.replace(r"\1", match[1], 1))
    return name_model(wanted, user, Login(user=user))


def maps_model(lines: Sequence[MapLine], name: str, system_user: str, user: str) -> bool:
    if not name:
        return system_user == user
    answers = [map_line_model(line, system_user, user) for line in lines if line.map == name]
    return next((bool(answer) for answer in answers if answer is not False), False)


MAP_NAMES = st.sampled_from(["", "m", "other"])
OUTSIDE = st.sampled_from(["alice", "alice@x.org", "bob@x.org", "all", "root", "@x.org", "ab@y", "é@x.org", "z" * 257])
INSIDE = st.sampled_from(["alice", "bob", "é", "all", "pre_alice_post", "root", "ab", r"\1", "bob\\1"])
SYSTEM_USERS = st.one_of(
    OUTSIDE.map(exact),
    st.sampled_from([r"^(.+)@x\.org$", "^([a-z]*)(@y)?", "(b)?", "^(r)?(o*)", "(ali)|(b)"]).map(regex),
)
AS_USERS = st.one_of(
    st.sampled_from(["alice", "bob", r"\1", r"pre_\1_post", r"\1\1", r"\12", "all"]).map(exact),
    st.sampled_from(["^a", "", "o+"]).map(regex),
    st.just(ANY_NAME),
)
map_lines = st.builds(MapLine, st.sampled_from(["m", "other"]), SYSTEM_USERS, AS_USERS)


@settings(max_examples=800)
@given(st.lists(map_lines, max_size=5), MAP_NAMES, OUTSIDE, INSIDE)
def test_maps_say_who_may_log_in_as_whom(lines: list[MapLine], name: str, system_user: str, user: str) -> None:
    assert maps(lines, name, system_user, user) == maps_model(lines, name, system_user, user)


def test_without_a_map_the_names_are_the_same() -> None:
    assert maps([], "", "alice", "alice")
    assert not maps([], "", "alice", "Alice")
    assert not maps([], "nosuch", "alice", "alice")


def test_the_first_group_stands_in_for_backslash_one() -> None:
    lines = [MapLine("m", regex(r"^(.*)@example\.com$"), exact(r"\1"))]
    assert maps(lines, "m", "bob@example.com", "bob")
    assert not maps(lines, "m", "bob@example.com", "bo")
    assert not maps(lines, "m", "bob@example.org", "bob")
    assert not maps(lines, "m", "all@example.com", "bob"), "what a stranger is called is never a keyword"


def test_all_lets_a_system_user_be_anybody() -> None:
    assert maps([MapLine("m", exact("root"), ANY_NAME)], "m", "root", "alice")
    assert not maps([MapLine("m", exact("root"), ANY_NAME)], "m", "toor", "alice")


# What cannot be used


@pytest.mark.parametrize(
    "pattern, why",
    [
        ("(", r"Unmatched \("),
        ("a{2", "Unmatched"),
        ("[z-a]", "Invalid range end"),
        ("(?i)alice", "Invalid preceding regular expression"),
    ],
)
def test_a_malformed_regular_expression_is_refused(pattern: str, why: str) -> None:
    with pytest.raises(ValueError, match=rf'^pg_hba\.conf:7: cannot use the regular expression ".*": {why}'):
        probe.Access([rule(), rule(user=regex(pattern))])
    with pytest.raises(ValueError, match=rf'^ident map "m": cannot use the regular expression ".*": {why}'):
        probe.Access((), [MapLine("m", regex(pattern), exact("alice"))])


def test_a_reference_to_a_group_there_is_not_is_refused() -> None:
    with pytest.raises(ValueError, match=r'^ident map "m": ".1" refers to the first group'):
        probe.Access((), [MapLine("m", regex("^a"), exact(r"\1"))])


@pytest.mark.parametrize("wrong", [NameMatch(NameKind.REPLICATION), NameMatch(NameKind.SAME_USER)])
def test_a_kind_of_name_that_has_no_meaning_for_users_is_refused(wrong: NameMatch) -> None:
    with pytest.raises(ValueError, match=r"^pg_hba\.conf:7: a name of kind .* cannot stand here"):
        probe.Access([rule(user=wrong)])


def test_a_name_with_nul_is_refused_rather_than_cut() -> None:
    with pytest.raises(ValueError, match=r"^pg_hba\.conf:7: a name holds a NUL character"):
        probe.Access([rule(exact("app\0x"))])


# Threads


def test_workers_share_regular_expressions() -> None:
    names = [b"a" * count + b"c" for count in range(8)]
    patterns = [f"^a{{{count}}}(b|c)$" for count in range(8)]
    access = probe.Access([rule(user=regex(pattern)) for pattern in patterns])
    answers: list[Any] = [None] * len(names)

    def look_up(which: int) -> None:
        answers[which] = {access.find(b"app", names[which], times=200)["number"] for _ in range(20)}

    threads = [threading.Thread(target=look_up, args=[which]) for which in range(len(names))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert answers == [{which} for which in range(len(names))]
