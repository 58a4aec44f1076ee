"""Words that say what a text does."""

from libc.stdint cimport uint8_t, uint32_t, uint64_t

from howdah.sql.lexer cimport Token

# Words of the grammar that `analysis` and those below it look for.  The names of these are the words, in lower case.
cpdef enum Keyword:
    KEYWORD_NONE
    KEYWORD_ABORT
    KEYWORD_ALL
    KEYWORD_ALTER
    KEYWORD_ANALYSE
    KEYWORD_ANALYZE
    KEYWORD_AND
    KEYWORD_AS
    KEYWORD_ATOMIC
    KEYWORD_AUTHORIZATION
    KEYWORD_BEGIN
    KEYWORD_CASE
    KEYWORD_CATALOG
    KEYWORD_CHAIN
    KEYWORD_CHARACTERISTICS
    KEYWORD_COMMIT
    KEYWORD_CONFLICT
    KEYWORD_CONSTRAINTS
    KEYWORD_CREATE
    KEYWORD_DEALLOCATE
    KEYWORD_DECLARE
    KEYWORD_DELETE
    KEYWORD_DISCARD
    KEYWORD_DISTINCT
    KEYWORD_DROP
    KEYWORD_END
    KEYWORD_EXECUTE
    KEYWORD_EXPLAIN
    KEYWORD_EXTENSION
    KEYWORD_FOR
    KEYWORD_FROM
    KEYWORD_HOLD
    KEYWORD_INSERT
    KEYWORD_INTO
    KEYWORD_JOIN
    KEYWORD_LOCAL
    KEYWORD_MERGE
    KEYWORD_NAMES
    KEYWORD_ON
    KEYWORD_OPERATOR
    KEYWORD_PG_CATALOG
    KEYWORD_PG_SETTINGS
    KEYWORD_PLANS
    KEYWORD_PREPARE
    KEYWORD_PREPARED
    KEYWORD_RESET
    KEYWORD_RETURNING
    KEYWORD_ROLE
    KEYWORD_ROLLBACK
    KEYWORD_SCHEMA
    KEYWORD_SELECT
    KEYWORD_SEQUENCES
    KEYWORD_SESSION
    KEYWORD_SET
    KEYWORD_SET_CONFIG
    KEYWORD_START
    KEYWORD_TABLE
    KEYWORD_TEMP
    KEYWORD_TEMPORARY
    KEYWORD_TIME
    KEYWORD_TO
    KEYWORD_TRANSACTION
    KEYWORD_TRUE
    KEYWORD_UPDATE
    KEYWORD_VALUES
    KEYWORD_VERBOSE
    KEYWORD_WITH
    KEYWORD_WORK
    KEYWORD_XML
    KEYWORD_ZONE

# What is known of a word.  Made when the module is loaded, never changed, never freed.
cdef struct Word:
    const uint8_t *text  # in lower case
    uint64_t key  # its last eight characters
    uint8_t size
    uint8_t keyword  # a Keyword
    bint known  # it is a keyword of PostgreSQL's, of whatever kind
    bint reserved  # in front of a bracket it calls no function
    bint heads_name  # a word behind it and in front of a bracket calls no function: it is a table, a type or an alias
    uint32_t statement  # what a statement that begins with it does, apart from what else stands in it
    uint32_t call  # what calling a function of that name does

cdef const Word *word_of(const Token *token) noexcept nogil
cdef const Word *keyword_of(const Token *token) noexcept nogil
