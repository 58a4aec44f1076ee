"""Texts that rely on their session are counted."""

from libc.stdint cimport uint8_t, uint32_t, uint64_t

from howdah.dataplane.parties cimport SHOWN_TEXT, Client, Worker
from howdah.dataplane.pool cimport Pool

cpdef enum:
    MOST_LINTED = 1000  # different ones
    LINT_SORTS = 10

# One text of one application in one way to rely on its session.  Made when it is met first, never freed; under the
# lock.
cdef struct LintEntry:
    LintEntry *next  # in its slot
    uint32_t hash
    uint8_t sort
    bint pins
    uint64_t count
    uint64_t first_us
    uint64_t last_us
    char[64] application
    char[64] user
    char[64] database
    char[SHOWN_TEXT] text

# Never changes.
cdef struct LintSort:
    uint32_t effects
    bint pins
    const char *code  # in howdah.reasons where it pins

cdef LintSort[LINT_SORTS] LINT

cdef void lint(Worker *w, Client *client, const uint8_t *text, size_t size) noexcept nogil
cdef size_t lint_entries(LintEntry *to, LintEntry *rest) noexcept nogil
