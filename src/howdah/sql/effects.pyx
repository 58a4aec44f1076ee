"""What a text may do to the session it runs in: the findings of `analysis`.

Called by the modules that read texts, to note what they find; and by those who want to know.
"""

from libc.stdint cimport uint8_t, uint32_t
from libc.string cimport memcmp, memcpy

from howdah.sql.identifiers cimport LARGEST_IDENTIFIER, identifier
from howdah.sql.lexer cimport Lexer, Token, lexer, next_token


cdef void analysis_start(Analysis *found) noexcept nogil:
    """The arrays stay as they are: what is in them is counted."""
    found.effects = 0
    found.setting_count = 0
    found.use_count = 0
    found.uses_unclear = False


cdef void unreadable(Analysis *found) noexcept nogil:
    """Nobody can tell what it does."""
    found.effects |= EFFECT_ANYTHING | EFFECT_DEALLOCATE | EFFECT_ENDS | EFFECT_TO_SAVEPOINT
    found.uses_unclear = True


cdef bint is_role(const char *name, uint32_t size) noexcept nogil:
    return ((size == 4 and memcmp(name, b"role", 4) == 0)
            or (size == 21 and memcmp(name, b"session_authorization", 21) == 0))


cdef bint is_of_transaction(const char *name, uint32_t size) noexcept nogil:
    """Is it a setting that goes with the transaction, however it was set?"""
    return ((size == 21 and memcmp(name, b"transaction_isolation", 21) == 0)
            or (size == 21 and memcmp(name, b"transaction_read_only", 21) == 0)
            or (size == 22 and memcmp(name, b"transaction_deferrable", 22) == 0))


cdef void changes_setting(Analysis *found, const char *name, uint32_t size, SettingChange change) noexcept nogil:
    """`name`: in lower case."""
    if size == 4 and memcmp(name, b"seed", 4) == 0:
        found.effects |= EFFECT_SEED
    elif is_role(name, size):
        found.effects |= EFFECT_ROLE
        add_setting(found, name, size, change)
    elif is_of_transaction(name, size):
        return
    elif size == 0 or size > LARGEST_SETTING or found.setting_count == MOST_SETTINGS:
        found.effects |= EFFECT_SETTINGS
    else:
        found.effects |= EFFECT_SETTING
        add_setting(found, name, size, change)


cdef void resets_all(Analysis *found) noexcept nogil:
    """But for who the session is."""
    found.effects |= EFFECT_SETTINGS
    add_setting(found, "all", 3, SETTING_RESET)


cdef void add_setting(Analysis *found, const char *name, uint32_t size, SettingChange change) noexcept nogil:
    """(If there is no room, it is not known how it was changed.)"""
    cdef Setting *setting = &found.settings[found.setting_count]
    if found.setting_count == MOST_SETTINGS:
        return
    memcpy(setting.name, name, size)
    setting.name[size] = 0
    setting.size = size
    setting.change = change
    found.setting_count += 1


cdef uint32_t settings_size(const Analysis *found) noexcept nogil:
    """Bytes of the settings as `write_settings` has them."""
    cdef uint32_t size = 0
    for i in range(found.setting_count):
        size += found.settings[i].size + 2
    return size


cdef uint32_t write_settings(const Analysis *found, char *to) noexcept nogil:
    """Each as a SettingChange, its name and a NUL; gives their size."""
    cdef uint32_t at = 0
    for i in range(found.setting_count):
        to[at] = <char>found.settings[i].change
        memcpy(to + at + 1, found.settings[i].name, found.settings[i].size + 1)
        at += found.settings[i].size + 2
    return at


cdef void uses_name(Analysis *found, UseKind kind, uint32_t offset, uint32_t size) noexcept nogil:
    cdef NameUse *use
    if found.use_count == MOST_USES:
        found.uses_unclear = True
        return
    use = &found.uses[found.use_count]
    use.kind = kind
    use.offset = offset
    use.size = size
    found.use_count += 1


cdef const NameUse *only_use(const Analysis *found) noexcept nogil:
    """The use that a text of one statement makes of a name; NULL: it is not one statement, or uses none."""
    if found.effects & EFFECT_SEVERAL or found.uses_unclear or found.use_count != 1:
        return NULL
    return &found.uses[0]


cdef uint32_t used_name(const uint8_t *text, const NameUse *use, char *name) noexcept nogil:
    """The name, with a NUL, into `name` (LARGEST_IDENTIFIER + 1 bytes); gives its size, 0: see `identifier`."""
    cdef Lexer rest = lexer(text + use.offset, use.size)
    cdef Token token = next_token(&rest)
    cdef uint32_t size = identifier(&token, name, LARGEST_IDENTIFIER)
    name[size] = 0
    return size
