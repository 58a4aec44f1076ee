"""Suites that drive howdah through the drivers that applications use; see docs/reference/clients.md."""
