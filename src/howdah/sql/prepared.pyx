"""Names of statements prepared by SQL, where PREPARE, EXECUTE and DEALLOCATE have them.  Called by `analysis`."""

from howdah.sql.effects cimport (
    EFFECT_DEALLOCATE,
    EFFECT_EXECUTE,
    EFFECT_PREPARE,
    USE_DEALLOCATE,
    USE_DEALLOCATE_ALL,
    USE_EXECUTE,
    USE_PREPARE,
    UseKind,
    uses_name,
)
from howdah.sql.lexer cimport TOKEN_QUOTED, TOKEN_WORD, Lexer, Token, is_symbol, next_token
from howdah.sql.scan cimport Scan, advance, ahead, at_end, note, offset_of
from howdah.sql.words cimport KEYWORD_ALL, KEYWORD_AS, KEYWORD_EXECUTE, KEYWORD_PREPARE, keyword_of


cdef void name_is(Scan *s, UseKind kind, const Token *token) noexcept nogil:
    if token.kind == TOKEN_WORD or token.kind == TOKEN_QUOTED:
        uses_name(s.found, kind, offset_of(s, token), token.size)
    else:
        s.found.uses_unclear = True


cdef void prepare_statement(Scan *s) noexcept nogil:
    """From PREPARE to the AS in front of the statement, or to the end."""
    note(s, EFFECT_PREPARE)
    advance(s)
    name_is(s, USE_PREPARE, &s.token)
    while not at_end(s):
        advance(s)
        if is_symbol(&s.token, c"("):
            s.depth += 1
        elif is_symbol(&s.token, c")"):
            s.depth -= 1
        elif s.depth == 0 and keyword_of(&s.token).keyword == KEYWORD_AS:
            return
    s.found.uses_unclear = True


cdef void execute_statement(Scan *s) noexcept nogil:
    """From EXECUTE to the name, which is no function although brackets may follow."""
    note(s, EFFECT_EXECUTE)
    s.before = s.token.text
    advance(s)
    s.head = s.token.text
    name_is(s, USE_EXECUTE, &s.token)


cdef void as_execute(Scan *s) noexcept nogil:
    """At the AS of a CREATE TABLE, which may go on with EXECUTE; nothing is passed."""
    cdef Lexer rest = s.lexer
    cdef Token token = next_token(&rest)
    if keyword_of(&token).keyword == KEYWORD_EXECUTE:
        note(s, EFFECT_EXECUTE)
        token = next_token(&rest)
        name_is(s, USE_EXECUTE, &token)


cdef void deallocate_statement(Scan *s) noexcept nogil:
    """From DEALLOCATE to its end."""
    cdef Token token
    note(s, EFFECT_DEALLOCATE)
    advance(s)
    if keyword_of(&s.token).keyword == KEYWORD_PREPARE:
        token = ahead(s)
        if token.kind == TOKEN_WORD or token.kind == TOKEN_QUOTED:
            advance(s)
    if keyword_of(&s.token).keyword == KEYWORD_ALL:
        uses_name(s.found, USE_DEALLOCATE_ALL, 0, 0)
    else:
        name_is(s, USE_DEALLOCATE, &s.token)
    if not at_end(s):
        advance(s)
    if not at_end(s):
        s.found.uses_unclear = True
