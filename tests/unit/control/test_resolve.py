"""Host names: what is news, and that a slow name server holds nobody up."""

import asyncio
import threading
import time

from howdah.control.plan import Resolved
from howdah.control.resolve import Names, look_up, resolve_all

ONE, TWO = Resolved(("192.0.2.1",)), Resolved(("192.0.2.2",))
BOTH, BOTH_TURNED = Resolved(("192.0.2.1", "192.0.2.2")), Resolved(("192.0.2.2", "192.0.2.1"))
LOST = Resolved((), "cannot resolve")


def test_only_other_addresses_are_news() -> None:
    names = Names()
    for answer, news in ((ONE, True), (ONE, False), (BOTH, True), (BOTH_TURNED, False), (LOST, False), (TWO, True)):
        assert bool(names.merge({"db": answer})) == news
    assert names.known == {"db": TWO}


def test_a_name_without_addresses_waits_for_some() -> None:
    names = Names()
    assert names.merge({"db": LOST}) == ["db"]
    assert not names.all_found
    assert names.merge({"db": LOST}) == []
    assert names.merge({"db": ONE, "other": LOST}) == ["db", "other"]
    names.keep_only(["db"])
    assert names.all_found


def test_names_are_looked_up_side_by_side() -> None:
    both_asked = threading.Barrier(2, timeout=10)

    def lookup(host: str) -> Resolved:
        both_asked.wait()
        return Resolved((host,))

    answers = asyncio.run(resolve_all(["a", "b", "a"], 10, lookup))
    assert answers == {"a": Resolved(("a",)), "b": Resolved(("b",))}


def test_no_answer_in_time_is_a_failure_and_does_not_hold_up_the_end() -> None:
    release = threading.Event()

    def lookup(_: str) -> Resolved:
        release.wait(30)
        return ONE

    began = time.monotonic()
    answers = asyncio.run(resolve_all(["slow"], 0.05, lookup))
    assert time.monotonic() - began < 10
    assert answers == {"slow": Resolved((), "cannot resolve host name 'slow': no answer within 0.05 s")}
    release.set()


def test_the_system_s_resolver_is_asked() -> None:
    assert set(look_up("localhost").addresses) & {"127.0.0.1", "::1"}
    failed = look_up("nobody.invalid")
    assert not failed.addresses
    assert failed.error.startswith("cannot resolve host name 'nobody.invalid': ")
