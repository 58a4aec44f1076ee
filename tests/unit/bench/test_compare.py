"""From measurements to statements."""

import pytest

from bench.compare import bar, company, medians, ratio, saturated, spread, warnings
from bench.report import cell, pairs


def test_medians_are_of_the_rounds_that_have_the_number() -> None:
    assert medians([{"tps": 1.0, "x": 5.0}, {"tps": 9.0}, {"tps": 2.0}]) == {"tps": 2.0, "x": 5.0}


def test_ratio_needs_both_numbers() -> None:
    assert ratio({"cpu_us": 9.0}, {"cpu_us": 10.0}, "cpu_us") == pytest.approx(0.9)
    assert ratio({}, {"cpu_us": 10.0}, "cpu_us") is None
    assert ratio({"cpu_us": 9.0}, {"cpu_us": 0.0}, "cpu_us") is None


def test_spread_leaves_out_the_outliers() -> None:
    assert spread([{"a": v} for v in (10.0, 10.0, 10.0, 10.0, 90.0)], "a") == 0
    assert spread([{"a": v} for v in (8.0, 9.0, 10.0, 11.0, 12.0)], "a") == pytest.approx(0.2)


def test_a_busy_load_generator_and_failures_are_said() -> None:
    found = warnings("howdah", {"generator_cpu": 0.97, "failed": 2.0})
    assert "97%" in found[0]
    assert "2 transactions failed" in found[1]
    assert warnings("howdah", {"generator_cpu": 0.40, "failed": 0.0}) == []


def test_a_full_machine_is_said() -> None:
    assert saturated([{"machine_cpu": 0.5}, {"machine_cpu": 0.99}])
    assert not saturated([{"machine_cpu": 0.5}, {}])


def test_other_programs_at_work_are_said() -> None:
    assert company(0.3, 2) == ""
    assert "12.6 on 2 cores" in company(12.6, 2)


def test_the_bar_is_held_against_pgbouncer_and_the_relay() -> None:
    marks = bar(
        {
            "select-only simple 16": {
                "relay": {"cpu_us": 10.0, "p99_us": 900.0, "tps": 1100.0},
                "pgbouncer": {"cpu_us": 14.0, "p99_us": 1000.0, "tps": 1000.0},
                "howdah": {"cpu_us": 13.0, "p99_us": 990.0, "tps": 1001.0},
            }
        }
    )
    assert [(mark.what.split(",", maxsplit=1)[0], mark.met) for mark in marks] == [
        ("CPU a transaction", False),  # 0.93 of PgBouncer's, 0.90 promised
        ("CPU a transaction", False),  # 1.30 of the relay's, 1.25 promised
        ("p99", True),
        ("transactions/s", True),
    ]


def test_the_bar_says_nothing_of_scenarios_it_does_not_name() -> None:
    assert bar({"tpcb-like simple 512": {"howdah": {"cpu_us": 1.0}, "pgbouncer": {"cpu_us": 2.0}}}) == []


def test_idle_company_is_held_against_the_same_load_alone() -> None:
    (mark,) = bar({"64 among 5000 idle": {"howdah": {"p99_us": 1300.0, "p99_growth": 1.3}}})
    assert mark.value == pytest.approx(1.3)
    assert not mark.met


def storm(cpu: float, last: float, bystander: float, **more: float) -> dict[str, float]:
    return {"login_cpu_us": cpu, "last_ms": last, "bystander_p99_us": bystander, "failed": 0.0, **more}


def test_a_storm_is_held_against_pgbouncers() -> None:
    results = {"pgbouncer": storm(100, 400, 9000), "howdah": storm(79, 390, 4600)}
    marks = bar({"storm scram, 1 worker": results, "storm scram, 2 workers": results})
    assert [(mark.what.split(",", maxsplit=1)[0], mark.met) for mark in marks] == [
        ("logins that failed", True),
        ("CPU a login", True),
        ("bystander's p99", False),  # 0.51 of PgBouncer's, 0.5 promised
        ("time to the last result", True),
        ("logins that failed", True),
        ("CPU a login", True),
        ("bystander's p99", False),
        ("time to the last result", False),  # 0.975 of PgBouncer's, 0.75 promised with two workers
    ]


def test_a_generator_that_was_the_limit_says_nothing_of_the_time_to_the_last_result() -> None:
    results = {"pgbouncer": storm(100, 400, 9000), "howdah": storm(79, 390, 4000, generator_cpu=0.9)}
    assert "time to the last result, against PgBouncer" not in [m.what for m in bar({"storm rsa, 1 worker": results})]


def test_a_login_lost_on_either_side_is_a_promise_missed() -> None:
    results = {"pgbouncer": storm(100, 400, 9000, failed=1), "howdah": storm(79, 390, 4000)}
    assert not bar({"storm ecdsa, 1 worker": results})[0].met


def test_established_tls_is_held_against_pgbouncers() -> None:
    marks = bar(
        {
            "TLS select-only simple 16": {"pgbouncer": {"cpu_us": 40.0}, "howdah": {"cpu_us": 38.4}},
            "TLS copy 1 GiB": {"pgbouncer": {"mib_s": 300.0}, "howdah": {"mib_s": 301.0}},
            "10000 idle TLS": {"pgbouncer": {"client_kib": 15.0}, "howdah": {"client_kib": 14.0}},
        }
    )
    assert [(round(mark.value, 2), mark.met) for mark in marks] == [(0.96, False), (1.0, True), (0.93, True)]


def test_more_statements_than_a_server_keeps_are_held_against_pgbouncers_rate() -> None:
    results = {"pgbouncer": {"tps": 1000.0}, "howdah": {"tps": 999.0, "generator_cpu": 0.5}}
    assert [mark.met for mark in bar({"500 statements": results})] == [False]
    results["howdah"] |= {"generator_cpu": 0.9}
    assert bar({"500 statements": results}) == []  # the generator was the limit


def test_memory_that_grows_with_statements_rows_and_copies_is_limited() -> None:
    marks = bar(
        {
            "statement memory": {"howdah": {"grown_kib": 5000.0}, "pgbouncer": {"grown_kib": 20000.0}},
            "statement memory, any order": {"howdah": {"grown_kib": 5000.0}},
            "40 MB row": {"direct": {}, "howdah": {"grown_kib": 4096.0}},
            "copy in 1 GiB": {"howdah": {"grown_kib": 4097.0}},
        }
    )
    assert [(mark.scenario, mark.met) for mark in marks] == [
        ("statement memory", False),
        ("40 MB row", True),
        ("copy in 1 GiB", False),
    ]


def test_only_pairs_of_which_both_were_measured_are_compared() -> None:
    assert pairs({"a": {"howdah": {}, "pgbouncer": {}}}) == [("howdah", "pgbouncer")]
    assert pairs({"a": {"direct": {}, "pgbouncer": {}}}) == []


def test_a_missing_number_is_a_dash() -> None:
    assert cell({"tps": 12345.6}, "tps", 1.0, 0) == "12,346"
    assert cell({}, "tps", 1.0, 0) == "–"
