"""What may well be meant and should still be said: passwords and logins that others on the network could take.

Pure: the configuration and what was read in, warnings out.
"""

from collections.abc import Iterator

from howdah.control.auth.access import Access
from howdah.control.auth.secrets import NO_PASSWORD
from howdah.control.config.addresses import is_loopback
from howdah.control.config.errors import Problem
from howdah.control.config.schema import Config
from howdah.dataplane.plan import AccessRule, ClientCertificate, Method, Nearby, Transport

#: The client sends the password itself.
_IN_CLEAR = (Method.PLAIN, Method.LDAP, Method.PAM)
_WITH_SECRETS = (Method.PLAIN, Method.MD5, Method.SCRAM)
_TLS_ALWAYS = ("require", "verify-ca", "verify-full")
_WITHOUT_TLS = (Transport.HOST, Transport.HOSTNOSSL)


def exposures(config: Config, access: Access) -> Iterator[Problem]:
    """Warnings, by the line each is about."""
    beyond = not all(map(is_loopback, config.settings.listen_addr))
    for rule in (line.rule for line in access.lines):
        if beyond and _reaches_strangers(rule):
            yield from _of_strangers(config, rule)
        yield from _never_matching(config, rule)
    yield from _without_secrets(config, access)
    yield from _of_no_use(access)


def _of_strangers(config: Config, rule: AccessRule) -> Iterator[Problem]:
    settings = config.settings
    in_clear = settings.client_tls_sslmode not in _TLS_ALWAYS and set(rule.transport) & set(_WITHOUT_TLS)
    if rule.method in _IN_CLEAR and in_clear:
        yield _warning(
            rule,
            "passwords travel over the network without TLS",
            'set client_tls_sslmode = "require" with a certificate, or use scram-sha-256',
        )
    if rule.method == Method.TRUST and rule.where != "auth_type":  # that one has had to be allowed
        yield _warning(
            rule,
            "everybody at these addresses logs in without a password",
            "use scram-sha-256, or name fewer addresses",
        )


def _reaches_strangers(rule: AccessRule) -> bool:
    """Whether the rule lets in connections from other machines."""
    if set(rule.transport) == {Transport.LOCAL} or rule.nearby == Nearby.SAME_HOST:
        return False
    return rule.nearby == Nearby.SAME_NET or not rule.networks or not all(net.is_loopback for net in rule.networks)


def _never_matching(config: Config, rule: AccessRule) -> Iterator[Problem]:
    settings = config.settings
    if set(rule.transport) == {Transport.HOSTSSL} and settings.client_tls_sslmode == "disable":
        yield _warning(
            rule, "this line fits nobody, because client_tls_sslmode is disable", "set client_tls_sslmode, or remove it"
        )
    elif not settings.client_tls_ca_file and (
        rule.method == Method.CERT or rule.client_certificate != ClientCertificate.NO
    ):
        yield _warning(
            rule, "no client certificate can be checked here", "set client_tls_ca_file to the authority that signs them"
        )


def _without_secrets(config: Config, access: Access) -> Iterator[Problem]:
    settings = config.settings
    if (
        any(secret != NO_PASSWORD for secret in access.secrets.values())
        or settings.auth_user
        or settings.password_passthrough
    ):
        return
    if any(database.auth_user for database in config.databases.values()):
        return
    first = next((line.rule for line in access.lines if line.rule.method in _WITH_SECRETS), None)
    if first is not None:
        yield _warning(
            first,
            "it asks for a password, and nothing says what the users' passwords are",
            "set auth_file, or password in [users.NAME], or auth_user for auth_query",
        )


def _of_no_use(access: Access) -> Iterator[Problem]:
    """Users who cannot log in because SCRAM cannot be done with a hash made for md5."""
    methods = {line.rule.method for line in access.lines if line.rule.method in _WITH_SECRETS}
    users = [name for name, secret in access.secrets.items() if secret.md5]
    if methods == {Method.SCRAM} and users:
        some = ", ".join(users[:3]) + (f" and {len(users) - 3:,} more" if len(users) > 3 else "")
        yield Problem(
            "users",
            "",
            f"{some} cannot log in by scram-sha-256 with an md5 secret",
            "give their passwords or SCRAM secrets, or use md5",
            fatal=False,
        )


def _warning(rule: AccessRule, message: str, advice: str) -> Problem:
    return Problem(rule.where, "", message, advice, fatal=False)
