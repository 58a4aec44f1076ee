"""Numbers and words in PgBouncer's forms."""

import pytest

from howdah.control.config.ini.values import integer, read_value, real
from howdah.control.config.schema import DatabaseSettings, GlobalSettings
from howdah.control.config.toml import kind_of


@pytest.mark.parametrize(
    "text, number",
    [("0", 0), ("20", 20), ("0x10", 16), ("010", 8), ("-1", -1), ("+5", 5), ("-0x1", -1), ("9" * 30, None)],
)
def test_an_integer_is_read_as_c_reads_it(text: str, number: int | None) -> None:
    assert integer(text) == number


@pytest.mark.parametrize("text", ["", "08", "1_0", "1.0", "\u0663", " 1", "0x", "1s", "+", "--1"])
def test_what_is_no_integer(text: str) -> None:
    assert integer(text) is None


@pytest.mark.parametrize(
    "text, number",
    [("30", 30.0), ("0.5", 0.5), (".5", 0.5), ("5.", 5.0), ("1e1", 10.0), ("+1", 1.0)],
)
def test_a_duration_is_a_number_of_seconds(text: str, number: float) -> None:
    assert real(text) == number


@pytest.mark.parametrize("text", ["", ".", "-1", "nan", "inf", "30s", "1_0", "0x10"])
def test_what_is_no_number_of_seconds(text: str) -> None:
    assert real(text) is None


@pytest.mark.parametrize(
    "name, text, value",
    [
        ("default_pool_size", "0x10", 16),
        ("listen_port", "6432", 6432),
        ("max_packet_size", "1024", 1024),
        ("query_timeout", "2.5", 2.5),
        ("query_timeout", "30s", "30s"),
        ("log_connections", "0", False),
        ("log_connections", "2", True),
        ("log_connections", "yes", "yes"),
        ("pool_mode", "Transaction", "transaction"),
        ("auth_type", "SCRAM-SHA-256", "scram-sha-256"),
        ("unix_socket_mode", "0750", "0750"),
        ("unix_socket_mode", "488", "0750"),
        ("listen_addr", "a, b", "a, b"),
        ("server_reset_query", "DISCARD ALL", "DISCARD ALL"),
    ],
)
def test_a_setting(name: str, text: str, value: object) -> None:
    read = read_value(kind_of(GlobalSettings.model_fields[name]), text)
    assert (type(read), read) == (type(value), value)


def test_a_setting_that_may_be_unset() -> None:
    assert read_value(kind_of(DatabaseSettings.model_fields["server_lifetime"]), "1e2") == 100.0
    assert read_value(kind_of(DatabaseSettings.model_fields["pool_mode"]), "SESSION") == "session"


def test_permissions_without_their_0_are_not_guessed() -> None:
    with pytest.raises(ValueError, match="770 without a 0 in front is a decimal number; write it as 0770"):
        read_value(kind_of(GlobalSettings.model_fields["unix_socket_mode"]), "770")
