"""Whatever goes wrong while a new process takes over, the old one goes on, and no client is lost on the way."""

import socket
from pathlib import Path

import pytest

from tests.kit import wire
from tests.kit.certs import Certificates
from tests.kit.client import Client
from tests.kit.crowd import Busy
from tests.kit.deadline import wait_until
from tests.kit.heir import Correspondent, heir
from tests.kit.pooler import Pooler
from tests.kit.tls_client import TlsClient


def doorstep(pooler: Pooler) -> str:
    return f"{pooler.folder}/.s.howdah.{pooler.port}"


def goes_on(pooler: Pooler, *clients: Client) -> None:
    """Those who were there, and somebody who comes now."""
    for client in clients:
        assert client.query("SELECT 1").value == "1"
    with pooler.client() as newcomer:
        assert newcomer.query("SELECT 2").value == "2"


def fails_to_take_over(pooler: Pooler) -> str:
    """What a new process says, which ends."""
    before, pooler.process = pooler.process, None
    pooler.forget_log()
    pooler.start("--take-over")
    assert pooler.wait_for_exit() != 0
    pooler.process = before
    return pooler.log_text


def test_a_bad_configuration_changes_nothing(pooler: Pooler) -> None:
    pooler.run()
    with pooler.client() as client:
        pooler.settings["pool_mode"] = "nonsense"
        assert "pool_mode" in fails_to_take_over(pooler)
        goes_on(pooler, client)


def test_a_paused_pooler_is_not_taken_over(pooler: Pooler) -> None:
    pooler.run()
    with pooler.client() as client, pooler.console() as console:
        console.run("PAUSE")
        assert "RESUME first" in fails_to_take_over(pooler)
        console.run("RESUME")
        goes_on(pooler, client)


def test_another_version_is_refused(pooler: Pooler) -> None:
    pooler.run()
    with pooler.client() as client, heir(doorstep(pooler), protocol=99) as successor:
        answer = successor.hear()
        assert answer["kind"] == "refusal"
        assert "do not understand each other" in answer["text"]
        goes_on(pooler, client)


def test_a_second_successor_is_refused(pooler: Pooler) -> None:
    pooler.run()
    with heir(doorstep(pooler)) as first:
        assert first.hear()["kind"] == "doors"
        with heir(doorstep(pooler)) as second:
            assert "taking over already" in second.hear()["text"]
    goes_on(pooler)


def test_a_successor_that_never_comes_up_changes_nothing(pooler: Pooler) -> None:
    pooler.run()
    with pooler.client() as client:
        with heir(doorstep(pooler)) as successor:
            assert successor.hear()["kind"] == "doors"
            goes_on(pooler, client)
        wait_until(lambda: pooler.log_contains("hand-over broken off"), "the old process to notice")
        goes_on(pooler, client)


def test_clients_come_back_from_a_successor_that_dies(pooler: Pooler) -> None:
    pooler.run()
    clients = [pooler.client() for _ in range(20)]
    clients[0].ask(wire.parse("SELECT 1", "one"), wire.sync())
    with heir(doorstep(pooler)) as successor:
        successor.hear()
        successor.say({"kind": "up"})
        assert {successor.hear()["kind"] for _ in clients} == {"client"}
    wait_until(lambda: pooler.log_contains("going on as before"), "the old process to notice")
    goes_on(pooler, *clients)
    assert clients[0].ask(wire.bind(statement="one"), wire.execute(), wire.sync()).value == "1"
    assert pooler.take_over().wait(20) == 0
    goes_on(pooler, *clients)


def test_busy_clients_come_back_from_a_successor_that_dies(pooler: Pooler) -> None:
    pooler.run_with(max_client_conn=200)
    with Busy([pooler.client() for _ in range(50)]) as busy:
        with heir(doorstep(pooler)) as successor:
            successor.hear()
            successor.say({"kind": "up"})
            for _ in range(30):
                successor.hear()
        busy.goes_on()


def test_only_who_has_been_acknowledged_is_lost_with_a_successor(pooler: Pooler) -> None:
    pooler.run()
    clients = [pooler.client() for _ in range(4)]
    with heir(doorstep(pooler)) as successor:
        successor.hear()
        successor.say({"kind": "up"})
        letters = [successor.hear() for _ in clients]
        successor.say({"kind": "have", "number": letters[0]["number"]})
    wait_until(lambda: pooler.log_contains("going on as before"), "the old process to notice")
    wait_until(lambda: any(client.has_input() for client in clients), "a client to lose its connection")
    stay = [client for client in clients if not client.has_input()]
    assert len(stay) == 3
    goes_on(pooler, *stay)


def test_what_the_successor_cannot_take_stays(pooler: Pooler) -> None:
    pooler.run()
    with pooler.client() as client, heir(doorstep(pooler)) as successor:
        successor.hear()
        successor.say({"kind": "up"})
        number = successor.hear()["number"]
        successor.say({"kind": "cannot", "number": number, "text": "no room"})
        assert client.query("SELECT 1").value == "1"
        assert pooler.log_contains("no room")


@pytest.mark.parametrize("bytes_", [b"\xff" * 64, b"\0\0\0\x02\0\0{}", b"\0\0\0\x10\0\x07"])
def test_a_successor_that_talks_nonsense_is_left(pooler: Pooler, bytes_: bytes) -> None:
    pooler.run()
    with pooler.client() as client, heir(doorstep(pooler)) as successor:
        successor.hear()
        successor.say({"kind": "up"})
        successor.hear()
        successor.socket.sendall(bytes_)
        successor.socket.shutdown(socket.SHUT_WR)
        wait_until(lambda: pooler.log_contains("going on as before"), "the old process to have enough")
        goes_on(pooler, client)


def test_a_predecessor_that_talks_nonsense_is_left(pooler: Pooler) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listening:
        listening.bind(doorstep(pooler))
        listening.listen()
        pooler.start("--take-over")
        sock, _ = listening.accept()
        with Correspondent(sock) as predecessor:
            assert predecessor.hear()["kind"] == "ask"
            predecessor.say({"kind": "doors", "pid": 1, "version": "x", "doors": [{"use": "roof"}]})
            assert pooler.wait_for_exit() != 0
    assert "cannot take over" in pooler.log_text
    Path(doorstep(pooler)).unlink()


def test_a_client_whose_database_is_gone_is_told_so(pooler: Pooler) -> None:
    pooler.run()
    with pooler.client(database="other") as client, pooler.client() as stays:
        client.query("SELECT 1")
        del pooler.databases["other"]
        assert pooler.take_over().wait(20) == 0
        assert [error.sqlstate for error in client.read_to_end().errors] == ["3D000"]
        goes_on(pooler, stays)


def test_clients_with_tls_are_sent_away_between_two_transactions(pooler: Pooler, certificates: Certificates) -> None:
    pooler.run_with(
        client_tls_sslmode="allow", client_tls_cert_file=str(certificates.server.certificate),
        client_tls_key_file=str(certificates.server.key),
    )  # fmt: skip
    with TlsClient(pooler.address) as client:
        client.start_tls()
        client.log_in(user="alice", database="app")
        client.begin()
        before = pooler.take_over()
        assert client.query("SELECT 1").value == "1"
        assert before.poll() is None
        client.send(wire.query("COMMIT"))
        assert [error.sqlstate for error in client.read_to_end().errors] == ["57P01"]
    assert before.wait(20) == 0


def test_without_a_process_that_runs_it_starts_as_ever(pooler: Pooler) -> None:
    pooler.start("--take-over")
    wait_until(lambda: pooler.log_contains("howdah is ready"), "the pooler to be up", within=20)
    goes_on(pooler)
    assert pooler.log_contains("old process not found")
