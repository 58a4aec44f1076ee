"""What a reload may put into force before a restart."""

from typing import Any

import pytest

from howdah.control.config import Config, ConfigError, GlobalSettings
from howdah.control.reload import until_restart


def config(**settings: Any) -> Config:
    return Config(settings=GlobalSettings(**settings), source="howdah.toml")


def test_what_needs_a_restart_stays_as_it_is() -> None:
    running = config(listen_port=6001, default_pool_size=5, auth_type="trust")
    wanted = config(listen_port=6002, default_pool_size=6, auth_type="trust")
    found = until_restart(running, wanted)
    assert (found.settings.listen_port, found.settings.default_pool_size) == (6001, 6)
    assert found.source == wanted.source


def test_trust_is_not_taken_for_addresses_that_are_no_longer_in_the_file() -> None:
    running = config(listen_addr="*", auth_type="scram-sha-256", auth_user="looker")
    with pytest.raises(ConfigError) as raised:
        until_restart(running, config(listen_addr="127.0.0.1", auth_type="trust"))
    (problem,) = raised.value.problems
    assert "clients log in without a password" in problem.message
    assert problem.advice == "restart howdah: listen_addr cannot change before"
