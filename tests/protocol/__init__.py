"""Properties of the wire layer, driven by Hypothesis through `howdah_probe`; no socket, no PostgreSQL."""
