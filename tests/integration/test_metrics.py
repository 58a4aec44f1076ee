"""/metrics, /healthz and /readyz of a running pooler, as Prometheus and an orchestrator ask for them."""

import contextlib
import http.client
import json
import signal
import socket
import urllib.error
import urllib.request

import psycopg
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics

from tests.kit import wire
from tests.kit.deadline import wait_until
from tests.kit.monitored import Monitored
from tests.kit.pooler import Pooler
from tests.kit.ports import take_port


@pytest.fixture
def monitored(pooler: Pooler) -> Monitored:
    return Monitored(pooler)


def test_numbers_are_those_of_the_work_that_was_done(monitored: Monitored) -> None:
    with monitored.pooler.connect(autocommit=True) as client:
        for _ in range(10):
            client.execute("SELECT pg_sleep(0.002)")
        app = {"database": "app"}
        wait_until(lambda: monitored.value("howdah_query_seconds_count", **app) >= 10, "ten queries to be counted")
        assert monitored.value("howdah_clients") == 1
        assert monitored.value("howdah_queries_total", **app) == monitored.value("howdah_query_seconds_count", **app)
        assert monitored.value("howdah_query_seconds_sum", **app) >= 0.02
        assert monitored.value("howdah_query_seconds_bucket", le="6.4e-05", **app) == 0
        assert monitored.value("howdah_transaction_seconds_count", **app) == 10
        assert monitored.value("howdah_checkout_seconds_count", **app) == 10
        assert monitored.value("howdah_login_seconds_count", **app) == 1
        assert monitored.value("howdah_pool_servers", state="idle", **app) == 1


def test_who_waits_is_measured(pooler: Pooler) -> None:
    monitored = Monitored(pooler, default_pool_size=1)
    with pooler.client() as first, pooler.client() as second:
        first.begin()
        second.send(wire.query("SELECT 2"))
        wait_until(lambda: monitored.value("howdah_clients_waiting") == 1, "the second to wait")
        first.query("COMMIT")
        second.read_ready(1)
        assert monitored.value("howdah_wait_seconds_count", database="app") == 1
        assert monitored.value("howdah_wait_seconds_sum", database="app") > 0


def test_pins_and_reasons_are_counted(monitored: Monitored) -> None:
    with monitored.pooler.connect(autocommit=True) as client:
        client.execute("CREATE TEMP TABLE t (a int)")
        wait_until(
            lambda: monitored.value("howdah_pins_total", reason="pin_temporary_object") == 1, "the pin to be counted"
        )
        assert monitored.value("howdah_pool_pinned", database="app") == 1
    with pytest.raises(psycopg.OperationalError, match="no such database"):
        monitored.pooler.connect(dbname="nowhere")
    assert monitored.value("howdah_reasons_total", reason="no_such_database", fault="client", sqlstate="3D000") == 1


def test_openmetrics_is_spoken_where_it_is_asked_for(monitored: Monitored) -> None:
    _, text = monitored.get("/metrics", accept="application/openmetrics-text; version=1.0.0")
    assert text.endswith("# EOF\n")
    assert "howdah_login_seconds" in {family.name for family in openmetrics(text)}  # type: ignore[no-untyped-call]
    assert "process_resident_memory_bytes" in text


def test_it_goes_on_answering_while_clients_are_drained(monitored: Monitored) -> None:
    assert monitored.get("/healthz") == (200, "alive\n")
    assert monitored.get("/readyz") == (200, "ready\n")
    with monitored.pooler.client() as client:
        client.begin()
        monitored.pooler.signal(signal.SIGTERM)
        wait_until(lambda: monitored.get("/readyz")[0] == 503, "the pooler to be not ready any more")
        assert monitored.get("/healthz") == (200, "alive\n")
        assert monitored.value("howdah_clients") == 1
        client.query_to_end("COMMIT")
    assert monitored.pooler.wait_for_exit() == 0


def test_a_reload_changes_by_what_pools_are_told_apart(monitored: Monitored) -> None:
    monitored.pooler.value("SELECT 1")
    assert monitored.value("howdah_login_seconds_count", user="") == 0
    monitored.pooler.reload_with(metrics_by="database")
    assert monitored.value("howdah_login_seconds_count", user="", database="app") == 1


@pytest.mark.parametrize(
    "request_line, status",
    [
        ("GET /nowhere", 404),
        ("POST /metrics", 405),
        ("GET /metrics/../../etc/passwd", 404),
        ("GET /" + "a" * 70000, 404),
    ],
    ids=["unknown", "method", "path", "long"],
)
def test_bad_requests_are_refused(monitored: Monitored, request_line: str, status: int) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", monitored.port, timeout=20)
    method, path = request_line.split(" ", 1)
    connection.putrequest(method, path, skip_host=False)
    connection.endheaders()
    try:
        assert connection.getresponse().status == status
    finally:
        connection.close()
    assert monitored.get("/healthz")[0] == 200


def test_who_only_holds_connections_keeps_no_probe_away(monitored: Monitored) -> None:
    with contextlib.ExitStack() as held:
        for number in range(100):
            idle = held.enter_context(socket.create_connection(("127.0.0.1", monitored.port), 20))
            idle.sendall(b"GET /healthz HTTP/1.1\r\n" if number % 2 else b"")
        for path in ("/healthz", "/readyz", "/metrics"):
            assert monitored.get(path)[0] == 200


def test_a_port_that_is_taken_is_told(pooler: Pooler) -> None:
    pooler.settings["http_port"] = pooler.port
    pooler.start()
    assert pooler.wait_for_exit() == 1
    assert f"cannot listen for HTTP on 127.0.0.1:{pooler.port}" in pooler.log_text
    assert "http_port" in json.dumps(pooler.log_text)


def test_it_listens_where_it_is_told_to(pooler: Pooler) -> None:
    port = take_port()
    pooler.run_with(http_port=port, http_addr="127.0.0.2")
    wait_until(lambda: pooler.log_contains("metrics and health are served"), "the HTTP listener")
    with urllib.request.urlopen(f"http://127.0.0.2:{port}/healthz", timeout=20) as answer:
        assert answer.status == 200
    with pytest.raises(urllib.error.URLError, match="refused"):
        urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=20)
