"""HBA and ident files, read by howdah and by PostgreSQL: the same lines are wrong, and the others mean the same.

PostgreSQL shows what it makes of its files in pg_hba_file_rules and pg_ident_file_mappings, from the file as it is.
"""

import ctypes
import itertools
import random
from collections.abc import Iterator
from ipaddress import ip_network
from typing import Any

import pytest

from fuzz.python import written
from howdah.control.auth.hba import HbaLine, read_hba
from howdah.control.auth.ident import read_ident
from howdah.control.auth.pattern import posix
from howdah.dataplane.plan import Method, NameKind, NameMatch, Nearby, Transport
from tests.kit.postgres import Postgres

HBA = r"""
local all all trust
local app,other alice,bob peer
local app, other alice peer map=m
local app ,other peer
local "a b","c""d" "" md5
local sameuser,replication "all" reject
local a"b c"d all scram-sha-256 # comment
local all all ident
local all all ident map=m
local @names all password
local @missing all password
local "@names" all password
local all,@names @nested trust
host all all 10.0.0.0/8 md5
host all all 10.0.0.0 255.0.0.0 md5
host all all 10.1.2.3/32 trust
host all all 0.0.0.0/0 trust
host all all ::1/128 trust
host all all fe80:: ffff:ffff:: trust
host all all ::ffff:10.0.0.0/104 trust
host all all all trust
host all all samehost trust
host all all samenet trust
hostssl all all all cert
hostssl all all all cert map=m clientname=DN
hostssl all all all cert clientcert=verify-full clientname=CN
hostssl all all all md5 clientcert=verify-ca
hostssl all all all scram-sha-256 clientcert=verify-full clientname=DN
hostnossl all all all reject
hostnogssenc all all all trust
host all all all pam
host all all all pam pamservice=db
host all all all ldap ldapserver=h ldapport=389 ldapprefix="cn=" ldapsuffix=", dc=a"
host all all all ldap ldapserver=h,ldapprefix=""
host all all all ldap ldapserver="h1 h2" ldapbasedn="dc=a" ldapsearchattribute=uid ldapscheme=ldaps
host all all all ldap ldapserver=h ldapbasedn=a ldapbinddn=b ldapbindpasswd=c ldapsearchfilter="(u=$username)" ldaptls=1
host all all all ldap ldapurl="ldap://h:3389/dc=a?uid?sub"
host all all all ldap "ldapurl=ldaps://h/dc=a??one?(uid=$username)"
local all \
all \
trust
# comment \
local all all none
hostt all all all trust
"host" all all all "trust"
host,local all all all trust
local
local all
local all all
host all all
host all all all
host all all 10.0.0.0
host all all 10.0.0.0/33 trust
host all all 10.0.0.0/x trust
host all all 10.0.0.0/ trust
host all all ::/129 trust
host all all 10.0.0.0 trust
host all all 10.0.0.0 ffff:: trust
host all all 10.0.0.0/8,11.0.0.0/8 trust
host all all a.example.com/8 trust
host all all all trsut
host all all all trust,md5
host all all all peer
host all all all cert
hostnossl all all all cert
local all all cert
host all all all md5 10
host all all all md5 map=x
host all all all md5 unknown=x
host all all all md5 clientcert=verify-ca
host all all all md5 clientname=DN
hostssl all all all md5 clientcert=1
hostssl all all all cert clientcert=verify-ca
hostssl all all all cert clientname=X
host all all all md5 pamservice=x
host all all all md5 ldapserver=x
host all all all ldap
host all all all ldap ldapserver=h
host all all all ldap ldapserver=h ldapprefix=a ldapbasedn=b
host all all all ldap ldapserver=h ldapsuffix=a ldapsearchattribute=b
host all all all ldap ldapserver=h ldapbasedn=a ldapsearchattribute=b ldapsearchfilter=c
host all all all ldap ldapserver=h ldapprefix=a ldapport=0
host all all all ldap ldapurl=http://h/a
host all all all bsd
"""
#: Lines that PostgreSQL takes and howdah refuses: each has, in docs/reference/access-files.md, its reason.
STRICTER = """
local samerole all peer
local all +staff peer
host all all all ldap ldapserver=h ldapprefix="unclosed
host all all a.example.com trust
host all all .example.com trust
host all all 10/8 trust
host all all 10.0.0.0 255.0.255.0 trust
hostgssenc all all all trust
host all all all gss
host all all all ident
host all all all pam pam_use_hostname=1
local all all peer map=a map=b
local all all peer map=
hostssl all all all md5 clientname=DN
host all all all ldap ldapserver=h ldapprefix=a ldaptls=yes
host all all all ldap ldapserver=h ldapprefix=a ldapscheme=ldaps ldaptls=1
host all all all ldap ldapserver=h ldapprefix=a ldapport=65536
host all all all ldap ldapbasedn=a
host all all all radius radiusservers=127.0.0.1 radiussecrets=b
"""
FILES = {"names": "one, two # three\n\nfour\n", "nested": "@names five", "missing": ""}
METHODS = {"scram-sha-256": Method.SCRAM, "password": Method.PLAIN}

IDENT = r"""
m root bob
m "John Doe" "b b"
m /^(.*)@x$ \1
m "/^(.*)@x, y$" a\1
m all bob
"a b" root bob # comment
m root \
bob
m
m root
m root a,b
m a,b bob
a,b root bob
m /^( bob
m /a{2,1} bob
m /[b-a] bob
m /*a bob
"""


@pytest.fixture
def files_of(tls_postgres: Postgres) -> Iterator[Postgres]:
    """PostgreSQL 15, whose files are what a test writes, and only looked at: nothing is loaded."""
    kept = {name: (tls_postgres.data / name).read_text() for name in ("pg_hba.conf", "pg_ident.conf")}
    tls_postgres.sql("SELECT 1")  # the session that looks comes before the files change
    for name, text in FILES.items():
        if text:
            tls_postgres.write(name, text)
    yield tls_postgres
    for name, text in kept.items():
        tls_postgres.write(name, text)


def read(path: str) -> str:
    if not FILES.get(path):
        raise FileNotFoundError(path)
    return FILES[path]


def is_wrong(row: tuple[Any, ...]) -> bool:
    """Of some mistakes PostgreSQL 15 shows no more than that there is no rule."""
    return row[-1] is not None or row[1] is None


def wrong_lines(rows: list[tuple[Any, ...]]) -> set[int]:
    return {row[0] for row in rows if is_wrong(row)}


def named(problems: list[Any]) -> set[int]:
    return {int(problem.where.partition(":")[2]) for problem in problems if problem.fatal}


def rules_of(postgres: Postgres, text: str) -> list[tuple[Any, ...]]:
    postgres.write("pg_hba.conf", text)
    return postgres.sql(
        "SELECT line_number, type, database, user_name, address, netmask, auth_method, options, error"
        " FROM pg_hba_file_rules"
    )


def test_the_same_lines_of_an_hba_file_are_wrong(files_of: Postgres) -> None:
    wrong = wrong_lines(rules_of(files_of, HBA))
    numbered = dict(enumerate(HBA.split("\n"), 1))
    ours = named(read_hba("hba", HBA, read).problems)
    assert len(wrong) > 20
    assert {numbered[line] for line in ours} == {numbered[line] for line in wrong}
    assert ours == wrong


def test_the_lines_howdah_alone_refuses_are_known(files_of: Postgres) -> None:
    numbers = {number for number, line in enumerate(STRICTER.split("\n"), 1) if line}
    assert wrong_lines(rules_of(files_of, STRICTER)) == set()
    assert named(read_hba("hba", STRICTER, read).problems) == numbers


def test_the_right_lines_of_an_hba_file_mean_the_same(files_of: Postgres) -> None:
    theirs = [row for row in rules_of(files_of, HBA) if not is_wrong(row)]
    ours = read_hba("hba", HBA, read).lines
    assert [as_postgres_shows(line) for line in ours] == [normal(row) for row in theirs]


def normal(row: tuple[Any, ...]) -> tuple[Any, ...]:
    number, kind, databases, users, address, mask, method, options, _ = row
    kind = "host" if kind == "hostnogssenc" else kind
    where = ip_network(f"{address}/{bits(mask)}", strict=False) if mask else address
    given = {name: value for name, _, value in (option.partition("=") for option in options or [])}
    if method in {"peer", "cert"}:
        given.pop("clientcert", None)
    return number, kind, databases, users, where, method, given


def bits(mask: str) -> int:
    return sum(
        octet.bit_count()
        for octet in (ip_network(mask).network_address.packed if ":" in mask else map(int, mask.split(".")))
    )


def as_postgres_shows(line: HbaLine) -> tuple[Any, ...]:
    rule = line.rule
    (transport,) = rule.transport
    networks: Any = (
        rule.networks[0]
        if rule.networks
        else {Nearby.SAME_HOST: "samehost", Nearby.SAME_NET: "samenet"}.get(
            rule.nearby, None if transport is Transport.LOCAL else "all"
        )
    )
    method = next((name for name, known in METHODS.items() if known is rule.method), rule.method.name.lower())
    options = {name: value for name, value in line.options.items() if name != "clientname"}  # which is not shown
    if rule.method is Method.LDAP:
        options |= ldap_as_postgres_shows(options)
    if rule.method is Method.CERT:
        options.pop("clientcert", None)  # PostgreSQL adds it where it is not given
    number = int(rule.where.partition(":")[2])
    names = [[shown_name(name) for name in kind] for kind in (rule.databases, rule.users)]
    return number, transport.name.lower(), *names, networks, method, options


def ldap_as_postgres_shows(options: dict[str, str]) -> dict[str, str]:
    """The numbers of libldap, and its ports where a URL has none."""
    shown = {"ldapscope": {"base": "0", "one": "1", "sub": "2"}[options.get("ldapscope", "sub")]}
    if "ldapscope" in options:
        shown["ldapport"] = options.get("ldapport", {"ldap": "389", "ldaps": "636"}[options["ldapscheme"]])
    if options.get("ldaptls") == "1":
        shown["ldaptls"] = "true"
    return shown


def shown_name(name: NameMatch) -> str:
    words = {NameKind.ALL: "all", NameKind.SAME_USER: "sameuser", NameKind.REPLICATION: "replication"}
    return words.get(name.kind, name.text)


def test_what_howdah_reads_means_the_same_to_postgres_when_written_down(files_of: Postgres) -> None:
    """So quotes and masks are PostgreSQL's in what the properties of the unit tests are checked with, too."""
    ours = read_hba("hba", HBA, read).lines
    again = rules_of(files_of, written.hba(ours))
    assert wrong_lines(again) == set()
    assert [normal(row)[1:] for row in again] == [as_postgres_shows(line)[1:] for line in ours]


def test_the_same_lines_of_an_ident_file_are_wrong_and_the_others_mean_the_same(files_of: Postgres) -> None:
    files_of.write("pg_ident.conf", IDENT)
    rows = files_of.sql("SELECT line_number, map_name, sys_name, pg_username, error FROM pg_ident_file_mappings")
    ident = read_ident("ident", IDENT)
    assert named(ident.problems) == wrong_lines(rows)
    slash = {NameKind.REGEX: "/"}
    assert [row[1:4] for row in rows if not is_wrong(row)] == [
        (line.map, slash.get(line.system_user.kind, "") + line.system_user.text, line.user.text) for line in ident.lines
    ]


# --- regular expressions

PIECES = [
    "a",
    "b",
    "1",
    "_",
    "-",
    ".",
    "*",
    "+",
    "?",
    "(",
    ")",
    "|",
    "[",
    "]",
    "^",
    "$",
    "{2}",
    "{1,}",
    "{0,1}",
    "{",
    "}",
    "[ab]",
]
PIECES += [
    "[^a]",
    "[a-c]",
    "[\\w-]",
    "[[:digit:]]",
    "[]a]",
    "[^]]",
    "[\\]^]",
    "\\d",
    "\\w",
    "\\W",
    "\\s",
    "\\.",
    "\\A",
    "\\Z",
    "\\-",
]
NAMES = [
    "",
    "a",
    "b",
    "ab",
    "aab",
    "ba",
    "a1",
    "1",
    "a_b",
    "a-b",
    "a.b",
    "]",
    "[",
    "^",
    "{",
    "}",
    "a b",
    "{2}",
    "A",
    "-",
    "$",
    "abc",
]

FIT = """
CREATE OR REPLACE FUNCTION pg_temp.fit(name text, pattern text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN RETURN name ~ pattern; EXCEPTION WHEN invalid_regular_expression THEN RETURN NULL; END $$
"""


def fits(pattern: str, names: list[str]) -> list[bool]:
    """As the data plane does it."""
    libc = ctypes.CDLL(None)
    regex = ctypes.create_string_buffer(256)
    extended, no_groups = 1, 8
    assert libc.regcomp(regex, pattern.encode(), extended | no_groups) == 0, pattern
    found = [libc.regexec(regex, name.encode(), ctypes.c_size_t(0), None, 0) == 0 for name in names]
    libc.regfree(regex)
    return found


def accepted_patterns() -> Iterator[tuple[str, str]]:
    """Patterns of some pieces that howdah takes, and how it spells them."""
    chance = random.Random(1)
    while True:
        pattern = "".join(chance.choices(PIECES, k=chance.randrange(1, 7)))
        try:
            yield pattern, posix(pattern).text
        except ValueError:
            continue


def test_regular_expressions_fit_what_they_fit_in_postgres(files_of: Postgres) -> None:
    patterns = dict(itertools.islice(accepted_patterns(), 1500))
    files_of.sql(FIT)
    rows = files_of.sql(
        "SELECT pattern, array_agg(pg_temp.fit(name, pattern) ORDER BY at)"
        " FROM unnest(%s::text[]) pattern, unnest(%s::text[]) WITH ORDINALITY names(name, at) GROUP BY pattern",
        list(patterns),
        NAMES,
    )
    theirs = dict(rows)
    differing = {pattern: text for pattern, text in patterns.items() if fits(text, NAMES) != theirs[pattern]}
    assert differing == {}
