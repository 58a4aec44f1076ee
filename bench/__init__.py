"""Measurements of howdah against PostgreSQL itself, PgBouncer and a bare relay; see docs/explain/benchmarks.md."""
