"""What a reload says that it has changed."""

from typing import Any

from howdah.control.config import Config, DatabaseSettings, GlobalSettings, UserSettings
from howdah.control.config.changes import changes

DATABASE = DatabaseSettings(host=("db",))  # type: ignore[arg-type,unused-ignore]


def config(databases: dict[str, Any] | None = None, users: dict[str, Any] | None = None, **settings: Any) -> Config:
    return Config(settings=GlobalSettings(**settings), databases=databases or {}, users=users or {})


def test_nothing_is_said_of_what_stays() -> None:
    same = {"app": DATABASE}
    assert changes(config(same, default_pool_size=3), config(dict(same), default_pool_size=3)) == ()


def test_settings_are_shown_as_the_console_shows_them() -> None:
    before = config(admin_users=["boss", "chef"], tcp_keepalive=True, query_wait_timeout="2min")
    assert changes(before, config(tcp_keepalive=False, query_wait_timeout=7)) == (
        "admin_users: boss, chef -> (empty)",
        "query_wait_timeout: 120 -> 7",
        "tcp_keepalive: 1 -> 0",
    )


def test_databases_and_users_come_go_and_change() -> None:
    before = config({"app": DATABASE, "old": DATABASE}, {"eve": UserSettings(pool_size=3)})
    after = config({"app": DatabaseSettings(host=("db", "db2"), pool_size=0), "new": DATABASE}, {"bob": UserSettings()})
    assert changes(before, after) == (
        "database app: host: db -> db, db2, pool_size: unset -> 0",
        "database new: added",
        "database old: removed",
        "user bob: added",
        "user eve: removed",
    )


def test_passwords_are_not_shown() -> None:
    before, after = ({"eve": UserSettings(password=secret)} for secret in ("first", "second"))
    assert changes(config(users=before), config(users=after)) == ("user eve: password: *** -> ***",)
    ldap = [config(auth_ldap_options=f"ldapserver=x ldapbindpasswd={secret}") for secret in ("first", "second")]
    assert "first" not in str(changes(*ldap))
    assert "second" not in str(changes(*ldap))
