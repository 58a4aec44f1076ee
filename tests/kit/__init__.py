"""The test kit: real PostgreSQL, a real pooler process, a client that can send any bytes, and a network that can fail.

A test reads as prose: ``pooler.run_with(default_pool_size=2)``, ``network.cut()``, ``postgres.restart()``.
Nothing here imports howdah: the kit must not share a mistake with what it tests.
"""
