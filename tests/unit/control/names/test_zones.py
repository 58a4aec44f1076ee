"""Zones: which there are, and what a changed serial means."""

import asyncio

import pytest

from howdah.control.log import logger
from howdah.control.names.zones import Zones


class Serials:
    def __init__(self) -> None:
        self.of: dict[str, int | None] = {}

    async def ask(self, zone: str) -> int | None:
        return self.of[zone]


@pytest.fixture
def zones() -> Zones:
    zones = Zones(logger())
    zones.follow(["a.one.test", "B.One.test", "c.two.test", "bare", "dot."])
    return zones


def test_a_zone_is_what_stands_behind_the_first_dot(zones: Zones) -> None:
    assert list(zones.rows()) == [("one.test", 0, 2), ("two.test", 0, 1)]


def test_names_of_zones_that_have_changed(zones: Zones) -> None:
    serials = Serials()
    for one, two, changed in (
        (5, None, {"a.one.test", "B.One.test"}),
        (5, 3_000_000_000, {"c.two.test"}),
        (5, 3_000_000_000, set()),
        (None, 2, {"c.two.test"}),
        (4, 2, {"a.one.test", "B.One.test"}),
    ):
        serials.of = {"one.test": one, "two.test": two}
        assert set(asyncio.run(zones.check(serials.ask))) == changed
    assert list(zones.rows()) == [("one.test", 4, 2), ("two.test", 2, 1)]


def test_a_zone_without_names_is_forgotten(zones: Zones) -> None:
    serials = Serials()
    serials.of = {"one.test": 1, "two.test": 2}
    asyncio.run(zones.check(serials.ask))
    zones.follow(["c.two.test"])
    assert list(zones.rows()) == [("two.test", 2, 1)]
    zones.follow(["c.two.test", "a.one.test"])
    assert list(zones.rows()) == [("one.test", 0, 1), ("two.test", 2, 1)]
