"""What pgbench is told, and what it prints and logs, read."""

from pathlib import Path

import pytest

from bench.pgbench import Load, latencies, parse_report, percentile, script_options
from bench.scripts import PIPELINE, PIPELINED

REPORT = """\
transaction type: <builtin: select only>
scaling factor: 20
query mode: simple
number of clients: 16
number of threads: 2
duration: 5 s
number of transactions actually processed: 98765
number of failed transactions: 3 (0.003%)
latency average = 0.809 ms
initial connection time = 4.321 ms
tps = 19761.802345 (without initial connection time)
"""


def test_report_gives_transactions_failures_and_rate() -> None:
    assert parse_report(REPORT) == (98765, 3, 19761.802345, None)


def test_report_of_reconnecting_clients_gives_the_time_of_a_connection_in_microseconds() -> None:
    text = REPORT.replace("initial connection time = 4.321 ms", "average connection time = 0.456 ms").replace(
        "without initial connection time", "including reconnection times"
    )
    assert parse_report(text)[3] == pytest.approx(456)


def test_report_without_a_result_is_an_error_that_shows_it() -> None:
    with pytest.raises(ValueError, match="too many clients"):
        parse_report("pgbench: error: connection failed: sorry, too many clients already")


def test_log_gives_sorted_latencies_and_leaves_out_skipped_and_failed() -> None:
    log = [
        "0 1 900 0 1700000000 1\n",
        "1 2 skipped 0 1700000000 2\n",
        "1 3 failed 0 1700000000 2\n",
        "1 4 300 0 17 3\n",
    ]
    assert list(latencies(log)) == [300, 900]


@pytest.mark.parametrize("share, expected", [(0.50, 50), (0.95, 95), (0.99, 99), (1.0, 100)])
def test_percentile_of_one_to_hundred_is_its_rank(share: float, expected: float) -> None:
    assert percentile(list(range(1, 101)), share) == expected


def test_percentile_is_a_value_that_was_measured() -> None:
    assert percentile([1, 1000], 0.5) == 1
    assert percentile([7], 0.01) == 7
    assert percentile([], 0.99) == 0


def test_a_script_of_our_own_is_written_for_it(tmp_path: Path) -> None:
    assert script_options(Load("select-only", "simple", 1), tmp_path) == ("-b", "select-only")
    option, path, *define = script_options(Load("mine", "simple", 1, text="SELECT 1;\n"), tmp_path)
    assert (option, Path(path).read_text(), define) == ("-f", "SELECT 1;\n", ["-D", "begun=0"])


def test_a_pipeline_holds_as_many_statements_as_are_counted() -> None:
    inside = PIPELINE.partition("\\startpipeline\n")[2].partition("\\endpipeline")[0].splitlines()
    assert len(inside) == PIPELINED == sum(line.startswith("SELECT ") for line in inside)
