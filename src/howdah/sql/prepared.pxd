"""Names of statements prepared by SQL."""

from howdah.sql.scan cimport Scan

cdef void prepare_statement(Scan *s) noexcept nogil
cdef void execute_statement(Scan *s) noexcept nogil
cdef void as_execute(Scan *s) noexcept nogil
cdef void deallocate_statement(Scan *s) noexcept nogil
