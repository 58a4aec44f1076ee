"""HBA files: what PostgreSQL's forms come to, and what is said of everything else."""

import time
from collections.abc import Mapping
from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuzz.python import hba as fuzzed
from fuzz.python import written
from howdah.control.auth import lines
from howdah.control.auth.hba import AUTH_TYPES, Hba, HbaLine, read_hba, rules_of_auth_type
from howdah.dataplane.plan import (
    AccessRule,
    ClientCertificate,
    Method,
    NameKind,
    NameMatch,
    Nearby,
    Transport,
)

ALL = NameMatch(NameKind.ALL)


def exact(*names: str) -> tuple[NameMatch, ...]:
    return tuple(NameMatch(NameKind.EXACT, name) for name in names)


def read(text: str, files: Mapping[str, str] | None = None) -> Hba:
    return fuzzed.read({"pg_hba.conf": text, **(files or {})})


def rules(text: str, files: Mapping[str, str] | None = None) -> list[AccessRule]:
    hba = read(text, files)
    assert not hba.problems
    return [line.rule for line in hba.lines]


def rule(text: str, files: Mapping[str, str] | None = None) -> AccessRule:
    (only,) = rules(text, files)
    return only


def complaints(text: str, files: Mapping[str, str] | None = None) -> list[str]:
    hba = read(text, files)
    assert all(problem.fatal for problem in hba.problems)
    return [str(problem) for problem in hba.problems]


def options(text: str) -> Mapping[str, str]:
    hba = read(text)
    assert not hba.problems
    return hba.lines[0].options


# --- lines, fields, words


def test_a_line_becomes_a_rule_that_says_where_it_stands() -> None:
    assert rules("# first\n\nhost app bob 10.0.0.0/8 scram-sha-256\n") == [
        AccessRule(
            "pg_hba.conf:3", (Transport.HOST,), exact("app"), exact("bob"), (ip_network("10.0.0.0/8"),), Nearby.NO,
            Method.SCRAM,
        )
    ]  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        "local app,web bob peer",
        "\ufefflocal app,web bob peer",
        "local\tapp, web\t\tbob  peer # comment",
        "local app,,web bob peer#comment",
        "  local app,web bob peer\r\n",
        'local "app","web" "bob" "peer"',
        'local a"pp",w"e"b "b"ob peer',
        "local app,\\\nweb bob\\\r\n peer",
        'lo\\\ncal app,web "bo\\\nb" peer',
        "local @list bob peer",
        "local @folder/../list bob peer",
        'local @"list" bob peer',
        "include lines",
        "include_if_exists nothing\ninclude_if_exists lines",
    ],
)
def test_the_same_line_can_be_written_in_many_ways(text: str) -> None:
    files = {"list": "\ufeffapp # the app\n\nweb", "lines": "local app,web bob peer"}
    made = rule(text, files)
    assert (made.databases, made.users, made.method) == (exact("app", "web"), exact("bob"), Method.PEER)


def test_a_blank_in_front_of_a_comma_ends_the_field_as_in_postgresql() -> None:
    assert rule("local app ,bob peer").users == exact("bob")


def test_a_comment_that_ends_with_a_backslash_goes_on_as_in_postgresql() -> None:
    assert rules("# no \\\nlocal all all reject\nlocal all all trust")[0].where == "pg_hba.conf:3"


def test_lines_are_numbered_by_where_they_begin() -> None:
    made = rules("local a all \\\npeer\n#\\\n\nlocal b all peer\ninclude x", {"x": "\nlocal c all peer"})
    assert [one.where for one in made] == ["pg_hba.conf:1", "pg_hba.conf:5", "x:2"]


def test_files_are_looked_for_beside_the_one_that_names_them() -> None:
    asked = []

    def missing(path: str) -> str:
        asked.append(path)
        raise FileNotFoundError

    read_hba("/etc/howdah/pg_hba.conf", "local @a @/b peer\ninclude ../c", missing)
    assert asked == ["/etc/howdah/a", "/b", "/etc/c"]


NO_RULES = "pg_hba.conf: has no rules: nobody could log in; add one, as host all all all scram-sha-256"


@pytest.mark.parametrize(
    "text, files, expected",
    [
        ("local @a all peer", {}, 'pg_hba.conf:1: "a": no such file; '),
        ("include a", {}, 'pg_hba.conf:1: "a": no such file; '),
        ("local @a all peer", {"a": "x\n@b", "b": "@a"}, 'b:1: "a" includes itself; '),
        ("include pg_hba.conf", {}, 'pg_hba.conf:1: "pg_hba.conf" includes itself; '),
        ("include_dir d", {}, "pg_hba.conf:1: include_dir is not supported; include the files one by one"),
        ("include a,b", {}, "pg_hba.conf:1: include takes one file; write a line for each"),
        ("local all @a peer", {"a": "x\n+y\n"}, 'a:2: "+y": roles\' members are known to PostgreSQL alone; '),
        ('local "a all peer', {}, "pg_hba.conf:1: a quote is not closed; "),
        ("local a\0 all peer", {}, "pg_hba.conf:1: holds a NUL character; "),
        ("local a\udcff all peer", {}, "pg_hba.conf:1: is not UTF-8; "),
        ("", {}, NO_RULES),
        ("# only this", {}, NO_RULES),
    ],
)
def test_what_is_wrong_with_files_is_said(text: str, files: dict[str, str], expected: str) -> None:
    (complaint,) = complaints(text, files)
    assert complaint.startswith(expected)


def test_files_nest_to_a_depth() -> None:
    chain = {str(depth): f"@{depth + 1}" for depth in range(9)}
    assert rule("local @0 all peer", chain | {"8": "app"}).databases == exact("app")
    (complaint,) = complaints("local @0 all peer", chain | {"9": "app"})
    assert complaint == "8:1: files are nested more than 10 deep; name the file further up"


def test_files_that_multiply_are_stopped() -> None:
    begun = time.process_time()
    files = {str(depth): f"@{depth + 1} " * 20 for depth in range(8)} | {"8": "app " * 20}
    assert any("more than 1,000 files" in complaint for complaint in complaints("local @0 all peer", files))
    assert time.process_time() - begun < 10


def test_lists_that_multiply_are_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "MOST_WORDS", 1_000)
    found = complaints("local @a all peer", {"a": "@b " * 900, "b": "x " * 5000})
    assert found[0] == "b:1: more than 1,000 names; do the files name each other?"


@pytest.mark.parametrize(
    "error, message",
    [
        (PermissionError(13, "Permission denied"), "Permission denied; check its permissions"),
        (ValueError("embedded null byte"), "embedded null byte; check its name"),
    ],
)
def test_a_file_that_cannot_be_read_is_named_with_the_reason(error: Exception, message: str) -> None:
    def refuse(_path: str) -> str:
        raise error

    (problem, *_) = read_hba("h", "include_if_exists x", refuse).problems
    assert str(problem) == f'h:1: "x" cannot be read: {message}'


def test_an_empty_list_of_names_fits_nobody() -> None:
    assert rule("local @nobody all peer", {"nobody": "# nobody yet\n"}).databases == ()


# --- types, names


@pytest.mark.parametrize(
    "word, transport",
    [
        ("host", Transport.HOST),
        ("hostssl", Transport.HOSTSSL),
        ("hostnossl", Transport.HOSTNOSSL),
        ("hostnogssenc", Transport.HOST),
    ],
)
def test_connection_types(word: str, transport: Transport) -> None:
    assert rule(f"{word} all all all reject").transport == (transport,)


def test_names_with_a_meaning_lose_it_in_quotes() -> None:
    made = rule(
        'local all,sameuser,replication,"all","sameuser","replication","samerole","@a" all,"all","+a",sameuser peer'
    )
    assert made.databases[:3] == (ALL, NameMatch(NameKind.SAME_USER), NameMatch(NameKind.REPLICATION))
    assert made.databases[3:] == exact("all", "sameuser", "replication", "samerole", "@a")
    assert made.users == (ALL, *exact("all", "+a", "sameuser"))


def test_quoted_names_hold_anything() -> None:
    assert rule('local "a b,c#""d" "" peer').databases == exact('a b,c#"d')
    assert rule('local all "" peer').users == exact("")


def test_regular_expressions_are_spelled_as_posix_has_them() -> None:
    made = rule(r'local "/^db\d{2,4}$",x "/^[\w.]+$" peer')
    assert made.databases == (NameMatch(NameKind.REGEX, "^db[[:digit:]]{2,4}$"), *exact("x"))
    assert made.users == (NameMatch(NameKind.REGEX, "^[[:alnum:]_.]+$"),)


def test_a_name_no_role_can_have_is_a_warning() -> None:
    hba = read(f"local all {'x' * 64} peer")
    assert [problem.fatal for problem in hba.problems] == [False]
    assert len(hba.lines) == 1


# --- addresses


@pytest.mark.parametrize(
    "text, network",
    [
        ("10.0.0.0/8", "10.0.0.0/8"),
        ("10.0.0.0 255.0.0.0", "10.0.0.0/8"),
        ("10.1.2.3/32", "10.1.2.3/32"),
        ("10.1.2.3 255.255.255.255", "10.1.2.3/32"),
        ("0.0.0.0/0", "0.0.0.0/0"),
        ("0.0.0.0 0.0.0.0", "0.0.0.0/0"),
        ("::1/128", "::1/128"),
        ("::/0", "::/0"),
        ("fe80:: ffff:ffff::", "fe80::/32"),
        ("::ffff:10.0.0.0/104", "::ffff:10.0.0.0/104"),
        ('"10.0.0.0/8"', "10.0.0.0/8"),
    ],
)
def test_networks(text: str, network: str) -> None:
    assert rule(f"host all all {text} md5").networks == (ip_network(network),)


@pytest.mark.parametrize(
    "word, nearby", [("all", Nearby.NO), ("samehost", Nearby.SAME_HOST), ("samenet", Nearby.SAME_NET)]
)
def test_addresses_by_name(word: str, nearby: Nearby) -> None:
    made = rule(f"host all all {word} md5")
    assert (made.networks, made.nearby) == ((), nearby)


@pytest.mark.parametrize("address", ["10.1.2.3/8", "10.1.2.3 255.0.0.0"])
def test_bits_behind_the_mask_are_no_error_as_in_postgresql(address: str) -> None:
    hba = read(f"host all all {address} md5")
    assert hba.lines[0].rule.networks == (ip_network("10.0.0.0/8"),)
    assert [str(problem) for problem in hba.problems] == [
        "pg_hba.conf:1: warning: 10.1.2.3/8 is the whole network 10.0.0.0/8; write it so if it is meant"
    ]


@pytest.mark.parametrize(
    "address, message",
    [
        ("db.example.com", "host names are not supported"),
        (".example.com", "host names are not supported"),
        ("db.example.com/32", "host names are not supported"),
        ('"all"', "host names are not supported"),
        ("10", "is not an IP address"),
        ("10/8", "is not an IP address"),
        ("10.0.0/24", "is not an IP address"),
        ("10.0.0.256/32", "is not an IP address"),
        ("10.0.0.1:5432", "is not an IP address"),
        ("fe80::1%eth0/64", "interfaces cannot be named"),
        ("10.0.0.1", "10.0.0.1 has no mask; write 10.0.0.1/32"),
        ("::1", "::1 has no mask; write ::1/128"),
        ("10.0.0.1/", "behind the slash stands a number of bits"),
        ("10.0.0.0/255.0.0.0", "behind the slash stands a number of bits"),
        ("10.0.0.0/+8", "behind the slash stands a number of bits"),
        ("10.0.0.0/33", "cannot have that mask"),
        ("::/129", "cannot have that mask"),
        ("10.0.0.0 255.0.255.0", "cannot have that mask"),
        ("10.0.0.0 0.0.0.255", "cannot have that mask"),
        (":: 255.0.0.0", "is of another kind"),
        ("10.0.0.1,10.0.0.2", "one address is needed, not 2"),
        ("", "the line has no address before md5"),
    ],
)
def test_what_is_no_address_is_refused(address: str, message: str) -> None:
    (complaint,) = complaints(f"host all all {address} md5")
    assert message in complaint


# --- methods and options


@pytest.mark.parametrize(
    "line, method",
    [
        ("host all all all trust", Method.TRUST),
        ("host all all all reject", Method.REJECT),
        ("host all all all md5", Method.MD5),
        ("host all all all scram-sha-256", Method.SCRAM),
        ("host all all all password", Method.PLAIN),
        ("host all all all plain", Method.PLAIN),
        ("host all all all pam", Method.PAM),
        ("host all all all ldap ldapserver=x ldapprefix=", Method.LDAP),
        ("hostssl all all all cert", Method.CERT),
        ("local all all peer", Method.PEER),
        ("local all all ident", Method.PEER),  # as in PostgreSQL
    ],
)
def test_methods(line: str, method: Method) -> None:
    assert rule(line).method == method


def test_options_of_certificates() -> None:
    made = rule("hostssl all all all scram-sha-256 clientcert=verify-full clientname=DN")
    assert (made.client_certificate, made.distinguished_name) == (ClientCertificate.VERIFY_FULL, True)
    made = rule("hostssl all all all trust clientcert=verify-ca")
    assert (made.client_certificate, made.distinguished_name) == (ClientCertificate.VERIFY_CA, False)
    made = rule('hostssl all all all cert "map=my map" clientname=CN clientcert=verify-full')
    assert (made.map, made.distinguished_name) == ("my map", False)


def test_options_for_pam_and_ldap_are_handed_on() -> None:
    assert options("host all all all pam pamservice=db") == {"pamservice": "db"}
    text = 'ldapserver="a b",ldapport=3389 ldapprefix="cn=" ldapsuffix=", dc=x" ldaptls=1'
    assert options(f"host all all all ldap {text}") == {
        "ldapserver": "a b", "ldapport": "3389", "ldapprefix": "cn=", "ldapsuffix": ", dc=x", "ldaptls": "1",
    }  # fmt: skip


URL_OPTIONS = (
    "ldapscheme",
    "ldapserver",
    "ldapport",
    "ldapbasedn",
    "ldapsearchattribute",
    "ldapscope",
    "ldapsearchfilter",
)


@pytest.mark.parametrize(
    "url, expected",
    [
        ("ldap://h/dc=a", ("ldap", "h", None, "dc=a", None, "base", None)),
        ("ldaps://h:636/dc=a,dc=b?uid?sub", ("ldaps", "h", "636", "dc=a,dc=b", "uid", "sub", None)),
        ("LDAP://[::1]/a%20b??one", ("ldap", "[::1]", None, "a b", None, "one", None)),
        ("ldap://h/dc=a??sub?(uid=$username%3f)", ("ldap", "h", None, "dc=a", None, "sub", "(uid=$username?)")),
    ],
)
def test_an_ldap_url_is_taken_apart(url: str, expected: tuple[str | None, ...]) -> None:
    found = options(f'host all all all ldap "ldapurl={url}"')
    assert tuple(found.get(name) for name in URL_OPTIONS) == expected
    assert set(found) <= set(URL_OPTIONS)


@pytest.mark.parametrize(
    "line, message",
    [
        ("hostsll all all all trust", 'unknown connection type "hostsll"; did you mean hostssl?'),
        ("all all all trust", 'unknown connection type "all"; '),
        ("include a b", 'unknown connection type "include"'),
        ("hostgssenc all all all trust", "hostgssenc never fits"),
        ("local,host all all peer", "one connection type is needed, not 2"),
        ("local", "ends before the database names"),
        ("local all", "ends before the user names"),
        ("host all all", "ends before the address"),
        ("local all all", "ends before the method"),
        ("local samerole all peer", "roles' members"),
        ("local samegroup all peer", "roles' members"),
        ("local all +staff peer", "roles' members"),
        ("local /a( all peer", 'the regular expression "a(": a ( is not closed'),
        ("local all / peer", "the regular expression is empty"),
        ("local all all 127.0.0.1/32 trust", "local lines have no address"),
        ("local all all samehost trust", "local lines have no address"),
        ("host all all all trsut", 'unknown method "trsut"; did you mean trust?'),
        ("host all all all SCRAM-SHA-256", "unknown method"),
        ("host all all all md5,trust", "one method is needed, not 2"),
        ("host all all all ident", "the method ident is not supported"),
        ("host all all all gss", "the method gss is not supported"),
        ("host all all all peer", "peer is for local lines"),
        ("host all all all cert", "cert is for hostssl lines"),
        ("host all all all md5 10", '"10" is not an option of the form name=value'),
        ("host all all all md5 map", "write map=VALUE"),
        ("host all all all md5 map=x", "the option map belongs to the method cert and peer"),
        ("local all all peer map=x map=y", "map is given twice"),
        ("local all all peer map=", "map has no value"),
        ("local all all peer pamservce=x", 'unknown option "pamservce"; did you mean pamservice?'),
        ("host all all all pam pam_use_hostname=1", "pam_use_hostname is not supported"),
        ("host all all all md5 krb_realm=X", "GSSAPI and SSPI are not supported"),
        ("host all all all md5 clientcert=verify-ca", "clientcert is for hostssl lines"),
        ("hostssl all all all md5 clientcert=1", 'clientcert cannot be "1"; it is verify-ca or verify-full'),
        ("hostssl all all all md5 clientname=DN", "clientname says how to compare a name"),
        ("hostssl all all all cert clientname=X", 'clientname cannot be "X"; it is CN or DN'),
        ("hostssl all all all cert clientcert=verify-ca", "the method cert always compares names"),
        ("host all all all md5 ldapserver=x", "the option ldapserver belongs to the method ldap"),
        ("host all all all ldap ldapprefix=a", "needs ldapserver or ldapurl"),
        ("host all all all ldap ldapserver=a", "needs ldapprefix or ldapsuffix (simple bind), or ldapbasedn (search)"),
        ("host all all all ldap ldapserver=a ldapprefix=b ldapbinddn=c", "ldapprefix (simple bind) and ldapbinddn"),
        (
            "host all all all ldap ldapserver=a ldapbasedn=b ldapsearchattribute=c ldapsearchfilter=d",
            "ldapsearchattribute and ldapsearchfilter exclude each other",
        ),
        ("host all all all ldap ldapserver=a ldapprefix=b ldapport=0", 'ldapport cannot be "0"'),
        ("host all all all ldap ldapserver=a ldapprefix=b ldapport=65536", "a number from 1 to 65535"),
        ("host all all all ldap ldapserver=a ldapprefix=b ldapscheme=ldaps ldaptls=1", "exclude each other"),
        ("host all all all ldap ldapserver=a ldapprefix=b ldaptls=yes", 'ldaptls cannot be "yes"; it is 0 or 1'),
        ("host all all all ldap ldapurl=ldap://h/a ldapserver=b", "ldapurl and ldapserver say the same thing"),
        ("host all all all ldap ldapurl=http://h/a", "ldapurl begins with ldap:// or ldaps://"),
        ("host all all all ldap ldapurl=ldap:///a", "ldapurl has no host"),
        ("host all all all ldap ldapurl=ldap://h:x/a", "or a port that is none"),
        ("host all all all ldap ldapurl=ldap://h/a?b?c", 'the scope of ldapurl cannot be "c"'),
        ('host all all all ldap "ldapurl=ldap://h/a?b,c"', "more than one attribute"),
        ("host all all all ldap ldapurl=ldap://h/a????x", "extensions are not supported"),
        ("host all all all ldap ldapurl=ldap://u@h/a", "ldapurl has no host"),
    ],
)
def test_a_mistake_is_named_with_its_line_and_a_way_out(line: str, message: str) -> None:
    (complaint,) = complaints(f"local all all peer\n\n{line}\n")
    assert complaint.startswith("pg_hba.conf:3: ")
    assert message in complaint
    assert ";" in complaint, "no advice"


def test_all_mistakes_are_named_at_once() -> None:
    found = complaints("local all +a trsut\nhost samerole all 10/8 gss\nhost all all all md5 clientcert=x map=y\nfoo")
    assert [complaint.partition(": ")[0] for complaint in found] == [
        f"pg_hba.conf:{line}" for line in (1, 1, 2, 2, 2, 3, 3, 4)
    ]


def test_a_message_shows_nothing_a_terminal_would_obey() -> None:
    (complaint,) = complaints("\x1b[2Jlocal all all peer")
    assert '"\\x1b[2Jlocal"' in complaint


def test_passwords_in_options_are_not_shown() -> None:
    line = 'host all all all ldap ldapserver=a ldapbasedn=b ldapbinddn=c ldapbindpasswd="s3cret"'
    assert "s3cret" not in repr(read(line))
    assert not any("s3cret" in complaint for complaint in complaints(f"{line} {line.rsplit(maxsplit=1)[-1]} ldaptls=s"))


def test_a_file_that_is_something_else_gives_a_bounded_list_of_problems() -> None:
    hba = read("some text\n" * 250)
    assert len(hba.problems) == 100
    assert "151 more problems" in hba.problems[-1].message


# --- auth_type


@pytest.mark.parametrize(
    "options",
    [
        "ldapbindpasswd=my topsecret", "ldapbindpasswd topsecret", "ldapbindpasswd=my,topsecret",
        "ldapbindpasswd=my topsecret=x", "ldapbindpaswd=my topsecret", '"ldapbindpasswd topsecret"',
        "LDAPBINDPASSWD=my topsecret", "ldapbindpasswd=my top secret ldaptls=1 topsecret",
    ],
)  # fmt: skip
def test_pieces_of_a_password_are_never_shown(options: str) -> None:
    """Quotes are easily forgotten, and faults go to the log."""
    told = complaints(f"host all all all ldap ldapserver=a ldapbasedn=b {options}")
    with pytest.raises(ValueError, match="ldapbindp") as raised:
        rules_of_auth_type("ldap", f"ldapserver=a ldapbasedn=b {options}")
    assert any("stands in double quotes" in text for text in told)
    assert "secret" not in str([*told, raised.value])


@pytest.mark.parametrize("auth_type", [name for name in AUTH_TYPES if name not in {"any", "cert", "ldap"}])
def test_an_auth_type_is_one_rule_for_everybody(auth_type: str) -> None:
    (line,) = rules_of_auth_type(auth_type, "")
    method = rule(f"host all all all {auth_type}").method
    everywhere = (Transport.LOCAL, Transport.HOST)
    everything = (ALL, NameMatch(NameKind.REPLICATION))
    assert line == HbaLine(AccessRule("auth_type", everywhere, everything, (ALL,), (), Nearby.NO, method), {})


def test_auth_type_any_lets_in_who_is_not_known() -> None:
    (line,) = rules_of_auth_type("any", "")
    assert (line.rule.method, line.rule.any_user) == (Method.TRUST, True)


def test_auth_type_cert_is_for_tls() -> None:
    (line,) = rules_of_auth_type("cert", "")
    assert (line.rule.method, line.rule.transport) == (Method.CERT, (Transport.HOSTSSL,))


def test_auth_type_ldap_has_the_options_of_an_hba_line() -> None:
    text = 'ldapserver=a ldapprefix="cn=" ldapsuffix=", dc=b"'
    (line,) = rules_of_auth_type("ldap", text)
    assert line.rule.method == Method.LDAP
    assert line.options == options(f"host all all all ldap {text}")


@pytest.mark.parametrize(
    "auth_type, ldap_options, message",
    [
        ("ldap", "", "needs ldapserver or ldapurl"),
        ("ldap", "ldapserver=a ldapprefix=b map=c", "the option map belongs to"),
        ("ldap", 'ldapserver="a', "a quote is not closed"),
        ("ldap", "@options", "no files are read here"),
        ("ldap", "ldapserver=a clientcert=verify-ca ldapprefix=", "clientcert is for hostssl lines"),
        ("hba", "", "hba is no auth_type"),
        ("peer", "", "peer is no auth_type"),
        ("", "", "is no auth_type"),
    ],
)
def test_a_wrong_auth_type_is_an_error(auth_type: str, ldap_options: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        rules_of_auth_type(auth_type, ldap_options)


# --- anything

NAMES = st.text(st.characters(exclude_characters="\0\n\f", exclude_categories=["Cs"]), max_size=15)
MATCHES = st.one_of(
    NAMES.filter(lambda name: not name.startswith("/")).map(lambda name: NameMatch(NameKind.EXACT, name)),
    st.sampled_from([ALL, NameMatch(NameKind.REGEX, "^a[[:digit:]]+$"), NameMatch(NameKind.REGEX, '(,"| )')]),
)
DATABASES = MATCHES | st.sampled_from([NameMatch(NameKind.SAME_USER), NameMatch(NameKind.REPLICATION)])
NETWORKS = (st.ip_addresses(v=4) | st.ip_addresses(v=6)).flatmap(
    lambda address: st.integers(0, address.max_prefixlen).map(
        lambda bits: ip_network(f"{address}/{bits}", strict=False)
    )
)
ADDRESSES = NETWORKS.map(lambda network: ((network,), Nearby.NO)) | st.sampled_from(list(Nearby)).map(
    lambda kind: ((), kind)
)
VALUES = NAMES.filter(bool)


@st.composite
def hba_lines(draw: st.DrawFn) -> HbaLine:
    transport = draw(st.sampled_from(list(Transport)))
    databases, users = (tuple(draw(st.lists(kind, max_size=4))) for kind in (DATABASES, MATCHES))
    networks, nearby = ((), Nearby.NO) if transport is Transport.LOCAL else draw(ADDRESSES)
    methods = set(Method) - ({Method.PEER} if transport is not Transport.LOCAL else set())
    method = draw(st.sampled_from(sorted(methods - ({Method.CERT} if transport is not Transport.HOSTSSL else set()))))
    certificate = ClientCertificate.NO
    options: dict[str, str] = {}
    if method in {Method.CERT, Method.PEER} and draw(st.booleans()):
        options["map"] = draw(VALUES)
    if method is Method.PAM and draw(st.booleans()):
        options["pamservice"] = draw(VALUES)
    if method is Method.LDAP:
        options |= draw(
            st.fixed_dictionaries({"ldapserver": VALUES, "ldapprefix": NAMES}, optional={"ldaptls": st.just("1")})
        )
    if transport is Transport.HOSTSSL and draw(st.booleans()):
        certificate = ClientCertificate.VERIFY_FULL
        options["clientcert"] = "verify-full"
    by_name = bool(certificate) and draw(st.booleans())
    if by_name:
        options["clientname"] = "DN"
    rule = AccessRule(
        "", (transport,), databases, users, networks, nearby, method, client_certificate=certificate,
        map=options.get("map", ""), distinguished_name=by_name,
    )  # fmt: skip
    return HbaLine(rule, options)


@given(st.lists(hba_lines(), min_size=1))
def test_any_rules_written_down_are_read_as_they_are(made: list[HbaLine]) -> None:
    hba = read(written.hba(made), {written.EMPTY_FILE: ""})
    assert not [problem for problem in hba.problems if problem.fatal]
    assert fuzzed.unplaced(hba.lines) == made


WORDS = [
    "local", "host", "hostssl", "include", "all", "sameuser", "samerole", "+a", "@a", "@b", "/^a$", "/(",
    '"a', '"', '""',
    "10.0.0.0/8", "255.0.0.0", "::1", "samenet", "md5", "trust", "peer", "cert", "ldap", "map=x",
    "clientcert=verify-full",
    "ldapserver=a", "ldapurl=ldap://a/b", "ldapprefix=c", "#", ",", "\\", "\f", "\n", "\n", "\r", "\0", "ä", "\ud800",
]  # fmt: skip


@given(
    st.binary() | st.lists(st.sampled_from(WORDS)).map(lambda words: " ".join(words).encode("utf-8", "surrogatepass"))
)
def test_no_input_raises_and_every_problem_has_its_line(data: bytes) -> None:
    fuzzed.check(data)
