"""Settings that a text changes."""

from howdah.sql.scan cimport Scan

cdef void set_statement(Scan *s) noexcept nogil
cdef void reset_statement(Scan *s) noexcept nogil
cdef void set_config_call(Scan *s) noexcept nogil
