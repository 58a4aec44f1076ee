"""The admin console: what a client of database "pgbouncer" talks to.

`session` is one client's protocol without any I/O; `desk` knows which client has which session and is called by the
control plane's inbox.  `commands` finds what a statement means: `reading` is SHOW and SELECT, `changing` SET and
RELOAD, `driver_words` what drivers say on their own.  `show` lists the tables, `query` answers SELECT over them.
All but the desk are data and functions that know no connection.
"""
