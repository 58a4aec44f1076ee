"""Access rules of an HBA file: PostgreSQL and howdah read the same lines and must decide the same."""

from dataclasses import dataclass

import pytest

from tests.kit import wire
from tests.kit.client import Client
from tests.kit.deadline import wait_until
from tests.kit.fix_logins import PASSWORDS, GuardedPooler, refused
from tests.kit.ports import ipv6_works
from tests.kit.postgres import Postgres
from tests.kit.tls_client import TlsClient

LISTS = {"names_of_databases": "app, alice\n# a comment\n", "names_of_users": "alice\nbob carol\n"}


@dataclass(frozen=True)
class Attempt:
    """Somebody who wants in: through "127.0.0.1", "::1", "unix", or "tls" (to 127.0.0.1)."""

    user: str
    database: str
    through: str = "127.0.0.1"

    def result(self, host: str, port: int, socket_path: str) -> str:
        """How the first answer begins: trusted, asked for something, or refused."""
        client: Client
        if self.through == "unix":
            client = Client(socket_path)
        elif self.through == "tls":
            client = TlsClient((host, port))
            client.start_tls()
        else:
            client = Client((self.through, port))
        client.send(wire.startup(user=self.user, database=self.database))
        reply = client.read()
        client.vanish()
        return reply.sqlstate if reply.tag == "E" else f"R {reply.authentication}"


USERS, DATABASES = ("alice", "bob", "dora"), ("app", "other", "alice")
EVERYBODY = [Attempt(user, database) for user in USERS for database in DATABASES]
EVERYWHERE = [Attempt("alice", "app", through) for through in ("127.0.0.1", "::1", "unix", "tls")]

CASES = {
    "nothing": ("", EVERYBODY),
    "the first line decides": ("host app alice all reject\nhost app all all trust\nhost all all all md5", EVERYBODY),
    "the first line decides, not the best": ("host all all all reject\nhost app alice 127.0.0.1/32 trust", EVERYBODY),
    "one user": ("host all alice all trust", EVERYBODY),
    "lists": ("host app,other alice,bob all trust", EVERYBODY),
    "lists with blanks": ("host app, other  alice, bob all trust", EVERYBODY),
    "sameuser": ("host sameuser all all trust", EVERYBODY),
    "sameuser among others": ("host sameuser,app all all trust", EVERYBODY),
    "replication is no database": ("host replication all all trust\nhost app all all password", EVERYBODY),
    "names in quotes": ('host "app" "alice" all trust', EVERYBODY),
    "a keyword in quotes is a name": ('host "all" all all trust\nhost all "all" all trust', EVERYBODY),
    "sameuser in quotes": ('host "sameuser" all all trust', EVERYBODY),
    "case matters": ("host APP all all trust\nhost all Alice all trust", EVERYBODY),
    "files": ("host @names_of_databases @names_of_users all trust", EVERYBODY),
    "files among others": ("host other,@names_of_databases dora,@names_of_users all trust", EVERYBODY),
    "comments": ("# host all all all trust\nhost app all all trust # host all all all reject\n\n   \n", EVERYBODY),
    "tabs": ("host\tapp\t\tall all\ttrust", EVERYBODY),
    "continued lines": ("host app alice \\\nall trust\nhost other \\\n  bob all \\\n trust", EVERYBODY),
    "methods": (
        "host app alice all scram-sha-256\nhost app bob all md5\nhost app dora all password\nhost other all all md5",
        EVERYBODY,
    ),
    "all addresses": ("host all all all trust", EVERYWHERE),
    "IPv4 loopback": ("host all all 127.0.0.1/32 trust", EVERYWHERE),
    "IPv4 network": ("host all all 127.0.0.0/8 trust", EVERYWHERE),
    "all of IPv4": ("host all all 0.0.0.0/0 trust", EVERYWHERE),
    "all of IPv6": ("host all all ::/0 trust", EVERYWHERE),
    "IPv6 loopback": ("host all all ::1/128 trust", EVERYWHERE),
    "another network": ("host all all 10.0.0.0/8 trust\nhost all all fe80::/10 trust", EVERYWHERE),
    "half of the addresses": ("host all all 128.0.0.0/1 reject\nhost all all 0.0.0.0/1 trust", EVERYWHERE),
    "address and mask": ("host all all 127.0.0.1 255.255.255.255 trust", EVERYWHERE),
    "address and wide mask": ("host all all 127.0.0.0 255.0.0.0 trust", EVERYWHERE),
    "IPv6 address and mask": (
        "host all all ::1 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff trust", EVERYWHERE
    ),
    "samehost": ("host all all samehost trust", EVERYWHERE),
    "samenet": ("host all all samenet trust", EVERYWHERE),
    "local": ("local all all trust", EVERYWHERE),
    "local is not host": ("host all all all trust", [Attempt("alice", "app", "unix")]),
    "hostssl": ("hostssl all all all trust", EVERYWHERE),
    "hostnossl": ("hostnossl all all all trust", EVERYWHERE),
    "hostssl first": ("hostssl all all all password\nhost all all all trust\nlocal all all reject", EVERYWHERE),
    "hostnogssenc is everybody": ("hostnogssenc all all all password", EVERYWHERE),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_decisions(guarded: GuardedPooler, tls_postgres: Postgres, case: str) -> None:
    lines, attempts = CASES[case]
    attempts = [one for one in attempts if one.through != "::1" or ipv6_works()]
    for name, text in LISTS.items():
        tls_postgres.write(name, text)
        (guarded.folder / name).write_text(text)
    tls_postgres.let_in(*lines.split("\n"))
    wanted = {one: one.result(tls_postgres.host, tls_postgres.port, tls_postgres.socket_path) for one in attempts}
    tls_postgres.let_in("host all all all trust")

    guarded.offer_tls("allow")
    guarded.use_hba(lines)
    guarded.add_database("*")
    # bob's secret is md5 in PostgreSQL; with a password howdah would rightly do more.
    guarded.users["bob"]["password"] = tls_postgres.secret("bob")
    guarded.users["alice"]["password"] = tls_postgres.secret("alice")
    guarded.users["dora"]["password"] = tls_postgres.secret("dora")
    guarded.run_with(listen_addr=["127.0.0.1", "::1"] if ipv6_works() else ["127.0.0.1"])
    got = {one: one.result("127.0.0.1", guarded.port, guarded.socket_path) for one in attempts}
    assert got == wanted


def test_regular_expressions(guarded: GuardedPooler) -> None:
    """PostgreSQL has them from 16 on: a name that begins with a slash."""
    guarded.use_hba("host /^ap /^(al|b) all trust\nhost all all all reject\n")
    guarded.add_database("*")
    guarded.run()
    assert Attempt("alice", "app").result("127.0.0.1", guarded.port, "") == "R 0"
    assert Attempt("bob", "app").result("127.0.0.1", guarded.port, "") == "R 0"
    assert Attempt("dora", "app").result("127.0.0.1", guarded.port, "") == "28000"
    assert Attempt("alice", "other").result("127.0.0.1", guarded.port, "") == "28000"


def test_the_refusal_says_who_and_the_log_says_which_line(guarded: GuardedPooler) -> None:
    guarded.use_hba("# only carol\nhost app carol all trust\nhost app bob all reject\n")
    guarded.run()
    for user in ("alice", "bob"):
        with guarded.stranger() as client:
            error = refused(client, user=user, database="app")
        assert error.sqlstate == "28000"
        assert user in error.fields["M"]
    assert len(guarded.wait_for_log("auth_rejected", count=2)) == 2


TYPOS = {
    "a method nobody knows": "host all all all scram",
    "a transport nobody knows": "hosts all all all trust",
    "no method": "host all all 127.0.0.1/32",
    "a bad network": "host all all 127.0.0.1/33 trust",
    "a bad address": "host all all 300.0.0.1/8 trust",
    "an unknown option": "host all all all scram-sha-256 clientcrt=verify-full",
    "peer over TCP": "host all all all peer",
    "an open quote": 'host "all all all trust',
    "a missing file": "host @no_such_file all all trust",
    "too few": "host",
    "what never fits": "hostgssenc all all all trust",
}


@pytest.mark.parametrize("case", TYPOS)
def test_typos_at_start(guarded: GuardedPooler, case: str) -> None:
    guarded.use_hba(f"# first\n\n{TYPOS[case]}\n")
    guarded.start()
    assert guarded.wait_for_exit() != 0
    assert guarded.log_contains(r"pg_hba\.conf\b.{0,12}\b4\b"), guarded.log_text  # the console's line comes first


@pytest.mark.parametrize("case", TYPOS)
def test_typos_on_reload_leave_the_old_rules(guarded: GuardedPooler, case: str) -> None:
    guarded.use_hba("host app alice all trust\n")
    guarded.run()
    guarded.forget_log()
    guarded.use_hba(f"{TYPOS[case]}\nhost app bob all trust\n")
    guarded.signal_reload()
    wait_until(lambda: guarded.log_contains("not reloaded"), "the refusal")
    assert guarded.log_contains(r"pg_hba\.conf\b.{0,12}\b2\b")
    assert Attempt("alice", "app").result("127.0.0.1", guarded.port, "") == "R 0"
    assert Attempt("bob", "app").result("127.0.0.1", guarded.port, "") == "28000"


def test_new_rules_on_reload(guarded: GuardedPooler) -> None:
    guarded.use_hba("host app alice all trust\n")
    guarded.run()
    with guarded.client() as client:
        guarded.use_hba("host app bob all trust\n")
        guarded.reload()
        assert Attempt("alice", "app").result("127.0.0.1", guarded.port, "") == "28000"
        assert Attempt("bob", "app").result("127.0.0.1", guarded.port, "") == "R 0"
        assert client.query("SELECT 'still here'").value == "still here"


def test_a_typo_in_the_ident_file(guarded: GuardedPooler) -> None:
    guarded.use_hba("host app alice all trust\n", ident="wonder /^(unclosed alice\n")
    guarded.start()
    assert guarded.wait_for_exit() != 0
    assert guarded.log_contains(r"pg_ident\.conf\b.{0,12}\b1\b")


def test_a_map_that_is_not_there_lets_nobody_in(guarded: GuardedPooler) -> None:
    guarded.use_hba("local app all peer map=nowhere\n", ident="")
    guarded.start()
    wait_until(
        lambda: not guarded.is_running or guarded.log_contains("howdah is ready"), "the pooler to start or refuse"
    )
    if guarded.is_running:
        with Client(guarded.socket_path) as client:
            assert refused(client, user="alice", database="app").sqlstate == "28000"
    else:
        assert guarded.wait_for_exit() != 0


def test_the_console_has_rules_too(guarded: GuardedPooler) -> None:
    guarded.use_hba("host pgbouncer bob all reject\nhost all all all trust\n")
    guarded.run()
    assert guarded.admin("SHOW VERSION")
    with guarded.stranger() as client:
        assert refused(client, user="bob", database="pgbouncer").sqlstate == "28000"


def test_a_rule_that_needs_tls_when_there_is_none(guarded: GuardedPooler) -> None:
    guarded.use_hba("hostssl app all all trust\nhost app alice all scram-sha-256\n")
    guarded.run()
    with guarded.client() as client:
        assert client.query("SELECT 1").value == "1"
    with guarded.stranger() as other:
        assert refused(other, PASSWORDS["bob"], user="bob", database="app").sqlstate == "28000"
