"""PgBouncer's own configuration file, read by its rules.

`statements` finds the lines that say something, `connection_string` takes the values of databases, users and peers
apart, `values` reads numbers and words as PgBouncer does, and `tables` makes of all that what a howdah.toml would hold.
"""
