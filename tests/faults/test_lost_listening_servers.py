"""The server that listens for all clients of a database is lost: they stay, are warned, and hear what comes after."""

from tests.kit.deadline import wait_until
from tests.kit.listening import LISTENING, Listener
from tests.kit.pooler import Pooler
from tests.kit.postgres import Postgres
from tests.kit.proxy import Network


def listening_server(postgres: Postgres) -> int:
    (pid,) = postgres.wait_for_backends(1, LISTENING)
    return pid


def listens(postgres: Postgres, channel: str) -> bool:
    """Is there a listening server, and has it been told of the channel?"""
    return bool(postgres.backends(f"{LISTENING} AND state = 'idle' AND query LIKE '%LISTEN \"{channel}\"%'"))


def test_a_terminated_one_is_replaced_and_clients_are_warned(pooler: Pooler, postgres: Postgres) -> None:
    pooler.run_with(default_pool_size=1)
    with pooler.client() as first, pooler.client() as second:
        listeners = [Listener(first, "news"), Listener(second, "news", "more")]
        pooler.wait_for_pool(sv_active=0)
        for _ in range(3):
            postgres.terminate(listening_server(postgres))
            for listener in listeners:
                listener.hear_warning()
                assert listener.warnings == ["01000"]
                listener.warnings.clear()
            postgres.sql_in("app", "NOTIFY news, 'again'")
            for listener in listeners:
                assert listener.hear(1) == [("news", "again")]
                listener.heard.clear()
        assert listeners[1].channels() == ["more", "news"]
        assert first.query("SELECT 1").value == "1"
    pooler.wait_until_idle()


def test_a_client_in_a_transaction_is_warned_after_it(pooler: Pooler, postgres: Postgres) -> None:
    pooler.run_with(default_pool_size=1)
    with pooler.client() as client:
        listener = Listener(client, "news")
        pooler.wait_for_pool(sv_active=0)
        listener.query("BEGIN")
        listener.query("SELECT 1")
        old = listening_server(postgres)
        postgres.terminate(old)
        wait_until(lambda: listens(postgres, "news") and listening_server(postgres) != old, "another one to listen")
        listener.query("SELECT 1")
        assert not listener.warnings
        listener.query("COMMIT")
        listener.hear_warning()


def test_restarts_of_postgresql(pooler: Pooler, postgres: Postgres) -> None:
    pooler.run_with(default_pool_size=2, server_login_retry=0.1)
    with pooler.client() as client:
        listener = Listener(client, "news")
        pooler.wait_for_pool(sv_active=0)
        for number in range(2):
            postgres.restart("immediate")
            listener.hear_warning()
            listener.warnings.clear()
            postgres.sql_in("app", f"NOTIFY news, '{number}'")
            assert listener.hear(number + 1)[number] == ("news", str(number))
        listener.query("UNLISTEN *")
    postgres.wait_for_backends(0, LISTENING)


def test_clients_that_listen_while_none_can_be_opened(pooler: Pooler, postgres: Postgres) -> None:
    """They keep their own servers, hear by them, and give them back when there is one."""
    pooler.run_with(default_pool_size=4)
    with pooler.client() as first, pooler.client() as second:
        listener = Listener(first, "a")
        pooler.wait_for_pool(sv_active=0)
        for client in (first, second):
            client.query("BEGIN; SELECT 1")
        for client in (first, second):
            client.query("COMMIT")
        pooler.wait_for_pool(sv_active=0, sv_idle=2)
        try:
            postgres.sql("ALTER ROLE alice NOLOGIN")
            postgres.terminate(listening_server(postgres))
            postgres.wait_for_backends(0, LISTENING)
            pinned = Listener(second, "a", "b")
            pooler.wait_for_log("pin_listen")
            postgres.sql_in("app", "NOTIFY b, 'by its own'")
            assert pinned.hear(1) == [("b", "by its own")]
            listener.query("LISTEN c")
            postgres.sql_in("app", "NOTIFY c, 'likewise'")
            assert listener.hear(1) == [("c", "likewise")]
        finally:
            postgres.sql("ALTER ROLE alice LOGIN")
        pooler.wait_for_pool(sv_active=0)
        postgres.sql_in("app", "NOTIFY a, 'by the new one'")
        for one in (listener, pinned):
            assert one.hear(2)[1] == ("a", "by the new one")
        assert (len(listener.warnings), len(pinned.warnings)) == (1, 0)


def test_clients_come_and_go_while_it_dies(pooler: Pooler, postgres: Postgres) -> None:
    pooler.run_with(default_pool_size=4, workers=2)
    with pooler.client() as staying:
        listener = Listener(staying, "news")
        pooler.wait_for_pool(sv_active=0)
        for number in range(40):
            with pooler.client() as client:
                Listener(client, f"c{number % 3}", "news")
                if number % 4 == 0:
                    postgres.terminate(*postgres.backends(LISTENING))
                if number % 3:
                    client.query("UNLISTEN news")
        pooler.wait_for_pool(sv_active=0)
        postgres.wait_for_backends(1, f"{LISTENING} AND state = 'idle'")
        postgres.sql_in("app", "NOTIFY news, 'last'")
        assert listener.hear(1) == [("news", "last")]
    postgres.wait_for_backends(0, LISTENING)
    pooler.wait_until_idle()


def test_a_cut_connection(pooler_behind: Pooler, network: Network, postgres: Postgres) -> None:
    pooler_behind.run_with(default_pool_size=1, server_login_retry=0.1)
    with pooler_behind.client() as client:
        listener = Listener(client, "news")
        pooler_behind.wait_for_pool(sv_active=0)
        network.cut()
        listener.hear_warning()
        postgres.sql_in("app", "NOTIFY news, 'after'")
        assert listener.hear(1) == [("news", "after")]
