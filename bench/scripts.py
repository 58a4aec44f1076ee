"""pgbench scripts of our own."""

PIPELINED = 100  # statements of one pipeline

_SELECT = "SELECT abalance FROM pgbench_accounts WHERE aid = :aid;"
_ANY_ROW = r"\set aid random(1, 100000)"  # of pgbench's smallest scale


def _lines(*lines: str) -> str:
    return "\n".join(lines) + "\n"


#: With -M prepared all its statements are prepared once a client, before the first pipeline.
PIPELINE = _lines(_ANY_ROW, r"\startpipeline", *[_SELECT] * PIPELINED, r"\endpipeline")
#: What most applications' frameworks make of one query.
DEFERRED_BEGIN = _lines(_ANY_ROW, "BEGIN;", _SELECT, "COMMIT;")
