"""Doors from Python to nogil functions, for tests; built in every flavour but release as package `howdah_probe`."""
