"""From target, file, environment and options to a configuration, or to every fault with its place."""

import re
from pathlib import Path
from typing import Any

import pytest

from howdah.control.config import Config, ConfigError, StartError
from howdah.control.config.load import Option, Request, read

SECRET = "s3cret"
DATABASE = '[databases.app]\nhost = "db.example"\n'


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Each test has a working directory of its own."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def load(text: str | None = None, *options: Option, target: str | None = None, **environ: str) -> Config:
    """Read as `howdah run` does, with `text` as ./howdah.toml."""
    if text is not None:
        Path("howdah.toml").write_text(text)
    return read(Request(target, options), {"HOWDAH_AUTH_TYPE": "trust"} | environ)


def faults(text: str | None = None, *options: Option, target: str | None = None, **environ: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(text, *options, target=target, **environ)
    lines = str(caught.value).splitlines()
    assert len(lines) == len(caught.value.problems)
    return lines


# where it comes from


def test_a_file_in_the_working_directory_is_found() -> None:
    config = load(f"[howdah]\ndefault_pool_size = 7\n{DATABASE}", DATABASE_URL="postgresql://other")
    assert config.settings.default_pool_size == 7
    assert list(config.databases) == ["app"]
    assert (config.source, config.path, config.embedded) == ("howdah.toml", "howdah.toml", False)
    assert config.sample_database == "app"


def test_without_a_file_the_environment_says_where_postgresql_is() -> None:
    config = load(DATABASE_URL=f"postgresql://bob:{SECRET}@db.example:5433/app", HOWDAH_POOL_MODE="session")
    database = config.databases["*"]
    assert (database.host, database.port, database.user, database.dbname) == (("db.example",), 5433, "bob", None)
    assert database.password is not None
    assert database.password.get_secret_value() == SECRET
    assert config.settings.pool_mode == "session"
    assert config.sample_database == "app"
    assert config.source == "postgresql://bob@db.example:5433/app"
    assert SECRET not in repr(config)
    assert not config.warnings


def test_a_url_with_a_password_is_who_may_log_in_on_both_sides() -> None:
    for arguments in (
        {"target": f"postgresql://bob:{SECRET}@db/app"},
        {"DATABASE_URL": f"postgresql://bob:{SECRET}@db"},
    ):
        config = read(Request(arguments.pop("target", None)), arguments)
        assert (config.settings.auth_type, config.settings.admin_users) == ("scram-sha-256", ("bob",))
        password = config.users["bob"].password
        assert password is not None
        assert password.get_secret_value() == SECRET
        assert config.sample_user == "bob"
        assert SECRET not in repr(config)


@pytest.mark.parametrize(
    "environ, auth_type",
    [({}, "trust"), ({"HOWDAH_AUTH_TYPE": "md5", "HOWDAH_AUTH_FILE": "users"}, "md5"),
     ({"HOWDAH_AUTH_USER": "asker"}, "scram-sha-256")],
)  # fmt: skip
def test_a_url_without_a_password_is_trusted_unless_told_otherwise(environ: dict[str, str], auth_type: str) -> None:
    config = read(Request("postgresql://bob@db/app"), environ)
    assert (config.settings.auth_type, config.settings.admin_users, config.users) == (auth_type, (), {})


def test_trust_stays_on_loopback() -> None:
    with pytest.raises(ConfigError, match=r"10\.0\.0\.1 can be reached from the network"):
        read(Request("postgresql://bob@db/app", (Option("listen_addr", "10.0.0.1", "--listen"),)), {})
    options = (Option("listen_addr", "10.0.0.1", "--listen"),)
    assert read(Request(f"postgresql://bob:{SECRET}@db/app", options), {}).settings.auth_type == "scram-sha-256"


def test_the_files_own_word_on_a_user_counts_before_that_of_the_environment() -> None:
    text = "[users.bob]\npassword = 'own'\npool_size = 3\n"
    config = load(text, DATABASE_URL=f"postgresql://bob:{SECRET}@db/app")
    password = config.users["bob"].password
    assert password is not None
    assert (password.get_secret_value(), config.users["bob"].pool_size) == ("own", 3)
    assert list(config.databases) == ["*"]


def test_files_are_looked_for_beside_the_configuration(folder: Path) -> None:
    (folder / "etc").mkdir()
    Path("etc/howdah.toml").write_text(f'[howdah]\nauth_file = "users"\nserver_tls_ca_file = "/ca"\n{DATABASE}')
    settings = load(target="etc/howdah.toml").settings
    assert (settings.auth_file, settings.server_tls_ca_file, settings.auth_ident_file) == ("etc/users", "/ca", "")
    assert load(target="etc/howdah.toml", HOWDAH_AUTH_FILE="here").settings.auth_file == "here"


def test_without_anything_it_is_the_embedded_postgresql() -> None:
    config = load(HOWDAH_WORKERS="3")
    assert config.embedded
    assert not config.databases
    assert (config.settings.auth_user, config.settings.admin_users) == ("postgres", ("postgres",))
    assert config.settings.workers == 3


def test_a_url_as_target_wins_over_the_file() -> None:
    config = load("[howdah]\nworkers = 3\n", target="postgresql://db.example")
    assert config.databases["*"].host == ("db.example",)
    assert "workers" not in config.settings.model_fields_set


def test_a_file_can_leave_the_database_to_the_environment() -> None:
    config = load("[howdah]\nworkers = 3\n", DATABASE_URL="postgresql://bob@db.example/app?connect_timeout=4")
    assert (config.settings.workers, config.databases["*"].user) == (3, "bob")
    assert config.settings.server_connect_timeout == 4.0
    assert config.source == "howdah.toml"


def test_later_sources_win() -> None:
    text = f"[howdah]\nworkers = 1\nlisten_port = 1001\ndefault_pool_size = 1\n{DATABASE}"
    options = (Option("workers", "3", "--workers"),)
    config = load(text, *options, HOWDAH_WORKERS="2", HOWDAH_LISTEN_PORT="1002")
    settings = config.settings
    assert (settings.workers, settings.listen_port, settings.default_pool_size) == (3, 1002, 1)


def test_values_come_with_units_and_as_text() -> None:
    text = f'[howdah]\nquery_wait_timeout = "1.5min"\nmax_packet_size = "16MB"\nunix_socket_mode = "0770"\n{DATABASE}'
    settings = load(text, HOWDAH_TCP_KEEPALIVE="off", HOWDAH_TCP_USER_TIMEOUT="3s", HOWDAH_ADMIN_USERS="a, b").settings
    assert (settings.query_wait_timeout, settings.max_packet_size) == (90.0, 16 << 20)
    assert (settings.unix_socket_mode, settings.tcp_keepalive, settings.tcp_user_timeout) == (0o770, False, 3000)
    assert settings.admin_users == ("a", "b")


def test_a_file_with_a_byte_order_mark_and_crlf_is_read() -> None:
    Path("howdah.toml").write_bytes(b"\xef\xbb\xbf" + f"[howdah]\nx = 1\n{DATABASE}".replace("\n", "\r\n").encode())
    (fault,) = faults()
    assert fault.startswith("howdah.toml:2: x: unknown setting; remove it")


# what is wrong with it


@pytest.mark.parametrize(
    "line, says",
    [
        ("defualt_pool_size = 5", "defualt_pool_size: unknown setting; did you mean default_pool_size?"),
        ('pool_mode = "transactoin"', "pool_mode: must be one of transaction, session, statement, not 'transactoin'"),
        ('query_wait_timeout = "16kB"', "query_wait_timeout: kB is a unit of size, and this is a duration; use one of"),
        ('server_lifetime = "10 parsecs"', "server_lifetime: unknown unit 'parsecs'; use one of us, ms"),
        ('max_packet_size = "16KB"', "max_packet_size: unknown unit 'KB'; did you mean 'kB'?"),
        ("default_pool_size = 100001", "default_pool_size: must be between 0 and 100000, not 100001"),
        ("default_pool_size = true", "default_pool_size: must be a whole number"),
        ("listen_port = 65536", "listen_port: must be between 1 and 65535"),
        ("unix_socket_mode = 770", 'unix_socket_mode: must be octal digits in quotes, such as "0770"'),
        ('unix_socket_mode = "0778"', "unix_socket_mode: must be octal"),
        ('unix_socket_mode = "1777"', "unix_socket_mode: '1777' has more than permission bits"),
        ("resolv_conf = 5", "resolv_conf: must be a string, in quotes"),
        ("dbname = 'x'", "dbname: unknown setting in [howdah]; it belongs into [databases.NAME]"),
        ("port = 5432", "port: unknown setting; did you mean listen_port?"),
        ("max_connections = 5", "max_connections: unknown setting; did you mean max_client_conn?"),
        ("listen_addr = ['10.0.0.1']", "listen_addr: 10.0.0.1 can be reached from the network"),
        ("min_pool_size = 30", "min_pool_size: min_pool_size (30) is more than default_pool_size (20)"),
        ("max_client_conn = { }", "max_client_conn: must be a whole number"),
        ("pool_size = 5", "pool_size: unknown setting; did you mean default_pool_size?"),
        ("verbose = 4", "verbose: must be between 0 and 3, not 4"),
        ("syslog_facility = 'local8'", "syslog_facility: must be one of auth, authpriv, cron, daemon"),
        ("log_level = 'trace'", "log_level: must be one of debug, info, warning, error, not 'trace'"),
    ],
)
def test_a_fault_is_shown_with_its_line(line: str, says: str) -> None:
    (fault,) = faults(f"# first\n\n[howdah]\nworkers = 2\n{line}\n{DATABASE}")
    assert fault.startswith(f"howdah.toml:5: {says}"), fault


@pytest.mark.parametrize(
    "line, says",
    [
        ("hots = 1", "databases.app.hots: unknown setting; did you mean host?"),
        ("default_pool_size = 1", "databases.app.default_pool_size: unknown setting; did you mean pool_size?"),
        ("reserve_pool = 1", "databases.app.reserve_pool: unknown setting; did you mean reserve_pool_size?"),
        ("listen_port = 1", "databases.app.listen_port: unknown setting in [databases.app]; it belongs into [howdah]"),
        ("load_balance_hosts = 'x'", "databases.app.load_balance_hosts: must be one of round-robin, disable, not 'x'"),
        ("password = 5", "databases.app.password: must be a string, in quotes"),
        ("user = ''", "databases.app.user: must not be empty"),
        ("port = 6432\nhost = 'localhost'", "databases.app.host: this is howdah's own port (6432)"),
    ],
)
def test_a_fault_in_a_database_is_shown_with_its_line(line: str, says: str) -> None:
    (fault,) = faults(f"[howdah]\n[databases.app]\n{line}")
    where, _, rest = fault.partition(": ")
    assert where == f"howdah.toml:{3 + line.count(chr(10))}"
    assert rest.startswith(says), fault


def test_every_fault_is_reported_in_the_order_of_the_file() -> None:
    text = """\
listen_port = 5
[howdah]
pool_mode = "request"
min_pool_size = 30
workers = "two"
[databases."a b"]
port = "x"
[databases.pgbouncer]
[user.bob]
pool_size = 1
"""
    assert [re.sub(r"^(howdah\.toml:\d+: [^:]+):.*", r"\1", fault) for fault in faults(text)] == [
        "howdah.toml:1: listen_port",
        "howdah.toml:3: pool_mode",
        "howdah.toml:4: min_pool_size",
        "howdah.toml:5: workers",
        'howdah.toml:7: databases."a b".port',
        "howdah.toml:8: databases.pgbouncer",
        "howdah.toml:9: user",
    ]


def test_a_value_at_fault_does_not_make_others_look_wrong() -> None:
    (fault,) = faults(f"[howdah]\nmin_pool_size = 30\ndefault_pool_size = 'forty'\n{DATABASE}")
    assert "default_pool_size: must be a whole number" in fault


@pytest.mark.parametrize(
    "text, says",
    [
        ("[howdah\nlisten_port = 1\n", "howdah.toml:1: this is not TOML: Expected ']'"),
        ("[howdah]\nlog_level = debug\n", "howdah.toml:2: this is not TOML: Invalid value in column 13"),
        ("[howdah]\nlog_level = 'debug", "howdah.toml:2: this is not TOML"),
        ("[howdah]\n\n[howdah]\n", "howdah.toml:3: this is not TOML: Cannot declare"),
        ("[howdah]\nunix_socket_mode = 0770", "howdah.toml:2: this is not TOML"),
        (f"x = {'[' * 3000}", "howdah.toml: is nested too deeply"),
    ],
)
def test_what_is_not_toml(text: str, says: str) -> None:
    (fault,) = faults(text)
    assert fault.startswith(says), fault


def test_what_is_not_utf8() -> None:
    Path("howdah.toml").write_bytes(b"[howdah]\n# ok\nlog_level = '\xff'\n")
    assert faults() == ["howdah.toml:3: is not UTF-8; save the file as UTF-8"]


@pytest.mark.parametrize(
    "text, says",
    [
        ("howdah = 5", "howdah.toml:1: howdah: must be a table; write it as [howdah]"),
        ("databases = ['x']", "howdah.toml:1: databases: must be a table; write it as [databases.NAME]"),
        ("[[databases]]", "howdah.toml:1: databases: must be a table"),
        ("[databases]\napp = 'host=db'", "howdah.toml:2: databases.app: must be a table; write it as [databases.app]"),
        ("[pgbouncer]", "howdah.toml:1: pgbouncer: unknown table [pgbouncer]; its name is [howdah] here"),
        ("source = 'x'", "howdah.toml:1: source: unknown setting outside of any table"),
    ],
)
def test_wrong_shapes(text: str, says: str) -> None:
    assert any(fault.startswith(says) for fault in faults(text, DATABASE_URL="postgresql://db"))


def test_a_file_without_databases_says_so() -> None:
    (fault,) = faults("[howdah]\nworkers = 1\n")
    assert fault.startswith("howdah.toml: no databases: ")
    assert "DATABASE_URL" in fault


@pytest.mark.parametrize(
    "target, says",
    [
        ("nowhere.toml", "nowhere.toml: no such file"),
        ("host=db dbname=app", "postgresql://user@host:port/database"),
        ("pgbouncer.ini", "pgbouncer.ini: no such file; check the name"),
        (".", "is a directory"),
        ("a\0b", "cannot be read"),
    ],
)
def test_targets_that_cannot_be_read(target: str, says: str) -> None:
    with pytest.raises(StartError) as caught:
        load(target=target)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_bad_url_is_told_without_its_password() -> None:
    for arguments in ({"target": f"postgresql://bob:{SECRET}@db?x=1"}, {"DATABASE_URL": f"mysql://bob:{SECRET}@db"}):
        (fault,) = faults(**arguments)
        assert SECRET not in fault


def test_faults_from_outside_the_file_name_their_origin() -> None:
    options = (Option("max_client_conn", "0", "--set"),)
    assert faults(DATABASE, *options, HOWDAH_WORKERS="x") == [
        "--set: max_client_conn: must be between 1 and 1000000, not 0",
        "HOWDAH_WORKERS: workers: must be a whole number, not 'x'",
    ]
    (fault,) = faults(target="postgresql://localhost:6432")
    assert fault.startswith("the URL: ")
    assert faults(DATABASE, Option("pool_sise", "1", "--set"))[0].startswith("--set: pool_sise: unknown setting")


def test_an_option_that_contradicts_the_file_is_told_at_the_file() -> None:
    (fault,) = faults(f"[howdah]\nmin_pool_size = 10\n{DATABASE}", Option("default_pool_size", "5", "--pool-size"))
    assert fault.startswith("howdah.toml:2: min_pool_size")


def test_mistyped_variables_are_warned_of_and_foreign_ones_left_alone() -> None:
    foreign = {"HOWDAH_PORT": "tcp://10.0.0.1:6432", "HOWDAH_SERVICE_HOST": "10.0.0.1", "HOWDAH_BUILD": "debug"}
    config = load(DATABASE, HOWDAH_POOL_MOED="session", **foreign)
    assert [str(warning) for warning in config.warnings] == [
        "HOWDAH_POOL_MOED: warning: unknown variable; did you mean HOWDAH_POOL_MODE?"
    ]


def test_warnings_have_their_lines_and_stop_nothing() -> None:
    config = load(f"[howdah]\nmax_db_connections = 5\n{DATABASE}pool_size = 40\nmax_db_connections = 30\n")
    assert [(warning.where, warning.key) for warning in config.warnings] == [
        ("howdah.toml:2", "max_db_connections"),
        ("howdah.toml:6", "databases.app.max_db_connections"),
    ]
    assert SECRET not in "".join(map(str, config.warnings))


def test_a_url_without_a_host_means_the_local_socket(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    monkeypatch.setattr("howdah.control.config.load.SOCKET_DIRECTORIES", (str(folder / "none"), str(folder)))
    config = load(target="postgresql:///app")
    assert config.databases["*"].host == (str(folder),)


def test_nothing_can_be_changed_afterwards() -> None:
    config: Any = load(DATABASE)
    with pytest.raises(ValueError, match="frozen"):
        config.settings.workers = 5
    assert config.with_databases({}).databases == {}
    assert list(config.databases) == ["app"]
