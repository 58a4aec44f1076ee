"""Files that change: taken up when they are good, told of once when they are not, left alone when they are the same."""

import asyncio
import os
import shutil
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from howdah.control import watch
from howdah.control.config.schema import Config
from howdah.control.intake import take_in
from howdah.control.publisher import Publisher
from howdah.control.watch import Watch
from howdah.dataplane.plan import Plan
from tests.kit.certs import Certificates, Pair

TICKET_KEY = bytes(80)


class Log:
    """Lines as "level text"; fields behind them."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def __getattr__(self, level: str) -> Callable[..., None]:
        def write(text: str, **fields: object) -> None:
            if level != "debug":
                self.lines.append(" ".join([level, text, *map(str, fields.values())]))

        return write

    def of(self, level: str) -> list[str]:
        return [line for line in self.lines if line.startswith(f"{level} ")]


class Watched:
    """A watch and the plans it has led to."""

    def __init__(self, **settings: Any) -> None:
        self.settings = settings
        self.log = Log()
        self.plans: list[Plan] = []
        config = self._config()
        self.publisher = Publisher(config, take_in(config, TICKET_KEY), self.log)  # type: ignore[arg-type]
        self.watch = Watch(self.publisher, TICKET_KEY, self.log)  # type: ignore[arg-type]

    def _config(self) -> Config:
        return Config.model_validate({"settings": self.settings})

    async def begin(self) -> None:
        await self.publisher.first_plan()
        self.publisher.attach(self)
        await self.look()
        assert not self.plans

    def publish(self, plan: Plan) -> None:
        self.plans.append(plan)

    async def look(self, times: int = 1) -> None:
        for _ in range(times):
            await self.watch.look()

    async def reload(self, **settings: Any) -> None:
        self.settings |= settings
        await self.publisher.use(self._config(), take_in(self._config(), TICKET_KEY))
        self.plans.clear()

    @property
    def users(self) -> list[str]:
        return [user.name for user in self.plans[-1].users]


def run(story: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(story, 30))


@pytest.fixture
def users(tmp_path: Path) -> Path:
    path = tmp_path / "users"
    path.write_text('"alice" "pw"\n')
    return path


@pytest.fixture
def pair(tmp_path: Path, certificates: Certificates) -> Pair:
    """A copy of a certificate and its key."""
    copied = Pair(tmp_path / "tls.crt", tmp_path / "tls.key")
    shutil.copy(certificates.server.certificate, copied.certificate)
    shutil.copy(certificates.server.key, copied.key)
    return copied


def test_another_content_is_taken_up_at_the_next_look(users: Path) -> None:
    async def story() -> None:
        watched = Watched(auth_file=str(users))
        await watched.begin()
        users.write_text('"alice" "pw"\n"bob" "pw"\n')
        await watched.look()
        assert watched.users == ["alice", "bob"]
        assert watched.log.of("info") == [f"info changed files are in use {users}"]
        await watched.look(3)
        assert len(watched.plans) == 1

    run(story())


def test_a_file_that_was_only_touched_is_no_news(users: Path) -> None:
    async def story() -> None:
        watched = Watched(auth_file=str(users))
        await watched.begin()
        os.utime(users, (1, 1))
        await watched.look()
        shutil.copy(users, fresh := users.with_name("fresh"))
        fresh.rename(users)
        await watched.look()
        assert watched.plans == []
        assert watched.log.lines == []

    run(story())


def test_a_swapped_folder_is_noticed_as_kubernetes_does_it(tmp_path: Path) -> None:
    """..data is a symbolic link to a folder with the date in its name; the files people name are links through it."""
    for name, text in (("..1", '"alice" "pw"\n'), ("..2", '"bob" "pw"\n')):
        (tmp_path / name).mkdir()
        (tmp_path / name / "users").write_text(text)
        os.utime(tmp_path / name / "users", (1, 1))
    (tmp_path / "..data").symlink_to("..1")
    (tmp_path / "users").symlink_to("..data/users")

    async def story() -> None:
        watched = Watched(auth_file=str(tmp_path / "users"))
        await watched.begin()
        (tmp_path / "..data_tmp").symlink_to("..2")
        (tmp_path / "..data_tmp").rename(tmp_path / "..data")
        await watched.look()
        assert watched.users == ["bob"]

    run(story())


def test_a_bad_file_is_told_of_once_and_the_old_one_stays(users: Path) -> None:
    async def story() -> None:
        watched = Watched(auth_file=str(users))
        await watched.begin()
        users.write_text('"alice" "pw"\n"bob" "half')
        await watched.look()
        assert watched.log.lines == []  # it may be on its way
        await watched.look(4)
        (line,) = watched.log.lines
        assert line.startswith("error changed files are not used, the old ones stay in force ")
        assert f"{users}:2: " in line
        assert watched.plans == []
        users.write_text('"alice" "pw"\n"bob" "whole"\n')
        await watched.look()
        assert watched.users == ["alice", "bob"]

    run(story())


def test_a_file_that_comes_back_as_it_was_changes_nothing(users: Path) -> None:
    async def story() -> None:
        watched = Watched(auth_file=str(users))
        await watched.begin()
        users.rename(away := users.with_name("away"))
        await watched.look(3)
        (line,) = watched.log.lines
        assert "No such file" in line
        away.rename(users)
        await watched.look(2)
        assert watched.log.lines[1:] == [f"info the files are again as they are in use {users}"]
        assert watched.plans == []
        users.unlink()
        await watched.look(3)
        assert len(watched.log.of("error")) == 2  # gone again is news again

    run(story())


def test_the_same_fault_in_other_contents_is_news(users: Path) -> None:
    async def story() -> None:
        watched = Watched(auth_file=str(users))
        await watched.begin()
        for number in range(3):
            users.write_text(f'"alice" "pw{number}"\n"bob" "half')
            await watched.look(3)
        assert len(watched.log.of("error")) == 3
        assert len(set(watched.log.lines)) == 1

    run(story())


def test_a_fault_is_told_of_each_day_while_it_lasts(users: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def story() -> None:
        watched = Watched(auth_file=str(users))
        await watched.begin()
        users.write_text('"alice')
        await watched.look(4)
        assert len(watched.log.lines) == 1
        monkeypatch.setattr(watch, "DAY_S", 0.0)
        await watched.look()
        assert len(watched.log.of("error")) == 2
        users.write_text('"alice" "pw"\n')
        await watched.look(2)
        assert len(watched.log.of("error")) == 2

    run(story())


def test_bad_rules_do_not_hold_up_certificates_nor_the_other_way_round(
    users: Path, pair: Pair, certificates: Certificates
) -> None:
    async def story() -> None:
        watched = Watched(
            auth_file=str(users),
            client_tls_sslmode="require", client_tls_cert_file=str(pair.certificate), client_tls_key_file=str(pair.key),
        )  # fmt: skip
        await watched.begin()
        users.write_text('"alice')
        await watched.look(3)
        shutil.copy(certificates.server_rsa.certificate, pair.certificate)
        shutil.copy(certificates.server_rsa.key, pair.key)
        await watched.look()
        (plan,) = watched.plans
        assert plan.client_tls.certificate == certificates.server_rsa.certificate.read_bytes()
        assert watched.users == ["alice"]
        pair.key.write_text("none")
        users.write_text('"bob" "pw"\n')
        await watched.look(3)
        assert watched.users == ["bob"]
        assert watched.plans[-1].client_tls == plan.client_tls
        assert [str(pair.key) in line for line in watched.log.of("error")] == [False, True]

    run(story())


def test_a_key_that_does_not_fit_yet_is_waited_for(pair: Pair, certificates: Certificates) -> None:
    async def story() -> None:
        watched = Watched(
            client_tls_sslmode="require", client_tls_cert_file=str(pair.certificate), client_tls_key_file=str(pair.key)
        )
        await watched.begin()
        shutil.copy(certificates.server_rsa.certificate, pair.certificate)
        await watched.look()
        assert (watched.plans, watched.log.lines) == ([], [])
        shutil.copy(certificates.server_rsa.key, pair.key)
        await watched.look()
        (plan,) = watched.plans
        assert plan.client_tls.certificate == certificates.server_rsa.certificate.read_bytes()
        assert plan.client_tls.ticket_key == TICKET_KEY

    run(story())


def test_a_key_that_never_fits_is_named(pair: Pair, certificates: Certificates) -> None:
    async def story() -> None:
        watched = Watched(
            client_tls_sslmode="require", client_tls_cert_file=str(pair.certificate), client_tls_key_file=str(pair.key)
        )
        await watched.begin()
        shutil.copy(certificates.server_rsa.key, pair.key)
        await watched.look(5)
        (line,) = watched.log.lines
        assert f"{pair.key}: " in line
        assert "does not belong to the certificate" in line
        assert watched.plans == []

    run(story())


def test_after_a_reload_it_looks_after_the_new_files(users: Path, tmp_path: Path) -> None:
    async def story() -> None:
        watched = Watched(auth_file=str(users))
        await watched.begin()
        other = tmp_path / "other"
        other.write_text('"eve" "pw"\n')
        await watched.reload(auth_file=str(other))
        users.write_text("of no matter")
        await watched.look(2)
        assert (watched.plans, watched.log.lines) == ([], [])
        other.write_text('"eve" "pw"\n"mallory" "pw"\n')
        await watched.look()
        assert watched.users == ["eve", "mallory"]

    run(story())


def test_a_look_that_fails_is_not_the_last_one(users: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "POLL_S", 0.001)

    async def story() -> None:
        watched = Watched(auth_file=str(users))
        await watched.begin()
        taken, failures = watched.publish, [MemoryError("no room")]

        def publish(plan: Plan) -> None:
            if failures:
                raise failures.pop()
            taken(plan)

        monkeypatch.setattr(watched, "publish", publish)
        users.write_text('"bob" "pw"\n')
        watching = asyncio.ensure_future(watched.watch.run())
        while not watched.plans:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
        watching.cancel()
        await asyncio.wait((watching,))
        assert watched.users == ["bob"]
        assert watched.log.of("exception") == ["exception the configuration's files could not be looked at"]

    run(story())


def test_new_warnings_come_with_new_contents(tmp_path: Path) -> None:
    hba = tmp_path / "hba"
    hba.write_text("local all all peer\n")

    async def story() -> None:
        watched = Watched(auth_type="hba", auth_hba_file=str(hba), listen_addr="*")
        await watched.begin()
        hba.write_text("local all all peer\nhost all all all trust\n")
        await watched.look()
        (line,) = watched.log.of("warning")
        assert f"{hba}:2: warning: everybody at these addresses" in line

    run(story())


def test_a_certificate_that_ends_soon_is_told_of_when_the_watch_begins(certificates: Certificates) -> None:
    pair = certificates.server_expires_soon

    async def story() -> None:
        watched = Watched(
            client_tls_sslmode="require", client_tls_cert_file=str(pair.certificate), client_tls_key_file=str(pair.key)
        )
        watching = asyncio.ensure_future(watched.watch.run())
        while not watched.log.lines:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
        watching.cancel()
        await asyncio.wait((watching,))
        (line,) = watched.log.of("warning")
        assert f"in {pair.certificate} ends in" in line

    run(story())
