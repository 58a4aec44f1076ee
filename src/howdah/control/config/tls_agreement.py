"""What the settings about TLS must agree on.  Pure, as `agreement` is; what is in the files, `tls_files` looks at."""

from collections.abc import Iterator

from howdah.control.config.finding import Finding, in_howdah
from howdah.control.config.schema import Tables

_VERIFYING = ("verify-ca", "verify-full")


def tls_findings(config: Tables) -> Iterator[Finding]:
    """Everything about TLS that does not go together, in no particular order."""
    yield from _towards_clients(config)
    yield from _towards_servers(config)


def _towards_clients(config: Tables) -> Iterator[Finding]:
    settings = config.howdah
    mode = settings.client_tls_sslmode
    files = {"client_tls_cert_file": settings.client_tls_cert_file, "client_tls_key_file": settings.client_tls_key_file}
    missing = [name for name, path in files.items() if not path]
    if mode == "disable":
        given = [name for name, path in files.items() if path]
        if given:
            yield Finding(
                in_howdah(given[0], "client_tls_sslmode"),
                "clients cannot use TLS, because client_tls_sslmode is disable",
                'set client_tls_sslmode = "prefer" or "require"',
                fatal=False,
            )
        return
    if missing:
        yield Finding(
            in_howdah("client_tls_sslmode", *missing),
            f"TLS towards clients needs a certificate and its key: there is no {' and no '.join(missing)}",
            f"set {' and '.join(missing)}",
        )
    if mode in _VERIFYING and not settings.client_tls_ca_file:
        yield Finding(
            in_howdah("client_tls_sslmode", "client_tls_ca_file"),
            f"{mode} checks client certificates, and nothing says who signs them",
            "set client_tls_ca_file",
        )
    if settings.client_tls_dheparams == "legacy":
        yield Finding(
            in_howdah("client_tls_dheparams"),
            "keys of 1,024 bits are no longer taken by OpenSSL; auto is used",
            'set client_tls_dheparams = "auto"',
            fatal=False,
        )


def _towards_servers(config: Tables) -> Iterator[Finding]:
    settings = config.howdah
    mode = settings.server_tls_sslmode
    pair = {"server_tls_cert_file": settings.server_tls_cert_file, "server_tls_key_file": settings.server_tls_key_file}
    given, missing = ([name for name, path in pair.items() if bool(path) is wanted] for wanted in (True, False))
    if given and missing:
        yield Finding(
            in_howdah(given[0], missing[0]),
            f"a certificate and its key go together: there is no {missing[0]}",
            f"set {missing[0]}, or remove {given[0]}",
        )
    if settings.server_tls_ca_file and mode not in _VERIFYING:
        yield Finding(
            in_howdah("server_tls_ca_file", "server_tls_sslmode"),
            f"the server's certificate is not checked, because server_tls_sslmode is {mode}",
            'set server_tls_sslmode = "verify-full"',
            fatal=False,
        )
    if settings.server_tls_sslnegotiation == "direct" and mode not in ("require", *_VERIFYING):
        yield Finding(
            in_howdah("server_tls_sslnegotiation", "server_tls_sslmode"),
            f"direct TLS cannot do without TLS, as server_tls_sslmode = {mode} allows",
            'set server_tls_sslmode to "require" or stronger',
        )
