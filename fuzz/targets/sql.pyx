"""SQL as far as howdah looks at it: the input is a text."""

from libc.stdint cimport uint8_t, uint32_t

from howdah.sql.analysis cimport analyse
from howdah.sql.effects cimport (
    EFFECT_ANYTHING,
    EFFECT_DEALLOCATE,
    EFFECT_DISCARD,
    EFFECT_EXECUTE,
    EFFECT_PREPARE,
    EFFECT_ROLE,
    EFFECT_SETTING,
    EFFECT_SETTINGS,
    LARGEST_SETTING,
    MOST_SETTINGS,
    MOST_USES,
    USE_DEALLOCATE_ALL,
    USE_EXECUTE,
    USE_PREPARE,
    Analysis,
    NameUse,
    used_name,
)
from howdah.sql.identifiers cimport LARGEST_IDENTIFIER
from howdah.sql.lexer cimport (
    TOKEN_BROKEN,
    TOKEN_CAST,
    TOKEN_END,
    TOKEN_QUOTED,
    TOKEN_STRING,
    TOKEN_SYMBOL,
    TOKEN_WORD,
    Lexer,
    Token,
    lexer,
    next_token,
)
from howdah.sql.transaction cimport COMMAND_OTHER, transaction_command
from howdah.wire.bytes cimport left

cdef extern from "claim.h" nogil:
    void claim(bint holds)


cdef void claim_token(const Token *token) noexcept nogil:
    cdef uint8_t last = token.text[token.size - 1]
    claim(token.size > 0)
    claim(token.kind != TOKEN_SYMBOL or token.size == 1)
    claim(token.kind != TOKEN_CAST or token.size == 2)
    claim(token.kind != TOKEN_QUOTED or (token.size >= 2 and last == c'"'))
    claim(token.kind != TOKEN_STRING or (token.size >= 2 and last == c"'"))
    claim(token.kind != TOKEN_WORD or not c"0" <= token.text[0] <= c"9")


cdef void claim_tokens(const uint8_t *data, size_t size, bint escapes) noexcept nogil:
    """Tokens follow each other inside the text until it ends."""
    cdef Lexer text = lexer(data, size)
    cdef const uint8_t *end = data
    cdef Token token
    text.escapes = escapes
    while True:
        token = next_token(&text)
        claim(token.text >= end and token.text + token.size <= data + size)
        claim(text.rest.at >= token.text + token.size and text.rest.ok)
        if token.kind == TOKEN_END or token.kind == TOKEN_BROKEN:
            claim(left(&text.rest) == 0 or text.rest.at[0] == 0)
            return
        claim_token(&token)
        end = text.rest.at


cdef void claim_use(const uint8_t *data, size_t size, const NameUse *use, uint32_t effects) noexcept nogil:
    cdef char[LARGEST_IDENTIFIER + 1] name
    claim(use.offset + use.size <= size)
    claim(used_name(data, use, name) <= LARGEST_IDENTIFIER)
    if use.kind == USE_PREPARE:
        claim(effects & EFFECT_PREPARE)
    elif use.kind == USE_EXECUTE:
        claim(effects & EFFECT_EXECUTE)
    else:
        claim(effects & EFFECT_DEALLOCATE and (use.size or use.kind == USE_DEALLOCATE_ALL))


cdef void claim_analysis(const uint8_t *data, size_t size) noexcept nogil:
    """What is counted is there; a text that has been cut may do anything."""
    cdef Analysis found
    analyse(data, size, &found)
    claim(found.setting_count <= MOST_SETTINGS and found.use_count <= MOST_USES)
    claim(found.setting_count > 0 or not found.effects & EFFECT_SETTING)
    claim(found.setting_count == 0 or found.effects & (EFFECT_SETTING | EFFECT_SETTINGS | EFFECT_ROLE) != 0)
    claim(not found.effects & EFFECT_DISCARD or found.effects & EFFECT_DEALLOCATE)
    for i in range(found.setting_count):
        claim(0 < found.settings[i].size <= LARGEST_SETTING and found.settings[i].name[found.settings[i].size] == 0)
    for i in range(found.use_count):
        claim_use(data, size, &found.uses[i], found.effects)
    for i in range(size):
        if data[i] == 0:
            return
    claim(found.effects & EFFECT_ANYTHING and found.uses_unclear)


cdef api int one_input(const uint8_t *data, size_t size) noexcept nogil:
    cdef bint plain = False
    claim_tokens(data, size, False)
    claim_tokens(data, size, True)
    claim_analysis(data, size)
    if transaction_command(data, size, &plain) != COMMAND_OTHER:
        claim(size >= 3)
    return 0


def replay(bytes data):
    """Run one input from Python: a claim that does not hold ends the process."""
    one_input(<const uint8_t *><const char *>data, len(data))
