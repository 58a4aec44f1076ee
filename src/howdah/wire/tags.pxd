"""Message type bytes of the frontend/backend protocol, by the names of PostgreSQL's documentation."""

cpdef enum Frontend:
    BIND = 66  # B
    CLOSE = 67  # C
    COPY_DATA_F = 100  # d
    COPY_DONE_F = 99  # c
    COPY_FAIL = 102  # f
    DESCRIBE = 68  # D
    EXECUTE = 69  # E
    FLUSH = 72  # H
    FUNCTION_CALL = 70  # F
    PARSE = 80  # P
    PASSWORD = 112  # p: PasswordMessage, SASLInitialResponse, SASLResponse, GSSResponse
    QUERY = 81  # Q
    SYNC = 83  # S
    TERMINATE = 88  # X

cpdef enum Backend:
    AUTHENTICATION = 82  # R
    BACKEND_KEY_DATA = 75  # K
    BIND_COMPLETE = 50  # 2
    CLOSE_COMPLETE = 51  # 3
    COMMAND_COMPLETE = 67  # C
    COPY_BOTH_RESPONSE = 87  # W
    COPY_DATA_B = 100  # d
    COPY_DONE_B = 99  # c
    COPY_IN_RESPONSE = 71  # G
    COPY_OUT_RESPONSE = 72  # H
    DATA_ROW = 68  # D
    EMPTY_QUERY_RESPONSE = 73  # I
    ERROR_RESPONSE = 69  # E
    FUNCTION_CALL_RESPONSE = 86  # V
    NEGOTIATE_PROTOCOL_VERSION = 118  # v
    NO_DATA = 110  # n
    NOTICE_RESPONSE = 78  # N
    NOTIFICATION_RESPONSE = 65  # A
    PARAMETER_DESCRIPTION = 116  # t
    PARAMETER_STATUS = 83  # S
    PARSE_COMPLETE = 49  # 1
    PORTAL_SUSPENDED = 115  # s
    READY_FOR_QUERY = 90  # Z
    ROW_DESCRIPTION = 84  # T

cpdef enum TransactionStatus:
    IDLE = 73  # I
    IN_TRANSACTION = 84  # T
    IN_FAILED_TRANSACTION = 69  # E
