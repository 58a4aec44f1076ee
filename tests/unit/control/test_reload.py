"""What a reload may put into force before a restart."""

from typing import Any

import pytest

from howdah.control.config import Config, ConfigError, GlobalSettings, StartError
from howdah.control.reload import until_restart, with_value


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


def test_one_value_is_changed_and_all_else_stays() -> None:
    running = config(default_pool_size=5, auth_type="trust", admin_users=["boss"])
    found = with_value(running, "query_wait_timeout", "2min")
    assert found.settings.query_wait_timeout == 120
    assert (
        found.settings.model_copy(update={"query_wait_timeout": running.settings.query_wait_timeout})
        == running.settings
    )


@pytest.mark.parametrize(
    "name, value, problem",
    [
        ("default_pool_size", "many", "default_pool_size: must be a whole number"),
        ("pool_size", "1", "pool_size: unknown setting; did you mean default_pool_size?"),
        ("listen_addr", "*", "listen_addr: only a restart can change it; change it in the configuration"),
        ("client_tls_sslmode", "require", "client_tls_sslmode: "),
        ("", "1", ": unknown setting"),
    ],
)
def test_a_value_that_cannot_be_is_refused_with_advice(name: str, value: str, problem: str) -> None:
    with pytest.raises(StartError) as raised:
        with_value(config(auth_type="trust"), name, value)
    assert str(raised.value).startswith(problem)


def test_a_fault_that_was_there_before_is_no_reason_to_refuse_another_value() -> None:
    running = config(auth_type="trust").model_copy(
        update={"settings": GlobalSettings(auth_type="trust").model_copy(update={"client_tls_sslmode": "require"})}
    )
    assert with_value(running, "default_pool_size", "3").settings.default_pool_size == 3
