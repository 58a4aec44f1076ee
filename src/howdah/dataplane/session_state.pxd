"""The settings of a session that differ from the server's own, as values that can be compared by pointer."""

from libc.stdint cimport int32_t, uint8_t, uint32_t

from howdah.wire.bytes cimport Writer

cpdef enum:
    MOST_SETTINGS = 256
    LARGEST_SETTINGS = 32768  # bytes of names and values together

# Made by `settings_new` and its like, counted by whoever holds it, freed with the last `settings_drop`.
# Immutable, and only one exists for the same names and values: equal means the same pointer.
cdef struct Settings:
    Settings *next  # in the table
    Settings *plain  # the same without application_name (itself where there is none); counted
    int32_t holders
    uint32_t hash
    uint32_t count
    uint32_t size
    bint has_identity  # role or session_authorization
    bint has_timeout  # one that may end what we send ourselves
    # name and value strings, sorted by name, follow the struct

# Names and values on their way to become a Settings; lives on the caller's stack and points to the caller's strings.
cdef struct Draft:
    const char *names[MOST_SETTINGS]
    const char *values[MOST_SETTINGS]
    uint32_t count
    uint32_t size

cdef const char *settings_data(const Settings *settings) noexcept nogil
cdef const char *BEGIN_OURS

cdef bint differs(const Settings *now, const Settings *wanted, const char *name) noexcept nogil
cdef void draft_init(Draft *draft) noexcept nogil
cdef void draft_from(Draft *draft, const Settings *settings) noexcept nogil
cdef void draft_remove(Draft *draft, const char *name) noexcept nogil
cdef bint draft_set(Draft *draft, const char *name, const char *value) noexcept nogil
cdef Settings *settings_new(const Draft *draft) noexcept nogil
cdef Settings *settings_hold(Settings *settings) noexcept nogil
cdef void settings_drop(Settings *settings) noexcept nogil
cdef const char *settings_value(const Settings *settings, const char *name) noexcept nogil
cdef bint compose_change(Writer *w, const Settings *now, const Settings *wanted, bint reset,
                         bint forget) noexcept nogil
cdef bint is_identity(const char *name) noexcept nogil
cdef bint same_name(const char *a, const char *b) noexcept nogil
cdef bint plain_text(const char *text) noexcept nogil
cdef void write_hex(Writer *w, uint8_t byte) noexcept nogil
cdef void write_text(Writer *w, const char *text) noexcept nogil
cdef void write_literal(Writer *w, const char *text) noexcept nogil
