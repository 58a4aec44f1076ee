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


def test_words_and_what_is_none() -> None:
    found = probe.tokens('DEALLOCATE "a ""b""" /* x */ , Ünder_1$ -- end\n'.encode())
    assert [(kind.name, text.decode()) for kind, text in found] == [
        ("TOKEN_WORD", "DEALLOCATE"), ("TOKEN_QUOTED", '"a ""b"""'), ("TOKEN_SYMBOL", ","), ("TOKEN_WORD", "Ünder_1$"),
    ]  # fmt: skip


@given(st.binary(max_size=200))
def test_tokens_stay_inside_the_text(text: bytes) -> None:
    assert sum(len(token) for _, token in probe.tokens(text)) <= len(text)


@pytest.mark.parametrize(
    "text, drops",
    [("DEALLOCATE x", True), ("select 1; dIsCaRd all", True), ("SELECT 'deallocate'", True), ("SELECT 1", False),
     ("discar", False), ("", False), ("xdeallocate", True)],
)  # fmt: skip
def test_what_may_drop_statements(text: str, drops: bool) -> None:
    assert probe.may_drop_statements(text.encode()) == drops
