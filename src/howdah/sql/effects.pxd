"""What a text may do to the session it runs in."""

from libc.stdint cimport uint8_t, uint32_t

cpdef enum Effect:
    EFFECT_SETTING = 1  # changes a setting, whose name is among `settings`
    EFFECT_SETTINGS = 2  # changes settings of which the text does not show the names, or more than there is room for
    EFFECT_ROLE = 4  # changes the role, or who the session belongs to
    EFFECT_TEMP = 8  # makes or drops what may be temporary: tables, views, sequences, functions, types
    EFFECT_CURSOR = 16  # opens a cursor that outlives the transaction, or closes one
    EFFECT_LOCK = 32  # takes or gives back an advisory lock of the session
    EFFECT_LOAD = 64  # loads a library
    EFFECT_SEQUENCE = 128  # goes by what the session remembers of sequences
    EFFECT_SEED = 256  # makes random numbers repeat
    EFFECT_LISTEN = 512  # LISTEN, UNLISTEN, or asks for the channels
    EFFECT_PREPARE = 1024  # PREPARE of a statement; what that does counts as if it ran
    EFFECT_EXECUTE = 2048  # EXECUTE; what it does is what the text of its PREPARE does
    EFFECT_DEALLOCATE = 4096  # drops prepared statements, or may
    EFFECT_DISCARD = 8192  # DISCARD ALL; what it clears counts too
    EFFECT_ANYTHING = 16384  # any of the above
    EFFECT_BEGINS = 32768  # begins a transaction, in so many words
    EFFECT_ENDS = 65536  # ends one
    EFFECT_SEVERAL = 131072  # has more than one statement
    EFFECT_NUMBERS = 262144  # may take a number from a sequence, which the session remembers
    EFFECT_TO_SAVEPOINT = 524288  # takes a transaction back to a savepoint
    # What stays with the session for certain, if the text goes well and its transaction too:
    EFFECT_MAKES_TEMP = 1048576  # something temporary that is not dropped at the end of the transaction
    EFFECT_HOLDS = 2097152  # a cursor WITH HOLD
    EFFECT_TAKES_LOCK = 4194304  # an advisory lock of the session
    EFFECT_LISTENS = 8388608  # a channel listened to
    EFFECTS_FOR_CERTAIN = EFFECT_MAKES_TEMP | EFFECT_HOLDS | EFFECT_TAKES_LOCK | EFFECT_LISTENS

cpdef enum:
    MOST_SETTINGS = 100
    LARGEST_SETTING = 127  # bytes of a name
    MOST_USES = 32

cpdef enum UseKind:
    USE_PREPARE
    USE_EXECUTE
    USE_DEALLOCATE
    USE_DEALLOCATE_ALL

cpdef enum SettingChange:
    SETTING_SET = 1
    SETTING_RESET = 2  # to what it was at login
    SETTING_EITHER = 3  # set_config to a value that the text does not show: NULL resets

# A setting that a text changes.  `name` is in lower case, as PostgreSQL compares names, and ends with a NUL.  RESET ALL
# resets one called "all".
cdef struct Setting:
    char[LARGEST_SETTING + 1] name
    uint32_t size
    uint8_t change  # a SettingChange

# Where a text names a statement prepared by SQL; a USE_DEALLOCATE_ALL names none.
cdef struct NameUse:
    UseKind kind
    uint32_t offset  # of the name in the text, with its quotes
    uint32_t size

# On the caller's stack; owns nothing.
cdef struct Analysis:
    uint32_t effects  # a set of Effect
    uint32_t setting_count
    uint32_t use_count
    bint uses_unclear  # there may be more uses of names than those in `uses`
    Setting[MOST_SETTINGS] settings
    NameUse[MOST_USES] uses

cdef void analysis_start(Analysis *found) noexcept nogil
cdef void unreadable(Analysis *found) noexcept nogil
cdef void changes_setting(Analysis *found, const char *name, uint32_t size, SettingChange change) noexcept nogil
cdef void uses_name(Analysis *found, UseKind kind, uint32_t offset, uint32_t size) noexcept nogil
cdef void resets_all(Analysis *found) noexcept nogil
cdef uint32_t settings_size(const Analysis *found) noexcept nogil
cdef uint32_t write_settings(const Analysis *found, char *to) noexcept nogil
cdef const NameUse *only_use(const Analysis *found) noexcept nogil
cdef uint32_t used_name(const uint8_t *text, const NameUse *use, char *name) noexcept nogil
