"""Replication connections: PostgreSQL and howdah say the same, and a client's own server is nobody else's."""

import pytest

from tests.kit import wire
from tests.kit.client import Client, Refused
from tests.kit.crowd import crowd
from tests.kit.deadline import wait_until
from tests.kit.fix_pooler import Server
from tests.kit.pooler import Pooler
from tests.kit.postgres import REPLICATOR, Postgres
from tests.kit.replication import (
    LOGICAL,
    PHYSICAL,
    number_of,
    read_log,
    replicator,
    status_update,
    stream,
)

#: What a walsender says to what it does not take.
EXTENDED = "extended query protocol not supported in a replication connection"
FASTPATH = "fastpath function calls not supported in a replication connection"

each_kind = pytest.mark.parametrize("kind", [PHYSICAL, LOGICAL])
WALSENDERS = f"backend_type = 'walsender' AND usename = '{REPLICATOR}'"


def current_log(postgres: Postgres) -> str:
    """Where the log is after something has been written to it."""
    postgres.sql("SELECT pg_logical_emit_message(false, 'test', repeat('x', 1000))")
    return str(postgres.value("SELECT pg_current_wal_flush_lsn()"))


def walsender(postgres: Postgres) -> int:
    """The process of the only one."""
    (pid,) = postgres.wait_for_backends(1, WALSENDERS)
    return pid


# the way in


@each_kind
def test_what_the_server_says_at_login(server: Server, postgres: Postgres, kind: str) -> None:
    with replicator(server, kind, application_name="standby 7") as client:
        assert client.settings["application_name"] == "standby 7"
        assert client.settings["session_authorization"] == REPLICATOR
        assert int(client.settings["server_version"].split(".")[0]) == postgres.version
        assert client.process_id
        answer = client.query("IDENTIFY_SYSTEM")
        assert (answer.shape, answer.rows[0][3]) == ("T D C Z", "app" if kind == LOGICAL else None)


@each_kind
def test_settings_are_there_from_the_beginning(server: Server, kind: str) -> None:
    """A server of physical replication takes no SET: they must be in its startup packet."""
    settings = {"options": "-c statement_timeout=1234 -c datestyle=German,DMY", "TimeZone": "Asia/Tokyo"}
    with replicator(server, kind, **settings) as client:
        assert client.settings["DateStyle"] == "German, DMY"
        assert client.query("SHOW statement_timeout").value == "1234ms"
        assert client.query("SHOW timezone").value == "Asia/Tokyo"


@pytest.mark.parametrize("word", ["true", "T", "on", "yes", "y", "1"])
def test_words_for_physical_replication(server: Server, word: str) -> None:
    with replicator(server, word) as client:
        assert client.query("IDENTIFY_SYSTEM").rows[0][3] is None
        assert client.query("SELECT 1").error.sqlstate == "0A000"


@pytest.mark.parametrize("word", ["false", "F", "off", "no", "0"])
def test_words_for_none(server: Server, word: str) -> None:
    with replicator(server, word) as client:
        assert client.query("SELECT 1").value == "1"


@pytest.mark.parametrize("word", ["maybe", "o", "", "Database", "truer", "physical"])
def test_other_words(server: Server, word: str) -> None:
    with pytest.raises(Refused) as refused:
        replicator(server, word)
    assert refused.value.sqlstate == "22023"
    assert refused.value.error.fields["M"] == f'invalid value for parameter "replication": "{word}"'


@each_kind
def test_who_may_not_replicate_is_told_by_postgresql(server: Server, kind: str) -> None:
    with pytest.raises(Refused) as refused:
        server.client("alice", replication=kind)
    assert refused.value.sqlstate == "42501"
    assert "WAL sender" in refused.value.error.fields["M"]


def test_a_database_that_is_not_there(server: Server) -> None:
    with pytest.raises(Refused) as refused:
        replicator(server, LOGICAL, "nowhere")
    assert refused.value.sqlstate == "3D000"


@pytest.mark.parametrize("kind", [PHYSICAL, LOGICAL, "maybe"])
def test_the_console_is_no_database(howdah: Pooler, kind: str) -> None:
    with pytest.raises(Refused) as refused:
        replicator(howdah, kind, "pgbouncer")
    assert refused.value.sqlstate == ("22023" if kind == "maybe" else "0A000")


# which entry physical replication goes by


def test_an_entry_of_the_name_that_is_given(pooler: Pooler) -> None:
    pooler.databases["mine"] = dict(pooler.databases["app"], max_db_connections=1)
    pooler.databases["app"]["port"] = 1
    pooler.run()
    with replicator(pooler, PHYSICAL, "mine") as client:
        assert not client.query("IDENTIFY_SYSTEM").errors
        assert pooler.pool("mine", REPLICATOR)["sv_active"] == 1


@pytest.mark.parametrize("parameters", [{"database": "replication"}, {}], ids=["placeholder", "none"])
def test_any_entry_where_all_lead_to_one_server(pooler: Pooler, parameters: dict[str, str]) -> None:
    """PostgreSQL's own programs give "replication" for a name."""
    pooler.run()
    with Client(pooler.address) as client:
        client.log_in(wire.PROTOCOL_3_0, user=REPLICATOR, replication="true", **parameters)
        assert not client.query("IDENTIFY_SYSTEM").errors
        assert pooler.pool("app", REPLICATOR)["sv_active"] == 1


def test_no_entry_where_they_lead_to_several(pooler: Pooler) -> None:
    pooler.databases["other"]["port"] = 1
    pooler.run()
    with pytest.raises(Refused) as refused:
        replicator(pooler, PHYSICAL, "replication")
    assert refused.value.sqlstate == "3D000"


def test_the_entry_for_all_others(pooler: Pooler) -> None:
    pooler.databases["*"] = dict(pooler.databases["app"])
    pooler.databases["other"]["port"] = 1
    pooler.run()
    with replicator(pooler, PHYSICAL, "replication") as client:
        assert not client.query("IDENTIFY_SYSTEM").errors
        assert pooler.pool("replication", REPLICATOR)["sv_active"] == 1


# streams


def test_a_stream_goes_both_ways(server: Server, postgres: Postgres) -> None:

    def is_confirmed() -> bool:
        return bool(postgres.value(f"SELECT count(*) FROM pg_stat_replication WHERE flush_lsn - '0/0' = {end}"))

    with replicator(server, PHYSICAL) as client:
        end = number_of(stream(client))
        for _ in range(3):
            end = number_of(current_log(postgres))
            read_log(client, end)
            client.send(status_update(end))
            wait_until(is_confirmed, "the status update to arrive")
        client.send(status_update(end, answer=True))
        while (reply := client.read()).body[:1] != b"k":
            assert reply.tag == "d"


def test_a_stream_ends_with_the_clients_copy_done(server: Server) -> None:
    with replicator(server, PHYSICAL) as client:
        for _ in range(2):
            stream(client)
            rest = client.ask(wire.copy_done())
            assert [reply.tag for reply in rest if reply.tag != "d"] == ["c", "C", "C", "Z"]
            assert client.query("IDENTIFY_SYSTEM").shape == "T D C Z"


def test_commands_behind_copy_done_may_be_pipelined(server: Server) -> None:
    with replicator(server, PHYSICAL) as client:
        stream(client)
        client.send(wire.copy_done(), wire.query("IDENTIFY_SYSTEM"), wire.query("SHOW port"))
        assert client.read_ready(3).statuses == "III"
        assert client.query("SHOW server_version_num").shape == "T D C Z"


def test_the_rest_of_a_stream_that_failed_is_ignored(server: Server, postgres: Postgres) -> None:
    with replicator(server, PHYSICAL) as client:
        position = number_of(stream(client))
        client.cancel()
        assert client.read_until("E")[-1].sqlstate == "57014"
        client.send(status_update(position), wire.copy_done(), wire.query("IDENTIFY_SYSTEM"))
        assert client.read_ready(2).statuses == "II"
        stream(client)


def test_a_stream_that_cannot_begin(server: Server) -> None:
    with replicator(server, PHYSICAL) as client:
        assert client.query("START_REPLICATION SLOT no_such_slot PHYSICAL 0/1").error.sqlstate == "42704"
        assert client.query("START_REPLICATION PHYSICAL FFFFFFFF/0").errors
        assert client.query("IDENTIFY_SYSTEM").shape == "T D C Z"


@pytest.mark.parametrize("message", [wire.query("SHOW port"), wire.sync(), wire.copy_fail("no")])
def test_what_has_no_business_in_a_stream(server: Server, message: bytes) -> None:
    with replicator(server, PHYSICAL) as client:
        stream(client)
        client.send(message)
        replies = client.read_to_end()
        assert (replies.error.fields["S"], replies.error.sqlstate) == ("FATAL", "08P01")


def test_logical_decoding(server: Server, postgres: Postgres, table: str, slot: str) -> None:
    postgres.sql_in("app", f"CREATE TABLE {table} AS SELECT 1 AS n")
    with replicator(server, LOGICAL) as client:
        made = client.query(f"CREATE_REPLICATION_SLOT {slot} LOGICAL test_decoding")
        assert made.rows[0][0] == slot
        client.send(wire.query(f"START_REPLICATION SLOT {slot} LOGICAL 0/0"))
        assert client.read().tag == "W"
        with postgres.connect(dbname="app") as writer:
            writer.execute(f"INSERT INTO {table} VALUES (4711)")
        decoded = b""
        while b"COMMIT" not in decoded:
            decoded += client.read().body
        assert f"table public.{table}: INSERT: n[integer]:4711".encode() in decoded
        rest = client.ask(wire.copy_done())
        assert [reply.tag for reply in rest if reply.tag != "d"] == ["c", "C", "C", "Z"]


def test_sql_in_logical_replication_sessions(server: Server, slot: str) -> None:
    """What a subscription does to copy a table: a snapshot, a transaction, a COPY."""
    with replicator(server, LOGICAL) as client:
        assert client.query("BEGIN READ ONLY ISOLATION LEVEL REPEATABLE READ").statuses == "T"
        made = client.query(f"CREATE_REPLICATION_SLOT {slot} TEMPORARY LOGICAL pgoutput USE_SNAPSHOT")
        assert made.shape == "T D C Z"
        assert client.query("COPY (SELECT generate_series(1, 3)) TO STDOUT").shape == "H d d d c C Z"
        assert client.query("COMMIT").statuses == "I"


@pytest.mark.parametrize(
    "messages",
    [
        wire.parse("SELECT 1"),
        wire.parse("SELECT 1") + wire.bind() + wire.execute(),
        wire.parse("SELECT 1", "s"),
        wire.parse("SELECT 1", "s") + wire.bind(statement="s") + wire.execute(),
        wire.parse("SELECT 1", "s") + wire.sync() + wire.bind(statement="s") + wire.execute(),
        wire.bind() + wire.execute(),
        wire.bind(statement="s"),
        wire.describe_statement(),
        wire.describe_statement("s"),
        wire.describe_portal(),
        wire.close_statement("s"),
        wire.close_portal("p"),
        wire.function_call(1598),
    ],
)
def test_no_extended_queries_in_the_servers_own_words(server: Server, messages: bytes) -> None:
    with replicator(server, LOGICAL) as client:
        client.send(messages, wire.sync(), wire.query("SELECT 'behind it'"))
        replies = client.read_until("D")
        told = {(error.fields["S"], error.sqlstate, error.fields["M"]) for error in replies.errors}
        assert told == {("ERROR", "08P01", EXTENDED if messages[:1] != b"F" else FASTPATH)}
        assert replies.rows == [("behind it",)]
        client.read_until("Z")
        assert client.query("SELECT 1").value == "1"


# cancels


def test_a_stream_is_cancelled(server: Server) -> None:
    with replicator(server, PHYSICAL) as client:
        stream(client)
        client.cancel()
        replies = client.read_until("Z")
        assert (replies.error.sqlstate, replies.statuses) == ("57014", "I")


def test_a_base_backup_is_cancelled(server: Server) -> None:
    with replicator(server, PHYSICAL) as client:
        client.send(wire.query("BASE_BACKUP (CHECKPOINT 'fast', MAX_RATE 32, WAIT false)"))
        client.read_until("d")
        client.cancel()
        assert client.read_until("Z").error.sqlstate == "57014"
        assert client.query("IDENTIFY_SYSTEM").shape == "T D C Z"


# the end


@pytest.mark.parametrize("way", ["close", "vanish", "reset"])
def test_a_client_that_leaves_its_stream_takes_its_server_along(pooler: Pooler, postgres: Postgres, way: str) -> None:
    pooler.run()
    client = replicator(pooler, PHYSICAL)
    stream(client)
    walsender(postgres)
    getattr(client, way)()
    postgres.wait_for_backends(0, WALSENDERS, within=3)
    pooler.wait_for_log("replication_over")
    reason = {"close": "client_terminate", "vanish": "client_eof", "reset": "client_reset"}[way]
    if way != "reset":  # how a reset shows depends on what is on its way just then
        pooler.wait_for_log(reason)
    assert pooler.pool("app", REPLICATOR)["sv_active"] == 0


@pytest.mark.parametrize("way", ["close", "vanish"])
@pytest.mark.parametrize(
    "kind, command",
    [(PHYSICAL, "BASE_BACKUP (CHECKPOINT 'fast', MAX_RATE 32, WAIT false)"), (LOGICAL, "SELECT pg_sleep(600)")],
)
def test_a_client_that_leaves_in_the_middle_of_work(
    pooler: Pooler, postgres: Postgres, kind: str, command: str, way: str
) -> None:
    """With Terminate it may take a few seconds: PostgreSQL does what came before it."""
    pooler.run()
    client = replicator(pooler, kind)
    client.send(wire.query(command))
    postgres.wait_for_backends(1, f"{WALSENDERS} AND state = 'active'")
    getattr(client, way)()
    postgres.wait_for_backends(0, WALSENDERS)
    pooler.wait_for_log("replication_over")


def test_the_last_word_before_terminate_arrives(server: Server, postgres: Postgres, slot: str) -> None:
    with replicator(server, PHYSICAL) as client:
        client.query(f"CREATE_REPLICATION_SLOT {slot} PHYSICAL RESERVE_WAL")
        stream(client, slot)
        end = number_of(current_log(postgres))
        read_log(client, end)
        client.send(status_update(end) + wire.terminate())
        where = f"FROM pg_replication_slots WHERE slot_name = '{slot}' AND NOT active"
        wait_until(lambda: postgres.sql(f"SELECT 1 {where}"), "the walsender to end")
        assert postgres.value(f"SELECT restart_lsn - '0/0' {where}") == end


def test_a_server_that_is_terminated(server: Server, postgres: Postgres) -> None:
    with replicator(server, PHYSICAL) as client:
        stream(client)
        postgres.terminate(walsender(postgres))
        replies = client.read_to_end()
        assert (replies.error.fields["S"], replies.error.sqlstate) == ("FATAL", "57P01")


def test_a_server_that_dies(pooler: Pooler, postgres: Postgres) -> None:
    pooler.run()
    with replicator(pooler, PHYSICAL) as streaming, replicator(pooler, LOGICAL) as idle:
        stream(streaming)
        postgres.kill_backend(postgres.value("SELECT pid FROM pg_stat_replication WHERE state = 'streaming'"))
        assert streaming.read_to_end().error.sqlstate == "08006"
        assert idle.read_to_end().error.sqlstate in {"57P02", "08006"}
    postgres.wait_until_up()
    with replicator(pooler, PHYSICAL) as client:
        stream(client)


# alone


def test_a_server_is_never_given_to_another(pooler: Pooler, postgres: Postgres) -> None:
    pooler.run_with(workers=2)
    with replicator(pooler, LOGICAL) as client:
        own = client.query("SELECT pg_backend_pid()").value

        def ask(_: int) -> set[str | None]:
            with pooler.client(REPLICATOR) as other:
                return {other.query("SELECT pg_backend_pid()").value for _ in range(50)}

        others = set().union(*crowd(6, ask).values())
        assert own not in others
        assert client.query("SELECT pg_backend_pid()").value == own
    postgres.wait_for_backends(0, WALSENDERS)
    with pooler.client(REPLICATOR) as following:
        assert following.query("SELECT pg_backend_pid()").value in others


def test_what_a_session_leaves_behind_is_its_own(pooler: Pooler) -> None:
    """The same in session mode and without: nothing is reset, since nobody comes after."""
    pooler.run_with(default_pool_size=1)
    with replicator(pooler, LOGICAL) as client:
        client.query("SET statement_timeout = 4711; CREATE TEMPORARY TABLE mine (n int)")
        with pooler.client(REPLICATOR) as other:
            assert other.query("SHOW statement_timeout").value == "0"
        assert client.query("SHOW statement_timeout").value == "4711ms"
        assert not client.query("SELECT * FROM mine").errors


def test_a_pool_beside_a_stream_is_undisturbed(pooler: Pooler, postgres: Postgres) -> None:
    pooler.run_with(workers=1, default_pool_size=2)
    with replicator(pooler, PHYSICAL) as client:
        position = number_of(stream(client))

        def work(number: int) -> None:
            with pooler.client("alice") as other:
                for n in range(60):
                    assert other.query(f"SELECT {number}, {n}").rows == [(str(number), str(n))]

        crowd(8, work)
        end = number_of(current_log(postgres))
        read_log(client, max(end, position))


@each_kind
def test_the_console_tells_of_them(pooler: Pooler, postgres: Postgres, kind: str) -> None:
    pooler.run()
    with replicator(pooler, kind, application_name="standby"), pooler.client("alice") as ordinary:
        ordinary.begin()
        clients = {row["user"]: row for row in pooler.admin("SHOW CLIENTS")}
        servers = {row["user"]: row for row in pooler.admin("SHOW SERVERS")}
        word = "logical" if kind == LOGICAL else "physical"
        for rows in (clients, servers):
            assert (rows[REPLICATOR]["replication"], rows["alice"]["replication"]) == (word, "none")
        assert clients[REPLICATOR]["link"] == servers[REPLICATOR]["ptr"]
        assert servers[REPLICATOR]["remote_pid"] == walsender(postgres)
        assert clients[REPLICATOR]["application_name"] == "standby"
        pool = pooler.pool("app", REPLICATOR)
        assert (pool["cl_active"], pool["sv_active"], pool["sv_idle"], pool["pinned"]) == (1, 1, 0, 0)
    assert [event["replication"] for event in pooler.events if "replication" in event] == [word]


def test_application_name_add_host_leaves_a_standbys_name_alone(pooler: Pooler, postgres: Postgres) -> None:
    """It stands in synchronous_standby_names."""
    pooler.run_with(application_name_add_host=True)
    with replicator(pooler, PHYSICAL, application_name="standby") as client:
        stream(client)
        assert postgres.value("SELECT application_name FROM pg_stat_replication") == "standby"
