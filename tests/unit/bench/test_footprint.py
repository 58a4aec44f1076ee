"""Statements for the clients of a fresh process."""

from bench.footprint import preparation, statements_of
from bench.wire import SYNC, parse


def test_statements_differ_and_have_the_size_that_was_asked_for() -> None:
    statements = statements_of(20, 500)
    assert len(set(statements)) == 20
    assert {len(text) for text in statements} == {500}


def test_all_are_prepared_in_one_pipeline_under_names_in_order() -> None:
    assert preparation([b"A", b"B"]) == parse("_pg3_0", b"A") + parse("_pg3_1", b"B") + SYNC


def test_in_another_order_the_same_names_mean_other_statements() -> None:
    assert preparation([b"A", b"B", b"C"], 2) == (
        parse("_pg3_0", b"C") + parse("_pg3_1", b"A") + parse("_pg3_2", b"B") + SYNC
    )
