"""The schema against the lists it must agree with, and the files made from it."""

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path

import pytest
from pydantic import BaseModel

from howdah.control.config.draft import Draft
from howdah.control.config.errors import ConfigError
from howdah.control.config.load import Request, read
from howdah.control.config.schema import DatabaseSettings, GlobalSettings, Reload, UserSettings, usable_workers
from tools import generate_docs

ROOT = Path(__file__).parents[4]
MODELS: Mapping[str, type[BaseModel]] = {
    "howdah": GlobalSettings, "databases": DatabaseSettings, "users": UserSettings
}  # fmt: skip
EVERY = [(table, name) for table, model in MODELS.items() for name in model.model_fields]


@pytest.mark.parametrize("table, name", EVERY)
def test_every_setting_says_what_it_is(table: str, name: str) -> None:
    field = MODELS[table].model_fields[name]
    assert field.description
    assert field.description.endswith(".")
    assert generate_docs.extra(field, "reload") in set(Reload)
    assert generate_docs.default_of(field) or generate_docs.extra(field, "shown")


def test_every_heading_stands_before_a_setting() -> None:
    assert set(GlobalSettings.SECTIONS) <= set(GlobalSettings.model_fields)
    assert [name for _, names in generate_docs.sections() for name in names] == list(GlobalSettings.model_fields)


def test_the_default_listens_on_this_machine_only() -> None:
    settings = GlobalSettings()
    assert settings.listen_addr == ("127.0.0.1", "::1")
    assert settings.unix_socket_dir == "/tmp"
    assert not settings.allow_trust_from_network


def test_workers_are_as_many_as_there_are_cores_up_to_four(monkeypatch: pytest.MonkeyPatch) -> None:
    for cores, workers in ((1, 1), (3, 3), (64, 4)):
        monkeypatch.setattr("os.sched_getaffinity", lambda _, cores=cores: set(range(cores)))
        assert usable_workers() == workers
        assert GlobalSettings().workers == workers


def test_defaults_read_as_themselves() -> None:
    """Every default, written as the reference shows it and read again, is the default."""
    text = generate_docs.example_file()
    uncommented = re.sub(r"^#(\w+ = [^#]*)$", r"\1", text.split("# --- Where PostgreSQL")[0], flags=re.MULTILINE)
    tables = tomllib.loads(uncommented + '[databases."*"]\nhost = "db"\n[users.bob]\npassword = "secret"\n')
    computed = {name for name, field in GlobalSettings.model_fields.items() if field.default_factory is not None}
    assert set(tables["howdah"]) == set(GlobalSettings.model_fields) - computed
    config = Draft(source="example", tables=tables).finish()
    assert config.settings == GlobalSettings()


def test_the_example_lacks_only_what_nobody_else_can_know() -> None:
    example = str(ROOT / "deploy" / "howdah.toml")
    with pytest.raises(ConfigError, match="nothing says what their passwords are"):
        read(Request(example), {})
    config = read(Request(example), {"HOWDAH_AUTH_TYPE": "trust"})
    assert config.settings == GlobalSettings(auth_type="trust")
    assert config.warnings == ()


def test_the_generated_files_are_up_to_date(tmp_path: Path) -> None:
    assert generate_docs.outdated(ROOT) == []
    assert generate_docs.outdated(tmp_path) == list(generate_docs.GENERATED)
