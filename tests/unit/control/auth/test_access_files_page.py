"""The examples of docs/reference/access-files.md are right."""

import re
import tomllib
from pathlib import Path

import pytest

from howdah.control.auth.hba import read_hba, rules_of_auth_type
from howdah.control.auth.ident import missing_maps, read_ident
from howdah.control.auth.userlist import read_userlist

PAGE = (Path(__file__).parents[4] / "docs" / "reference" / "access-files.md").read_text()


def example(kind: str) -> str:
    (only,) = re.findall(rf"```{kind}\n(.*?)```", PAGE, re.DOTALL)
    return str(only)


def test_the_example_of_users_is_right() -> None:
    users = read_userlist("userlist.txt", example("userlist"))
    assert not users.problems
    assert [bool(secret.scram) for secret in users.secrets.values()].count(True) == 1
    assert [bool(secret.md5) for secret in users.secrets.values()].count(True) == 1


def test_the_examples_of_rules_and_maps_are_right_and_belong_together() -> None:
    hba, ident = read_hba("hba", example("hba"), str), read_ident("ident", example("ident"))
    assert not hba.problems
    assert not ident.problems
    assert len(hba.lines) == 7
    assert len(ident.lines) == 4
    assert not missing_maps(hba.lines, ident.lines)


def test_the_example_of_ldap_options_is_right() -> None:
    settings = tomllib.loads(example("toml"))["howdah"]
    (line,) = rules_of_auth_type(settings["auth_type"], settings["auth_ldap_options"])
    assert line.options["ldapsuffix"] == ",ou=people,dc=example,dc=com"


@pytest.mark.parametrize("line", ["host all +g all md5", "host all all 10/8 md5", "include_dir x"])
def test_what_the_page_says_is_refused_is_refused(line: str) -> None:
    assert any(problem.fatal for problem in read_hba("hba", line, str).problems)
