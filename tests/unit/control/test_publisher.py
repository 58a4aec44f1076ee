"""New plans: published when names or the configuration have news, and only then."""

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest

from howdah.control.auth.access import Access
from howdah.control.config import Config, DatabaseSettings, GlobalSettings
from howdah.control.intake import Intake
from howdah.control.log import logger
from howdah.control.names import known
from howdah.control.plan import Resolved
from howdah.control.publisher import Publisher, restart_needed
from howdah.control.tls_files import TlsPlans
from howdah.dataplane.plan import Plan, Secret, TlsPlan

NOTHING = Intake(Access(), TlsPlans(TlsPlan(), TlsPlan()))


class Engine:
    def __init__(self) -> None:
        self.plans: list[Plan] = []

    def publish(self, plan: Plan) -> None:
        self.plans.append(plan)


def _config(host: str = "db.test", **settings: object) -> Config:
    return Config(settings=GlobalSettings(**settings), databases={"app": DatabaseSettings(host=(host,))})


async def _by_length(host: str) -> Resolved:
    return Resolved((f"192.0.2.{len(host)}",))


async def _watch_until(publisher_: Publisher, done: Callable[[], bool]) -> None:
    watching = asyncio.ensure_future(publisher_.watch_names())
    async with asyncio.timeout(10):
        while not done():  # noqa: ASYNC110
            await asyncio.sleep(0.001)
    watching.cancel()
    await asyncio.wait((watching,))


def test_a_name_that_appears_later_is_published(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known, "SHORTEST_TTL_S", 0.001)
    answers = [Resolved((), "no such name"), Resolved((), "no such name"), Resolved(("192.0.2.9",))]
    asked: list[str] = []

    async def lookup(host: str) -> Resolved:
        asked.append(host)
        return answers[min(len(asked), len(answers)) - 1]

    async def story() -> None:
        subject, engine = Publisher(_config(dns_nxdomain_ttl="1ms"), NOTHING, logger(), lookup), Engine()
        first = await subject.first_plan()
        assert (first.version, first.databases[0].addresses) == (1, ())
        assert "no such name" in first.databases[0].resolve_error
        subject.attach(engine)
        await _watch_until(subject, lambda: bool(engine.plans))
        assert [plan.version for plan in engine.plans] == [2]
        assert [address.text for address in subject.plan.databases[0].addresses] == ["192.0.2.9:5432"]

    asyncio.run(story())


def test_another_configuration_is_published_with_its_names() -> None:
    async def story() -> None:
        subject, engine = Publisher(_config(), NOTHING, logger(), _by_length), Engine()
        await subject.first_plan()
        told: list[int] = []
        subject.attach(engine, lambda: told.append(subject.plan.version))
        await subject.use(_config("longer.test", default_pool_size=3), NOTHING)
        (plan,) = engine.plans
        assert told == [2]
        assert (plan.version, plan.databases[0].pool_size) == (2, 3)
        assert plan.databases[0].addresses[0].text == "192.0.2.11:5432"

    asyncio.run(story())


def test_other_contents_of_files_are_published() -> None:
    async def story() -> None:
        subject, engine = Publisher(_config("192.0.2.1"), NOTHING, logger()), Engine()
        assert (await subject.first_plan()).users == ()
        subject.attach(engine)
        subject.renew(replace(NOTHING, access=Access(secrets={"bob": Secret(password=b"pw")})))
        (plan,) = engine.plans
        assert [(user.name, user.secret) for user in plan.users] == [("bob", Secret(password=b"pw"))]

    asyncio.run(story())


def test_what_the_engine_does_not_take_is_not_in_force() -> None:
    class Refusing(Engine):
        def publish(self, plan: Plan) -> None:
            raise MemoryError("no room for the plan")

    async def story() -> None:
        subject = Publisher(before := _config("192.0.2.1"), NOTHING, logger())
        plan = await subject.first_plan()
        subject.attach(Refusing(), lambda: pytest.fail("told of a plan that is not there"))
        with pytest.raises(MemoryError):
            subject.renew(replace(NOTHING, access=Access(secrets={"bob": Secret(password=b"pw")})))
        with pytest.raises(MemoryError):
            await subject.use(_config("192.0.2.2"), NOTHING)
        assert (subject.config, subject.intake, subject.plan) == (before, NOTHING, plan)

    asyncio.run(story())


def test_settings_that_need_a_restart_are_named() -> None:
    before = GlobalSettings(listen_port=6000, default_pool_size=5)
    after = GlobalSettings(listen_port=6001, default_pool_size=6)
    assert restart_needed(before, after).endswith(": listen_port")
    assert not restart_needed(before, before)
