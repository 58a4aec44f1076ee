"""The admin console: what a client of database "pgbouncer" talks to.

`columns`, `messages`, `statements`, `action`, `show` and `commands` are data and pure functions; `session` is one
client's protocol without any I/O; `desk` knows which client has which session and is called by the
control plane's inbox.
"""
