"""From configuration to plan: precedence, units, addresses."""

from dataclasses import replace
from ipaddress import ip_network
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from howdah.control.auth.access import Access
from howdah.control.auth.hba import rules_of_auth_type
from howdah.control.auth.secrets import NO_PASSWORD
from howdah.control.config.schema import Config
from howdah.control.intake import Intake
from howdah.control.plan import Resolved, build_plan, host_names, microseconds
from howdah.control.sockaddr import ip_address, unix_address
from howdah.control.tls_files import TlsPlans
from howdah.dataplane.plan import (
    DatabasePlan,
    MapLine,
    NameKind,
    NameMatch,
    PinKind,
    PinRules,
    Plan,
    PoolMode,
    Secret,
    TlsMode,
    TlsPlan,
    UserPlan,
)

NOTHING = Intake(Access(), TlsPlans(TlsPlan(), TlsPlan()))


def plan(databases: dict[str, Any], resolved: dict[str, Resolved] | None = None, **settings: Any) -> Plan:
    config = Config.model_validate({"databases": databases, "settings": settings})
    return build_plan(config, NOTHING, resolved or {}, version=7)


def database(table: dict[str, Any], resolved: dict[str, Resolved] | None = None, **settings: Any) -> DatabasePlan:
    (only,) = plan({"app": table}, resolved, **settings).databases
    return only


def test_settings_arrive_in_the_plans_units() -> None:
    built = plan({}, client_idle_timeout="1500ms", tcp_user_timeout="2s", tcp_keepidle="1min", max_packet_size="1kB")
    assert built.version == 7
    settings = built.settings
    assert (settings.client_idle_timeout_us, settings.tcp_user_timeout) == (1_500_000, 2000)
    assert (settings.tcp_keepidle, settings.max_packet_size) == (60, 1024)


@given(st.floats(0, 3e9, allow_subnormal=True))
def test_only_nothing_becomes_nothing(seconds: float) -> None:
    assert (microseconds(seconds) == 0) == (seconds == 0)
    assert abs(microseconds(seconds) - seconds * 1e6) <= 1


@pytest.mark.parametrize(
    "table_key, settings_key, general, own, attribute, expected",
    [
        ("pool_size", "default_pool_size", 5, 6, "pool_size", (5, 6)),
        ("min_pool_size", "min_pool_size", 5, 0, "min_pool_size", (5, 0)),
        ("reserve_pool_size", "reserve_pool_size", 5, 0, "reserve_pool_size", (5, 0)),
        ("max_db_connections", "max_db_connections", 5, 0, "max_db_connections", (5, 0)),
        ("server_lifetime", "server_lifetime", 5, 6, "server_lifetime_us", (5_000_000, 6_000_000)),
        ("pool_mode", "pool_mode", "session", "statement", "pool_mode", (PoolMode.SESSION, PoolMode.STATEMENT)),
        ("query_wait_timeout", "query_wait_timeout", "1s", 0, "query_wait_timeout_us", (1_000_000, 0)),
    ],
)
def test_a_databases_own_value_wins(
    table_key: str, settings_key: str, general: Any, own: Any, attribute: str, expected: tuple[object, object]
) -> None:
    inherited = database({}, **{settings_key: general})
    overridden = database({table_key: own}, **{settings_key: general})
    assert (getattr(inherited, attribute), getattr(overridden, attribute)) == expected


def test_a_users_values_are_handed_on_and_the_rest_left_open() -> None:
    users = {"bob": {"pool_size": 3, "pool_mode": "session"}, "eve": {"max_user_connections": 0}}
    config = Config.model_validate({"users": users})
    secrets = {"eve": Secret(password=b"pw"), "ada": Secret(md5="md5" + 32 * "0")}
    intake = replace(NOTHING, access=Access(secrets=secrets))
    assert build_plan(config, intake, {}, 1).users == (
        UserPlan("bob", 3, None, PoolMode.SESSION, None),
        UserPlan("eve", None, None, None, 0, secret=secrets["eve"]),
        UserPlan("ada", None, None, None, None, secret=secrets["ada"]),
    )


def test_a_users_time_limits_are_handed_on_and_the_rest_left_open() -> None:
    names = ("query", "query_wait", "transaction", "idle_transaction", "client_idle")
    own = {f"{name}_timeout": f"{number}ms" for number, name in enumerate(names)}
    config = Config.model_validate({"users": {"bob": own, "eve": {}}, "settings": {"query_timeout": "9s"}})
    bob, eve = build_plan(config, NOTHING, {}, 1).users
    assert [getattr(bob, f"{name}_timeout_us") for name in names] == [0, 1000, 2000, 3000, 4000]
    assert [getattr(eve, f"{name}_timeout_us") for name in names] == [None] * 5


@pytest.mark.parametrize(
    "written, query", [("<empty>", ""), ("", None), ("  ", None), (" select 1 ", "select 1"), ("<Empty>", "<Empty>")]
)
def test_a_check_without_a_word_in_it_is_not_the_same_as_none(written: str, query: str | None) -> None:
    assert plan({}, server_check_query=written).settings.server_check_query == query


def test_what_is_run_on_a_new_server_connection() -> None:
    assert database({"connect_query": " set a.b = 1 "}).connect_query == "set a.b = 1"
    assert database({}).connect_query == ""


def test_how_servers_are_looked_after_arrives_in_the_plan() -> None:
    settings = plan(
        {}, server_check_delay="2s", query_timeout=1.5, transaction_timeout="1min", query_wait_notify=0,
        cancel_wait_timeout="1ms", max_prepared_statements=7, deferred_begin="off", disable_pqexec="on",
        server_fast_close=1, server_round_robin=True, server_reset_query_always="yes",
    ).settings  # fmt: skip
    assert (settings.server_check_delay_us, settings.query_timeout_us) == (2_000_000, 1_500_000)
    assert (settings.transaction_timeout_us, settings.query_wait_notify_us) == (60_000_000, 0)
    assert (settings.cancel_wait_timeout_us, settings.max_prepared_statements) == (1000, 7)
    assert (settings.deferred_begin, settings.disable_pqexec, settings.server_fast_close) == (False, True, True)
    assert (settings.server_round_robin, settings.server_reset_query_always) == (True, True)


def test_who_is_listed_without_a_password_has_a_secret_that_stays_and_that_nobody_knows() -> None:
    """With none in the plan auth_query would be asked for one."""
    config = Config.model_validate({"users": {"eve": {"pool_size": 3}}, "settings": {"scram_iterations": 5000}})
    intake = replace(NOTHING, access=Access(secrets={"bob": NO_PASSWORD, "ada": NO_PASSWORD}))
    first, second = ([user.secret for user in build_plan(config, intake, {}, n).users] for n in (1, 2))
    assert first == second, "a reload would end what servers have been logged in to with"
    eve, bob, ada = first
    assert eve is None, "settings alone are no reason not to ask"
    assert bob and ada and bob.scram and ada.scram
    assert (bob.password, bob.md5, bob.scram.iterations, len(bob.scram.salt)) == (None, "", 5000, 16)
    keys = {bob.scram.stored_key, bob.scram.server_key, ada.scram.stored_key, ada.scram.server_key}
    assert {len(key) for key in keys} == {32} and len(keys) == 4
    assert bob.scram.salt != ada.scram.salt


def test_what_is_more_particular_decides_about_pins() -> None:
    tables = {"app": {"pin": "deny", "pin_timeout": "2s", "session_lint": True}, "other": {}}
    users = {"alice": {"pin": "load=warn", "max_pinned": "10%"}, "bob": {"pin_timeout": 0}}
    settings = {"pin": ["warn", "listen=allow"], "max_pinned": "50%"}
    config = Config.model_validate({"databases": tables, "users": users, "settings": settings})
    built = build_plan(config, NOTHING, {}, version=7)
    app, other = built.databases
    every = sum(PinKind)
    assert app.pin_rules == PinRules(deny=every - PinKind.UNKNOWN)
    assert (app.pin_timeout_us, app.max_pinned, app.session_lint) == (2_000_000, 50, True)
    assert other.pin_rules == PinRules(warn=every - PinKind.LISTEN)
    assert (other.pin_timeout_us, other.session_lint) == (0, False)
    alice, bob = built.users
    assert (alice.pin_rules, alice.pin_timeout_us, alice.max_pinned) == (PinRules(warn=PinKind.LOAD), None, 10)
    assert (bob.pin_rules, bob.pin_timeout_us, bob.max_pinned) == (None, 0, None)


def test_without_a_reserve_timeout_there_is_no_reserve() -> None:
    assert database({}, reserve_pool_size=5, reserve_pool_timeout=0).reserve_pool_size == 0


def test_what_a_server_connection_starts_with() -> None:
    found = database({"timezone": "UTC", "application_name": "", "options": "-c a=b", "user": "bob", "dbname": "real"})
    assert found.startup_parameters == (("timezone", "UTC"), ("application_name", ""), ("options", "-c a=b"))
    assert (found.force_user, found.dbname) == ("bob", "real")
    assert (database({}).force_user, database({}).dbname) == (None, None)


@pytest.mark.parametrize(
    "settings, users, everybody",
    [
        ({"admin_users": "a,b", "stats_users": "b,c"}, ("a", "b", "c"), False),
        ({"auth_type": "trust"}, (), True),
        ({"auth_type": "any"}, (), True),
        ({"auth_type": "hba"}, (), False),
        ({}, (), False),
        ({"auth_type": "trust", "stats_users": "a"}, ("a",), False),
    ],
)
def test_who_may_see_the_console(settings: dict[str, Any], users: tuple[str, ...], everybody: bool) -> None:
    made = plan({}, **settings).settings
    assert (made.console_users, made.console_for_all) == (users, everybody)


# logins


def test_limits_of_logins_arrive_in_the_plans_units() -> None:
    settings = plan(
        {}, auth_cache_ttl="1min", login_failure_delay="500ms", login_rate_per_user="2.5", autodb_idle_timeout=0,
        scram_iterations=1, max_concurrent_logins=9, max_user_client_connections=4,
        proxy_protocol_from="10.0.0.0/8, ::1",
    ).settings  # fmt: skip
    assert (settings.auth_cache_us, settings.login_failure_delay_us) == (60_000_000, 500_000)
    assert (settings.login_rate_per_user, settings.login_rate_per_address) == (2.5, 0.0)
    assert (settings.autodb_idle_timeout_us, settings.scram_iterations, settings.max_concurrent_logins) == (0, 1, 9)
    assert settings.proxy_networks == (ip_network("10.0.0.0/8"), ip_network("::1"))
    assert settings.max_user_client_connections == 4


def test_a_password_for_postgresql_belongs_to_the_databases_user() -> None:
    assert database({"user": "app", "password": "secret"}).secret == Secret(password=b"secret")
    assert database({"user": "app"}).secret is None
    assert database({"password": "secret"}).secret is None


def test_only_somebody_who_can_be_asked_is_asked() -> None:
    assert not database({}).lookup
    assert database({"auth_user": "asker"}).lookup
    assert database({}, auth_user="asker").lookup


def test_a_databases_own_limit_of_clients_wins() -> None:
    assert database({}, max_db_client_connections=5).max_db_client_connections == 5
    assert database({"max_db_client_connections": 0}, max_db_client_connections=5).max_db_client_connections == 0


def test_rules_maps_and_tls_are_handed_on() -> None:
    lines = rules_of_auth_type("md5", "")
    maps = (MapLine("m", NameMatch(NameKind.EXACT, "a"), NameMatch(NameKind.ALL)),)
    tls = TlsPlans(TlsPlan(TlsMode.REQUIRE), TlsPlan(TlsMode.PREFER))
    built = build_plan(Config(), Intake(Access(lines, maps), tls), {}, 1)
    assert (built.rules, built.maps) == ((lines[0].rule,), maps)
    assert (built.client_tls, built.server_tls) == (tls.clients, tls.servers)


# addresses


def test_addresses_and_sockets_need_no_resolving() -> None:
    found = database({"host": "10.0.0.1, ::1, /run, @x", "port": 5433})
    assert found.addresses == (
        replace(ip_address("10.0.0.1", 5433), host="10.0.0.1"), replace(ip_address("::1", 5433), host="::1"),
        unix_address("/run", 5433), unix_address("@x", 5433),
    )  # fmt: skip
    assert (found.resolve_error, found.host) == ("", "10.0.0.1,::1,/run,@x")


def test_without_a_host_it_is_the_socket_directory() -> None:
    found = database({}, unix_socket_dir="/run/pg")
    assert found.addresses == (unix_address("/run/pg", 5432),)
    assert found.host == ""


def test_names_are_resolved_to_all_their_addresses_once_each() -> None:
    resolved = {"db": Resolved(("10.0.0.1", "::1")), "db2": Resolved(("10.0.0.1", "10.0.0.2"))}
    found = database({"host": ["db", "db2"]}, resolved)
    assert [address.text for address in found.addresses] == ["10.0.0.1:5432", "[::1]:5432", "10.0.0.2:5432"]
    assert [address.host for address in found.addresses] == ["db", "db", "db2"]


def test_one_unknown_name_among_several_hosts_is_passed_over() -> None:
    found = database({"host": ["db", "10.0.0.1"]}, {"db": Resolved((), "cannot resolve host name 'db'")})
    assert [address.text for address in found.addresses] == ["10.0.0.1:5432"]
    assert found.resolve_error == ""


@pytest.mark.parametrize(
    "resolved, error",
    [
        ({}, "host name 'db' is not resolved yet"),
        ({"db": Resolved((), "no such name")}, "no such name"),
        ({"db": Resolved(())}, "host name 'db' is not resolved yet"),
    ],
)
def test_a_database_without_addresses_says_why(resolved: dict[str, Resolved], error: str) -> None:
    found = database({"host": "db"}, resolved)
    assert (found.addresses, found.resolve_error) == ((), error)


def test_only_names_are_to_be_resolved() -> None:
    tables = {"a": {"host": "db, 10.0.0.1, /run, @x, ::1"}, "b": {"host": "db, localhost"}, "c": {}}
    assert host_names(Config.model_validate({"databases": tables})) == {"db", "localhost"}


def test_peers_are_resolved_as_databases_are() -> None:
    peers = {
        "1": {"host": "/run/pool1"},
        "2": {"host": "pool.example", "port": 6433, "pool_size": 3},
        "3": {"host": "::1"},
        "4": {"host": "gone.example"},
    }
    config = Config.model_validate({"peers": peers, "settings": {"peer_id": 1, "default_pool_size": 7}})
    assert host_names(config) == {"pool.example", "gone.example"}
    known = {"pool.example": Resolved(("192.0.2.1", "192.0.2.2")), "gone.example": Resolved((), "no such name")}
    built = build_plan(config, NOTHING, known, version=1)
    assert built.settings.peer_id == 1
    shown = [(p.peer_id, p.host, tuple(a.text for a in p.addresses), p.resolve_error, p.pool_size) for p in built.peers]
    assert shown == [
        (1, "/run/pool1", ("unix:/run/pool1/.s.PGSQL.6432",), "", 7),
        (2, "pool.example", ("192.0.2.1:6433", "192.0.2.2:6433"), "", 3),
        (3, "::1", ("[::1]:6432",), "", 7),
        (4, "gone.example", (), "no such name", 7),
    ]
