"""What a server says unasked (notifications, settings, warnings) reaches whom it is for and disturbs nobody."""

from collections.abc import Iterator

import pytest

from tests.kit import wire
from tests.kit.deadline import wait_until
from tests.kit.listening import Listener
from tests.kit.pooler import Pooler
from tests.kit.postgres import Postgres


@pytest.fixture
def one_server(pooler: Pooler) -> Pooler:
    """A pooler with one server connection for all."""
    pooler.run_with(default_pool_size=1)
    return pooler


@pytest.fixture
def setting_of_the_cluster(postgres: Postgres) -> Iterator[str]:
    """A setting that PostgreSQL reports to its clients when it changes, put back at the end."""
    yield "IntervalStyle"
    postgres.sql("ALTER SYSTEM RESET IntervalStyle")
    postgres.sql("SELECT pg_reload_conf()")


def test_a_notification_in_a_transaction(one_server: Pooler) -> None:
    with one_server.client() as client:
        listener = Listener(client, "news")
        listener.query("BEGIN; NOTIFY news, 'it works'; COMMIT")
        assert listener.hear(1) == [("news", "it works")]
        assert client.query("UNLISTEN *").shape == "C Z"


def test_notifications_reach_the_listener_and_disturb_nobody(one_server: Pooler, postgres: Postgres) -> None:
    with one_server.client() as client, one_server.client() as other:
        listener = Listener(client, "news")
        postgres.sql_in("app", "SELECT pg_notify('news', n::text) FROM generate_series(1, 100) AS n")
        for number in range(20):
            assert other.query(f"SELECT {number}").value == str(number)
        assert listener.hear(100) == [("news", str(number)) for number in range(1, 101)]
        listener.query("UNLISTEN *")
        assert [party.query("SELECT 'served'").value for party in (client, other)] == ["served"] * 2
    one_server.wait_until_idle()


def test_a_setting_changed_for_all_disturbs_nobody(
    one_server: Pooler, postgres: Postgres, setting_of_the_cluster: str
) -> None:
    with one_server.client() as client, one_server.client() as other:
        client.query("SELECT 1")
        for style in ("iso_8601", "sql_standard", "postgres_verbose"):
            postgres.sql(f"ALTER SYSTEM SET {setting_of_the_cluster} = '{style}'")
            postgres.sql("SELECT pg_reload_conf()")
            for party in (client, other):
                assert party.query("SELECT 1").value == "1"


def test_a_setting_changed_for_all_reaches_a_client_in_a_transaction(
    one_server: Pooler, postgres: Postgres, setting_of_the_cluster: str
) -> None:
    with one_server.client() as client:
        client.begin()
        postgres.sql(f"ALTER SYSTEM SET {setting_of_the_cluster} = 'iso_8601'")
        postgres.sql("SELECT pg_reload_conf()")
        seen = dict(client.settings)

        def told() -> bool:
            seen.update(client.query("SELECT 1").settings)
            return seen[setting_of_the_cluster] == "iso_8601"

        wait_until(told, "the client to be told")
        client.query("ROLLBACK")


def test_warnings_outside_transactions(one_server: Pooler) -> None:
    with one_server.client() as client, one_server.client() as other:
        for statement in ("COMMIT", "ROLLBACK", "SET LOCAL work_mem = '5MB'"):
            (warning,) = client.query(statement).notices
            assert (warning.fields["S"], warning.sqlstate) in (("WARNING", "25P01"), ("WARNING", "25P02"))
            assert other.query("SELECT 1").notices == []


def test_settings_reported_in_a_pipeline_come_in_their_place(one_server: Pooler) -> None:
    with one_server.client() as client:
        client.query("BEGIN")
        zones = ["Asia/Tokyo", "America/Lima", "Europe/Rome"]
        client.send(*(wire.extended(f"SET LOCAL TimeZone = '{zone}'") + wire.sync() for zone in zones))
        replies = client.read_ready(3)
        assert [reply.setting[1] for reply in replies if reply.tag == "S"] == zones
        client.query("ROLLBACK")
