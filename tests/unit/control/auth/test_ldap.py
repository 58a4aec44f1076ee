"""LDAP against a real slapd: both ways to bind, TLS, and names and passwords that try to be more than that."""

import threading
from collections.abc import Iterator

import pytest

from howdah.control.auth import ldap
from howdah.control.auth.answer import Answer, allowed
from howdah.control.auth.hba import rules_of_auth_type
from howdah.control.auth.ldap import LdapSource, check, escaped_in_filter, escaped_in_name, ldap_source
from howdah.dataplane.rows import AuthVerdict
from tests.kit.certs import Certificates
from tests.kit.ports import take_port
from tests.kit.slapd import BASE, PASSWORDS, PEOPLE, READER, Slapd

ALLOWED, DENIED, UNAVAILABLE = AuthVerdict.ALLOWED, AuthVerdict.DENIED, AuthVerdict.UNAVAILABLE


def simple(directory: Slapd, **more: str) -> LdapSource:
    return ldap_source(directory.options(ldapprefix="uid=", ldapsuffix=f",{PEOPLE}") | more)


def searching(directory: Slapd, **more: str) -> LdapSource:
    return ldap_source(directory.search_options() | more)


@pytest.fixture(params=["simple", "search"])
def source(request: pytest.FixtureRequest, directory: Slapd) -> LdapSource:
    """Both ways to bind."""
    return simple(directory) if request.param == "simple" else searching(directory)


@pytest.mark.parametrize("user", PASSWORDS)
def test_the_right_password_lets_in(source: LdapSource, user: str) -> None:
    password = PASSWORDS[user].encode()
    assert check(source, user, password) == allowed(password)


@pytest.mark.parametrize("user", [*PASSWORDS, "nobody"])
def test_a_wrong_password_and_an_unknown_user_are_denied(source: LdapSource, user: str) -> None:
    assert check(source, user, b"wrong").verdict == DENIED


def test_an_empty_password_is_denied_although_the_server_would_bind(directory: Slapd, source: LdapSource) -> None:
    import ldap as library

    connection = library.initialize(source.uris)
    connection.simple_bind_s(f"uid=alice,{PEOPLE}", "")  # the trap is set: raises nothing
    connection.unbind_ext()
    assert check(source, "alice", b"").verdict == DENIED


@pytest.mark.parametrize(
    "user",
    [
        f"alice,{PEOPLE}",  # the whole name, so that the suffix goes elsewhere
        "alice+cn=P",
        "alice,ou=people",
        "alice\\",
        "#616c696365",
        "alice)(uid=*",
        "*",
        "ali*",
        "alice\\2a",
        "(",
        "\\",
        "a/b",
        "$username",
    ],
)
def test_names_that_try_to_be_more_are_nobody(source: LdapSource, user: str) -> None:
    assert check(source, user, b"wonderland").verdict == DENIED


def test_a_user_who_is_there_twice_is_denied(directory: Slapd) -> None:
    answer = check(searching(directory), "dup", b"one")
    assert answer.verdict == DENIED and "several LDAP entries" in answer.message


def test_a_search_stays_below_its_base(directory: Slapd) -> None:
    assert check(searching(directory, ldapbasedn=PEOPLE), "dup", b"one").verdict == ALLOWED
    assert check(searching(directory, ldapbasedn=f"ou=guests,{BASE}"), "alice", b"wonderland").verdict == DENIED


@pytest.mark.parametrize(
    "query, verdict",
    [
        ("?uid?sub", ALLOWED),
        ("?uid?one", DENIED),
        ("?uid", DENIED),  # a URL's scope is base unless it says another
        ("??sub?(&(objectClass=inetOrgPerson)(uid=$username))", ALLOWED),
        ("??sub?(&(objectClass=device)(uid=$username))", DENIED),
        ("?cn?sub", DENIED),
    ],
)
def test_urls_say_what_to_search(directory: Slapd, query: str, verdict: AuthVerdict) -> None:
    reader = f'ldapbinddn="{READER}" ldapbindpasswd="reader\'s secret"'
    url = f'ldapurl="ldap://{directory.host}:{directory.port}/{BASE}{query}"'
    (line,) = rules_of_auth_type("ldap", f"{url} {reader}")
    assert check(ldap_source(line.options), "alice", b"wonderland").verdict == verdict


def test_a_wrong_password_of_the_searcher_is_no_fault_of_the_user(directory: Slapd) -> None:
    answer = check(searching(directory, ldapbindpasswd="wrong"), "alice", b"wonderland")
    assert answer.verdict == UNAVAILABLE
    assert READER in answer.message and "wrong" not in answer.message


def test_a_base_that_is_not_there_is_no_fault_of_the_user(directory: Slapd) -> None:
    answer = check(searching(directory, ldapbasedn=f"ou=nowhere,{BASE}"), "alice", b"wonderland")
    assert answer.verdict == UNAVAILABLE and "ldapbasedn" in answer.message


@pytest.mark.parametrize("kind", ["starttls", "ldaps"])
def test_tls_both_ways(directory: Slapd, kind: str) -> None:
    more = {"ldaptls": "1"} if kind == "starttls" else {"ldapscheme": "ldaps", "ldapport": str(directory.tls_port)}
    assert check(simple(directory, **more), "alice", b"wonderland") == allowed(b"wonderland")
    assert check(searching(directory, **more), "alice", b"wrong").verdict == DENIED


@pytest.fixture
def impostor(directory: Slapd, certificates: Certificates) -> Iterator[Slapd]:
    """A server whose certificate nobody signed whom we trust."""
    slapd = Slapd(certificates, certificates.server_of_wrong_authority)
    yield slapd.start()
    slapd.remove()


def test_a_server_with_a_wrong_certificate_is_not_asked(impostor: Slapd) -> None:
    assert check(simple(impostor), "alice", b"wonderland").verdict == ALLOWED  # without TLS it is as good as any
    assert check(simple(impostor, ldaptls="1"), "alice", b"wonderland").verdict == UNAVAILABLE
    answer = check(simple(impostor, ldapscheme="ldaps", ldapport=str(impostor.tls_port)), "alice", b"wonderland")
    assert answer.verdict == UNAVAILABLE and "TLS_CACERT" in answer.message


def test_the_next_server_is_asked_when_the_first_is_down(directory: Slapd) -> None:
    source = simple(directory, ldapserver="127.0.0.2 127.0.0.1")
    assert source.uris == f"ldap://127.0.0.2:{directory.port} ldap://127.0.0.1:{directory.port}"
    assert check(source, "alice", b"wonderland") == allowed(b"wonderland")


def test_a_server_that_is_down_is_named() -> None:
    pytest.importorskip("ldap", reason="python-ldap is not installed")
    port = take_port()
    answer = check(ldap_source({"ldapserver": "127.0.0.1", "ldapport": str(port), "ldapprefix": "uid="}), "alice", b"x")
    assert answer.verdict == UNAVAILABLE and f"ldap://127.0.0.1:{port}" in answer.message


def test_a_server_that_does_not_answer_is_given_up(directory: Slapd, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ldap, "REQUEST_S", 0.2)
    monkeypatch.setattr(ldap, "CONNECT_S", 0.2)
    directory.freeze()
    for source in (simple(directory), searching(directory), simple(directory, ldaptls="1")):
        answer = check(source, "alice", b"wonderland")
        assert answer.verdict == UNAVAILABLE and "no answer within 0.2 s" in answer.message


def test_other_threads_run_while_one_waits_for_the_server(directory: Slapd, monkeypatch: pytest.MonkeyPatch) -> None:
    """The event loop is one of them."""
    directory.freeze()
    answers: list[Answer] = []
    asking = threading.Thread(target=lambda: answers.append(check(simple(directory), "alice", b"wonderland")))
    asking.start()
    assert not answers  # reached at all only if the interpreter is not held
    directory.thaw()
    asking.join(30)
    assert answers == [allowed(b"wonderland")]


@pytest.mark.parametrize(
    "options, uris",
    [
        ({"ldapserver": "a"}, "ldap://a:389"),
        ({"ldapserver": "a", "ldapscheme": "ldaps"}, "ldaps://a:636"),
        ({"ldapserver": "a b", "ldapport": "3389"}, "ldap://a:3389 ldap://b:3389"),
        ({"ldapserver": "::1 [::2]"}, "ldap://[::1]:389 ldap://[::2]:389"),
    ],
)
def test_servers_become_urls(options: dict[str, str], uris: str) -> None:
    assert ldap_source(options).uris == uris


def test_the_attribute_is_uid_unless_another_is_named() -> None:
    assert ldap_source({"ldapbasedn": "x"}).filter == "(uid=$username)"
    assert ldap_source({"ldapsearchattribute": "cn"}).filter == "(cn=$username)"
    assert ldap_source({"ldapsearchfilter": "(|(uid=$username)(mail=$username))"}).filter.count("$username") == 2


def test_names_of_windows_are_left_as_they_are() -> None:
    source = ldap_source({"ldapprefix": "ACME\\", "ldapsuffix": ""})
    assert ldap._name_of(source, "o'neil") == "ACME\\o'neil"
    assert ldap._name_of(ldap_source({"ldapsuffix": "@acme.example"}), "alice") == "alice@acme.example"


def test_passwords_do_not_show_in_what_is_printed() -> None:
    assert "hush" not in repr(ldap_source({"ldapbindpasswd": "hush"}))


@pytest.mark.parametrize(
    "value, escaped",
    [
        ("alice", "alice"),
        ('a,b+c"d\\e<f>g;h=i', 'a\\,b\\+c\\"d\\\\e\\<f\\>g\\;h\\=i'),
        (" a ", "\\ a\\ "),
        ("#a", "\\#a"),
        (" ", "\\ "),
        ("  ", "\\ \\ "),
        ("a\0b", "a\\00b"),
        ("ä", "ä"),
    ],
)
def test_values_in_names_are_escaped_as_rfc_4514_says(value: str, escaped: str) -> None:
    assert escaped_in_name(value) == escaped
    library = pytest.importorskip("ldap.dn", reason="python-ldap is not installed")
    ((kind, read, _),), *rest = library.str2dn(f"uid={escaped_in_name(value)},dc=x")
    assert (kind, read, len(rest)) == ("uid", value, 1)


def test_values_in_filters_are_escaped_as_rfc_4515_says() -> None:
    assert escaped_in_filter("a*(b)\\c\0d") == "a\\2a\\28b\\29\\5cc\\00d"
