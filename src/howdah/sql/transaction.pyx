"""Is a text one command that begins or ends a transaction, and nothing else?

Only what PostgreSQL's grammar (TransactionStmt in src/backend/parser/gram.y) takes is recognised; all else is for
PostgreSQL to run or to complain about.  Called by `deferral`.
"""

from libc.stdint cimport uint8_t

from howdah.sql.lexer cimport TOKEN_END, Lexer, Token, is_symbol, is_word, lexer, next_token


cdef TransactionCommand transaction_command(const uint8_t *text, size_t size, bint *plain) noexcept nogil:
    """`plain`: it has no transaction modes, or it is an end."""
    cdef Lexer rest = lexer(text, size)
    cdef Token token = next_token(&rest)
    cdef TransactionCommand command
    plain[0] = True
    if is_word(&token, "begin"):
        command = COMMAND_BEGIN
    elif is_word(&token, "start"):
        command = COMMAND_START
    elif is_word(&token, "commit") or is_word(&token, "end"):
        command = COMMAND_COMMIT
    elif is_word(&token, "rollback") or is_word(&token, "abort"):
        command = COMMAND_ROLLBACK
    else:
        return COMMAND_OTHER
    token = next_token(&rest)
    if is_word(&token, "transaction") or (command != COMMAND_START and is_word(&token, "work")):
        token = next_token(&rest)
    elif command == COMMAND_START:
        return COMMAND_OTHER
    if command in (COMMAND_BEGIN, COMMAND_START) and not ends(&token):
        plain[0] = False
        if not modes(&token, &rest):
            return COMMAND_OTHER
    while is_symbol(&token, c";"):
        token = next_token(&rest)
    return command if token.kind == TOKEN_END else COMMAND_OTHER


cdef bint ends(const Token *token) noexcept nogil:
    return token.kind == TOKEN_END or is_symbol(token, c";")


cdef bint modes(Token *token, Lexer *rest) noexcept nogil:
    """Transaction modes, one or more, with or without commas between them; False: something else."""
    while True:
        if not mode(token, rest):
            return False
        token[0] = next_token(rest)
        if ends(token):
            return True
        if is_symbol(token, c","):
            token[0] = next_token(rest)


cdef bint mode(Token *token, Lexer *rest) noexcept nogil:
    """One mode, of which `token` is the first word; afterwards the last one."""
    if is_word(token, "deferrable"):
        return True
    if is_word(token, "not"):
        token[0] = next_token(rest)
        return is_word(token, "deferrable")
    if is_word(token, "read"):
        token[0] = next_token(rest)
        return is_word(token, "only") or is_word(token, "write")
    if not is_word(token, "isolation"):
        return False
    token[0] = next_token(rest)
    if not is_word(token, "level"):
        return False
    token[0] = next_token(rest)
    if is_word(token, "serializable"):
        return True
    if is_word(token, "repeatable"):
        token[0] = next_token(rest)
        return is_word(token, "read")
    if not is_word(token, "read"):
        return False
    token[0] = next_token(rest)
    return is_word(token, "committed") or is_word(token, "uncommitted")
