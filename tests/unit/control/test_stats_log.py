"""The line of averages."""

import json
from io import StringIO

from howdah.control.log import configure, logger
from howdah.control.stats_log import StatsLog
from howdah.dataplane.rows import StatsRow

BEFORE = StatsRow("a", xact_count=10, query_count=20, bytes_received=100, bytes_sent=200)
AFTER = [
    StatsRow("a", 5, 30, 60, 1100, 2200, 40_000, 80_000, 1_000, 10, 20, 30, 1),
    StatsRow("b", 5, 10, 20, 500, 500, 20_000, 20_000, 1_000, 0, 0, 10, 1),
]


def _log(*, drop_in: bool) -> tuple[StatsLog, StringIO]:
    stream = StringIO()
    configure(level="info", json=not drop_in, stream=stream, colors=False, drop_in=drop_in)
    log = StatsLog(logger(), 0.0, drop_in=drop_in)
    log.sample(10.0, [BEFORE], wanted=False)
    assert stream.getvalue() == ""
    return log, stream


def test_all_databases_together_a_second_and_each() -> None:
    log, stream = _log(drop_in=True)
    log.sample(20.0, AFTER, wanted=True)
    assert stream.getvalue().partition(" LOG ")[2] == (
        "stats: 3 xacts/s, 6 queries/s, 1 client parses/s, 2 server parses/s, 4 binds/s, in 150 B/s, out 250 B/s, "
        "xact 2000 us, query 1666 us, wait 200 us\n"
    )


def test_the_same_as_fields() -> None:
    log, stream = _log(drop_in=False)
    log.sample(20.0, AFTER, wanted=True)
    fields = json.loads(stream.getvalue())
    assert (fields["message"], fields["xact_count"], fields["wait_time_us"]) == ("stats", 3, 200)


def test_a_database_that_is_gone_makes_no_negative_numbers() -> None:
    log, stream = _log(drop_in=True)
    log.sample(20.0, [], wanted=True)
    assert "stats: 0 xacts/s" in stream.getvalue()
    assert "-" not in stream.getvalue().partition("stats:")[2]
