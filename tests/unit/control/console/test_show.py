"""SHOW's tables: PgBouncer's columns, in its order and with its types, and values where they belong."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from howdah.control.config import Config, UserSettings
from howdah.control.config.network_settings import PeerSettings
from howdah.control.console.averages import Averages
from howdah.control.console.columns import BYTEA, INT4, INT8, NUMERIC, TEXT, columns
from howdah.control.console.show import TABLES, TABLES_BY_NAME, Table
from howdah.dataplane.plan import PeerPlan, Plan
from howdah.dataplane.rows import GONE, DatabaseState, PeerPoolRow, StatsRow
from tests.unit.control.console.engine_stub import CLIENT, DATABASE, POOL, SERVER, SETTINGS, STATS, EngineStub, facts

BY_NAME = {table.name: table for table in TABLES}
LETTERS = {TEXT: "t", INT4: "i", INT8: "q", NUMERIC: "n", BYTEA: "b"}
_CONNECTIONS = (
    "type t, user t, database t, replication t, state t, addr t, port i, local_addr t, local_port i, connect_time t, "
    "request_time t, wait i, wait_us i, close_needed i, ptr t, link t, remote_pid i, tls t, application_name t, "
    "prepared_statements i, id i"
)
_BUFFERS = "recv_pos i, pkt_pos i, pkt_remain i, send_pos i, send_remain i, pkt_avail i, send_avail i"
#: Tables that have nothing to show.
EMPTY = {"PEERS", "PEER_POOLS", "DNS_ZONES"}
#: From PgBouncer 1.25's admin.c and stats.c; howdah's own columns may only follow.
PGBOUNCER = {
    "VERSION": "version t",
    "CONFIG": "key t, value t, default t, changeable t",
    "STATE": "key t, value t",
    "DATABASES": (
        "name t, host t, port i, database t, force_user t, pool_size i, min_pool_size i, reserve_pool_size i, "
        "server_lifetime i, pool_mode t, load_balance_hosts t, max_connections i, current_connections i, "
        "max_client_connections i, current_client_connections i, paused i, disabled i"
    ),
    "POOLS": (
        "database t, user t, cl_active i, cl_waiting i, cl_active_cancel_req i, cl_waiting_cancel_req i, sv_active i, "
        "sv_active_cancel i, sv_being_canceled i, sv_idle i, sv_used i, sv_tested i, sv_login i, maxwait i, "
        "maxwait_us i, pool_mode t, load_balance_hosts t"
    ),
    "CLIENTS": _CONNECTIONS,
    "SERVERS": _CONNECTIONS,
    "LISTS": "list t, items i",
    "STATS": (
        "database t, total_server_assignment_count n, total_xact_count n, total_query_count n, total_received n, "
        "total_sent n, total_xact_time n, total_query_time n, total_wait_time n, total_client_parse_count n, "
        "total_server_parse_count n, total_bind_count n, total_client_login_count n, avg_server_assignment_count n, "
        "avg_xact_count n, avg_query_count n, avg_recv n, avg_sent n, avg_xact_time n, avg_query_time n, "
        "avg_wait_time n, avg_client_parse_count n, avg_server_parse_count n, avg_bind_count n, "
        "avg_client_login_count n"
    ),
    "STATS_TOTALS": (
        "database t, server_assignment_count n, xact_count n, query_count n, bytes_received n, bytes_sent n, "
        "xact_time n, query_time n, wait_time n, client_parse_count n, server_parse_count n, bind_count n, "
        "client_login_count n"
    ),
    "STATS_AVERAGES": (
        "database t, server_assignment_count n, xact_count n, query_count n, bytes_received n, bytes_sent n, "
        "xact_time n, query_time n, wait_time n, avg_client_parse_count n, avg_server_parse_count n, "
        "avg_bind_count n, avg_client_login_count n"
    ),
    "TOTALS": "name t, value n",
    "USERS": (
        "name t, pool_size t, reserve_pool_size t, pool_mode t, max_user_connections i, current_connections i, "
        "max_user_client_connections i, current_client_connections i"
    ),
    "SOCKETS": f"{_CONNECTIONS}, {_BUFFERS}",
    "ACTIVE_SOCKETS": f"{_CONNECTIONS}, {_BUFFERS}",
    "FDS": (
        "fd i, task t, user t, database t, addr t, port i, cancel q, link i, client_encoding t, std_strings t, "
        "datestyle t, timezone t, password t, scram_client_key b, scram_server_key b"
    ),
    "PEERS": "peer_id i, host t, port i, pool_size i",
    "PEER_POOLS": "peer_id i, cl_active_cancel_req i, cl_waiting_cancel_req i, sv_active_cancel i, sv_login i",
    "MEM": "name t, size i, used i, free i, memtotal i",
    "DNS_HOSTS": "hostname t, ttl q, addrs t",
    "DNS_ZONES": "zonename t, serial q, count i",
}


def _rows(name: str, **engine: Any) -> list[dict[str, object]]:
    table = BY_NAME[name]
    names = [column.name for column in table.columns]
    stub = EngineStub(**engine)
    return [dict(zip(names, row, strict=True)) for row in table.rows(facts(stub))]


@pytest.mark.parametrize("name", sorted(PGBOUNCER))
def test_columns_begin_with_those_of_pgbouncer(name: str) -> None:
    ours = ", ".join(f"{column.name} {LETTERS[column.type]}" for column in BY_NAME[name].columns)
    assert ours == PGBOUNCER[name] or ours.startswith(PGBOUNCER[name] + ", ")


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_each_row_fits_its_columns(table: Table) -> None:
    rows = list(table.rows(facts()))
    assert rows or table.name in EMPTY
    for row in rows:
        for column, cell in zip(table.columns, row, strict=True):
            expected = str if column.type is TEXT else int
            assert cell is None or type(cell) is expected, (column.name, cell)


@pytest.mark.parametrize(
    "name, count", [("POOLS", 17), ("CLIENTS", 21), ("SERVERS", 21), ("STATS", 23), ("DATABASES", 17), ("SOCKETS", 28)]
)
def test_the_columns_of_its_last_release_are_known(name: str, count: int) -> None:
    assert len(BY_NAME[name].exact) == count
    released = [column.name for column in columns(PGBOUNCER[name])]
    assert [BY_NAME[name].columns[at].name for at in BY_NAME[name].exact] == [
        column for column in released if not column.endswith("client_login_count")
    ]


def test_a_wait_is_split_into_seconds_and_microseconds() -> None:
    pool, console = _rows("POOLS")
    assert (pool["maxwait"], pool["maxwait_us"]) == (2, 500_000)
    assert (pool["sv_login"], pool["pool_mode"], pool["pool_size"], pool["pinned"]) == (1, "transaction", 20, 1)
    assert (console["database"], console["cl_active"]) == ("pgbouncer", 1)
    (client,) = _rows("CLIENTS")
    assert (client["wait"], client["wait_us"]) == (1, 250_000)


def test_a_client_and_its_server_are_joined_by_ptr_and_link() -> None:
    (client,), (server,) = _rows("CLIENTS"), _rows("SERVERS")
    assert client["link"] == server["ptr"]
    assert server["link"] == client["ptr"]
    assert (client["type"], server["type"], server["remote_pid"]) == ("C", "S", 4711)


def test_tls_and_the_name_asked_for_are_shown() -> None:
    (client,), (server,) = _rows("CLIENTS"), _rows("SERVERS")
    assert (client["tls"], client["sni"]) == (CLIENT.tls, "db.example")
    assert (server["tls"], server["sni"]) == (SERVER.tls, "")


def test_times_are_written_as_pgbouncer_does() -> None:
    (client,) = _rows("CLIENTS")
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \S+", str(client["connect_time"]))
    assert client["request_time"] is None


def test_a_unix_socket_is_shown_as_pgbouncer_does() -> None:
    server = SERVER._replace(address="unix:/run/postgresql/.s.PGSQL.5433", port=0)
    (row,) = _rows("SERVERS", server_rows=[server])
    assert (row["addr"], row["port"]) == ("unix", 5433)


def test_a_console_client_is_active_in_its_database() -> None:
    console = CLIENT._replace(id=11, state="console", user="", database="")
    (row,) = _rows("CLIENTS", client_rows=[console])
    assert (row["user"], row["database"], row["state"]) == ("alice", "pgbouncer", "active")


def test_a_console_client_is_shown_with_what_it_calls_itself() -> None:
    known = facts(EngineStub(client_rows=[CLIENT._replace(id=11, state="console", application_name="")]))
    known.use.programs[11] = "pgmetrics"
    (row,) = BY_NAME["CLIENTS"].rows(known)
    assert "pgmetrics" in row


def test_databases_that_came_in_by_the_star_are_shown_for_themselves() -> None:
    star = replace(DATABASE, name="*", host="stars", pool_size=3)
    engine = EngineStub(pool_rows=[POOL, POOL._replace(database="other", sv_active=9)])
    engine.database_states = (DatabaseState("unused", paused=True, disabled=False),)
    known = replace(facts(engine), plan=lambda: Plan(1, SETTINGS, (DATABASE, star), ()))
    names = [column.name for column in BY_NAME["DATABASES"].columns]
    rows = {row[0]: dict(zip(names, row, strict=True)) for row in BY_NAME["DATABASES"].rows(known)}
    counts = {name: (row["current_connections"], row["current_client_connections"]) for name, row in rows.items()}
    assert counts == {"app": (6, 5), "other": (11, 5), "pgbouncer": (0, 1), "unused": (0, 0)}
    assert (rows["other"]["host"], rows["other"]["database"], rows["other"]["pool_size"]) == ("stars", "other", 3)
    assert [name for name, row in rows.items() if row["paused"]] == ["unused"]
    assert ("databases", 4) in list(TABLES_BY_NAME["lists"].rows(known))


def test_a_database_that_has_been_removed_is_not_shown_while_its_clients_leave() -> None:
    known = replace(facts(), plan=lambda: Plan(1, SETTINGS, (), ()))
    assert [row[0] for row in BY_NAME["DATABASES"].rows(known)] == ["pgbouncer"]


def test_stats_hold_totals_and_the_console_itself() -> None:
    app, console = _rows("STATS")
    assert (app["total_xact_count"], app["total_received"], app["total_client_login_count"]) == (20, 4000, 9)
    assert (console["database"], console["total_query_count"]) == ("pgbouncer", 5)


def test_prepared_statements_are_counted() -> None:
    (client,), (server,) = _rows("CLIENTS"), _rows("SERVERS")
    assert (client["prepared_statements"], server["prepared_statements"]) == (3, 5)
    app = _rows("STATS")[0]
    assert [app[f"total_{what}_count"] for what in ("client_parse", "server_parse", "bind")] == [11, 12, 13]


def test_channels_are_counted() -> None:
    (client,), (server,) = _rows("CLIENTS"), _rows("SERVERS")
    assert (client["channels"], server["channels"]) == (2, 4)


def test_load_balancing_is_shown_as_it_is_set_where_there_are_several_hosts() -> None:
    for hosts, shown in ((["a", "b"], "disable"), (["a"], None)):
        config = Config.model_validate({"databases": {"app": {"host": hosts, "load_balance_hosts": "disable"}}})
        for table, named in (("POOLS", "database"), ("DATABASES", "name")):
            names = [column.name for column in BY_NAME[table].columns]
            rows = [dict(zip(names, row, strict=True)) for row in BY_NAME[table].rows(facts(config=config))]
            assert [row["load_balance_hosts"] for row in rows if row[named] == "app"] == [shown]


def test_averages_are_of_the_last_full_period() -> None:
    averages = Averages(100.0)
    averages.sample(110.0, [STATS])
    later = STATS._replace(xact_count=220, query_count=430, xact_time_us=2060, query_time_us=870, bytes_received=14_000,
                           wait_time_us=10_080, server_assignment_count=30)  # fmt: skip
    averages.sample(120.0, [later])
    assert averages.of("app") == StatsRow(
        database="app", server_assignment_count=2, xact_count=20, query_count=40, bytes_received=1000, bytes_sent=0,
        xact_time_us=10, query_time_us=2, wait_time_us=500, client_login_count=0,
    )  # fmt: skip
    assert averages.of("unknown") == StatsRow("unknown")


def test_the_stub_is_no_looser_than_the_engine() -> None:
    """Its methods are the engine's: a renamed one must fail here, not in production."""
    typed = Path(facts.__code__.co_filename).parents[4] / "src/howdah/dataplane/engine.pyi"
    for method in ("pools", "clients", "servers", "stats", "pins", "pin_reasons", "lint", "peer_pools", "console_send"):
        assert f"def {method}(" in typed.read_text()
        assert hasattr(EngineStub, method)


def test_totals_are_those_of_all_databases_together() -> None:
    averages = Averages(0.0)
    for at, factor in ((60.0, 1), (120.0, 3)):
        averages.sample(at, [StatsRow(name, *(60 * factor * count for count in range(1, 13))) for name in ("a", "b")])
    rows = {row[0]: row[1] for row in BY_NAME["TOTALS"].rows(facts(EngineStub(stats_rows=[STATS, STATS]), averages))}
    assert (rows["total_query_count"], rows["total_client_bytes"], rows["total_ps_bind_count"]) == (65, 8000, 26)
    assert (rows["avg_query_count"], rows["avg_xact_time"], rows["avg_client_login_count"]) == (12, 3, 48)
    assert list(rows)[:3] == ["total_server_assignment_count", "total_xact_count", "total_query_count"]


def test_sockets_show_what_is_in_their_buffers() -> None:
    client, server = _rows("SOCKETS")
    assert (client["state"], client["pkt_remain"], client["pkt_avail"], client["send_avail"]) == ("cl_active", 8, 9, 7)
    assert (server["state"], server["pkt_remain"], server["send_remain"], server["worker"]) == ("sv_active", 6, 5, 1)
    (active,) = _rows("ACTIVE_SOCKETS", client_rows=[CLIENT._replace(state="idle")])
    assert active["type"] == "S"


def test_file_descriptors_are_linked_and_tell_no_secrets() -> None:
    tcp, unix, client, server = _rows("FDS")
    assert [(row["fd"], row["task"], row["addr"]) for row in (tcp, unix)] == [
        (5, "pooler", "127.0.0.1"),
        (6, "pooler", "unix"),
    ]
    assert (client["fd"], client["link"], server["fd"], server["link"]) == (20, 21, 21, 20)
    assert {client["password"], client["scram_client_key"], client["cancel"]} == {None, 0}


def test_users_are_all_that_are_known() -> None:
    config = Config(users={"alice": UserSettings(pool_size=3, pool_mode="session"), "eve": UserSettings()})
    table = BY_NAME["USERS"]
    rows = {row[0]: row for row in table.rows(facts(config=config))}
    assert set(rows) == {"alice", "eve", "pgbouncer"}
    assert rows["alice"][1:4] == ("3", None, "session")
    assert rows["alice"][5:] == (6, 0, 6)  # five in its pool and one on the console


def test_peers_are_shown_by_their_numbers() -> None:
    peers = {"10": PeerSettings(host=("10.0.0.2",), pool_size=3), "2": PeerSettings(host=("/run/howdah",), port=6433)}
    config = Config(peers=peers)
    shown = facts(config=config)
    assert list(TABLES_BY_NAME["peers"].rows(shown)) == [(2, "/run/howdah", 6433, 20), (10, "10.0.0.2", 6432, 3)]
    assert ("peers", 2) in list(TABLES_BY_NAME["lists"].rows(shown))


def test_only_peers_that_are_configured_have_pools() -> None:
    engine = EngineStub(peer_pool_rows=[PeerPoolRow(2, 1, 5, 1, 2, 30), PeerPoolRow(3, 0, 0, 0, 0, 1)])
    shown = replace(facts(engine), plan=lambda: Plan(1, SETTINGS, (), (), peers=(PeerPlan(2, "x", (), "", 9),)))
    assert list(TABLES_BY_NAME["peer_pools"].rows(shown)) == [(2, 1, 5, 1, 2)]
    assert ("peer_pools", 1) in list(TABLES_BY_NAME["lists"].rows(shown))


def test_memory_is_summed_up() -> None:
    clients, _ = _rows("MEM")
    assert clients == {"name": "client_cache", "size": 900, "used": 8, "free": 56, "memtotal": 57_600}


def test_lists_count_what_there_is() -> None:
    """Five clients in the pool and one on the console are in; eight structs are in use."""
    lists = {row["list"]: row["items"] for row in _rows("LISTS")}
    assert (lists["used_clients"], lists["login_clients"], lists["free_clients"]) == (6, 2, 56)
    assert (lists["used_servers"], lists["free_servers"], lists["databases"]) == (1, 15, 2)
    assert (lists["dns_names"], lists["dns_zones"], lists["dns_queries"], lists["dns_pending"]) == (1, 1, 2, 0)


def test_host_names_are_shown_with_their_addresses() -> None:
    assert _rows("DNS_HOSTS") == [{"hostname": "db.example", "ttl": 12, "addrs": "192.0.2.1"}]


def test_zones_are_shown_with_their_serials() -> None:
    assert _rows("DNS_ZONES") == [{"zonename": "example", "serial": 2026112801, "count": 1}]


def test_databases_that_are_gone_count_in_totals_alone() -> None:
    engine = EngineStub(stats_rows=[STATS, StatsRow(GONE, query_count=100)])
    totals = {row[0]: row[1] for row in BY_NAME["TOTALS"].rows(facts(engine))}
    assert totals["total_query_count"] == STATS.query_count + 100 + 5
    assert [row[0] for row in BY_NAME["STATS"].rows(facts(engine))] == ["app", "pgbouncer"]


def test_a_database_that_was_gone_has_no_negative_averages() -> None:
    averages = Averages(0.0)
    averages.sample(60.0, [StatsRow("app", query_count=6000)])
    averages.sample(120.0, [StatsRow("app", query_count=60)])
    assert averages.of("app").query_count == 1
