"""A plan that cannot be made is an exception, and the plan in force stays: what is half made goes in good order."""

import dataclasses
from collections.abc import Iterator
from dataclasses import MISSING
from typing import Any, get_origin

import pytest

from howdah.dataplane.engine import Engine
from howdah.dataplane.plan import (
    AccessRule,
    MapLine,
    Method,
    NameKind,
    NameMatch,
    Nearby,
    Plan,
    Secret,
    Settings,
    TlsMode,
    TlsPlan,
    Transport,
    UserPlan,
)

REGEX_WITHOUT_END = NameMatch(NameKind.REGEX, "[")
NO_UTF_8 = "a\udcffb"


def settings(**more: Any) -> Settings:
    """Nothing switched on."""
    nothing = {one.name: _nothing(one.type) for one in dataclasses.fields(Settings) if one.default is MISSING}
    return Settings(**nothing | more)


def _nothing(kind: Any) -> Any:
    """0, False, "" or ()."""
    return (get_origin(kind) or kind)()


def rule(name: NameMatch) -> AccessRule:
    return AccessRule("pg_hba.conf:1", (Transport.HOST,), (name,), (name,), (), Nearby.NO, Method.TRUST)


def plan(**more: Any) -> Plan:
    return dataclasses.replace(Plan(1, settings(), (), ()), **more)


BAD = {
    "regex of a rule": plan(rules=(rule(REGEX_WITHOUT_END),)),
    "regex of a map": plan(maps=(MapLine("m", REGEX_WITHOUT_END, NameMatch(NameKind.ALL)),)),
    "user's name": plan(users=(UserPlan(NO_UTF_8, None, None, None, None),)),
    "rule's name": plan(rules=(rule(NameMatch(NameKind.EXACT, NO_UTF_8)),)),
    "number": plan(settings=settings(max_client_conn=2**70)),
    "secret": plan(users=(UserPlan("a", None, None, None, None, secret=Secret(md5="md5")),)),
    "certificate": plan(client_tls=TlsPlan(TlsMode.REQUIRE, certificate=b"x", key=b"y")),
}


@pytest.fixture
def engine() -> Iterator[Engine]:
    engine = Engine([[]])
    yield engine
    engine.stop()


@pytest.mark.parametrize("what", BAD)
def test_a_plan_that_cannot_be_made_is_refused_at_the_start(engine: Engine, what: str) -> None:
    with pytest.raises((ValueError, OverflowError)):
        engine.start(BAD[what])
    engine.start(plan())
    assert engine.totals().clients == 0


@pytest.mark.parametrize("what", BAD)
def test_a_plan_that_cannot_be_made_leaves_the_one_in_force(engine: Engine, what: str) -> None:
    engine.start(plan())
    for _ in range(3):
        with pytest.raises((ValueError, OverflowError)):
            engine.publish(dataclasses.replace(BAD[what], version=2))
    engine.publish(plan(version=2))
    assert engine.totals().clients == 0
