"""Settings as they are shown to people: on the console, and where a reload tells what has changed."""

from pydantic import SecretStr

from howdah.control.auth.hba import rules_of_auth_type


def shown(key: str, value: object) -> str:
    """As PgBouncer shows it: 1 and 0 for switches, seconds as a bare number, permissions in octal.  What it does not
    have is shown as it can be set.
    """
    if key == "auth_ldap_options":
        return _without_secrets(str(value))
    if value is None:
        return ""
    if isinstance(value, SecretStr):
        return "***"
    if key == "unix_socket_mode":
        return f"0{value:o}"
    if key == "max_pinned":
        return f"{value}%"
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, float):
        return f"{value:g}"
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _without_secrets(ldap_options: str) -> str:
    """LDAP's options as they are understood; one of them can be a password."""
    if not ldap_options:
        return ""
    try:
        (line,) = rules_of_auth_type("ldap", ldap_options)
    except ValueError:
        return "***"  # written for another auth_type, and not understood
    return " ".join(f"{name}={'***' if 'passwd' in name else value}" for name, value in line.options.items())
