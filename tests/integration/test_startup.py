"""From the first byte to the first ReadyForQuery."""

import pytest

from tests.kit import wire
from tests.kit.client import Client, Refused
from tests.kit.fix_pooler import Server
from tests.kit.pooler import Pooler
from tests.kit.postgres import Postgres


def test_login_ends_with_ready_for_query(server: Server) -> None:
    with Client(server.address) as client:
        replies = client.log_in(user="alice", database="app")
    assert (replies.shape, replies.statuses) == ("R K Z", "I")
    assert replies[0].body == b"\0\0\0\0"


def test_settings_shown_at_login_are_the_servers_own(howdah: Pooler, postgres: Postgres) -> None:
    with howdah.client() as client, postgres.client() as direct:
        assert client.settings == direct.settings


@pytest.mark.parametrize("request_packet", [wire.ssl_request(), wire.gssenc_request()], ids=["ssl", "gssenc"])
def test_requests_for_encryption_are_declined(server: Server, request_packet: bytes) -> None:
    with Client(server.address) as client:
        client.send(request_packet)
        assert client.read_bytes(1) == b"N"
        client.log_in(user="alice", database="app")
        assert client.query("SELECT 1").value == "1"


def test_both_requests_in_turn_are_declined(server: Server) -> None:
    with Client(server.address) as client:
        for packet in (wire.gssenc_request(), wire.ssl_request()):
            client.send(packet)
            assert client.read_bytes(1) == b"N"
        client.log_in(user="alice", database="app")


def test_protocol_3_0_has_a_key_of_four_bytes(server: Server) -> None:
    with Client(server.address) as client:
        client.log_in(wire.PROTOCOL_3_0, user="alice", database="app")
        assert (len(client.secret_key), client.process_id != 0) == (4, True)


def test_protocol_3_2_has_a_longer_key(server: Server) -> None:
    with Client(server.address) as client:
        replies = client.log_in(wire.PROTOCOL_3_2, user="alice", database="app")
        assert replies.shape == "R K Z"
        assert 4 < len(client.secret_key) <= 256


@pytest.mark.parametrize("minor", [3, 9999])
def test_a_newer_minor_version_is_negotiated_down(server: Server, minor: int) -> None:
    with Client(server.address) as client:
        replies = client.log_in(0x0003_0000 + minor, user="alice", database="app")
    assert replies.shape == "v R K Z"
    assert replies[0].body == wire.PROTOCOL_3_2.to_bytes(4) + (0).to_bytes(4)


def test_unknown_protocol_options_are_named(server: Server) -> None:
    with Client(server.address) as client:
        options = {"_pq_.novelty": "1", "_pq_.other": "x"}
        client.send(wire.startup(wire.PROTOCOL_3_0, user="alice", database="app", **options))
        replies = client.read_until("Z")
    assert replies.shape == "v R K Z"
    assert replies[0].body == wire.PROTOCOL_3_0.to_bytes(4) + (2).to_bytes(4) + b"_pq_.novelty\0_pq_.other\0"


def test_the_database_defaults_to_the_users_name(server: Server) -> None:
    with Client(server.address) as client, pytest.raises(Refused) as refused:
        client.log_in(user="alice")
    assert refused.value.sqlstate == "3D000"
    assert "alice" in refused.value.error.fields["M"]


def test_an_unknown_database(server: Server) -> None:
    with Client(server.address) as client, pytest.raises(Refused, match="nowhere") as refused:
        client.log_in(user="alice", database="nowhere")
    assert refused.value.sqlstate == "3D000"


def test_an_unknown_user_gets_the_servers_own_answer(server: Server) -> None:
    with Client(server.address) as client:
        error = client.refusal(user="mallory", database="app")
    assert (error.sqlstate, error.fields["M"]) == ("28000", 'role "mallory" does not exist')


def test_a_query_in_the_same_packet_as_the_startup(server: Server) -> None:
    with Client(server.address) as client:
        client.send(wire.startup(user="alice", database="app"), wire.query("SELECT 'eager'"))
        assert client.read_ready(2).value == "eager"


def test_a_startup_packet_that_arrives_byte_by_byte(server: Server) -> None:
    with Client(server.address) as client:
        for byte in wire.startup(user="alice", database="app"):
            client.send(bytes([byte]))
        assert client.read_until("Z").shape == "R K Z"


def test_nothing_but_a_connection_and_goodbye(server: Server) -> None:
    Client(server.address).vanish()
    with Client(server.address) as client:
        client.send(wire.ssl_request())
        assert client.read_bytes(1) == b"N"
        client.vanish()
    with server.client() as client:
        assert client.query("SELECT 1").value == "1"


def test_names_are_kept_exactly(pooler: Pooler, postgres: Postgres) -> None:
    postgres.sql('CREATE ROLE "Ünï ""q"" user" LOGIN')
    pooler.run()
    try:
        with pooler.client('Ünï "q" user') as client:
            assert client.query("SELECT current_user").value == 'Ünï "q" user'
    finally:
        pooler.finish()
        postgres.sql('DROP ROLE "Ünï ""q"" user"')
