"""No effect of a text is ever missed, however it is dressed up."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

probe = pytest.importorskip("howdah_probe.sql", reason="the release build has no probes")

# Statements in words, and the effect that each has.  A word in front of "(" is kept together with it.
STATEMENTS = [
    ("SET a . b = 'x'", "SETTING"),
    ("RESET a", "SETTING"),
    ("RESET ALL", "SETTINGS"),
    ("SELECT ( set_config ( 'a' , 'b' , false ) )", "SETTING"),
    ("UPDATE pg_settings SET setting = 'x'", "SETTINGS"),
    ("SET ROLE a", "ROLE"),
    ("CREATE TEMP TABLE a ( b int )", "TEMP"),
    ("SELECT 1 INTO a", "TEMP"),
    ("WITH x AS ( SELECT 1 ) SELECT ( 1 ) insert INTO a", "TEMP"),
    ("DECLARE c CURSOR WITH HOLD FOR SELECT 1", "CURSOR"),
    ("SELECT count ( * ) , pg_catalog . pg_advisory_lock ( 1 ) FROM t", "LOCK"),
    ("LOAD 'x'", "LOAD"),
    ("INSERT INTO t ( a ) VALUES ( nextval ( 's' ) )", "NUMBERS"),
    ("SELECT setseed ( 0.5 )", "SEED"),
    ("LISTEN a", "LISTEN"),
    ("PREPARE a ( int ) AS SELECT $1", "PREPARE"),
    ("EXPLAIN ( ANALYZE ) EXECUTE a ( 1 )", "EXECUTE"),
    ("DEALLOCATE PREPARE a", "DEALLOCATE"),
    ("DISCARD ALL", "DISCARD"),
    ("DO $$begin$$", "ANYTHING"),
    ("SELECT public . f ( 1 )", "ANYTHING"),
    ("COPY ( SELECT f ( 1 ) ) TO STDOUT", "ANYTHING"),
    ("BEGIN", "BEGINS"),
    ("COMMIT AND CHAIN", "ENDS"),
    ("SELECT a , b . c FROM t WHERE d = 'e'", ""),
    ("INSERT INTO t ( a , b ) VALUES ( 1 , lower ( 'x' ) )", ""),
]
# What may stand between any two words.
BLANKS = [" ", "\n", "\t\r\f\v ", "/**/", " /* ' */ ", "/* /* */ ; ' \" $$ */", " -- ; ' \" $$ /*\n", " --\r"]
# Values that hide what looks like something else.
STRINGS = [
    "'; LOAD x'", "''';'", r"E'\''", r"E'\\'", "e'a'\n'\\' ; '", "$$ ' ; $$", "$a$ $$ ' $b$ $a$", r"U&'\0041'",
    "X'1F'", "B'01'", "N'x'", "'é ü'", "'a'\n 'b'", "'-- '", "'/* '", "$é$ ' $é$",
]  # fmt: skip
NAMES = ['"a;b"', '"a""b"', '"\'"', "é", "a$$b", "_1", '"$$"', '"/*"', 'U&"x"']


@st.composite
def dressed(draw: st.DrawFn, statement: str) -> str:
    """In whatever case, with whatever between the words, and strings and names that look like the end of them."""
    text = ""
    for word in statement.split():
        letters = [word, word.lower(), word.upper(), word.swapcase()] if word[0].isalpha() else [word]
        text += draw(st.sampled_from(letters)) + draw(st.sampled_from(BLANKS))
    if draw(st.booleans()) and statement.startswith("SELECT") and "INTO" not in statement:
        hidden = draw(st.sampled_from(STRINGS)) + " AS " + draw(st.sampled_from(NAMES))
        text = f"SELECT {hidden} , " + text[6:]
    return text


@st.composite
def texts(draw: st.DrawFn) -> tuple[str, list[str]]:
    """One to four statements, and all their effects."""
    chosen = draw(st.lists(st.sampled_from(STATEMENTS), min_size=1, max_size=4))
    text = ";".join(draw(dressed(statement)) for statement, _ in chosen)
    return draw(st.sampled_from(["", ";", " ", "\n;;"])) + text, [effect for _, effect in chosen if effect]


@given(texts())
def test_no_effect_is_missed(made: tuple[str, list[str]]) -> None:
    text, effects = made
    assert set(effects) <= probe.analyse(text.encode())["effects"]


# Among which some matter wherever they stand, some look like them, and some are long or not ASCII.
WORDS = (
    "select update merge insert into as atomic begin case end join with returning on conflict table temp values "
    "pg_settings pg_temp pg_temp_7 PG_TEMP pg p px pgsettings intO updatE ends a e x u é aé éa $1 1 , ( ) . ; = :: "
    'lower now f nextval set_config \'a\' "pg_temp" "pg_settings" "P" from where order company_id abcdefghijklmnop '
    "abcdefghijklmno abcdefghijklmn a_rather_long_name_of_something"
).split()


@given(st.lists(st.sampled_from(WORDS), max_size=40), st.sampled_from(BLANKS[1:]))
def test_words_in_a_row_are_read_as_words_apart(words: list[str], blank: str) -> None:
    """The most usual text, words with a space between them, is read in another way, with the same findings."""
    plain, apart = (probe.analyse(between.join(words).encode()) for between in (" ", blank))
    assert plain["effects"] == apart["effects"]


@given(texts(), st.sampled_from(STRINGS))
def test_what_is_hidden_has_no_effect(made: tuple[str, list[str]], string: str) -> None:
    """A text as a string's value, as a comment and as a name does nothing."""
    text = made[0]
    comment = text.replace("*/", "* /").replace("/*", "/ *")
    name = text.replace('"', '""')
    hidden = f'SELECT $hidden${text}$hidden$ AS "{name}", {string} /* {comment} */'
    found = probe.analyse(hidden.encode())
    unreadable = {"ANYTHING", "DEALLOCATE", "ENDS", "TO_SAVEPOINT"}
    assert found["effects"] <= (unreadable if "$é" in hidden else set())


@given(texts(), st.integers(0, 400))
def test_a_text_that_was_cut_is_never_called_harmless(made: tuple[str, list[str]], at: int) -> None:
    assert "ANYTHING" in probe.analyse_cut(made[0].encode()[:at])["effects"]


@given(texts(), texts())
def test_both_ways_to_read_a_backslash_are_seen(first: tuple[str, list[str]], second: tuple[str, list[str]]) -> None:
    """With standard_conforming_strings on, `first` is run; with it off, `second`."""
    plain = str.maketrans("\n\r", "  ", "\\'")
    hidden = [made[0].translate(plain) for made in (first, second)]
    found = probe.analyse(rf"SELECT 'a\'; {hidden[0]}; --'; {hidden[1]}".encode())
    assert found["effects"] >= {"ANYTHING", "DEALLOCATE"}


@pytest.mark.parametrize(
    "text",
    [
        b"(" * 1_000_000,
        b"/*" * 500_000,
        b"$a" * 500_000,
        b"$a$" + b"$a" * 500_000,
        b"$$a" * 333_333,
        b"'" + b"''" * 500_000,
        b"'a'\n" * 250_000,
        b"'a'--\n" * 166_666,
        b"f(" * 500_000,
        b"a." * 500_000,
        b'"a"(' * 250_000,
        b"SET a=1;" * 125_000,
        b"EXPLAIN(" * 125_000,
        b"EXPLAIN " * 125_000,
        b"PREPARE a AS " * 76_923,
        b"DECLARE a CURSOR FOR " * 47_619,
        b"CREATE TABLE a AS " * 55_555,
        b"set_config('a'," * 66_666,
        b"- " * 500_000,
    ],
    ids=lambda text: text[:12].decode(),
)
def test_a_megabyte_takes_no_more_than_its_time(text: bytes) -> None:
    """Linear: a tenth of it takes about a tenth of the time (with room for noise; were it the square, a hundredth)."""
    small = fastest(text[: len(text) // 10])
    assert fastest(text) < max(small, 0.0005) * 10 * 5


def fastest(text: bytes) -> float:
    times = []
    for _ in range(3):
        start = time.process_time()
        probe.effect_bits(text)
        times.append(time.process_time() - start)
    return min(times)
