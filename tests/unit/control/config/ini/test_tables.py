"""From a pgbouncer.ini to a configuration, or to every fault with its place."""

import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from howdah.control.config import Config, ConfigError
from howdah.control.config.load import Request, read
from howdah.control.config.pgbouncer import WITHOUT_EFFECT
from howdah.control.config.schema import DatabaseSettings, PeerSettings, UserSettings

HEAD = "[pgbouncer]\nauth_type = trust\n"
WORDS = [
    *("[pgbouncer]", "[databases]", "[users]", "[peers]", "\n", " = ", "=", "a", "1", "-1", "'", "*", "x", "db", "any"),
    *("host", "port", "pool_size", "pool_mode", "session", "auth_type", "listen_addr", "unix_socket_mode", "0777"),
]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def load(text: str, name: str = "pgbouncer.ini", **environ: str) -> Config:
    Path(name).write_text(text)
    return read(Request(name), environ)


def faults(text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(text)
    return str(caught.value).splitlines()


def notes(config: Config) -> list[str]:
    return [str(warning) for warning in config.warnings]


def test_pgbouncers_defaults_count() -> None:
    settings = load("[pgbouncer]\n").settings
    assert (settings.pool_mode, settings.auth_type, settings.listen_addr) == ("session", "md5", ())
    assert (settings.max_client_conn, settings.log_connections, settings.log_disconnections) == (100, True, True)
    assert (settings.listen_port, settings.unix_socket_dir, settings.default_pool_size) == (6432, "/tmp", 20)
    assert settings.tcp_defer_accept


def test_a_whole_file() -> None:
    config = load("""\
; everything at once
[databases]
app = host=db.example port=5433 dbname=production user=bob password='it''s' pool_size=7 reserve_pool=3
* = host=10.0.0.1,10.0.0.2 load_balance_hosts=disable
"odd name" = connect_query='SELECT 1' application_name=x client_encoding=UTF8 datestyle=ISO timezone=UTC
[users]
reports = pool_mode=Session pool_size=2 query_timeout=1e1
[peers]
2 = host=/tmp/peer
[pgbouncer]
listen_addr = *
auth_type = scram-sha-256
auth_file = users.txt
query_wait_timeout = .5
ignore_startup_parameters = extra_float_digits, geqo
unix_socket_mode = 0750
peer_id = 1
""")
    app, fallback, odd = (config.databases[name] for name in ("app", "*", "odd name"))
    assert app == DatabaseSettings(host="db.example", port=5433, dbname="production", user="bob", password="it's",
                                   pool_size=7, reserve_pool_size=3)  # fmt: skip
    assert (fallback.host, fallback.load_balance_hosts) == (("10.0.0.1", "10.0.0.2"), "disable")
    assert (odd.connect_query, odd.application_name, odd.timezone) == ("SELECT 1", "x", "UTC")
    assert config.users == {"reports": UserSettings(pool_mode="session", pool_size=2, query_timeout=10)}
    assert config.peers == {"2": PeerSettings(host="/tmp/peer", port=6432)}
    settings = config.settings
    assert (settings.listen_addr, settings.query_wait_timeout, settings.unix_socket_mode) == (("*",), 0.5, 0o750)
    assert settings.ignore_startup_parameters == ("extra_float_digits", "geqo")
    assert settings.auth_file == str(Path.cwd() / "users.txt")
    assert config.pgbouncer


def test_files_are_looked_for_in_the_working_directory(folder: Path) -> None:
    (folder / "etc").mkdir()
    assert load("[pgbouncer]\nauth_file = u.txt\n", "etc/p.ini").settings.auth_file == str(folder / "u.txt")
    assert load("[pgbouncer]\nauth_file = /u.txt\n", "etc/p.ini").settings.auth_file == "/u.txt"


@pytest.mark.parametrize("name", ["pgbouncer.conf", "pgbouncer.ini.new", "x"])
def test_a_file_of_another_name_is_known_by_its_section(name: str) -> None:
    assert load(f"; x\n{HEAD}", name).pgbouncer


def test_the_last_of_several_counts() -> None:
    config = load(
        f"{HEAD}listen_port = 1\nlisten_port = 2\n[databases]\na = host=x pool_size=3\na = host=y port=1 port=2\n"
    )
    assert config.settings.listen_port == 2
    assert config.databases == {"a": DatabaseSettings(host="y", port=2)}


def test_a_section_of_databases_goes_on_and_that_of_settings_starts_anew() -> None:
    config = load(f"{HEAD}listen_port = 1\n[databases]\na=\n[pgbouncer]\nmin_pool_size = 3\n[databases]\nb=\n")
    assert (config.settings.listen_port, config.settings.min_pool_size, config.settings.auth_type) == (6432, 3, "md5")
    assert list(config.databases) == ["a", "b"]
    assert notes(config)[0].startswith("pgbouncer.ini:6: warning: this section starts anew")


def test_minus_one_is_not_set() -> None:
    config = load(f"{HEAD}[databases]\na = pool_size=5 pool_size=-1 max_db_connections=-1\n[users]\nb = pool_size=-1\n")
    assert (config.databases["a"].pool_size, config.databases["a"].max_db_connections) == (None, None)
    assert config.users["b"].pool_size is None


def test_zero_is_not_set_where_pgbouncer_says_so() -> None:
    """There it is no way out of a limit that is set for all."""
    limits = "query_timeout client_idle_timeout idle_transaction_timeout"
    limits += " max_user_connections max_user_client_connections"
    config = load(
        f"{HEAD}[databases]\na = server_lifetime=0 max_db_connections=0 max_db_client_connections=0 pool_size=0\n"
        f"b = server_lifetime=0.5\n[users]\nc = {' '.join(f'{name}=0' for name in limits.split())}\n"
    )
    a, b, c = config.databases["a"], config.databases["b"], config.users["c"]
    assert (a.server_lifetime, a.max_db_connections, a.max_db_client_connections, a.pool_size) == (None, None, None, 0)
    assert b.server_lifetime is None
    assert [getattr(c, name) for name in limits.split()] == [None] * 5


def test_includes_keep_their_places(folder: Path) -> None:
    (folder / "dbs.ini").write_text("[databases]\na = host=x\nb = host=y port=z\n")
    assert faults(f"{HEAD}%include dbs.ini\n") == ["dbs.ini:3: databases.b.port: must be a whole number, not 'z'"]


def test_every_fault_is_told_in_the_order_of_the_file() -> None:
    text = """\
nonsense
[pgbouncer]
auth_type = trust
pool_sise = 3
unix_socket_mode = 770
query_timeout = -1
[databases]
a = hots=1
b = port=x dbname=
pgbouncer =
[user]
[users]
c = pool_mode=request
host = pool_size=1 host=x
[peers]
x = host=/tmp
3 = port=1
%include nowhere
"""
    assert [": ".join(fault.split(": ")[:2]).split(";")[0] for fault in faults(text)] == [
        "pgbouncer.ini:1: this is neither a setting nor a [section]",
        "pgbouncer.ini:4: pool_sise",
        "pgbouncer.ini:5: unix_socket_mode",
        "pgbouncer.ini:6: query_timeout",
        "pgbouncer.ini:8: databases.a.hots",
        "pgbouncer.ini:9: databases.b.port",
        "pgbouncer.ini:9: databases.b",
        "pgbouncer.ini:10: databases.pgbouncer",
        "pgbouncer.ini:11: unknown section [user]",
        "pgbouncer.ini:13: users.c.pool_mode",
        "pgbouncer.ini:14: users.host.host",
        "pgbouncer.ini:16: peers.x",
        "pgbouncer.ini:17: peers.3",
        "pgbouncer.ini:18: cannot include nowhere",
    ]


def test_advice_is_for_this_kind_of_file() -> None:
    (fault,) = faults(f"{HEAD}load_balance_hosts = disable\n")
    assert fault == ("pgbouncer.ini:3: load_balance_hosts: unknown setting in [pgbouncer]; it belongs into [databases]")
    (fault,) = faults(f"{HEAD}defautl_pool_size = 1\n")
    assert fault.endswith("unknown setting; did you mean default_pool_size?")


@pytest.mark.parametrize("name", sorted(WITHOUT_EFFECT))
def test_what_has_no_effect_is_taken_with_a_note(name: str) -> None:
    config = load(f"{HEAD}{name} = 1\n")
    assert any(note.startswith(f"pgbouncer.ini:3: warning: {name}: this setting") for note in notes(config))


@pytest.mark.parametrize(
    "text, key",
    [
        ("auth_type = md5\n", "auth_type"),
        ("listen_addr = *\nauth_hba_file = /x\n", "auth_hba_file"),
        ("auth_query = SELECT 1\n", "auth_query"),
        ("min_pool_size = 30\n", "min_pool_size"),
        ("reserve_pool_size = 3\nreserve_pool_timeout = 0\n", "reserve_pool_size"),
        ("auth_type = any\n[databases]\na =\n", "auth_type"),
        ("auth_user = x\nauth_dbname = nowhere\n", "auth_dbname"),
        ("listen_addr = 127.0.0.1\nunix_socket_dir =\n[databases]\na =\n", "databases.a"),
        ("[databases]\na = min_pool_size=30\n", "databases.a.min_pool_size"),
    ],
)
def test_what_pgbouncer_starts_with_is_no_more_than_a_warning(text: str, key: str) -> None:
    config = load(f"{HEAD}{text}")
    assert key in [warning.key for warning in config.warnings]


def test_trust_from_the_network_is_as_it_is_in_pgbouncer() -> None:
    assert load(f"{HEAD}listen_addr = *\n").settings.allow_trust_from_network


def test_settings_of_howdah_alone_and_the_environment_count_too() -> None:
    config = load(f"{HEAD}workers = 3\npin = deny\n", HOWDAH_POOL_MODE="transaction")
    assert (config.settings.workers, config.settings.pin, config.settings.pool_mode) == (3, ("deny",), "transaction")


def test_the_database_of_the_environment_is_none_of_it() -> None:
    assert load(HEAD, DATABASE_URL="postgresql://db").databases == {}


def test_ten_thousand_databases_are_read_quickly() -> None:
    lines = [f"db{number} = host=10.0.{number % 250}.1 port=5433 dbname=d pool_size=5" for number in range(10_000)]
    begun = time.process_time()
    config = load("\n".join([HEAD, "[databases]", *lines]))
    assert len(config.databases) == 10_000
    assert time.process_time() - begun < 10  # 0.6 s as a rule; what grows with the square takes minutes


@given(st.lists(st.sampled_from(WORDS), max_size=40).map("".join) | st.text(max_size=80))
def test_no_text_raises_anything_but_a_config_error(text: str) -> None:
    Path("pgbouncer.ini").write_bytes(text.replace("%include", "").encode("utf-8", "surrogatepass"))
    try:
        config = read(Request("pgbouncer.ini"), {})
    except ConfigError as error:
        places = {problem.where.partition(":")[0] for problem in error.problems}
    else:
        places = {str(config.path)}
    assert places == {"pgbouncer.ini"}
