"""The simple query protocol: one message, all its statements, one ReadyForQuery."""

import pytest

from tests.kit.fix_pooler import Server


def test_one_row(server: Server) -> None:
    with server.client() as client:
        replies = client.query("SELECT 1 AS one")
    assert (replies.shape, replies.rows, replies.statuses) == ("T D C Z", [("1",)], "I")
