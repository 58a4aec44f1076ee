"""Databases at host names that name servers of `resolv_conf` know: what they stand for, how long, and what is told."""

from collections.abc import Sequence
from typing import Any

import psycopg
import pytest

from tests.kit.deadline import wait_until
from tests.kit.drop_in import DropIn
from tests.kit.name_server import NameServer
from tests.kit.pooler import Pooler

NOBODY_THERE = "127.0.0.2"


@pytest.fixture
def pooler_at_names(pooler: Pooler, name_server: NameServer) -> Pooler:
    """Its database is at db.test, where PostgreSQL is; not started yet."""
    pooler.databases["app"]["host"] = "db.test"
    pooler.settings["resolv_conf"] = str(name_server.resolv_conf(pooler.folder / "resolv.conf"))
    name_server.set("db.test", pooler.postgres.host)
    return pooler


def hosts(pooler: Pooler) -> Sequence[dict[str, Any]]:
    return pooler.admin("SHOW DNS_HOSTS")


def backend(pooler: Pooler) -> int:
    return int(pooler.value("SELECT pg_backend_pid()"))


def stands_for(pooler: Pooler, address: str) -> None:
    wait_until(lambda: [row["addrs"] for row in hosts(pooler)] == [address], f"db.test to stand for {address}")


def test_a_database_is_found_where_the_name_server_says(pooler_at_names: Pooler, name_server: NameServer) -> None:
    name_server.ttl_s = 3600
    pooler_at_names.run_with(dns_max_ttl="1h")
    assert pooler_at_names.value("SELECT 1") == 1
    (row,) = hosts(pooler_at_names)
    assert (row["hostname"], row["addrs"]) == ("db.test", pooler_at_names.postgres.host)
    assert 3000 < row["ttl"] <= 3600
    assert pooler_at_names.admin("SHOW DNS_ZONES") == [{"zonename": "test", "serial": 0, "count": 1}]


def test_servers_follow_a_name_whose_ttl_is_over(pooler_at_names: Pooler, name_server: NameServer) -> None:
    name_server.ttl_s = 1
    pooler_at_names.run_with(dns_max_ttl="1h")
    before = backend(pooler_at_names)
    name_server.set("db.test", NOBODY_THERE)
    wait_until(lambda: before not in pooler_at_names.postgres.backends(), "the server at the old address to be closed")
    stands_for(pooler_at_names, NOBODY_THERE)


def test_dns_max_ttl_is_the_longest_that_an_answer_holds(pooler_at_names: Pooler, name_server: NameServer) -> None:
    name_server.ttl_s = 3600
    pooler_at_names.run_with(dns_max_ttl="1s")
    asked = name_server.count("db.test", "A")
    wait_until(lambda: name_server.count("db.test", "A") > asked, "the name to be looked up again")
    pooler_at_names.admin("SET dns_max_ttl = '1h'")
    assert hosts(pooler_at_names)[0]["ttl"] > 3000


def test_a_longest_ttl_that_is_set_counts_at_once(pooler_at_names: Pooler, name_server: NameServer) -> None:
    name_server.ttl_s = 3600
    pooler_at_names.run_with(dns_max_ttl="1h")
    asked = name_server.count("db.test", "A")
    pooler_at_names.admin("SET dns_max_ttl = 1")
    wait_until(lambda: name_server.count("db.test", "A") > asked, "the name to be looked up again")


def test_a_name_that_is_not_there_is_asked_for_again_soon(pooler_at_names: Pooler, name_server: NameServer) -> None:
    name_server.forget("db.test")
    pooler_at_names.run_with(dns_max_ttl="1h", dns_nxdomain_ttl="1s", query_wait_timeout=1)
    with pytest.raises(psycopg.OperationalError, match=r"cannot resolve host name 'db\.test': there is no such name"):
        pooler_at_names.connect()
    assert pooler_at_names.log_contains("cannot resolve host name 'db.test': there is no such name")
    name_server.set("db.test", pooler_at_names.postgres.host)
    stands_for(pooler_at_names, pooler_at_names.postgres.host)
    assert pooler_at_names.value("SELECT 1") == 1


def test_how_long_a_missing_name_is_left_alone(pooler_at_names: Pooler, name_server: NameServer) -> None:
    name_server.forget("db.test")
    pooler_at_names.run_with(dns_max_ttl="1s", dns_nxdomain_ttl="1h")
    wait_until(lambda: pooler_at_names.log_contains("there is no such name"), "the name to have been looked up")
    name_server.set("db.test", pooler_at_names.postgres.host)
    assert 3000 < hosts(pooler_at_names)[0]["ttl"] <= 3600
    pooler_at_names.admin("SET dns_nxdomain_ttl = 1")
    stands_for(pooler_at_names, pooler_at_names.postgres.host)


def test_a_changed_zone_is_noticed_before_answers_are_old(pooler_at_names: Pooler, name_server: NameServer) -> None:
    name_server.ttl_s = 3600
    name_server.serial = 7
    pooler_at_names.run_with(dns_max_ttl="1h", dns_zone_check_period="0.2s")
    row = {"zonename": "test", "serial": 7, "count": 1}
    wait_until(lambda: pooler_at_names.admin("SHOW DNS_ZONES") == [row], "the zone's serial to be known")
    before = backend(pooler_at_names)
    name_server.set("db.test", NOBODY_THERE)
    name_server.serial = 8
    wait_until(lambda: before not in pooler_at_names.postgres.backends(), "the server at the old address to be closed")
    assert pooler_at_names.log_contains("zone 'test' serial changed: old=7 new=8")


def test_zones_can_be_checked_from_now_on(pooler_at_names: Pooler, name_server: NameServer) -> None:
    name_server.serial = 9
    pooler_at_names.run_with(dns_max_ttl="1h")
    assert name_server.count("test", "SOA") == 0
    pooler_at_names.admin("SET dns_zone_check_period = '0.2s'")
    wait_until(lambda: pooler_at_names.admin("SHOW DNS_ZONES")[0]["serial"] == 9, "the zone's serial to be known")


def test_a_dead_name_server_changes_nothing_for_those_who_are_connected(
    pooler_at_names: Pooler, name_server: NameServer
) -> None:
    name_server.ttl_s = 1
    name_server.resolv_conf(pooler_at_names.folder / "resolv.conf", "options timeout:1")
    pooler_at_names.run_with(default_pool_size=1)
    before = backend(pooler_at_names)
    name_server.failing = "A"
    asked = name_server.count("db.test", "A")
    wait_until(lambda: name_server.count("db.test", "A") > asked + 1, "the name to be looked up again")
    assert backend(pooler_at_names) == before
    assert hosts(pooler_at_names)[0]["addrs"] == pooler_at_names.postgres.host


def test_another_name_server_in_the_file_is_asked(pooler_at_names: Pooler, name_server: NameServer) -> None:
    file = pooler_at_names.folder / "resolv.conf"
    file.unlink()
    pooler_at_names.run_with(dns_nxdomain_ttl="1s")
    wait_until(
        lambda: pooler_at_names.log_contains(f"{file}: No such file or directory"), "the missing file to be told"
    )
    name_server.resolv_conf(file)
    stands_for(pooler_at_names, pooler_at_names.postgres.host)


def test_pgbouncers_log_alerts_find_a_name_that_is_not_there(drop_in: DropIn, name_server: NameServer) -> None:
    drop_in.databases["app"]["host"] = "nobody.test"
    drop_in.run_with(resolv_conf=str(name_server.resolv_conf(drop_in.folder / "resolv.conf")))
    level, _ = drop_in.wait_for_line(r"^DNS lookup failed: nobody\.test: ")
    assert level == "WARNING"


def test_who_wants_all_the_noise_sees_each_answer(drop_in: DropIn, name_server: NameServer) -> None:
    drop_in.databases["app"]["host"] = "db.test"
    drop_in.settings["resolv_conf"] = str(name_server.resolv_conf(drop_in.folder / "resolv.conf"))
    name_server.ttl_s = 1
    name_server.set("db.test", drop_in.postgres.host)
    drop_in.switches = ("-v", "-v")
    drop_in.run_with()
    told = ("NOISE", f"DNS: db.test[0] = {drop_in.postgres.host}:0 [STREAM]")
    wait_until(lambda: drop_in.lines.count(told) > 1, "the answer to be told more than once")
