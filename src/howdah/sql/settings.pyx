"""Settings that a text changes: SET, RESET and set_config with the names they give.

What ends with the transaction (SET LOCAL, SET TRANSACTION, SET CONSTRAINTS) changes nothing that stays.  The grammar is
VariableSetStmt's and VariableResetStmt's in src/backend/parser/gram.y.  Called by `analysis` and `calls`.
"""

from libc.stdint cimport uint8_t, uint32_t
from libc.string cimport strlen

from howdah.sql.effects cimport (
    EFFECT_ANYTHING,
    EFFECT_SETTINGS,
    LARGEST_SETTING,
    SETTING_EITHER,
    SETTING_RESET,
    SETTING_SET,
    SettingChange,
    changes_setting,
    resets_all,
)
from howdah.sql.identifiers cimport identifier
from howdah.sql.lexer cimport (
    TOKEN_CAST,
    TOKEN_OTHER,
    TOKEN_STRING,
    TOKEN_WORD,
    Lexer,
    Token,
    is_symbol,
    is_word,
    next_token,
)
from howdah.sql.scan cimport Scan, advance, ahead, comes_keyword, note
from howdah.sql.words cimport (
    KEYWORD_ALL,
    KEYWORD_AUTHORIZATION,
    KEYWORD_CATALOG,
    KEYWORD_CHARACTERISTICS,
    KEYWORD_CONSTRAINTS,
    KEYWORD_LOCAL,
    KEYWORD_NAMES,
    KEYWORD_ROLE,
    KEYWORD_SCHEMA,
    KEYWORD_SESSION,
    KEYWORD_TIME,
    KEYWORD_TO,
    KEYWORD_TRANSACTION,
    KEYWORD_TRUE,
    KEYWORD_XML,
    keyword_of,
)
from howdah.wire.bytes cimport Reader, left, read_u8, reader


cdef void set_statement(Scan *s) noexcept nogil:
    """At SET."""
    cdef bint local = False
    cdef uint8_t keyword
    advance(s)
    keyword = phrase(s)
    if keyword == KEYWORD_LOCAL or (keyword == KEYWORD_SESSION and not comes_keyword(s, KEYWORD_AUTHORIZATION)
                                    and not comes_keyword(s, KEYWORD_CHARACTERISTICS)):
        local = keyword == KEYWORD_LOCAL
        advance(s)
        keyword = phrase(s)
    if not local:
        set_rest(s, keyword)


cdef uint8_t phrase(const Scan *s) noexcept nogil:
    """The keyword at hand, if it begins a phrase and is not a setting's name (SET session.x, SET time = 1)."""
    cdef Token token = ahead(s)
    if is_symbol(&token, c".") or is_symbol(&token, c"=") or keyword_of(&token).keyword == KEYWORD_TO:
        return 0
    return keyword_of(&s.token).keyword


cdef void set_rest(Scan *s, uint8_t keyword) noexcept nogil:
    cdef Token token
    if keyword == KEYWORD_TRANSACTION or keyword == KEYWORD_CONSTRAINTS or keyword == KEYWORD_CATALOG:
        return
    if keyword == KEYWORD_SESSION and comes_keyword(s, KEYWORD_CHARACTERISTICS):
        changes(s, "default_transaction_isolation", False)
        changes(s, "default_transaction_read_only", False)
        changes(s, "default_transaction_deferrable", False)
    elif keyword == KEYWORD_SESSION:
        advance(s)
        token = ahead(s)
        changes_user(s, is_word(&token, "default"))
    elif keyword == KEYWORD_ROLE:
        changes(s, "role", False)
    elif keyword == KEYWORD_TIME:
        advance(s)
        changes(s, "timezone", is_default(ahead(s)))
    elif keyword == KEYWORD_NAMES:
        changes(s, "client_encoding", False)
    elif keyword == KEYWORD_SCHEMA:
        changes(s, "search_path", False)
    elif keyword == KEYWORD_XML:
        changes(s, "xmloption", False)
    else:
        named(s, False)


cdef bint is_default(Token token) noexcept nogil:
    """Does this value take a setting back?"""
    return is_word(&token, "default") or is_word(&token, "local")


cdef bint comes_default(const Scan *s) noexcept nogil:
    """Does TO DEFAULT follow?"""
    cdef Lexer rest = s.lexer
    cdef Token token = next_token(&rest)
    return (is_symbol(&token, c"=") or keyword_of(&token).keyword == KEYWORD_TO) and is_default(next_token(&rest))


cdef void reset_statement(Scan *s) noexcept nogil:
    """At RESET."""
    cdef uint8_t keyword
    advance(s)
    keyword = phrase(s)
    if keyword == KEYWORD_ALL:
        resets_all(s.found)
    elif keyword == KEYWORD_TIME:
        changes(s, "timezone", True)
    elif keyword == KEYWORD_SESSION and comes_keyword(s, KEYWORD_AUTHORIZATION):
        changes_user(s, True)
    elif keyword != KEYWORD_TRANSACTION:
        named(s, True)


cdef void changes(Scan *s, const char *name, bint reset) noexcept nogil:
    changes_setting(s.found, name, <uint32_t>strlen(name), SETTING_RESET if reset else SETTING_SET)


cdef void changes_user(Scan *s, bint reset) noexcept nogil:
    """Who the session belongs to; the role goes with that."""
    changes(s, "session_authorization", reset)
    changes(s, "role", reset)


cdef void to_lower(char *name, uint32_t size) noexcept nogil:
    """Names of settings are the same in large and small letters, also in quotes."""
    for i in range(size):
        if c"A" <= name[i] <= c"Z":
            name[i] += 32


cdef void named(Scan *s, bint reset) noexcept nogil:
    """A name, or several with dots between them, as in app.tenant."""
    cdef char[LARGEST_SETTING] name
    cdef uint32_t size = 0
    cdef uint32_t more
    cdef Token token = s.token
    while True:
        more = identifier(&token, name + size, LARGEST_SETTING - size)
        if more == 0:
            note(s, EFFECT_SETTINGS | EFFECT_ANYTHING)
            return
        size += more
        token = ahead(s)
        if not is_symbol(&token, c"."):
            break
        advance(s)
        advance(s)
        token = s.token
        if size == LARGEST_SETTING:
            note(s, EFFECT_SETTINGS)
            return
        name[size] = c"."
        size += 1
    to_lower(name, size)
    changes_setting(s.found, name, size, SETTING_RESET if reset or comes_default(s) else SETTING_SET)


# ---- set_config ----------------------------------------------------------------------------------------------------

cdef void set_config_call(Scan *s) noexcept nogil:
    """At its opening bracket, which `s` does not pass."""
    cdef char[LARGEST_SETTING] name
    cdef Lexer rest = s.lexer
    cdef Lexer value
    cdef Token first = next_token(&rest)
    cdef Token token = next_token(&rest)
    cdef Reader text = reader(first.text, first.size)
    cdef uint32_t size = 0
    if first.kind != TOKEN_STRING or first.size - 2 > LARGEST_SETTING or not is_symbol(&token, c","):
        note(s, EFFECT_SETTINGS)
        return
    value = rest
    if is_local(&rest):
        return
    read_u8(&text)
    while left(&text) > 1:
        name[size] = <char>read_u8(&text)
        size += 1
    to_lower(name, size)
    changes_setting(s.found, name, size, change_to(value))


cdef SettingChange change_to(Lexer rest) noexcept nogil:
    """At the second argument."""
    cdef Token value = next_token(&rest)
    cdef Token token = next_token(&rest)
    if not is_symbol(&token, c","):
        return SETTING_EITHER
    if value.kind == TOKEN_STRING:
        return SETTING_SET
    return SETTING_RESET if is_word(&value, "null") else SETTING_EITHER


cdef bint is_local(Lexer *rest) noexcept nogil:
    """At the second argument: is it one literal or parameter, cast or not, and the third one true?"""
    cdef Token token = next_token(rest)
    if token.kind != TOKEN_STRING and token.kind != TOKEN_OTHER:
        return False
    token = next_token(rest)
    if token.kind == TOKEN_CAST:
        token = next_token(rest)
        if token.kind != TOKEN_WORD:
            return False
        token = next_token(rest)
    if not is_symbol(&token, c","):
        return False
    token = next_token(rest)
    if keyword_of(&token).keyword != KEYWORD_TRUE:
        return False
    token = next_token(rest)
    return is_symbol(&token, c")")
