"""A question that a server fails if it still holds something of a client's: for howdah to ask before each reuse.

``pooler.settings |= PARANOID`` has every server that comes out of the pool checked; one that fails is closed, and
`Pooler.check_log` finds it in the log.  Settings are not looked at: a server keeps the last client's until the next
one's differ.
"""

#: Each is true where something is left, in any search_path and under any role.
_LEFT = (
    "EXISTS (SELECT FROM pg_catalog.pg_cursors)",
    "EXISTS (SELECT FROM pg_catalog.pg_listening_channels())",
    "EXISTS (SELECT FROM pg_catalog.pg_locks WHERE locktype = 'advisory' AND pid = pg_catalog.pg_backend_pid())",
    "EXISTS (SELECT FROM pg_catalog.pg_class WHERE relnamespace = pg_catalog.pg_my_temp_schema())",
    "EXISTS (SELECT FROM pg_catalog.pg_proc WHERE pronamespace = pg_catalog.pg_my_temp_schema())",
    "EXISTS (SELECT FROM pg_catalog.pg_prepared_statements WHERE pg_catalog.left(name, 7) <> 'howdah_')",
)
#: What the log holds about a server that has failed.
FAILED = "server_check_failed"
PARANOID: dict[str, str | int] = {
    # Not serializable and deferrable, as the last client's own transactions may be: it is not to wait.
    "server_check_query": (
        f"BEGIN ISOLATION LEVEL READ COMMITTED; SELECT 1 / (CASE WHEN {' OR '.join(_LEFT)} THEN 0 ELSE 1 END); COMMIT"
    ),
    "server_check_delay": 0,
}
