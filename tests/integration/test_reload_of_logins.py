"""Users, rules and maps change while clients stay: on SIGHUP and when files change; what is bad is not used."""

from pathlib import Path

import pytest

from tests.kit.deadline import wait_until
from tests.kit.fix_logins import PASSWORDS, GuardedPooler, refused


@pytest.fixture
def userlist(guarded: GuardedPooler) -> Path:
    """The pooler's auth_file, with alice in it; it is running."""
    path = guarded.folder / "userlist.txt"
    _write(path, alice=PASSWORDS["alice"], pgbouncer="console")
    guarded.users = {}
    guarded.run_with(auth_file=str(path))
    guarded.forget_log()
    return path


def _write(path: Path, **users: str) -> None:
    fresh = path.with_suffix(".new")
    fresh.write_text("".join(f'"{user}" "{password}"\n' for user, password in users.items()))
    fresh.rename(path)


def _is_let_in(pooler: GuardedPooler, user: str, password: str) -> bool:
    with pooler.stranger() as client:
        try:
            client.log_in(user=user, database="app", password=password)
        except Exception:
            return False
        return client.query("SELECT 1").value == "1"


def test_a_new_user_when_the_file_changes(guarded: GuardedPooler, userlist: Path) -> None:
    with guarded.client() as client:
        _write(userlist, alice=PASSWORDS["alice"], bob="bobs new one", pgbouncer="console")
        wait_until(lambda: guarded.log_contains("changed files are in use"), "the file to be read", 20)
        assert _is_let_in(guarded, "bob", "bobs new one")
        assert client.query("SELECT 1").value == "1"


def test_a_half_written_file_is_told_of_once_and_not_used(guarded: GuardedPooler, userlist: Path) -> None:
    whole = userlist.read_text()
    userlist.write_text(whole + '"bob" "bob')
    wait_until(lambda: guarded.log_contains("changed files are not used"), "the refusal", 20)
    (line,) = [event for event in guarded.events if event["level"] == "error"]
    assert f"{userlist}:3: " in line["problem"]
    assert _is_let_in(guarded, "alice", PASSWORDS["alice"])
    userlist.write_text(whole + '"bob" "bobs own"\n')
    wait_until(lambda: guarded.log_contains("changed files are in use"), "the whole file to be read", 20)
    assert _is_let_in(guarded, "bob", "bobs own")
    assert len([event for event in guarded.events if event["level"] == "error"]) == 1


def test_a_user_who_is_gone_stays_until_the_next_login(guarded: GuardedPooler, userlist: Path) -> None:
    with guarded.client() as client:
        _write(userlist, pgbouncer="console")
        guarded.reload()
        assert client.query("SELECT 1").value == "1"
        with guarded.stranger() as late:
            assert refused(late, PASSWORDS["alice"], user="alice", database="app").sqlstate == "28P01"


def test_every_fault_of_every_file_is_in_the_refusal_of_a_reload(guarded: GuardedPooler, userlist: Path) -> None:
    userlist.write_text('"alice\n')
    rules = guarded.folder / "hba"
    rules.write_text("hots all all all trust\n")
    guarded.settings |= {"auth_type": "hba", "auth_hba_file": str(rules)}
    guarded.signal_reload()
    wait_until(lambda: guarded.log_contains("configuration not reloaded"), "the refusal")
    (problem,) = [event["problem"] for event in guarded.events if "not reloaded" in event["message"]]
    assert f"{rules}:1: " in problem
    assert f"{userlist}:1: " in problem
    assert _is_let_in(guarded, "alice", PASSWORDS["alice"])


def test_a_reload_opens_no_address_without_a_password(guarded: GuardedPooler) -> None:
    """Trust is right for the address in the file; howdah listens on all of them until the next start."""
    guarded.run_with(listen_addr="0.0.0.0", auth_type="scram-sha-256")
    guarded.settings |= {"listen_addr": "127.0.0.1", "auth_type": "trust"}
    guarded.signal_reload()
    wait_until(lambda: guarded.log_contains("configuration (not )?reloaded"), "the configuration to be read again")
    (problem,) = [event["problem"] for event in guarded.events if "not reloaded" in event["message"]]
    assert "0.0.0.0 can be reached from the network, and clients log in without a password (trust)" in problem
    assert "restart howdah" in problem
    assert not _is_let_in(guarded, "alice", "wrong")
    assert _is_let_in(guarded, "alice", PASSWORDS["alice"])
