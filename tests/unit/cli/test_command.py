"""The command as a process: exit status, one line on stderr, no traceback, quick answers."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import howdah

BOB = "[users.bob]\npassword = 's3cret'\n"


def command(folder: Path, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("HOWDAH_", "DATABASE_URL"))}
    return subprocess.run(
        [sys.executable, "-m", "howdah", *arguments], cwd=folder, env=inherited | environ, text=True,
        capture_output=True, check=False, timeout=60,
    )  # fmt: skip


def test_the_version_is_told(tmp_path: Path) -> None:
    done = command(tmp_path, "--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"howdah {howdah.__version__}\n", "")


@pytest.mark.parametrize("arguments", [["--help"], ["run", "-h"], ["check", "--help"]])
def test_help_names_every_option_and_argument(tmp_path: Path, arguments: list[str]) -> None:
    done = command(tmp_path, *arguments)
    assert done.returncode == 0
    assert done.stdout.startswith("Usage: howdah")
    for word in {"run": ["TARGET", "--listen", "--pool-size", "--json-logs"], "check": ["CONFIG"]}.get(
        arguments[0], []
    ):
        assert word in done.stdout


def test_version_and_help_import_nothing_heavy(tmp_path: Path) -> None:
    script = (
        "import sys\nfrom howdah.cli import cli\n"
        "try: cli(['run', '--help'])\n"
        "except SystemExit: pass\n"
        "print({'pydantic', 'asyncio', 'structlog', 'rich', 'howdah.control'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, text=True, capture_output=True, check=True)
    assert done.stdout.splitlines()[-1] == "set()"


def test_a_good_configuration_passes_the_check(tmp_path: Path) -> None:
    (tmp_path / "howdah.toml").write_text(f"{BOB}[databases.app]\nhost = 'db'\n")
    done = command(tmp_path, "check", "howdah.toml")
    assert (done.returncode, done.stdout, done.stderr) == (0, "howdah.toml: ok, 1 database\n", "")


def test_warnings_go_to_stderr_and_the_check_still_passes(tmp_path: Path) -> None:
    (tmp_path / "howdah.toml").write_text(f"{BOB}[databases.app]\nhost = 'db'\nmax_db_connections = 1\n")
    done = command(tmp_path, "check", "howdah.toml")
    assert (done.returncode, done.stdout) == (0, "howdah.toml: ok, 1 database\n")
    assert done.stderr.startswith("howdah.toml:5: warning: databases.app.max_db_connections: ")


def test_the_check_shows_every_fault_of_every_file(tmp_path: Path) -> None:
    (tmp_path / "howdah.toml").write_text(
        "[howdah]\nauth_type = 'hba'\nauth_hba_file = 'hba'\nserver_tls_ca_file = 'ca'\nserver_tls_ciphers = 'NOPE'\n"
        "[databases.app]\nhost = 'db'\n"
    )
    (tmp_path / "hba").write_text("hots all all all trust\n")
    (tmp_path / "ca").write_text("no certificate\n")
    done = command(tmp_path, "check", "howdah.toml")
    assert (done.returncode, done.stdout) == (1, "")
    assert [line.split(": ")[0] for line in done.stderr.splitlines()] == ["hba:1", "ca", "server_tls_ciphers"]


def test_the_check_looks_into_the_files_that_are_named(tmp_path: Path) -> None:
    (tmp_path / "howdah.toml").write_text(
        "[howdah]\nauth_type = 'hba'\nauth_hba_file = 'hba'\nauth_file = 'users'\nauth_ident_file = 'ident'\n"
        "[databases.app]\nhost = 'db'\n"
    )
    (tmp_path / "hba").write_text("# first\nhost all all trust\n")
    (tmp_path / "users").write_text('"bob" "s3cret\n')
    done = command(tmp_path, "check", "howdah.toml")
    assert (done.returncode, done.stdout) == (1, "")
    assert sorted(line.split(": ")[0] for line in done.stderr.splitlines()) == ["hba:2", "ident", "users:1"]
    assert "s3cret" not in done.stderr


@pytest.mark.parametrize("subcommand", ["check", "run"])
def test_a_typing_error_is_one_line_and_status_1(tmp_path: Path, subcommand: str) -> None:
    (tmp_path / "howdah.toml").write_text(f"[howdah]\nworkesr = 2\n{BOB}[databases.app]\nhost = 'db'\n")
    done = command(tmp_path, subcommand, "howdah.toml")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "howdah.toml:2: workesr: unknown setting; did you mean workers?\n"


def test_every_fault_gets_its_line(tmp_path: Path) -> None:
    (tmp_path / "howdah.toml").write_text(f"[howdah]\na = 1\nb = 2\n[databases.app]\nc = 3\n{BOB}")
    done = command(tmp_path, "check", "howdah.toml")
    assert [line.split(": ")[0] for line in done.stderr.splitlines()] == [
        "howdah.toml:2", "howdah.toml:3", "howdah.toml:5",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "target, says",
    [
        ("missing.toml", "missing.toml: no such file"),
        ("postgresql://bob:s3cret@db/app?sslmode=required", "server_tls_sslmode: must be one of disable, allow"),
        ("postgresql://bob:s3cret@db/app?sslmode=verify-ca&sslrootcert=no.pem", "no.pem: cannot be read: No such file"),
    ],
)
def test_a_target_that_cannot_be_used_is_one_line(tmp_path: Path, target: str, says: str) -> None:
    done = command(tmp_path, "run", target)
    assert done.returncode == 1
    assert says in done.stderr
    assert done.stderr.count("\n") == 1
    assert "s3cret" not in done.stderr


def test_a_fault_in_the_environment_names_the_variable(tmp_path: Path) -> None:
    done = command(tmp_path, "run", HOWDAH_POOL_MODE="request", DATABASE_URL="postgresql://db")
    assert done.returncode == 1
    assert done.stderr.startswith("HOWDAH_POOL_MODE: pool_mode: must be one of")
