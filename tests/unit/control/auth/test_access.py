"""Users, rules and maps from the configuration and its files, with every fault by file and line."""

from pathlib import Path
from typing import Any

from howdah.control.auth.access import Access, read_access
from howdah.control.auth.secrets import NO_PASSWORD
from howdah.control.config.schema import Config
from howdah.control.input_files import LARGEST_FILE, InputFiles
from howdah.dataplane.plan import Method, Secret


def read(users: dict[str, Any] | None = None, **settings: Any) -> tuple[Access, list[str]]:
    files = InputFiles()
    access = read_access(Config.model_validate({"settings": settings, "users": users or {}}), files)
    return access, [str(problem) for problem in files.problems]


def test_users_of_the_configuration_win_over_those_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "users").write_text('"alice" "old"\n"bob" "bobs"\n')
    access, problems = read({"alice": {"password": "new"}, "eve": {"pool_size": 1}}, auth_file=str(tmp_path / "users"))
    assert problems == []
    assert access.secrets == {"alice": Secret(password=b"new"), "bob": Secret(password=b"bobs")}


def test_who_is_listed_without_a_password_is_known_and_may_get_one_in_users(tmp_path: Path) -> None:
    (tmp_path / "users").write_text('"alice" ""\n"bob" ""\n')
    access, _ = read({"alice": {"password": "new"}, "bob": {"pool_size": 1}}, auth_file=str(tmp_path / "users"))
    assert access.secrets == {"alice": Secret(password=b"new"), "bob": NO_PASSWORD}


def test_rules_come_from_auth_type_or_from_the_file(tmp_path: Path) -> None:
    (tmp_path / "hba").write_text("local all all peer\nhost all all all md5\n")
    access, _ = read(auth_type="plain")
    assert [(line.rule.where, line.rule.method) for line in access.lines] == [("auth_type", Method.PLAIN)]
    access, problems = read(auth_type="hba", auth_hba_file=str(tmp_path / "hba"))
    assert problems == []
    assert [line.rule.method for line in access.lines] == [Method.PEER, Method.MD5]
    assert [line.rule.where for line in access.lines] == [f"{tmp_path}/hba:1", f"{tmp_path}/hba:2"]


def test_files_that_an_hba_file_names_are_known_too(tmp_path: Path) -> None:
    (tmp_path / "hba").write_text("host @names all all md5\n")
    (tmp_path / "names").write_text("app\n")
    files = InputFiles()
    config = Config.model_validate({"settings": {"auth_type": "hba", "auth_hba_file": str(tmp_path / "hba")}})
    read_access(config, files)
    assert set(files.fingerprints) == {str(tmp_path / "hba"), str(tmp_path / "names")}


def test_every_fault_of_every_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "users").write_text('"alice" "pw"\n"bob\n')
    (tmp_path / "hba").write_text("host all all all md5\nhots all all all md5\nhost all all all\n")
    (tmp_path / "ident").write_text("map\n")
    _, problems = read(
        auth_type="hba", auth_hba_file=str(tmp_path / "hba"), auth_file=str(tmp_path / "users"),
        auth_ident_file=str(tmp_path / "ident"),
    )  # fmt: skip
    assert [problem.split(": ")[0].removeprefix(f"{tmp_path}/") for problem in problems] == [
        "hba:2", "hba:3", "ident:1", "users:2",
    ]  # fmt: skip


def test_files_that_cannot_be_read_are_named_with_their_setting(tmp_path: Path) -> None:
    _, (problem,) = read(auth_file=str(tmp_path / "none"))
    assert problem.startswith(f"{tmp_path}/none: cannot be read: No such file or directory; auth_file names it")
    _, (problem,) = read(auth_ident_file=str(tmp_path))
    assert "Is a directory" in problem


def test_a_file_without_end_is_not_read_to_its_end(tmp_path: Path) -> None:
    with (tmp_path / "users").open("wb") as file:
        file.truncate(LARGEST_FILE + 1)
    _, (problem,) = read(auth_file=str(tmp_path / "users"))
    assert "larger than 64 MiB" in problem


def test_names_that_are_no_utf8_are_a_fault_of_their_line(tmp_path: Path) -> None:
    (tmp_path / "users").write_bytes(b'\xef\xbb\xbf"alice" "pw"\n"al\xffice" "pw"\n')
    _, (problem,) = read(auth_file=str(tmp_path / "users"))
    assert problem.startswith(f"{tmp_path}/users:2: ")
    assert "is not UTF-8" in problem
