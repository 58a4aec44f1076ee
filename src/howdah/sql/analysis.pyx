"""What a text may do to the session it runs in.

One pass over the words: each statement's first word says what kind it is, some words matter wherever they stand, and
so does every word in front of a bracket, which may be a function.  Says too much rather than too little: that costs a
question to the server.  What a text cannot show (views, triggers, operators, casts, defaults) is told in
docs/explain/session-state.md.  Called for each Query and each Parse by the data plane.
"""

from libc.stdint cimport uint8_t, uint32_t

from howdah.sql.calls cimport call_begins
from howdah.sql.effects cimport (
    EFFECT_ANYTHING,
    EFFECT_BEGINS,
    EFFECT_CURSOR,
    EFFECT_DEALLOCATE,
    EFFECT_DISCARD,
    EFFECT_ENDS,
    EFFECT_HOLDS,
    EFFECT_LISTEN,
    EFFECT_LOCK,
    EFFECT_MAKES_TEMP,
    EFFECT_NUMBERS,
    EFFECT_ROLE,
    EFFECT_SETTINGS,
    EFFECT_SEVERAL,
    EFFECT_TEMP,
    EFFECT_TO_SAVEPOINT,
    USE_DEALLOCATE_ALL,
    Analysis,
    analysis_start,
    resets_all,
    unreadable,
    uses_name,
)
from howdah.sql.lexer cimport (
    BEGINS,
    MARKS,
    TOKEN_BROKEN,
    TOKEN_END,
    TOKEN_OTHER,
    TOKEN_QUOTED,
    TOKEN_STRING,
    TOKEN_SYMBOL,
    TOKEN_WORD,
    Lexer,
    Token,
    is_symbol,
    is_word,
    lexer,
    next_token,
    read_token,
)
from howdah.sql.prepared cimport as_execute, deallocate_statement, execute_statement, prepare_statement
from howdah.sql.scan cimport Scan, advance, ahead, at_end, comes_keyword, note
from howdah.sql.settings cimport changes_user, reset_statement, set_statement
from howdah.sql.words cimport (
    KEYWORD_ABORT,
    KEYWORD_ALL,
    KEYWORD_ALTER,
    KEYWORD_ANALYSE,
    KEYWORD_ANALYZE,
    KEYWORD_AND,
    KEYWORD_AS,
    KEYWORD_ATOMIC,
    KEYWORD_BEGIN,
    KEYWORD_CASE,
    KEYWORD_CHAIN,
    KEYWORD_COMMIT,
    KEYWORD_CREATE,
    KEYWORD_DEALLOCATE,
    KEYWORD_DECLARE,
    KEYWORD_DELETE,
    KEYWORD_DISCARD,
    KEYWORD_DROP,
    KEYWORD_END,
    KEYWORD_EXECUTE,
    KEYWORD_EXPLAIN,
    KEYWORD_EXTENSION,
    KEYWORD_FOR,
    KEYWORD_HOLD,
    KEYWORD_INSERT,
    KEYWORD_INTO,
    KEYWORD_JOIN,
    KEYWORD_MERGE,
    KEYWORD_NONE,
    KEYWORD_PG_SETTINGS,
    KEYWORD_PLANS,
    KEYWORD_PREPARE,
    KEYWORD_PREPARED,
    KEYWORD_RESET,
    KEYWORD_ROLLBACK,
    KEYWORD_SELECT,
    KEYWORD_SEQUENCES,
    KEYWORD_SET,
    KEYWORD_START,
    KEYWORD_TABLE,
    KEYWORD_TEMP,
    KEYWORD_TEMPORARY,
    KEYWORD_TO,
    KEYWORD_TRANSACTION,
    KEYWORD_UPDATE,
    KEYWORD_VALUES,
    KEYWORD_VERBOSE,
    KEYWORD_WITH,
    KEYWORD_WORK,
    Word,
    keyword_of,
    word_of,
)
from howdah.wire.bytes cimport Reader, left, peek_u8, read_bytes, reader, short_identifier

cdef enum:
    ALL_DISCARDED = (EFFECT_DISCARD | EFFECT_DEALLOCATE | EFFECT_SETTINGS | EFFECT_ROLE | EFFECT_TEMP | EFFECT_CURSOR
                     | EFFECT_LOCK | EFFECT_LISTEN)

# By the first letter: a bit for each size of a word that matters in the middle of a statement.
cdef uint32_t[32] SIZES
for _word in ("into", "update", "merge", "insert", "as", "atomic", "case", "end", "join"):
    SIZES[ord(_word[0]) & 31] |= 1 << len(_word)
SIZES[ord("p") & 31] = 0xFFFFFFFF  # pg_settings, pg_temp, pg_temp_1 and so on


cdef void analyse(const uint8_t *text, size_t size, Analysis *found) noexcept nogil:
    """`size`: what has come of it, with its NUL.  Without one the text has been cut, and its rest may do anything."""
    analysis_start(found)
    if passed(text, size, found, False):
        return
    # The other reading is a different text, of which the settings are to be known too.
    unreadable(found)
    passed(text, size, found, True)


cdef bint passed(const uint8_t *text, size_t size, Analysis *found, bint escapes) noexcept nogil:
    """Read the text; False: it may be read in another way too."""
    cdef Scan s
    cdef uint32_t statements = 0
    s.lexer = lexer(text, size)
    s.lexer.escapes = escapes
    s.found = found
    s.start = text
    s.updates = False
    s.names_settings = False
    advance(&s)
    while s.token.kind != TOKEN_END and s.token.kind != TOKEN_BROKEN:
        if is_symbol(&s.token, c";"):
            advance(&s)
            continue
        statements += 1
        begin(&s)
        statement(&s)
    if s.token.kind == TOKEN_BROKEN or left(&s.lexer.rest) == 0:
        unreadable(found)
    if s.updates and s.names_settings:
        note(&s, EFFECT_SETTINGS)  # updating that view calls set_config
    if statements > 1:
        note(&s, EFFECT_SEVERAL)
    return not s.lexer.doubtful


cdef void begin(Scan *s) noexcept nogil:
    """At a statement's first word."""
    s.depth = 0
    s.atomic = 0
    s.dots = 0
    s.verb = NULL
    s.inserting = NULL
    s.is_insert = False
    s.begins_with = False
    s.creates = False
    s.joins = False
    s.is_odd = False


# ---- kinds of statements -------------------------------------------------------------------------------------------

cdef void statement(Scan *s) noexcept nogil:
    """From a statement's first word to its end."""
    cdef bint more = True  # statements inside it: EXPLAIN, PREPARE and DECLARE have one
    cdef const Word *word
    while more:
        while is_symbol(&s.token, c"("):
            s.depth += 1
            advance(s)
        s.head = s.token.text
        s.before = NULL
        s.verb = s.token.text
        word = keyword_of(&s.token)
        more = word.keyword and kind(s, word)
        if not word.keyword and not at_end(s):
            note(s, word.statement)
    if not at_end(s):
        pass_rest(s)


cdef bint kind(Scan *s, const Word *word) noexcept nogil:
    """A statement that begins with a word of the grammar; True: at hand is now the first word of one inside it."""
    cdef uint8_t keyword = word.keyword
    if keyword == KEYWORD_SELECT:
        return False
    if keyword == KEYWORD_INSERT or keyword == KEYWORD_MERGE or keyword == KEYWORD_UPDATE or keyword == KEYWORD_WITH:
        writes(s, keyword)
    elif keyword == KEYWORD_BEGIN or keyword == KEYWORD_START:
        note(s, EFFECT_BEGINS)
    elif (keyword == KEYWORD_COMMIT or keyword == KEYWORD_END or keyword == KEYWORD_ROLLBACK
            or keyword == KEYWORD_ABORT):
        ends(s)
    elif keyword == KEYWORD_SET:
        set_statement(s)
    elif keyword == KEYWORD_RESET:
        reset_statement(s)
    elif keyword == KEYWORD_DISCARD:
        discard(s)
    elif keyword == KEYWORD_PREPARE:
        return prepare(s)
    elif keyword == KEYWORD_EXECUTE:
        execute_statement(s)
    elif keyword == KEYWORD_DEALLOCATE:
        deallocate_statement(s)
    elif keyword == KEYWORD_EXPLAIN:
        explain(s)
        return not at_end(s)
    elif keyword == KEYWORD_DECLARE:
        return declare(s)
    else:
        note(s, word.statement)
        s.creates = keyword == KEYWORD_CREATE
        if (s.creates or keyword == KEYWORD_ALTER) and comes_keyword(s, KEYWORD_EXTENSION):
            note(s, EFFECT_ANYTHING)  # it runs a script
        elif s.creates and makes_temporary(s):
            note(s, EFFECT_MAKES_TEMP)
    return False


cdef bint makes_temporary(const Scan *s) noexcept nogil:
    """At CREATE: of something that is temporary and outlives its transaction?"""
    cdef Lexer rest = s.lexer
    cdef Token token = next_token(&rest)
    cdef uint8_t keyword = keyword_of(&token).keyword
    cdef uint8_t before = KEYWORD_NONE
    while is_word(&token, "or") or is_word(&token, "replace") or is_word(&token, "global") or is_word(&token, "local"):
        token = next_token(&rest)
        keyword = keyword_of(&token).keyword
    if keyword != KEYWORD_TEMP and keyword != KEYWORD_TEMPORARY:
        return False
    while not is_symbol(&token, c";") and token.kind != TOKEN_END and token.kind != TOKEN_BROKEN:
        before = keyword
        token = next_token(&rest)
        keyword = keyword_of(&token).keyword
        if before == KEYWORD_COMMIT and keyword == KEYWORD_DROP:
            return False
    return True


cdef void writes(Scan *s, uint8_t keyword) noexcept nogil:
    s.begins_with = keyword == KEYWORD_WITH
    s.is_insert = keyword == KEYWORD_INSERT
    s.joins = keyword == KEYWORD_MERGE
    s.updates = s.updates or keyword == KEYWORD_MERGE or keyword == KEYWORD_UPDATE
    if keyword == KEYWORD_INSERT or keyword == KEYWORD_MERGE:
        s.inserting = s.token.text
        note(s, EFFECT_NUMBERS)


cdef void ends(Scan *s) noexcept nogil:
    """At COMMIT, ROLLBACK or another word for them.  Ends nothing: ROLLBACK TO, COMMIT PREPARED, ROLLBACK PREPARED."""
    if comes_keyword(s, KEYWORD_WORK) or comes_keyword(s, KEYWORD_TRANSACTION):
        advance(s)
    if comes_keyword(s, KEYWORD_TO):
        note(s, EFFECT_TO_SAVEPOINT)
        return
    if comes_keyword(s, KEYWORD_PREPARED):
        return
    note(s, EFFECT_ENDS)
    if comes_keyword(s, KEYWORD_AND):
        advance(s)
        if comes_keyword(s, KEYWORD_CHAIN):
            note(s, EFFECT_BEGINS)


cdef void discard(Scan *s) noexcept nogil:
    cdef uint8_t keyword
    advance(s)
    keyword = keyword_of(&s.token).keyword
    if keyword == KEYWORD_ALL:
        note(s, ALL_DISCARDED)
        resets_all(s.found)
        changes_user(s, True)
        uses_name(s.found, USE_DEALLOCATE_ALL, 0, 0)
    elif keyword == KEYWORD_TEMP or keyword == KEYWORD_TEMPORARY:
        note(s, EFFECT_TEMP)
    elif keyword != KEYWORD_PLANS and keyword != KEYWORD_SEQUENCES:
        note(s, EFFECT_ANYTHING)


cdef bint prepare(Scan *s) noexcept nogil:
    """At PREPARE TRANSACTION '...', or PREPARE of a statement, which may be called transaction."""
    cdef Lexer rest = s.lexer
    cdef Token token = next_token(&rest)
    if keyword_of(&token).keyword == KEYWORD_TRANSACTION:
        token = next_token(&rest)
        if token.kind == TOKEN_STRING or token.kind == TOKEN_OTHER:
            note(s, EFFECT_ENDS)
            return False
    prepare_statement(s)
    return inner(s)


cdef bint inner(Scan *s) noexcept nogil:
    """Is there a statement behind the word at hand?  Then that is at hand now."""
    if at_end(s):
        return False
    advance(s)
    return not at_end(s)


cdef void explain(Scan *s) noexcept nogil:
    """From EXPLAIN to the statement that is explained."""
    cdef int depth = 0
    advance(s)
    while keyword_of(&s.token).keyword in (KEYWORD_ANALYSE, KEYWORD_ANALYZE, KEYWORD_VERBOSE):
        advance(s)
    if not is_symbol(&s.token, c"(") or begins_query(s):
        return
    while not at_end(s):
        if is_symbol(&s.token, c"("):
            depth += 1
        elif is_symbol(&s.token, c")"):
            depth -= 1
        advance(s)
        if depth == 0:
            return


cdef bint begins_query(const Scan *s) noexcept nogil:
    """At an opening bracket: does a query stand in it, and no options?"""
    cdef Token token = ahead(s)
    return is_symbol(&token, c"(") or keyword_of(&token).keyword in (
        KEYWORD_SELECT, KEYWORD_TABLE, KEYWORD_VALUES, KEYWORD_WITH)


cdef bint declare(Scan *s) noexcept nogil:
    """From DECLARE to the cursor's query."""
    cdef bint with_hold = False
    while not at_end(s):
        with_hold = keyword_of(&s.token).keyword == KEYWORD_WITH
        advance(s)
        if with_hold and keyword_of(&s.token).keyword == KEYWORD_HOLD:
            note(s, EFFECT_CURSOR | EFFECT_HOLDS)
        if keyword_of(&s.token).keyword == KEYWORD_FOR:
            return inner(s)
    return False


# ---- what matters wherever it stands -------------------------------------------------------------------------------

cdef void pass_rest(Scan *s) noexcept nogil:
    """From the token at hand to the end of the statement."""
    cdef Token token  # in registers: only the copies in `s` are looked at elsewhere
    cdef Token last = s.token
    while True:
        if not s.begins_with and not is_symbol(&last, c"."):
            pass_plain_words(s, &last)
        read_token(&s.lexer, &token)
        if token.kind == TOKEN_WORD or token.kind == TOKEN_QUOTED:
            if last.kind != TOKEN_SYMBOL or last.text[0] != c".":
                s.before = last.text
                s.head = token.text
                s.dots = 0
            if may_matter(&token) or (s.begins_with and s.depth == 0):
                s.last = last
                s.token = token
                matter(s)
        elif token.kind == TOKEN_SYMBOL:
            if token.text[0] == c"(":
                s.depth += 1
                if last.kind == TOKEN_WORD or last.kind == TOKEN_QUOTED:
                    s.token = last
                    call_begins(s)
            elif token.text[0] == c")":
                s.depth -= 1
            elif token.text[0] == c".":
                s.dots += 1
            elif token.text[0] == c";" and s.depth <= 0 and s.atomic == 0:
                break
        elif token.kind == TOKEN_END or token.kind == TOKEN_BROKEN:
            break
        last = token
    s.token = token


cdef inline void pass_plain_words(Scan *s, Token *last) noexcept nogil:
    """Past words with a space in front of each that cannot matter, of which a text has the most: several at a step.

    Does nothing that the loop in `pass_rest` would not do; what it is in doubt about is left to that.
    """
    cdef Reader *rest = &s.lexer.rest
    cdef Token word
    word.kind = TOKEN_WORD
    while peek_u8(rest, 0) == c" " and MARKS[peek_u8(rest, 1)] & BEGINS:
        word.text = rest.at + 1
        word.size = short_identifier(rest, 1)
        if word.size < 2 or word.text[word.size - 1] >= 128 or may_matter(&word):
            return
        s.before = last.text
        s.head = word.text
        s.dots = 0
        last[0] = word
        read_bytes(rest, word.size + 1)


cdef inline bint may_matter(const Token *token) noexcept nogil:
    """May it be one of the words that matter wherever they stand?  A cheap question that leaves few for `word_of`."""
    cdef bint quoted = token.kind == TOKEN_QUOTED
    cdef Reader text
    if not quoted and not SIZES[token.text[0] & 31] >> (token.size & 31) & 1:
        return False
    text = reader(token.text, token.size)
    if peek_u8(&text, quoted) | 32 != c"p":
        return not quoted
    return peek_u8(&text, quoted + 1) | 32 == c"g"


cdef void matter(Scan *s) noexcept nogil:
    """At one of these words."""
    cdef const Word *word = word_of(&s.token)
    cdef uint8_t keyword = word.keyword
    if is_pg_temp(&s.token):
        note(s, EFFECT_TEMP)
    elif keyword == KEYWORD_PG_SETTINGS:
        s.names_settings = True
    if s.token.kind == TOKEN_QUOTED:
        return
    if s.begins_with and s.depth == 0 and keyword in (KEYWORD_DELETE, KEYWORD_INSERT, KEYWORD_MERGE, KEYWORD_SELECT,
                                                      KEYWORD_TABLE, KEYWORD_UPDATE, KEYWORD_VALUES):
        verb_behind_with(s, keyword)
    if keyword == KEYWORD_INTO:
        if s.inserting == NULL or s.last.text != s.inserting:
            note(s, EFFECT_TEMP)  # SELECT ... INTO makes a table
            if comes_keyword(s, KEYWORD_TEMP) or comes_keyword(s, KEYWORD_TEMPORARY):
                note(s, EFFECT_MAKES_TEMP)
    elif keyword == KEYWORD_INSERT or keyword == KEYWORD_MERGE:
        s.joins = s.joins or keyword == KEYWORD_MERGE
        s.updates = s.updates or keyword == KEYWORD_MERGE
        note(s, EFFECT_NUMBERS)
        if is_symbol(&s.last, c"("):
            s.inserting = s.token.text  # elsewhere it may be a column's name
    elif keyword == KEYWORD_UPDATE:
        s.updates = True
    elif keyword == KEYWORD_JOIN:
        s.joins = True
    elif keyword == KEYWORD_AS and s.creates and s.depth == 0:
        s.creates = False
        as_execute(s)
    elif keyword == KEYWORD_ATOMIC and keyword_of(&s.last).keyword == KEYWORD_BEGIN:
        unreadable(s.found)  # a function's body, in which semicolons end nothing
        s.atomic += 1
    elif s.atomic and (keyword == KEYWORD_CASE or keyword == KEYWORD_END):
        s.atomic += 1 if keyword == KEYWORD_CASE else -1


cdef bint is_pg_temp(const Token *token) noexcept nogil:
    """The schema of temporary things: pg_temp, or pg_temp_ with the number of a session."""
    cdef bint quoted = token.kind == TOKEN_QUOTED
    cdef Reader text = reader(token.text + quoted, token.size - 2 * quoted)
    cdef const char *name = "pg_temp"
    for i in range(7):
        # An underscore's bit is that of letters in lower case, so it is left out.
        if peek_u8(&text, i) | 32 != <uint8_t>name[i] | 32:
            return False
    return True


cdef void verb_behind_with(Scan *s, uint8_t keyword) noexcept nogil:
    """The first such word in no brackets is the statement's own verb if it follows the last query of the WITH."""
    s.begins_with = False
    if is_symbol(&s.last, c")") and (keyword == KEYWORD_INSERT or keyword == KEYWORD_MERGE):
        s.inserting = s.token.text
        s.is_insert = keyword == KEYWORD_INSERT
