"""POSIX regular expressions.  `regexec` may be called by several threads on one `regex_t`: glibc locks inside."""

cdef extern from "<regex.h>" nogil:
    enum:
        REG_EXTENDED
        REG_NOSUB
        REG_NOMATCH
    ctypedef int regoff_t
    ctypedef struct regex_t:
        size_t re_nsub
    ctypedef struct regmatch_t:
        regoff_t rm_so
        regoff_t rm_eo
    int regcomp(regex_t *regex, const char *pattern, int flags) noexcept
    int regexec(const regex_t *regex, const char *text, size_t n, regmatch_t *matches, int flags) noexcept
    size_t regerror(int code, const regex_t *regex, char *text, size_t size) noexcept
    void regfree(regex_t *regex) noexcept
