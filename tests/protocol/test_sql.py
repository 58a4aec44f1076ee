"""Words of SQL, and the commands that begin and end transactions."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

probe = pytest.importorskip("howdah_probe.sql", reason="the release build has no probes")

BEGINS = [
    "BEGIN", "begin work", "Begin Transaction;", "  begin ; ; ", "-- why\nBEGIN", "/* a /* b */ c */begin/**/",
    "BEGIN READ ONLY", "BEGIN ISOLATION LEVEL SERIALIZABLE, READ WRITE, NOT DEFERRABLE",
    "begin isolation level read committed read only deferrable", "START TRANSACTION", "start transaction read write",
    "START TRANSACTION ISOLATION LEVEL REPEATABLE READ", "BEGIN ISOLATION LEVEL READ UNCOMMITTED;",
]  # fmt: skip
ENDS = ["COMMIT", "end", "COMMIT WORK;", "end transaction", "ROLLBACK", "abort work", "rollback transaction ;"]
OTHERS = [
    "", ";", "BEGIN; SELECT 1", "BEGIN BEGIN", "BEGIN,", "BEGIN READ ONLY,", "BEGIN, READ ONLY", "BEGIN READ",
    "BEGIN ISOLATION LEVEL", "BEGIN ISOLATION LEVEL SNAPSHOT", "BEGIN ISOLATION LEVEL REPEATABLE", "START",
    "START WORK", "COMMIT AND CHAIN", "COMMIT PREPARED 'x'", "ROLLBACK TO a", "ROLLBACK AND NO CHAIN", "/* BEGIN",
    '"BEGIN"', "BEGIN /* never ends", "COMMIT 'x'", "BEGIN $1", "begins", "BEGIN NOT", "END READ ONLY",
]  # fmt: skip


@pytest.mark.parametrize("text", BEGINS)
def test_a_beginning(text: str) -> None:
    command, plain = probe.transaction_command(text.encode())
    assert command.name == ("COMMAND_START" if "start" in text.lower() else "COMMAND_BEGIN")
    assert plain == (not any(word in text.lower() for word in ("read", "isolation", "deferrable")))


@pytest.mark.parametrize("text", ENDS)
def test_an_end(text: str) -> None:
    commits = text.lower().startswith(("commit", "end"))
    assert probe.transaction_command(text.encode())[0].name == ("COMMAND_COMMIT" if commits else "COMMAND_ROLLBACK")


@pytest.mark.parametrize("text", OTHERS)
def test_neither(text: str) -> None:
    assert probe.transaction_command(text.encode())[0].name == "COMMAND_OTHER"


@given(st.sampled_from(BEGINS + ENDS), st.integers(0, 60), st.sampled_from(list(" ;,()'\"$-/*aZ_0\n\\")))
def test_one_character_more_is_not_taken_for_what_it_is_not(text: str, at: int, extra: str) -> None:
    changed = text[: at % (len(text) + 1)] + extra + text[at % (len(text) + 1) :]
    command = probe.transaction_command(changed.encode())[0].name
    kept = "".join(changed.lower().split())
    assert command == "COMMAND_OTHER" or not set(kept) & set("()'\"$\\") or "/*" in changed or "--" in changed


# Tokens: kind and text of each, as (kind, text) or the text alone of what is TOKEN_OTHER.
TOKENS: dict[str, list[str | tuple[str, str]]] = {
    'DEALLOCATE "a ""b""" /* x */ , Ünder_1$ -- end\n': [
        ("WORD", "DEALLOCATE"), ("QUOTED", '"a ""b"""'), ("SYMBOL", ","), ("WORD", "Ünder_1$"),
    ],
    "'a' 'it''s' 'a\\b'": [("STRING", "'a'"), "'it''s'", "'a\\b'"],
    "E'a\\'b' e'\\\\' b'01'X'ff'": ["E'a\\'b'", "e'\\\\'", "b'01'", "X'ff'"],
    "N'a'": [("WORD", "N"), ("STRING", "'a'")],
    "U&'a\\' u&\"b\"": ["U&'a\\'", 'u&"b"'],
    "u & 'a'": [("WORD", "u"), ("SYMBOL", "&"), ("STRING", "'a'")],
    "ab'c'": [("WORD", "ab"), ("STRING", "'c'")],
    "'a'  'b'": [("STRING", "'a'"), ("STRING", "'b'")],
    "'a' -- then\n \r 'b' c": ["'a' -- then\n \r 'b'", ("WORD", "c")],
    "'a' /* no */\n 'b'": [("STRING", "'a'"), ("STRING", "'b'")],
    "E'a'\n'\\'' b": ["E'a'\n'\\''", ("WORD", "b")],
    "$$a'b$$ $x$ $$ $y$ $x$": ["$$a'b$$", "$x$ $$ $y$ $x$"],
    "$x$ $xx$x$ a": ["$x$ $xx$x$", ("WORD", "a")],
    "a$$b $1 $12a $b": [
        ("WORD", "a$$b"), "$1", "$12", ("WORD", "a"), ("SYMBOL", "$"), ("WORD", "b"),
    ],
    "1.5e-3 0x1F 1_000": [
        "1", ("SYMBOL", "."), "5", ("WORD", "e"), ("SYMBOL", "-"), "3", "0", ("WORD", "x1F"), "1", ("WORD", "_000"),
    ],
    "a::b a:b ::": [
        ("WORD", "a"), ("CAST", "::"), ("WORD", "b"), ("WORD", "a"), ("SYMBOL", ":"), ("WORD", "b"), ("CAST", "::"),
    ],
    "a-/*b*/-c --d": [("WORD", "a"), ("SYMBOL", "-"), ("SYMBOL", "-"), ("WORD", "c")],
    "/*/*/ a */*/ b": [("WORD", "b")],
    "/* **/a/**/b": [("WORD", "a"), ("WORD", "b")],
    "*/*a*/": [("SYMBOL", "*")],
    "a\0b": [("WORD", "a")],
    "'never": [("BROKEN", "'never")],
    "a 'b\0'": [("WORD", "a"), ("BROKEN", "'b")],
    "$x$ never $$": [("BROKEN", "$x$ never $$")],
    "/* a /* b */": [("BROKEN", "/* a /* b */")],
    "E'a\\'": [("BROKEN", "E'a\\'")],
}  # fmt: skip


@pytest.mark.parametrize("text", TOKENS)
def test_tokens(text: str) -> None:
    found = [(kind.name.removeprefix("TOKEN_"), token.decode()) for kind, token in probe.tokens(text.encode())[0]]
    assert found == [one if isinstance(one, tuple) else ("OTHER", one) for one in TOKENS[text]]


@pytest.mark.parametrize(
    "text",
    [rb"'a\'", rb"'a\'' b'", rb"'\\\''", rb"''''  'x\'", b"'\x95\\'", b"E'\x95\\'", b"\x95\\ a", b"a\x83[b", b'U&"a"',
     b"$\x95a$ $\x95a$"],
)  # fmt: skip
def test_what_may_be_read_in_another_way(text: bytes) -> None:
    assert probe.tokens(text)[1]


@pytest.mark.parametrize(
    "text",
    [rb"'a\b'", rb"'a\\'", rb"E'a\'b'", rb"X'\'", b"'\x95' \x95 \x95a \x95", rb"$$\'$$", b'"\x95\\"', b"-- \x95\\\n1",
     "'é' é, ü(1)".encode()],
)  # fmt: skip
def test_what_is_read_in_one_way(text: bytes) -> None:
    assert not probe.tokens(text)[1]
    assert probe.tokens(text)[0] == probe.tokens(text, escapes=True)[0] or b"'" in text


def test_a_backslash_escapes_where_the_setting_says_so() -> None:
    (_, string), (_, word) = probe.tokens(rb"'a\'b' c", escapes=True)[0]
    assert (string, word) == (rb"'a\'b'", b"c")


@given(st.one_of(st.binary(max_size=200), st.text("'\"$-/*\\aeEuU&xN \n;(.)1é", max_size=60).map(str.encode)))
def test_tokens_stay_inside_the_text(text: bytes) -> None:
    for escapes in (False, True):
        assert sum(len(token) for _, token in probe.tokens(text, escapes)[0]) <= len(text)
