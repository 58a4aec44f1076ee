"""Settings that a text changes."""

from howdah.sql.scan cimport Scan

cdef void changes_user(Scan *s, bint reset) noexcept nogil
cdef void set_statement(Scan *s) noexcept nogil
cdef void reset_statement(Scan *s) noexcept nogil
cdef void set_config_call(Scan *s) noexcept nogil
