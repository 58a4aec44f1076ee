"""Host names: what is news, how long it holds, and that a slow name server holds nobody up."""

import asyncio
import math
import time

import pytest

from howdah.control.names.known import SHORTEST_TTL_S, Limits, Names, resolve_all
from howdah.control.names.system import look_up
from howdah.control.plan import Resolved

ONE, TWO = Resolved(("192.0.2.1",)), Resolved(("192.0.2.2",))
BOTH, BOTH_TURNED = Resolved(("192.0.2.1", "192.0.2.2")), Resolved(("192.0.2.2", "192.0.2.1"))
LOST = Resolved((), "cannot resolve")
LIMITS = Limits(found_s=15, failed_s=2)


def test_only_other_addresses_are_news() -> None:
    names = Names()
    for answer, news in ((ONE, True), (ONE, False), (BOTH, True), (BOTH_TURNED, False), (LOST, False), (TWO, True)):
        assert bool(names.merge({"db": answer}, 0)) == news
    assert names.known == {"db": TWO}


def test_a_name_without_addresses_waits_for_some() -> None:
    names = Names()
    assert names.merge({"db": LOST}, 0) == ["db"]
    assert names.merge({"db": LOST}, 1) == []
    assert names.merge({"db": ONE, "other": LOST}, 2) == ["db", "other"]
    names.keep_only(["db"])
    assert names.known == {"db": ONE}


@pytest.mark.parametrize(
    "answer, seconds",
    [
        (ONE, 15),
        (ONE._replace(ttl_s=5), 5),
        (ONE._replace(ttl_s=60), 15),
        (ONE._replace(ttl_s=0), SHORTEST_TTL_S),
        (LOST, 2),
    ],
    ids=["without a TTL", "short", "long", "none at all", "failure"],
)
def test_how_long_an_answer_holds(answer: Resolved, seconds: float) -> None:
    names = Names()
    names.merge({"db": answer}, 100)
    assert names.due("db", LIMITS) == 100 + seconds


def test_after_a_failure_it_is_asked_again_soon_although_addresses_are_known() -> None:
    names = Names()
    names.merge({"db": ONE}, 100)
    names.merge({"db": LOST}, 115)
    assert names.known == {"db": ONE}
    assert names.due("db", LIMITS) == 117


def test_what_has_expired_is_due() -> None:
    names = Names()
    names.merge({"db": ONE, "other": ONE}, 100)
    names.expire(["db", "nobody"])
    assert names.due("db", LIMITS) == -math.inf
    assert names.due("other", LIMITS) == 115


def test_names_are_looked_up_side_by_side() -> None:
    async def story() -> None:
        both_asked = asyncio.Barrier(2)

        async def lookup(host: str) -> Resolved:
            await both_asked.wait()
            return Resolved((host,))

        answers = await resolve_all(["a", "b", "a"], 10, lookup)
        assert answers == {"a": Resolved(("a",)), "b": Resolved(("b",))}

    asyncio.run(story())


def test_no_answer_in_time_is_a_failure_and_does_not_hold_up_the_end() -> None:
    async def lookup(_: str) -> Resolved:
        await asyncio.Event().wait()
        return ONE

    began = time.monotonic()
    answers = asyncio.run(resolve_all(["slow"], 0.05, lookup))
    assert time.monotonic() - began < 10
    assert answers == {"slow": Resolved((), "cannot resolve host name 'slow': no answer within 0.05 s")}


def test_the_system_s_resolver_is_asked() -> None:
    assert set(asyncio.run(look_up("localhost")).addresses) & {"127.0.0.1", "::1"}
    failed = asyncio.run(look_up("nobody.invalid"))
    assert not failed.addresses
    assert failed.error.startswith("cannot resolve host name 'nobody.invalid': ")
