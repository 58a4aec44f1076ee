"""pgbench scripts of our own."""

from collections.abc import Sequence

PIPELINED = 100  # statements of one pipeline

_SELECT = "SELECT abalance FROM pgbench_accounts WHERE aid = :aid;"
_ANY_ROW = r"\set aid random(1, 100000)"  # of pgbench's smallest scale


def _lines(*lines: str) -> str:
    return "\n".join(lines) + "\n"


#: With -M prepared all its statements are prepared once a client, before the first pipeline.
PIPELINE = _lines(_ANY_ROW, r"\startpipeline", *[_SELECT] * PIPELINED, r"\endpipeline")
THREE_SETTINGS = ("work_mem", "statement_timeout", "lock_timeout")


def with_settings(names: Sequence[str], *, own: bool) -> str:
    """select-only by clients that have each set these settings at first, to values of their own or to the same."""
    value = r"\set value 100000 + :client_id" if own else r"\set value 100000"
    first = [r"\if :begun = 0", value, *(f"SET {name} = :value;" for name in names)]
    return _lines(*first, r"\set begun 1", r"\endif", _ANY_ROW, _SELECT)


#: What most applications' frameworks make of one query.
DEFERRED_BEGIN = _lines(_ANY_ROW, "BEGIN;", _SELECT, "COMMIT;")
