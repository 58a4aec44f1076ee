"""login_notify_message: a notice for whoever logs in."""

from tests.kit import wire
from tests.kit.pooler import Pooler
from tests.kit.postgres import REPLICATOR


def notices(pooler: Pooler, user: str = "alice", **parameters: str) -> list[tuple[str, str]]:
    with pooler.stranger() as client:
        replies = client.log_in(wire.PROTOCOL_3_0, user=user, database="app", **parameters)
        return [(reply.fields["S"], reply.fields["M"]) for reply in replies if reply.tag == "N"]


def test_it_is_sent_before_the_login_is_over(pooler: Pooler) -> None:
    pooler.run_with(login_notify_message="Moved on Sunday: see café")
    assert notices(pooler) == [("NOTICE", "Moved on Sunday: see café")]
    with pooler.stranger() as client:
        assert client.log_in(user="alice", database="app")[-1].tag == "Z"


def test_replication_clients_get_it_too(pooler: Pooler) -> None:
    pooler.run_with(login_notify_message="hello")
    assert notices(pooler, REPLICATOR, replication="database") == [("NOTICE", "hello")]


def test_a_reload_changes_it(pooler: Pooler) -> None:
    pooler.run()
    assert notices(pooler) == []
    pooler.reload_with(login_notify_message="new")
    assert notices(pooler) == [("NOTICE", "new")]
    pooler.reload_with(login_notify_message="")
    assert notices(pooler) == []


def test_a_long_one_arrives_whole(pooler: Pooler) -> None:
    pooler.run_with(login_notify_message="x" * 4096)
    assert notices(pooler) == [("NOTICE", "x" * 4096)]
