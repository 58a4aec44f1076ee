"""What the settings about logins must agree on.  Pure, as `agreement` is."""

from collections.abc import Iterator

from howdah.control.config.addresses import is_loopback
from howdah.control.config.finding import Finding, in_howdah
from howdah.control.config.schema import Tables

#: Methods that compare what the client sends with a secret that howdah must have.
WITH_SECRETS = ("plain", "md5", "scram-sha-256")
TRUSTING = ("any", "trust")


def login_findings(config: Tables) -> Iterator[Finding]:
    """Everything about logins that does not go together, in no particular order."""
    yield from _trust(config)
    yield from _secrets(config)


def _trust(config: Tables) -> Iterator[Finding]:
    settings = config.howdah
    reachable = [address for address in settings.listen_addr if not is_loopback(address)]
    if settings.auth_type in TRUSTING and reachable and not settings.allow_trust_from_network:
        yield Finding(
            in_howdah("listen_addr", "auth_type", "allow_trust_from_network"),
            f"{', '.join(reachable)} can be reached from the network, and clients log in without a password "
            f"({settings.auth_type})",
            "set another auth_type, or listen on 127.0.0.1 and ::1 only, or set allow_trust_from_network = true if "
            "everybody who can reach this address may log in as any user",
        )


def _secrets(config: Tables) -> Iterator[Finding]:
    settings = config.howdah
    if settings.auth_type not in WITH_SECRETS:
        return
    known = any(user.password is not None for user in config.users.values())
    asked = settings.auth_user or any(database.auth_user for database in config.databases.values())
    tried = settings.auth_type == "plain" and settings.password_passthrough
    if not (known or asked or tried or settings.auth_file):
        yield Finding(
            in_howdah("auth_type"),
            f"clients are to log in by {settings.auth_type}, and nothing says what their passwords are",
            "set auth_file, or password in [users.NAME], or auth_user for auth_query; or, on a machine of your own, "
            'auth_type = "trust"',
        )
