"""Configurations of other poolers are known, and their users told what to do."""

from pathlib import Path

import pytest

from howdah.control.config import StartError
from howdah.control.config.foreign import pooler_of
from howdah.control.config.load import Request, read

FILES = {
    "PgCat": '[general]\nhost = "0.0.0.0"\nban_time = 60\n[pools.app]\npool_mode = "transaction"\n',
    "PgDog": '[general]\nport = 6432\n\n[[databases]]\nname = "app"\nhost = "10.0.0.1"\n',
    "Odyssey": 'daemonize no\nlisten {\n\thost "*"\n}\nstorage "postgres_server" {\n\ttype "remote"\n}\n',
    "Supavisor": "import Config\n\nconfig :supavisor, Supavisor.Repo, pool_size: 10\n",
    "Pgpool-II": "listen_addresses = '*'\nbackend_hostname0 = 'db'\nnum_init_children = 32\n",
}
NAMES = {"PgCat": "pgcat.toml", "PgDog": "pgdog.toml", "Odyssey": "odyssey.conf", "Supavisor": "runtime.exs"}


@pytest.mark.parametrize("pooler", FILES)
@pytest.mark.parametrize("pgbouncer", [False, True])
def test_another_poolers_file_is_named(tmp_path: Path, pooler: str, pgbouncer: bool) -> None:
    path = tmp_path / NAMES.get(pooler, "x.conf")
    path.write_text(FILES[pooler])
    with pytest.raises(StartError) as caught:
        read(Request(str(path), pgbouncer=pgbouncer), {})
    assert str(caught.value).startswith(f"{path}: this is a configuration of {pooler}, which howdah cannot read; ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "text", ["", "[howdah]\nworkers = 2\n", '[databases.app]\nhost = "x"\n', "[pgbouncer]\n", "[databases]\n*=host=x\n"]
)
def test_our_own_and_pgbouncers_are_not_taken_for_others(text: str) -> None:
    assert pooler_of(text) == ""


def test_users_of_pgdog_are_known_by_their_lists() -> None:
    assert pooler_of('[[users]]\nname = "bob"\n') == "PgDog"
