"""Functions that a text calls: what stands in front of a bracket, if it is no keyword, no table and no type.

A call of anything that is not known to be harmless may do anything.  Called by `analysis`.
"""

from howdah.sql.effects cimport EFFECT_ANYTHING
from howdah.sql.lexer cimport TOKEN_CAST, TOKEN_QUOTED, TOKEN_WORD, Token, is_symbol
from howdah.sql.scan cimport Scan, ahead, note, token_at
from howdah.sql.settings cimport set_config_call
from howdah.sql.words cimport (
    KEYWORD_CONFLICT,
    KEYWORD_DISTINCT,
    KEYWORD_ON,
    KEYWORD_OPERATOR,
    KEYWORD_PG_CATALOG,
    KEYWORD_RETURNING,
    KEYWORD_SELECT,
    KEYWORD_SET_CONFIG,
    KEYWORD_TABLE,
    KEYWORD_WITH,
    Word,
    keyword_of,
    word_of,
)


cdef void call_begins(Scan *s) noexcept nogil:
    """At a word in front of a bracket; it is the last of names with dots between them if there are any."""
    cdef const Word *word = word_of(&s.token)
    cdef bint plain = s.dots == 0 and s.token.kind == TOKEN_WORD
    if s.token.text == s.verb:
        return
    if plain and word.keyword == KEYWORD_OPERATOR:
        s.is_odd = True
    elif plain and word.reserved:
        s.is_odd = s.is_odd or is_prefix(s, word)
    elif is_builtin(s) and word.keyword == KEYWORD_SET_CONFIG:
        set_config_call(s)
    elif is_builtin(s) and not word.call & EFFECT_ANYTHING:
        note(s, word.call)
    elif not calls_nothing(s, word):
        note(s, EFFECT_ANYTHING)


cdef bint is_prefix(const Scan *s, const Word *word) noexcept nogil:
    """Does an expression follow the brackets: DISTINCT ON (...), RETURNING WITH (...)?"""
    cdef Token before
    if word.keyword != KEYWORD_ON and word.keyword != KEYWORD_WITH:
        return False
    before = token_at(s, s.before)
    return keyword_of(&before).keyword == (KEYWORD_DISTINCT if word.keyword == KEYWORD_ON else KEYWORD_RETURNING)


cdef bint is_builtin(const Scan *s) noexcept nogil:
    """Is it PostgreSQL's own, if there is one of that name?"""
    cdef Token head
    if s.dots != 1:
        return s.dots == 0
    head = token_at(s, s.head)
    return word_of(&head).keyword == KEYWORD_PG_CATALOG


cdef bint calls_nothing(const Scan *s, const Word *word) noexcept nogil:
    """Is it no expression that stands here?"""
    cdef Token before = token_at(s, s.before)
    cdef Token token = ahead(s)
    cdef const Word *known = word_of(&before)
    if before.kind == TOKEN_WORD:
        # Behind an identifier comes at most an alias.
        if known.heads_name or not known.known:
            return True
        if known.keyword == KEYWORD_ON and word.keyword == KEYWORD_CONFLICT and s.is_insert and not s.joins:
            return True
    elif before.kind == TOKEN_QUOTED or before.kind == TOKEN_CAST:
        return True
    elif is_symbol(&before, c")") and not s.is_odd:
        return True
    # No argument begins like this, but all that is put in brackets does.
    return keyword_of(&token).keyword in (KEYWORD_SELECT, KEYWORD_TABLE, KEYWORD_WITH)
