"""Who may do more than look at the console."""

from typing import Any

import pytest

from howdah.control.config.schema import Config, GlobalSettings
from howdah.control.console.rights import may_change

NAMED = {"admin_users": "ann", "stats_users": "sam"}


@pytest.mark.parametrize(
    "settings, user, over_unix_socket, may",
    [
        (NAMED, "ann", False, True),
        (NAMED, "sam", False, False),
        (NAMED, "sam", True, False),
        (NAMED, "pgbouncer", True, True),  # the system user that runs howdah
        (NAMED, "pgbouncer", False, False),  # it was named when it came in
        (NAMED, "gone", False, False),
        ({**NAMED, "auth_type": "trust"}, "gone", False, False),
        ({"stats_users": "pgbouncer"}, "pgbouncer", True, False),
        ({"auth_type": "trust"}, "anybody", False, True),
        ({"auth_type": "any"}, "anybody", False, True),
        ({}, "pgbouncer", True, True),
        ({}, "anybody", True, False),
    ],
)
def test_rights(settings: dict[str, Any], user: str, over_unix_socket: bool, may: bool) -> None:
    assert may_change(Config(settings=GlobalSettings(**settings)), user, over_unix_socket) is may


@pytest.mark.parametrize("auth_type, everybody", [("any", True), ("trust", False)])
def test_with_pgbouncers_file_trust_is_no_right(auth_type: str, everybody: bool) -> None:
    """PgBouncer opens its console for `any` alone, and its files listen on networks."""
    config = Config(settings=GlobalSettings(auth_type=auth_type), pgbouncer=True)
    assert may_change(config, "anybody", False) is everybody
    assert config.console_for_all is everybody
    assert may_change(config, "pgbouncer", True)
