"""What monitoring asks: the numbers of /metrics, and whether the pooler lives and is ready.

`families` turns the engine's rows into metrics, `health` says how it is, `site` answers HTTP.
"""
