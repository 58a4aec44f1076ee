"""Names that mean the same everywhere in the configuration."""

#: The database of the console, and the user who may always use it.
CONSOLE = "pgbouncer"
