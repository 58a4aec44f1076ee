"""Settings of [howdah] about TLS, towards clients and towards PostgreSQL, in the forms that PgBouncer takes."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator

from howdah.control.config.table import Table, setting
from howdah.control.config.units import BadValueError, File, Kind, one_of, text

SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
#: Oldest first.
VERSIONS = ("tlsv1.0", "tlsv1.1", "tlsv1.2", "tlsv1.3")
_SECURE = ("tlsv1.2", "tlsv1.3")
_GROUPS = {"all": VERSIONS, "legacy": VERSIONS, "tlsv1": VERSIONS, "secure": _SECURE, "default": _SECURE}


def protocol_versions(value: str) -> tuple[str, ...]:
    """`secure`, `all`, `tlsv1.2,tlsv1.3`, `all,!tlsv1.0` as versions, oldest first.  ValueError when there are none."""
    chosen = set[str]()
    for item in value.lower().replace(":", ",").split(","):
        name = item.strip()
        without = name.startswith("!")
        name = name.removeprefix("!").strip()
        versions = _GROUPS.get(name, (name,))
        if not set(versions) <= set(VERSIONS):
            raise BadValueError(
                f"{item.strip()!r} is no version of TLS; use {', '.join(VERSIONS)}, or secure (1.2 and 1.3) or all"
            )
        if without:
            chosen = (chosen or set(VERSIONS)) - set(versions)
        else:
            chosen |= set(versions)
    if not chosen:
        raise BadValueError(f"{value!r} leaves no version of TLS; use secure (1.2 and 1.3)")
    return tuple(version for version in VERSIONS if version in chosen)


def _protocols(value: object) -> str:
    """Kept as written, so that SHOW CONFIG shows what the file has."""
    written = ",".join(value) if isinstance(value, list | tuple) and all(isinstance(i, str) for i in value) else value
    protocol_versions(checked := text(written))
    return checked


SslMode = Annotated[
    Literal["disable", "allow", "prefer", "require", "verify-ca", "verify-full"],
    BeforeValidator(one_of(*SSL_MODES)),
    Kind(f"one of {', '.join(SSL_MODES)}"),
]
Protocols = Annotated[str, BeforeValidator(_protocols), Kind("TLS versions")]
DhParameters = Annotated[
    Literal["none", "auto", "legacy"],
    BeforeValidator(one_of("none", "auto", "legacy")),
    Kind("one of none, auto, legacy"),
]
Negotiation = Annotated[
    Literal["postgres", "direct"], BeforeValidator(one_of("postgres", "direct")), Kind("one of postgres, direct")
]


def _one_line(value: str) -> str:
    if not value.isprintable():
        raise BadValueError("must be one line of printable characters")
    return value.strip()


CipherList = Annotated[str, BeforeValidator(text), AfterValidator(_one_line), Kind("string")]

_CIPHERS = (
    "Ciphers of TLS 1.2 and older as OpenSSL lists them; `default`, `secure`, `normal` and `fast` are OpenSSL's own "
    "choice, `all` takes everything it has."
)
_SUITES = "Cipher suites of TLS 1.3, separated by colons. Empty: OpenSSL's own choice."
_PROTOCOLS = "Versions of TLS: `secure` (1.2 and 1.3), `all`, or a list such as `tlsv1.2,tlsv1.3`."


class TlsSettings(Table):
    """TLS on both sides."""

    client_tls_sslmode: SslMode = setting(
        "disable",
        "TLS towards clients: `disable`; `allow` and `prefer` (clients may use it); `require` (they must); `verify-ca` "
        "and `verify-full` (they must, and show a certificate of `client_tls_ca_file`). All but `disable` need a "
        "certificate and its key.",
    )
    client_tls_cert_file: File = setting(
        "", "Certificate shown to clients, in PEM form: howdah's own first, then those in between."
    )
    client_tls_key_file: File = setting("", "Private key of that certificate, in PEM form and without a passphrase.")
    client_tls_ca_file: File = setting(
        "", "Certificate authorities whose client certificates are accepted, in PEM form. Needed by the method cert."
    )
    client_tls_protocols: Protocols = setting("secure", _PROTOCOLS)
    client_tls_ciphers: CipherList = setting("default", _CIPHERS)
    client_tls13_ciphers: CipherList = setting("", _SUITES)
    client_tls_ecdhcurve: CipherList = setting(
        "auto",
        "Elliptic curves for the key exchange: `auto` is X25519, P-256, X448, P-521 and P-384, `none` leaves only "
        "finite fields (slow, and a stranger can make use of that), else one curve or a list such as "
        "`X25519:prime256v1`.",
    )
    client_tls_dheparams: DhParameters = setting(
        "auto",
        "Taken for PgBouncer's sake, and without effect: Diffie-Hellman over finite fields is never offered in TLS "
        "1.2, because it costs howdah far more than whoever asks for it (CVE-2002-20001).",
    )
    server_tls_sslmode: SslMode = setting(
        "prefer",
        "TLS towards PostgreSQL, as in libpq: `prefer` uses it if the server has it, `require` insists on it, "
        "`verify-ca` also checks who signed the server's certificate, `verify-full` checks its name, too.",
    )
    server_tls_ca_file: File = setting(
        "",
        "Certificate authorities that may sign the server's certificate, in PEM form. Empty: those the operating "
        "system trusts.",
    )
    server_tls_cert_file: File = setting("", "Client certificate shown to PostgreSQL, in PEM form.")
    server_tls_key_file: File = setting("", "Private key of that certificate, in PEM form and without a passphrase.")
    server_tls_protocols: Protocols = setting("secure", _PROTOCOLS)
    server_tls_ciphers: CipherList = setting("default", _CIPHERS)
    server_tls13_ciphers: CipherList = setting("", _SUITES)
    server_tls_sslnegotiation: Negotiation = setting(
        "postgres",
        "`direct` begins TLS at once, which saves a round trip and needs PostgreSQL 17 or later and "
        "`server_tls_sslmode` `require` or stronger. PgBouncer has no such setting.",
    )
