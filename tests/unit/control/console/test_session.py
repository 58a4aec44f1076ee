"""One console session: the protocol of both kinds, errors, transactions, and any bytes at all."""

import re
import struct
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from psycopg.adapt import Transformer

from howdah.control.console.columns import INT4, INT8, NUMERIC, Column, encode
from howdah.control.console.session import LONGEST_MESSAGE, MOST_NAMES, Session
from howdah.control.console.show import TABLES
from tests.kit import wire
from tests.kit.wire import Message, Replies
from tests.unit.control.console.engine_stub import commands


def _messages(data: bytes) -> Replies:
    """Whole backend messages, nothing before, between or after them."""
    replies, at = Replies(), 0
    while at < len(data):
        (length,) = struct.unpack_from("!i", data, at + 1)
        assert length >= 4
        assert at + 1 + length <= len(data)
        replies.append(Message(chr(data[at]), data[at + 5 : at + 1 + length]))
        at += 1 + length
    return replies


class Console:
    """A session and what it answers."""

    def __init__(self) -> None:
        self.session = Session(commands())

    def ask(self, *messages: bytes) -> Replies:
        answer = self.session.receive(b"".join(messages))
        assert not answer.close
        return _messages(answer.data)


@pytest.fixture
def console() -> Console:
    return Console()


def _prepare_and_run(sql: str, name: str = "", result_formats: tuple[int, ...] = ()) -> bytes:
    formats = struct.pack(f"!h{len(result_formats)}h", len(result_formats), *result_formats)
    bind = wire.message(b"B", b"\0" + wire.cstring(name) + struct.pack("!hh", 0, 0) + formats)
    return wire.parse(sql, name) + bind + wire.describe_portal() + wire.execute()


# simple protocol


def test_a_simple_query_gives_columns_rows_and_ready(console: Console) -> None:
    replies = console.ask(wire.query("SHOW POOLS"))
    assert replies.shape == "T D D C Z"
    assert replies.rows[0][:4] == ("app", "alice", "3", "2")
    assert (replies.command_tags, replies.statuses) == (["SHOW"], "I")


def test_several_statements_in_one_query_answer_in_order(console: Console) -> None:
    replies = console.ask(wire.query("SHOW VERSION; BEGIN; SHOW STATE; COMMIT"))
    assert replies.shape == "T D C C T D D D C C Z"
    assert replies.command_tags == ["SHOW", "BEGIN", "SHOW", "COMMIT"]


def test_an_empty_query_is_answered_as_one(console: Console) -> None:
    assert console.ask(wire.query(" ; -- nothing")).shape == "I Z"


def test_an_error_ends_the_query_and_not_the_session(console: Console) -> None:
    replies = console.ask(wire.query("SHOW VERSION; FLY; SHOW VERSION"))
    assert replies.shape == "T D C E Z"
    assert (replies.error.sqlstate, replies.error.fields["S"]) == ("08P01", "ERROR")
    assert replies.error.fields["M"] == "invalid command 'FLY', use SHOW HELP;"
    assert console.ask(wire.query("SHOW VERSION")).shape == "T D C Z"


@pytest.mark.parametrize(
    "sql, sqlstate, text",
    [
        ("SHOW ME", "08P01", "invalid command 'SHOW ME', use SHOW HELP;"),
        ("SHOW", "08P01", "invalid command 'SHOW', use SHOW HELP;"),
        ("SHOW POOLS please", "08P01", "invalid command 'SHOW POOLS please', use SHOW HELP;"),
        ("'POOLS'", "08P01", "invalid command 'POOLS', use SHOW HELP;"),
        ("RELOAD x", "08P01", "invalid command 'RELOAD x', use SHOW HELP;"),
        ("SET default_pool_size", "08P01", "invalid command 'SET default_pool_size', use SHOW HELP;"),
        (
            "SET server_check_query = select 1",
            "08P01",
            "invalid command 'SET server_check_query = select 1', use SHOW HELP;",
        ),
        ("COMMIT PREPARED 'x'", "08P01", "invalid command 'COMMIT PREPARED x', use SHOW HELP;"),
        ("SET client_encoding = 'LATIN1'", "22023", "the console speaks UTF8 only, not LATIN1"),
        ("DEALLOCATE nothing", "26000", 'prepared statement "nothing" does not exist'),
    ],
)
def test_what_the_console_cannot_do_is_said_with_a_hint(console: Console, sql: str, sqlstate: str, text: str) -> None:
    error = console.ask(wire.query(sql)).error
    assert (error.sqlstate, error.fields["M"]) == (sqlstate, text)
    if sqlstate in ("08P01", "0A000"):
        assert error.fields["H"]


def test_help_is_a_notice_with_each_table(console: Console) -> None:
    replies = console.ask(wire.query("SHOW HELP"))
    assert replies.shape == "C Z"
    (notice,) = replies.notices
    assert notice.fields["M"] == "Console usage"
    words = re.findall(r"\w+", notice.fields["D"])
    assert {table.name for table in TABLES} <= set(words)


@pytest.mark.parametrize(
    "sql, hint",
    [
        ("SHOW POOL", "Did you mean SHOW POOLS?"),
        ("RELOADS", "Did you mean RELOAD?"),
        ("SHOW", "SHOW takes one of: ACTIVE_SOCKETS, CLIENTS, CONFIG"),
    ],
)
def test_a_mistyped_word_is_answered_with_the_right_one(console: Console, sql: str, hint: str) -> None:
    assert console.ask(wire.query(sql)).error.fields["H"].startswith(hint)


@pytest.mark.parametrize(
    "sql",
    [
        "SET client_encoding TO 'UTF8'", "SET extra_float_digits = 3", "SET SESSION datestyle = ISO, DMY",
        "SET application_name = 'it''s me'", "SET TIME ZONE 'Europe/Berlin'", "RESET ALL", "DISCARD ALL",
        "DEALLOCATE ALL", "CLOSE ALL", "UNLISTEN *", "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
        "SHOW TRANSACTION ISOLATION LEVEL", "SHOW standard_conforming_strings", "START TRANSACTION READ ONLY",
    ],
)  # fmt: skip
def test_what_drivers_send_on_their_own_is_accepted(console: Console, sql: str) -> None:
    replies = console.ask(wire.query(sql))
    assert not replies.errors
    assert replies[-1].tag == "Z"


def test_a_session_setting_is_kept_reported_and_reset(console: Console) -> None:
    assert console.ask(wire.query("SET application_name = 'mine'")).settings == {"application_name": "mine"}
    assert console.ask(wire.query("SHOW application_name")).value == "mine"
    console.ask(wire.query("RESET application_name"))
    assert console.ask(wire.query("SHOW application_name")).value == ""


def test_transactions_end_as_in_postgresql(console: Console) -> None:
    assert console.ask(wire.query("BEGIN")).statuses == "T"
    assert console.ask(wire.query("FLY")).statuses == "E"
    assert console.ask(wire.query("SHOW VERSION")).error.sqlstate == "25P02"
    replies = console.ask(wire.query("COMMIT"))
    assert (replies.command_tags, replies.statuses) == (["ROLLBACK"], "I")


def test_function_calls_are_refused_in_step(console: Console) -> None:
    replies = console.ask(wire.function_call(1598))
    assert (replies.shape, replies.error.sqlstate) == ("E Z", "0A000")


# extended protocol


def test_the_usual_run_of_extended_messages(console: Console) -> None:
    replies = console.ask(wire.extended("SHOW VERSION"), wire.sync())
    assert replies.shape == "1 2 T D C Z"


def test_a_named_statement_is_described_and_run_again(console: Console) -> None:
    replies = console.ask(wire.parse("SHOW STATE", "s1"), wire.describe_statement("s1"), wire.sync())
    assert replies.shape == "1 t T Z"
    for _ in range(2):
        run = wire.bind(statement="s1") + wire.execute() + wire.sync()
        assert console.ask(run).shape == "2 D D D C Z"
    console.ask(wire.close_statement("s1"), wire.sync())
    assert console.ask(wire.bind(statement="s1"), wire.sync()).error.sqlstate == "26000"


def test_rows_can_be_fetched_in_portions(console: Console) -> None:
    messages = wire.parse("SHOW STATE") + wire.bind(portal="p") + wire.execute("p", 2) + wire.execute("p", 2)
    assert console.ask(messages, wire.sync()).shape == "1 2 D D s D C Z"
    assert console.ask(wire.execute("p"), wire.sync()).error.sqlstate == "34000"


def test_an_empty_statement_has_no_columns(console: Console) -> None:
    assert console.ask(wire.extended(""), wire.sync()).shape == "1 2 n I Z"


def test_an_error_skips_to_sync(console: Console) -> None:
    replies = console.ask(wire.extended("FLY"), wire.query("SHOW VERSION"), wire.sync(), wire.extended("SHOW VERSION"))
    assert replies.shape == "E Z 1 2 T D C"


@pytest.mark.parametrize(
    "messages, sqlstate",
    [
        (wire.parse("SHOW $1"), "08P01"),
        (wire.parse("RELOAD $1"), "0A000"),
        (wire.parse("SHOW POOLS; SHOW STATS"), "42601"),
        (wire.parse("SHOW POOLS", "a") + wire.parse("SHOW POOLS", "a"), "42P05"),
        (wire.bind(statement="nobody"), "26000"),
        (wire.describe_portal("nobody"), "34000"),
        (wire.execute("nobody"), "34000"),
        (wire.parse("SHOW POOLS") + wire.bind("1"), "08P01"),
        (wire.parse("SHOW POOLS") + wire.bind(portal="p") + wire.bind(portal="p"), "42P03"),
        (wire.message(b"D", b"X\0"), "08P01"),
        (wire.message(b"C", b"X\0"), "08P01"),
        (wire.message(b"E", b"\0"), "08P01"),
        (wire.message(b"P", b"no end"), "08P01"),
        (wire.message(b"P", b"\0\xff\xfe\0\0\0"), "22021"),
        (wire.message(b"H", b"extra"), "08P01"),
    ],
)
def test_wrong_extended_messages_are_refused_and_the_session_goes_on(
    console: Console, messages: bytes, sqlstate: str
) -> None:
    assert console.ask(messages, wire.sync()).error.sqlstate == sqlstate
    assert console.ask(wire.extended("SHOW VERSION"), wire.sync()).shape == "1 2 T D C Z"


def test_names_are_limited(console: Console) -> None:
    for number in range(MOST_NAMES):
        assert console.ask(wire.parse("SHOW POOLS", f"s{number}")).shape == "1"
    assert console.ask(wire.parse("SHOW POOLS", "one more"), wire.sync()).error.sqlstate == "54000"


# formats


@given(st.integers(-(2**31), 2**31 - 1))
def test_integers_in_binary_read_back(number: int) -> None:
    for kind in (INT4, INT8, NUMERIC):
        assert _read_back(Column("n", kind), number) == number


@given(st.integers(-(10**30), 10**30))
def test_numerics_of_any_size_in_binary_read_back(number: int) -> None:
    assert _read_back(Column("n", NUMERIC), number) == Decimal(number)


def _read_back(column: Column, number: int) -> object:
    """Through psycopg's own loaders, so that it is not our reading of the format that is tested."""
    from psycopg.pq import Format

    loader = Transformer().get_loader(column.type.oid, Format.BINARY)
    return loader.load(encode(column, number, binary=True))


def test_result_formats_are_those_asked_for(console: Console) -> None:
    replies = console.ask(_prepare_and_run("SHOW LISTS", result_formats=(0, 1)), wire.sync())
    description = next(reply for reply in replies if reply.tag == "T")
    assert description.body.endswith(b"\x00\x01")
    first = next(reply for reply in replies if reply.tag == "D")
    assert first.body == struct.pack("!hi", 2, 9) + b"databases" + struct.pack("!ii", 4, 2)
    wrong = console.ask(_prepare_and_run("SHOW LISTS", result_formats=(0, 1, 1)), wire.sync())
    assert wrong.error.sqlstate == "08P01"


def test_a_count_past_int4_stays_readable() -> None:
    column = Column("n", INT4)
    assert encode(column, 2**40, binary=False) == b"2147483647"
    assert encode(column, 2**40, binary=True) == b"\x7f\xff\xff\xff"
    assert encode(column, -(2**40), binary=False) == b"-2147483648"


# bytes


def test_messages_may_come_in_pieces(console: Console) -> None:
    whole = wire.query("SHOW VERSION")
    got = b"".join(console.session.receive(whole[at : at + 1]).data for at in range(len(whole)))
    assert _messages(got).shape == "T D C Z"


@pytest.mark.parametrize(
    "garbage",
    [b"Q\0\0\0\3", b"Q\xff\xff\xff\xff", b"Q" + struct.pack("!i", LONGEST_MESSAGE + 1), wire.message(b"!"),
     wire.message(b"p", b"secret\0")],
)  # fmt: skip
def test_what_is_no_message_ends_the_session(garbage: bytes) -> None:
    answer = Session(commands()).receive(garbage)
    assert answer.close
    error = _messages(answer.data).error
    assert (error.sqlstate, error.fields["S"]) == ("08P01", "FATAL")


def test_terminate_ends_the_session_without_a_word() -> None:
    assert Session(commands()).receive(wire.query("") + wire.terminate()).close


_SQL = st.sampled_from(["SHOW POOLS", "SHOW LISTS; BEGIN", "BEGIN", "COMMIT", "FLY", "", "DISCARD ALL", "SET x"])
_NAME = st.sampled_from(["", "a", "b"])
_EXTENDED = st.one_of(
    st.builds(wire.parse, _SQL, _NAME),
    st.builds(lambda portal, name: wire.bind(portal=portal, statement=name), _NAME, _NAME),
    st.builds(wire.describe_statement, _NAME),
    st.builds(wire.describe_portal, _NAME),
    st.builds(wire.execute, _NAME, st.integers(-1, 3)),
    st.builds(wire.close_statement, _NAME),
    st.builds(wire.close_portal, _NAME),
    st.just(wire.flush()),
    st.builds(wire.message, st.sampled_from([b"P", b"B", b"D", b"E", b"C", b"H", b"d", b"c", b"f"]), st.binary()),
)
_SELF_CONTAINED = st.one_of(
    st.builds(wire.query, _SQL),
    st.just(wire.sync()),
    st.builds(wire.message, st.sampled_from([b"Q", b"F"]), st.binary()),
)


@settings(max_examples=300)
@given(st.lists(st.one_of(_EXTENDED, _SELF_CONTAINED), max_size=30))
def test_any_messages_leave_the_session_in_step(messages: list[bytes]) -> None:
    """Each Sync has its ReadyForQuery, and after a last one a question is answered, whatever came before."""
    console = Console()
    before = console.ask(*messages, wire.sync())
    assert before[-1].tag == "Z"
    syncs = sum(message == wire.sync() for message in messages) + 1
    assert before.shape.count("Z") >= syncs
    after = console.ask(wire.query("ROLLBACK"), wire.query("SHOW VERSION"))
    assert after.shape == "C Z T D C Z"


@settings(max_examples=300)
@given(st.lists(st.one_of(st.binary(max_size=40), _EXTENDED, _SELF_CONTAINED), max_size=12))
def test_any_bytes_are_answered_or_end_the_session(chunks: list[bytes]) -> None:
    session = Session(commands())
    for chunk in chunks:
        answer = session.receive(chunk)
        replies = _messages(answer.data)
        if answer.close:
            assert not replies.errors or replies[-1].tag == "E"
            return
