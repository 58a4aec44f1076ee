"""TLS in both directions from settings and files; certificates that will soon be of no use."""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from howdah.control.config.errors import Problem
from howdah.control.config.schema import GlobalSettings
from howdah.control.config.tls_settings import protocol_versions
from howdah.control.input_files import InputFiles
from howdah.dataplane import engine
from howdah.dataplane.plan import TlsMode, TlsPlan

#: How long before its end a certificate is warned about, in seconds.
SOON_S = 30 * 86_400
TICKET_KEY_BYTES = 80
#: In a bundle of all the world's authorities, with more certificates than this, some are always about to end.
_BUNDLE = 10
_FILES = ("cert_file", "key_file", "ca_file")
#: PgBouncer's words for OpenSSL's own choice; "all" is OpenSSL's own word in capitals.
_CIPHERS = {"default": "", "secure": "", "normal": "", "fast": "", "all": "ALL"}
_CURVES = {"auto": "", "none": "ffdhe2048:ffdhe3072"}
#: How the engine's complaints begin, and the setting each is about.
_ABOUT = {
    "certificate": "cert_file",
    "key": "key_file",
    "the key": "key_file",
    "CA": "ca_file",
    "ciphers": "ciphers",
    "TLS 1.3 ciphers": "13_ciphers",
    "curves": "ecdhcurve",
}


@dataclass(frozen=True, slots=True)
class Certificate:
    """What a warning needs to know of one."""

    path: str
    subject: str
    not_after_s: int


@dataclass(frozen=True, slots=True)
class TlsPlans:
    """TLS towards clients and towards PostgreSQL."""

    clients: TlsPlan
    servers: TlsPlan
    certificates: tuple[Certificate, ...] = ()  # of all files, in no particular order


def read_tls(settings: GlobalSettings, files: InputFiles, ticket_key: bytes) -> TlsPlans:
    """Raises nothing: what is wrong is in `files.problems`, and what it is wrong with then is of no use."""
    clients = _towards_clients(settings, files, ticket_key)
    servers = _towards_servers(settings, files)
    certificates: list[Certificate] = []
    unread = {problem.where for problem in files.problems}
    for side, plan in (("client", clients), ("server", servers)):
        whole = unread.isdisjoint(getattr(settings, f"{side}_tls_{kind}") for kind in _FILES)
        files.problems += _problems(settings, side, plan, whole)
        certificates += _certificates(settings, side, plan)
    return TlsPlans(clients, servers, tuple(certificates))


def _towards_clients(settings: GlobalSettings, files: InputFiles, ticket_key: bytes) -> TlsPlan:
    mode = _mode(settings.client_tls_sslmode)
    if mode == TlsMode.DISABLE:
        return TlsPlan()
    ciphers = _CIPHERS.get(settings.client_tls_ciphers.lower(), settings.client_tls_ciphers)
    if settings.client_tls_dheparams == "none":
        ciphers = f"{ciphers or 'DEFAULT'}:!kDHE"
    return TlsPlan(
        mode=mode,
        certificate=files.bytes_for("client_tls_cert_file", settings.client_tls_cert_file),
        key=files.bytes_for("client_tls_key_file", settings.client_tls_key_file),
        ca=files.bytes_for("client_tls_ca_file", settings.client_tls_ca_file),
        protocols=protocol_versions(settings.client_tls_protocols),
        ciphers=ciphers,
        suites=settings.client_tls13_ciphers,
        groups=_CURVES.get(settings.client_tls_ecdhcurve.lower(), settings.client_tls_ecdhcurve),
        ticket_key=ticket_key,
    )


def _towards_servers(settings: GlobalSettings, files: InputFiles) -> TlsPlan:
    mode = _mode(settings.server_tls_sslmode)
    if mode == TlsMode.DISABLE:
        return TlsPlan()
    return TlsPlan(
        mode=mode,
        certificate=files.bytes_for("server_tls_cert_file", settings.server_tls_cert_file),
        key=files.bytes_for("server_tls_key_file", settings.server_tls_key_file),
        ca=files.bytes_for("server_tls_ca_file", settings.server_tls_ca_file),
        protocols=protocol_versions(settings.server_tls_protocols),
        ciphers=_CIPHERS.get(settings.server_tls_ciphers.lower(), settings.server_tls_ciphers),
        suites=settings.server_tls13_ciphers,
        direct=settings.server_tls_sslnegotiation == "direct",
    )


def _mode(name: str) -> TlsMode:
    return TlsMode[name.upper().replace("-", "_")]


def _problems(settings: GlobalSettings, side: str, plan: TlsPlan, whole: bool) -> Iterator[Problem]:
    """What is wrong with each part, and what shows only in all together; `whole`: all files could be read."""
    found = False
    for part, towards_clients in _parts(side, plan):
        if fault := _fault(part, towards_clients):
            found = True
            yield _problem(settings, side, fault)
    if whole and not found and plan != TlsPlan(mode=plan.mode) and (fault := _fault(plan, side == "client")):
        yield _problem(settings, side, fault)


def _parts(side: str, plan: TlsPlan) -> Iterator[tuple[TlsPlan, bool]]:
    """Plans with one thing to check, and whether they are for clients: these need a certificate."""
    if plan.certificate and plan.key:
        yield TlsPlan(mode=TlsMode.REQUIRE, certificate=plan.certificate, key=plan.key), side == "client"
    for name in ("ca", "ciphers", "suites", "groups"):
        if value := getattr(plan, name):
            yield replace(TlsPlan(mode=TlsMode.REQUIRE), **{name: value}), False


def _fault(plan: TlsPlan, towards_clients: bool) -> str:
    try:
        engine.check_tls(plan, towards_clients)
    except engine.TlsError as error:
        return str(error)
    return ""


def _problem(settings: GlobalSettings, side: str, text: str) -> Problem:
    """Point at the file that is at fault, or else at the setting."""
    about = next((name for start, name in _ABOUT.items() if text.startswith(start)), "sslmode")
    setting = f"{side}_tls13_ciphers" if about == "13_ciphers" else f"{side}_tls_{about}"
    path = getattr(settings, setting) if about in _FILES else ""
    advice = {
        "key_file": f"{setting} must be the key of {getattr(settings, f'{side}_tls_cert_file')}, without a passphrase",
        "cert_file": f"{setting} must be in PEM form, howdah's own certificate first",
        "ca_file": f"{setting} must be certificates in PEM form",
    }.get(about, "see `openssl ciphers -v` for what this OpenSSL knows" if "ciphers" in about else "")
    return Problem(path, "", text, advice) if path else Problem(setting, "", text, advice)


def _certificates(settings: GlobalSettings, side: str, plan: TlsPlan) -> Iterator[Certificate]:
    for kind, pem in (("cert_file", plan.certificate), ("ca_file", plan.ca)):
        path = getattr(settings, f"{side}_tls_{kind}")
        if pem:
            try:
                found = engine.read_certificates(pem)
            except engine.TlsError:
                continue  # `check_tls` has told it, or will when the first fault is mended
            if len(found) <= _BUNDLE:
                yield from (Certificate(path, facts.subject, facts.not_after_s) for facts in found)


def ending(certificates: Iterable[Certificate], now: Callable[[], float] = time.time) -> Iterator[str]:
    """A sentence for each certificate that has ended or ends within `SOON_S`."""
    for certificate in dict.fromkeys(certificates):
        left_s = certificate.not_after_s - now()
        if left_s > SOON_S:
            continue
        day = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(certificate.not_after_s))
        what = f"ends in {left_s / 86_400:.0f} days" if left_s > 0 else "has ended"
        yield f"the certificate of {certificate.subject} in {certificate.path} {what} ({day}): replace it"
