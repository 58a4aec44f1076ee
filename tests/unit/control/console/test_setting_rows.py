"""SHOW CONFIG's rows come from the schema."""

from howdah.control.config.schema import GlobalSettings
from howdah.control.console.setting_rows import setting_rows


def test_every_setting_is_shown_as_pgbouncer_would() -> None:
    settings = GlobalSettings(default_pool_size=7, listen_addr=("127.0.0.1", "::1"), tcp_keepalive=False)
    rows = {row.key: row for row in setting_rows(settings)}
    assert set(rows) == set(GlobalSettings.model_fields)
    assert rows["default_pool_size"][1:] == ("7", "20", True)
    assert rows["listen_addr"].value == "127.0.0.1, ::1"
    assert (rows["tcp_keepalive"].value, rows["tcp_keepalive"].default) == ("0", "1")
    assert (rows["unix_socket_mode"].value, rows["query_wait_timeout"].value) == ("0777", "120")
    assert not rows["listen_port"].changeable
    assert (rows["pin"].value, rows["max_pinned"].value) == ("allow", "100%")


def test_the_password_among_ldap_options_is_not_shown() -> None:
    options = 'ldapserver=dir.example ldapbasedn="dc=example" "ldapbinddn=cn=asker" "ldapbindpasswd=two words"'
    shown = {row.key: row.value for row in setting_rows(GlobalSettings(auth_ldap_options=options))}
    assert shown["auth_ldap_options"].startswith("ldapserver=dir.example ldapbasedn=dc=example")
    assert "ldapbindpasswd=***" in shown["auth_ldap_options"]
    assert "words" not in str(setting_rows(GlobalSettings(auth_ldap_options='"ldapbindpasswd=two words')))
