"""A pgbouncer.ini written as a howdah.toml is the same configuration."""

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from howdah.control.config import Config, ConfigError
from howdah.control.config.convert import converted
from howdah.control.config.load import Request, draft, read
from howdah.control.config.schema import GlobalSettings, Tables
from howdah.control.config.toml import key, kind_of, quoted, written

USUAL = """\
[databases]
app = host=db.example,10.0.0.2 port=5433 dbname=production user=bob password='it''s "€" \\n' pool_size=7
* = host=/run/postgresql connect_query='SELECT ''x''' load_balance_hosts=disable
"odd ""name" = pool_mode=statement reserve_pool=3 server_lifetime=0.25
[users]
reports = pool_mode=Session pool_size=2 query_timeout=1e1 max_user_connections=-1
[peers]
2 = host=/tmp/peer pool_size=3
[pgbouncer]
listen_addr = *
listen_port = 0x1920
auth_type = scram-sha-256
auth_file = users.txt
admin_users = alice, bob
query_wait_timeout = .3333333
query_timeout = 3600
client_idle_timeout = 0
unix_socket_mode = 0750
tcp_user_timeout = 1500
max_packet_size = 4096
server_check_query = select 1
server_reset_query =
client_tls_protocols = TLSv1.2, tlsv1.3
max_pinned = 50%
pin = deny, listen=allow
proxy_protocol_port = 7000
proxy_protocol_from = 10.0.0.0/8
login_rate_per_user = 0.5
peer_id = 1
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def convert(text: str) -> str:
    Path("pgbouncer.ini").write_text(text)
    return converted(draft(Request("pgbouncer.ini"), {}))[0]


def meaning(config: Config) -> Tables:
    return Tables.model_construct(
        howdah=config.settings, databases=config.databases, users=config.users, peers=config.peers
    )


def test_it_means_the_same() -> None:
    Path("howdah.toml").write_text(convert(USUAL))
    assert meaning(read(Request("howdah.toml"), {})) == meaning(read(Request("pgbouncer.ini"), {}))


def test_pgbouncers_defaults_are_written_and_marked() -> None:
    text = convert("[databases]\n*=\n[pgbouncer]\nauth_type = trust\npool_mode = session\n")
    assert 'pool_mode = "session"\n' in text
    assert "max_client_conn = 100  # PgBouncer's default\n" in text
    assert set(tomllib.loads(text)["howdah"]) < set(GlobalSettings.model_fields)


def test_what_is_without_effect_becomes_a_comment() -> None:
    settings = "auth_type = trust\nauth_hba_file = /x\npkt_buf = 1\n"
    text = convert(f"[databases]\n* = min_pool_size=30\n[pgbouncer]\n{settings}")
    assert '#auth_hba_file = "/x"  # without effect: the HBA file counts for nothing' in text
    assert "#min_pool_size = 30  # without effect: " in text
    assert "# Note: pgbouncer.ini:6: warning: pkt_buf: this setting has no effect" in text
    Path("howdah.toml").write_text(text)
    assert read(Request("howdah.toml"), {}).settings.auth_hba_file == ""


def test_a_file_with_faults_is_not_converted() -> None:
    with pytest.raises(ConfigError, match=r"pgbouncer\.ini:2: nonsense: unknown setting"):
        convert("[pgbouncer]\nnonsense = 1\n")


def test_names_of_files_cannot_break_out_of_their_comment(folder: Path) -> None:
    name = "a\n[users.eve]\n.ini"
    (folder / name).write_text("[databases]\n*=\n[pgbouncer]\nauth_type = trust\npkt_buf = 1\n")
    text, _ = converted(draft(Request(name), {}))
    assert set(tomllib.loads(text)) == {"howdah", "databases"}


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_any_text_can_be_quoted(text: str) -> None:
    assert tomllib.loads(f"{quoted(text)} = {quoted(text)}") == {text: text}
    assert tomllib.loads(f"[t.{key(text)}]") == {"t": {text: {}}}


@given(st.floats(0, 1e9))
def test_a_duration_stays_what_it_is(seconds: float) -> None:
    line = f"query_timeout = {written(seconds, kind_of(GlobalSettings.model_fields['query_timeout']))}"
    assert GlobalSettings.model_validate(tomllib.loads(line)).query_timeout == seconds
