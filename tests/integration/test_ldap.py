"""LDAP through the pooler, from HBA lines and auth_type: who gets in, and that nobody waits who need not."""

import contextlib
from collections.abc import Iterator

import pytest

from tests.kit import wire
from tests.kit.client import Client
from tests.kit.deadline import wait_until
from tests.kit.fix_logins import GuardedPooler, refused
from tests.kit.slapd import BASE, PASSWORDS, PEOPLE, READER, READER_PASSWORD, Slapd

PASSWORD = PASSWORDS["alice"]


def simple(directory: Slapd) -> str:
    return f'ldapserver={directory.host} ldapport={directory.port} ldapprefix="uid=" ldapsuffix=",{PEOPLE}"'


def searching(directory: Slapd) -> str:
    url = f"ldap://{directory.host}:{directory.port}/{BASE}?uid?sub"
    return f'ldapurl="{url}" ldapbinddn="{READER}" ldapbindpasswd="{READER_PASSWORD}"'


@pytest.fixture(params=["simple", "search", "starttls", "ldaps", "auth_type"])
def asking(
    request: pytest.FixtureRequest, guarded: GuardedPooler, directory: Slapd, monkeypatch: pytest.MonkeyPatch
) -> GuardedPooler:
    """A running pooler that asks slapd, in each of the ways there are."""
    monkeypatch.setenv("LDAPTLS_CACERT", str(directory.ca))
    options = {
        "simple": simple(directory),
        "search": searching(directory),
        "starttls": f"{simple(directory)} ldaptls=1",
        "ldaps": simple(directory).replace(str(directory.port), str(directory.tls_port)) + " ldapscheme=ldaps",
        "auth_type": searching(directory),
    }[request.param]
    if request.param == "auth_type":
        guarded.settings |= {"auth_type": "ldap", "auth_ldap_options": options}
    else:
        guarded.use_hba(f"host app all all ldap {options}\n")
    guarded.run()
    return guarded


def test_users_of_the_directory_get_in_and_nobody_else(asking: GuardedPooler) -> None:
    with Client(asking.address) as client:
        client.log_in(user="alice", database="app", password=PASSWORD)
        assert client.query("SELECT current_user").value == "alice"
    for user, password in (("alice", "wrong"), ("nobody", PASSWORD), ("alice", ""), ("*", PASSWORD)):
        with Client(asking.address) as client:
            error = refused(client, password, user=user, database="app")
        assert (error.sqlstate, error.fields["M"]) == ("28P01", f'password authentication failed for user "{user}"')


def test_a_directory_that_is_down_is_named(guarded: GuardedPooler, directory: Slapd) -> None:
    guarded.use_hba(f"host app all all ldap {simple(directory)}\n")
    guarded.run()
    directory.stop()
    with Client(guarded.address) as client:
        error = refused(client, PASSWORD, user="alice", database="app")
    assert (error.sqlstate, error.fields["M"]) == ("08006", "authentication is not available now: LDAP")
    guarded.wait_until_told("LDAP", f"LDAP: ldap://{directory.host}:{directory.port}: Can't contact LDAP server")


def test_a_password_of_the_directory_opens_the_server_too(guarded: GuardedPooler, directory: Slapd) -> None:
    """PostgreSQL asks for a password; that it is the directory's is its own business."""
    guarded.users = {"pgbouncer": guarded.users["pgbouncer"]}
    guarded.postgres.set_password("alice", PASSWORD)
    guarded.add_database("by_scram")
    guarded.use_hba(f"host by_scram all all ldap {simple(directory)}\n")
    try:
        guarded.run()
        with Client(guarded.address) as client:
            client.log_in(user="alice", database="by_scram", password=PASSWORD)
            assert client.query("SELECT current_user").value == "alice"
    finally:
        guarded.postgres.set_password("alice", guarded.passwords["alice"])


@contextlib.contextmanager
def logging_in(pooler: GuardedPooler, *users: str) -> Iterator[list[Client]]:
    """Clients that have sent their passwords and wait."""
    with contextlib.ExitStack() as stack:
        clients = []
        for user in users:
            client = stack.enter_context(Client(pooler.address))
            client.send(wire.startup(wire.PROTOCOL_3_0, user=user, database="app"))
            assert client.read().tag == "R"
            client.send(wire.password_message(PASSWORD))
            clients.append(client)
        yield clients


def test_while_the_directory_hangs_others_log_in_and_those_beyond_the_queue_are_told(
    guarded: GuardedPooler, directory: Slapd
) -> None:
    guarded.use_hba(f"host app bob all trust\nhost app all all ldap {simple(directory)}\n")
    guarded.run_with(auth_queue=2, auth_threads=1)
    directory.freeze()
    with logging_in(guarded, "alice", "carol", "dora") as (alice, _, dora):
        error = dora.read()
        assert (error.tag, error.fields["C"], error.fields["M"]) == ("E", "53300", "too many logins wait for LDAP")
        with Client(guarded.address) as bob:
            bob.log_in(user="bob", database="app", password="")
            assert bob.query("SELECT 1").value == "1"
        directory.thaw()
        assert alice.read().tag == "R"  # AuthenticationOk


def test_a_stop_does_not_wait_for_a_directory_that_hangs(guarded: GuardedPooler, directory: Slapd) -> None:
    guarded.use_hba(f"host app all all ldap {simple(directory)}\n")
    guarded.run_with(auth_threads=1, shutdown_timeout=0)
    directory.freeze()
    with logging_in(guarded, "alice"):
        wait_until(lambda: "login" in {row["state"] for row in guarded.admin("SHOW CLIENTS")}, "alice to wait")
        guarded.finish(within=10)
