"""PostgreSQL's own regression tests, run directly and through howdah in transaction mode, and what differs."""
