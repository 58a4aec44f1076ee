"""What is different when howdah stands in for PgBouncer: the log is in its words, signals have its meanings.

What clients are told then is the column `pgbouncer` of `howdah.reasons`.
"""
