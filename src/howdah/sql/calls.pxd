"""Functions that a text calls."""

from howdah.sql.scan cimport Scan

cdef void call_begins(Scan *s) noexcept nogil
