"""The load generator against a server made of Python's own ssl and hashlib."""

import ssl
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.credentials import install, scram_secret
from bench.needs import Key
from bench.places import NotHere
from bench.storm import build, generator
from bench.storm.generator import parse
from tests.unit.bench.fake_postgres import FakePostgres, message

Context = Callable[[Key], ssl.SSLContext]


@pytest.fixture(scope="module", autouse=True)
def compiled() -> None:
    try:
        build.program()
    except NotHere as reason:
        pytest.skip(str(reason))


@pytest.fixture
def context(tmp_path: Path) -> Context:
    """What makes a TLS context with a new certificate."""

    def make(kind: Key) -> ssl.SSLContext:
        files = install(tmp_path, kind)
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        made.load_cert_chain(files.certificate, files.key)
        return made

    return make


def test_every_client_of_a_storm_is_answered() -> None:
    with FakePostgres() as server:
        storm = generator.storm(server.port, clients=7, seconds=0, crews=2)
    assert (storm.clients, storm.answered, storm.errors, storm.unfinished) == (7, 7, 0, 0)
    assert 0 < storm.login_p50 <= storm.login_p99 <= storm.last


def test_the_password_is_proved_by_scram() -> None:
    with FakePostgres(scram_secret(iterations=7)) as server:
        assert generator.storm(server.port, clients=4, seconds=0, crews=1).answered == 4


def test_a_wrong_password_is_the_servers_word() -> None:
    with FakePostgres(scram_secret("another")) as server, pytest.raises(RuntimeError, match="authentication failed"):
        generator.storm(server.port, clients=1, seconds=0, crews=1)


@pytest.mark.parametrize("kind", ["ecdsa", "rsa"])
def test_hands_are_shaken_with_either_kind_of_certificate(kind: Key, context: Context) -> None:
    with FakePostgres(scram_secret(), context(kind)) as server:
        storm = generator.storm(server.port, clients=5, seconds=0, crews=1, tls="full")
    assert (storm.answered, storm.resumed) == (5, 0)


def test_clients_come_back_with_a_ticket(context: Context) -> None:
    with FakePostgres(tls=context("ecdsa")) as server:
        storm = generator.storm(server.port, clients=5, seconds=0, crews=1, tls="resumed")
        assert (storm.answered, storm.resumed) == (5, 5)
        assert server.resumed >= 5


def test_a_server_that_asks_for_a_certificate_is_shown_none(context: Context) -> None:
    asking = context("ecdsa")
    asking.verify_mode = ssl.CERT_OPTIONAL
    with FakePostgres(tls=asking) as server:
        assert generator.storm(server.port, clients=3, seconds=0, crews=1, tls="full").answered == 3


def test_a_server_with_another_cipher_is_refused_with_a_reason(context: Context) -> None:
    older = context("ecdsa")
    older.maximum_version = ssl.TLSVersion.TLSv1_2
    with FakePostgres(tls=older) as server, pytest.raises(RuntimeError, match="TLS alert"):
        generator.storm(server.port, clients=1, seconds=0, crews=1, tls="full")


def test_the_bytes_of_a_copy_are_counted_through_tls(context: Context) -> None:
    rows = (
        message(b"H", b"\0\0\0") + message(b"d", b"x" * 1000) * 300 + message(b"d", b"y" * 70_000) + message(b"c", b"")
    )
    with FakePostgres(tls=context("ecdsa"), answer=rows) as server:
        assert generator.copy(server.port, sql="COPY t TO STDOUT", tls="full").bytes == 370_000


def test_the_bytes_of_a_row_are_counted_although_it_is_larger_than_any_buffer() -> None:
    with FakePostgres(answer=message(b"T", b"\0\0") + message(b"D", b"x" * 300_000)) as server:
        assert generator.copy(server.port, sql="SELECT a").bytes == 300_000


def test_each_client_prepares_all_statements_before_the_word_is_given() -> None:
    with FakePostgres(scram_secret()) as server:
        with generator.statements(server.port, clients=3, count=120, seconds=0.3) as load:
            assert sorted(Counter(server.parsed).values()) == [3] * 120
            assert server.executed == []
            done = load.go()
        assert done.units == len(server.executed) > 0
        assert set(server.executed) <= set(server.parsed)
        assert 0 < done.p50_us <= done.p95_us <= done.p99_us


def test_clients_that_cannot_prepare_are_told_of_before_the_word_is_given() -> None:
    with FakePostgres(scram_secret("another")) as server, pytest.raises(RuntimeError, match="authentication failed"):
        generator.statements(server.port, clients=1, count=1, seconds=0).__enter__()


def test_idle_clients_stay_until_they_are_sent_home(context: Context) -> None:
    with FakePostgres(tls=context("ecdsa")) as server, generator.IdleCrowd(server.port, 12, "full") as crowd:
        assert crowd.running


def test_a_port_where_nobody_listens_is_said() -> None:
    with FakePostgres() as server:
        port = server.port
    with pytest.raises(RuntimeError, match="Connection refused"):
        generator.storm(port, clients=1, seconds=0, crews=1)


def test_storms_in_a_row_are_added_and_their_times_are_medians() -> None:
    line = (
        '{{"clients":10,"ok":9,"errors":1,"unfinished":0,"resumed":0,"login_p50_s":0.1,"login_p99_s":0.2,"last_s":{last},'
        '"cpu_s":0.5,"busiest":{busiest},"kept_waiting":0.1,"first_error":"{error}","bystander_us":[{bystander}]}}'
    )
    storm = parse(
        [
            line.format(last=1, busiest=0.2, error="", bystander="30,10"),
            line.format(last=3, busiest=0.9, error="no", bystander=20),
            line.format(last=2, busiest=0.3, error="never", bystander=""),
        ]
    )
    assert (storm.clients, storm.answered, storm.errors, storm.last, storm.busiest) == (30, 27, 3, 2, 0.9)
    assert storm.first_error == "no"
    assert storm.bystander_us == [10, 20, 30]
