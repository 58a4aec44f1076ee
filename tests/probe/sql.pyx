"""Calls `howdah.sql` from Python; see `howdah_probe.frame` on why the input is copied."""

from libc.stdint cimport uint8_t, uint32_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy

from howdah.sql cimport analysis, effects, lexer, normal, transaction
from howdah.sql.effects cimport Analysis
from howdah.sql.identifiers cimport LARGEST_IDENTIFIER
from howdah.sql.lexer cimport TOKEN_BROKEN, TOKEN_END, Lexer, Token

from howdah.sql.effects import Effect, SettingChange, UseKind
from howdah.sql.lexer import TokenKind
from howdah.sql.transaction import TransactionCommand

CERTAIN = Effect.EFFECTS_FOR_CERTAIN.value
EFFECTS = {effect.value: effect.name.removeprefix("EFFECT_") for effect in Effect if effect.value != CERTAIN}
CHANGES = {change.value: change.name.removeprefix("SETTING_") for change in SettingChange}


cdef uint8_t *copied(bytes data) except NULL:
    cdef uint8_t *copy = <uint8_t *>malloc(max(len(data), 1))
    if copy == NULL:
        raise MemoryError
    memcpy(copy, <const char *>data, len(data))
    return copy


def transaction_command(bytes text):
    """(command, whether it is without modes)."""
    cdef uint8_t *copy = copied(text)
    cdef bint plain = False
    command = TransactionCommand(transaction.transaction_command(copy, len(text), &plain))
    free(copy)
    return command, plain


cdef dict told(const uint8_t *text, const Analysis *found):
    cdef char[LARGEST_IDENTIFIER + 1] name
    cdef uint32_t size
    uses = []
    for i in range(found.use_count):
        size = effects.used_name(text, &found.uses[i], name)
        uses.append((UseKind(found.uses[i].kind).name.removeprefix("USE_"), name[:size],
                     found.uses[i].offset, found.uses[i].size))
    return {
        "effects": {EFFECTS[bit] for bit in EFFECTS if found.effects & bit & ~CERTAIN},
        "certain": {EFFECTS[bit] for bit in EFFECTS if found.effects & bit & CERTAIN},
        "settings": {found.settings[i].name[:found.settings[i].size]: CHANGES[found.settings[i].change]
                     for i in range(found.setting_count)},
        "uses": uses,
        "unclear": bool(found.uses_unclear),
        "only_use": uses[0] if effects.only_use(found) != NULL else None,
    }


def analyse(bytes text):
    """What `howdah.sql.analysis` finds in a text, to which a NUL is added."""
    return analyse_cut(text + b"\0")


def analyse_cut(bytes text):
    """The same, of what there is."""
    cdef uint8_t *copy = copied(text)
    cdef Analysis found
    analysis.analyse(copy, len(text), &found)
    try:
        return told(copy, &found)
    finally:
        free(copy)


def effect_bits(bytes text):
    """The set of effects as a number, without more ado."""
    cdef Analysis found
    analysis.analyse(text, len(text) + 1, &found)
    return found.effects


def tokens(bytes text, bint escapes=False):
    """([(kind, text)] up to the end, which is left out; whether anything in it is doubtful)."""
    cdef uint8_t *copy = copied(text)
    cdef Lexer rest = lexer.lexer(copy, len(text))
    cdef Token token
    rest.escapes = escapes
    found = []
    while True:
        token = lexer.next_token(&rest)
        if token.kind == TOKEN_END:
            break
        found.append((TokenKind(token.kind), (<const char *>token.text)[:token.size]))
        if token.kind == TOKEN_BROKEN:
            break
    free(copy)
    return found, bool(rest.doubtful)


def normal_text(bytes text, size_t room=1000):
    """A text as operators see it."""
    cdef uint8_t *copy = copied(text)
    cdef char *to = <char *>malloc(room)
    if to == NULL:
        raise MemoryError
    size = normal.normal_text(copy, len(text), to, room)
    shown = to[:size]
    free(copy)
    free(to)
    return shown
