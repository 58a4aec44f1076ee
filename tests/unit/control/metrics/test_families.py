"""Rows of the engine as Prometheus reads them."""

import importlib
import re
from collections.abc import Iterator
from pathlib import Path

from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric
from prometheus_client.openmetrics.exposition import generate_latest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from howdah.control.metrics.families import FAMILIES, Sample, families, sample
from howdah.dataplane.engine import Totals
from howdah.dataplane.rows import BOUNDS_US, GONE, DurationsRow, PeerPoolRow, PinReasonRow, PoolRow, StatsRow


def pool(database: str, user: str, *, active: int, maxwait_us: int = 0) -> PoolRow:
    return PoolRow(database, user, "transaction", active, 1, 0, 0, active, 0, 0, 2, 0, 0, 0, maxwait_us, 20, 1)


def durations(database: str, user: str, *, fast: int, slow: int) -> DurationsRow:
    counts = (fast, *(0 for _ in BOUNDS_US[1:]), slow)
    return DurationsRow(database, user, "query", counts, 10 * fast + 100_000_000 * slow)


class Engine:
    def totals(self) -> Totals:
        return Totals(7, 1, 3, 2, 10, 20, 0)

    def pools(self) -> list[PoolRow]:
        return [
            pool("app", "ann", active=1, maxwait_us=2_000_000),
            pool("app", "bob", active=4),
            pool("x", "ann", active=0),
        ]

    def stats(self) -> list[StatsRow]:
        return [StatsRow("app", xact_count=10, query_count=20, bytes_received=5), StatsRow(GONE, xact_count=99)]

    def pin_reasons(self) -> list[PinReasonRow]:
        return [PinReasonRow("app", "pin_listen", 3, 2, 1_500_000)]

    def durations(self) -> list[DurationsRow]:
        return [
            durations("app", "ann", fast=3, slow=1),
            durations("app", "bob", fast=2, slow=0),
            durations("app", GONE, fast=5, slow=0),
        ]

    def peer_pools(self) -> list[PeerPoolRow]:
        return [PeerPoolRow(2, 1, 0, 1, 0, 12)]

    def reasons(self) -> dict[str, int]:
        return {"query_wait_timeout": 4}


def scraped(taken: Sample) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """What Prometheus would store, by name and labels: through the text and its own reader."""

    class Collector:
        def collect(self) -> Iterator[Metric]:
            return families(taken)

    registry = CollectorRegistry()
    registry.register(Collector())
    text = generate_latest(registry).decode()  # type: ignore[no-untyped-call]
    return {
        (each.name, tuple(sorted(each.labels.items()))): each.value
        for family in text_string_to_metric_families(text)  # type: ignore[no-untyped-call]
        for each in family.samples
    }


def test_each_pool_has_its_own_numbers() -> None:
    found = scraped(sample(Engine(), 100, by_user=True))
    labels = (("database", "app"), ("state", "active"), ("user", "bob"))
    assert found["howdah_pool_clients", labels] == 4
    assert found["howdah_pool_maxwait_seconds", (("database", "app"), ("user", "ann"))] == 2
    assert found["howdah_clients", ()] == 7
    assert found["howdah_max_clients", ()] == 100
    assert found["howdah_transactions_total", (("database", "app"),)] == 10
    assert found["howdah_cancels_passed_on_total", (("peer", "2"),)] == 12


def test_users_of_a_database_are_added_up_where_that_is_wanted() -> None:
    found = scraped(sample(Engine(), 100, by_user=False))
    labels = (("database", "app"), ("state", "active"), ("user", ""))
    assert found["howdah_pool_clients", labels] == 5
    assert found["howdah_pool_size", (("database", "app"), ("user", ""))] == 40
    assert found["howdah_pool_maxwait_seconds", (("database", "app"), ("user", ""))] == 2
    assert found["howdah_query_seconds_count", (("database", "app"), ("user", ""))] == 11


def test_what_is_gone_is_added_to_no_other_series() -> None:
    found = scraped(sample(Engine(), 100, by_user=True))
    users = {dict(labels).get("user") for name, labels in found if name == "howdah_query_seconds_count"}
    databases = {dict(labels)["database"] for name, labels in found if name == "howdah_transactions_total"}
    assert (users, databases) == ({"ann", "bob"}, {"app"})


def test_a_histogram_counts_up_to_each_bound() -> None:
    found = scraped(sample(Engine(), 100, by_user=True))
    ann = (("database", "app"), ("user", "ann"))
    assert found["howdah_query_seconds_bucket", (("database", "app"), ("le", "6.4e-05"), ("user", "ann"))] == 3
    assert found["howdah_query_seconds_bucket", (("database", "app"), ("le", "+Inf"), ("user", "ann"))] == 4
    assert found["howdah_query_seconds_count", ann] == 4
    assert found["howdah_query_seconds_sum", ann] == 100.00003


def test_reasons_carry_what_is_known_of_them() -> None:
    found = scraped(sample(Engine(), 100, by_user=True))
    labels = (("fault", "pooler"), ("reason", "query_wait_timeout"), ("sqlstate", "08P01"))
    matching = [key for key in found if key[0] == "howdah_reasons_total"]
    assert found[matching[0]] == 4
    assert dict(matching[0][1])["reason"] == dict(labels)["reason"]


def test_names_are_prometheus_names_and_units_are_base_units() -> None:
    for family in FAMILIES:
        assert re.fullmatch(r"howdah_[a-z_]+", family.name)
        assert not re.search(r"_(ms|us|total)$", family.name), "seconds and bytes; _total is added"


def test_bounds_are_those_of_the_data_plane() -> None:
    stats = importlib.import_module("howdah.dataplane.stats")
    assert tuple(stats.FIRST_BOUND_US << i for i in range(stats.BUCKETS - 1)) == BOUNDS_US


def test_every_family_is_in_the_reference() -> None:
    text = Path("docs/reference/metrics.md").read_text()
    assert all(f"`{family.name}" in text for family in FAMILIES)
