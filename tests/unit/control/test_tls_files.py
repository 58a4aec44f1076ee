"""TLS from settings and files: PgBouncer's words, and faults that name the file."""

from pathlib import Path
from typing import Any

import pytest

from howdah.control.config.schema import GlobalSettings
from howdah.control.config.tls_settings import protocol_versions
from howdah.control.input_files import InputFiles
from howdah.control.tls_files import Certificate, TlsPlans, ending, read_tls
from howdah.dataplane.plan import TlsMode, TlsPlan
from tests.kit.certs import Certificates, Pair

TICKET_KEY = bytes(range(80))


def read(**settings: Any) -> tuple[TlsPlans, InputFiles]:
    files = InputFiles()
    return read_tls(GlobalSettings(**settings), files, TICKET_KEY), files


def towards_clients(pair: Pair, **settings: Any) -> dict[str, Any]:
    return {
        "client_tls_sslmode": "require",
        "client_tls_cert_file": str(pair.certificate),
        "client_tls_key_file": str(pair.key),
        **settings,
    }


def test_files_go_into_the_plan_whole(certificates: Certificates) -> None:
    pair = certificates.server
    settings = towards_clients(pair, client_tls_sslmode="verify-full", client_tls_ca_file=str(certificates.ca))
    tls, files = read(**settings)
    assert files.problems == []
    assert tls.clients == TlsPlan(
        mode=TlsMode.VERIFY_FULL,
        certificate=pair.certificate.read_bytes(),
        key=pair.key.read_bytes(),
        ca=certificates.ca.read_bytes(),
        ticket_key=TICKET_KEY,
    )
    assert set(files.fingerprints) == {str(pair.certificate), str(pair.key), str(certificates.ca)}


def test_without_settings_servers_are_asked_for_tls_and_clients_get_none() -> None:
    tls, files = read()
    assert (tls.clients, tls.servers) == (TlsPlan(), TlsPlan(mode=TlsMode.PREFER))
    assert files.fingerprints == {}


def test_what_is_switched_off_is_not_read() -> None:
    tls, files = read(client_tls_cert_file="/nowhere", server_tls_sslmode="disable", server_tls_ca_file="/nowhere")
    assert (tls.clients, tls.servers, files.problems) == (TlsPlan(), TlsPlan(), [])


@pytest.mark.parametrize(
    "written, versions",
    [
        ("secure", ("tlsv1.2", "tlsv1.3")),
        ("default", ("tlsv1.2", "tlsv1.3")),
        ("all", ("tlsv1.0", "tlsv1.1", "tlsv1.2", "tlsv1.3")),
        ("legacy", ("tlsv1.0", "tlsv1.1", "tlsv1.2", "tlsv1.3")),
        ("tlsv1.3", ("tlsv1.3",)),
        ("TLSv1.3 , tlsv1.2", ("tlsv1.2", "tlsv1.3")),
        ("tlsv1.2:tlsv1.3", ("tlsv1.2", "tlsv1.3")),
        ("all,!tlsv1.0,!tlsv1.1", ("tlsv1.2", "tlsv1.3")),
        ("!tlsv1.3", ("tlsv1.0", "tlsv1.1", "tlsv1.2")),
    ],
)
def test_versions_are_written_as_in_pgbouncer(written: str, versions: tuple[str, ...]) -> None:
    assert protocol_versions(written) == versions
    assert read(server_tls_protocols=written)[0].servers.protocols == versions
    assert GlobalSettings(server_tls_protocols=written).server_tls_protocols == written


@pytest.mark.parametrize("written", ["", "sslv3", "tlsv1.4", "tlsv1.2,", "tlsv1.2,!tlsv1.2"])
def test_what_is_no_version(written: str) -> None:
    with pytest.raises(ValueError, match="version of TLS"):
        protocol_versions(written)


@pytest.mark.parametrize(
    "settings, field, value",
    [
        ({"client_tls_ciphers": "fast"}, "ciphers", ""),
        ({"client_tls_ciphers": "all"}, "ciphers", "ALL"),
        ({"client_tls_ciphers": "ECDHE-ECDSA-AES128-GCM-SHA256"}, "ciphers", "ECDHE-ECDSA-AES128-GCM-SHA256"),
        ({"client_tls_dheparams": "none"}, "ciphers", "DEFAULT:!kDHE"),
        ({"client_tls_ecdhcurve": "auto"}, "groups", ""),
        ({"client_tls_ecdhcurve": "none"}, "groups", "ffdhe2048:ffdhe3072"),
        ({"client_tls_ecdhcurve": "X25519:prime256v1"}, "groups", "X25519:prime256v1"),
        ({"client_tls13_ciphers": "TLS_AES_128_GCM_SHA256"}, "suites", "TLS_AES_128_GCM_SHA256"),
    ],
)
def test_openssl_takes_what_pgbouncers_words_come_to(
    certificates: Certificates, settings: dict[str, str], field: str, value: str
) -> None:
    tls, files = read(**towards_clients(certificates.server, **settings))
    assert files.problems == []
    assert getattr(tls.clients, field) == value


@pytest.mark.parametrize(
    "side, settings, where, says",
    [
        ("client", {"client_tls_cert_file": "/nowhere"}, "/nowhere", "cannot be read: No such file"),
        ("client", {"client_tls_cert_file": "/dev/null"}, "/dev/null", "is empty"),
        ("client", {"client_tls_cert_file": "KEY"}, "KEY", "no certificate"),
        ("client", {"client_tls_key_file": "CERTIFICATE"}, "CERTIFICATE", "no usable private key"),
        ("client", {"client_tls_key_file": "OTHER_KEY"}, "OTHER_KEY", "does not belong to the certificate"),
        ("client", {"client_tls_ca_file": "KEY"}, "KEY", "no certificate"),
        ("client", {"client_tls_ciphers": "NONSENSE"}, "client_tls_ciphers", "NONSENSE"),
        ("client", {"client_tls13_ciphers": "NONSENSE"}, "client_tls13_ciphers", "NONSENSE"),
        ("client", {"client_tls_ecdhcurve": "nonsense"}, "client_tls_ecdhcurve", "nonsense"),
        ("server", {"server_tls_ca_file": "KEY"}, "KEY", "no certificate"),
        ("server", {"server_tls_cert_file": "KEY", "server_tls_key_file": "KEY"}, "KEY", "no certificate"),
        ("server", {"server_tls_ciphers": "NONSENSE"}, "server_tls_ciphers", "NONSENSE"),
    ],
)
def test_a_fault_names_the_file_or_setting(
    certificates: Certificates, side: str, settings: dict[str, str], where: str, says: str
) -> None:
    pair = certificates.server
    named = {
        "KEY": str(pair.key), "CERTIFICATE": str(pair.certificate), "OTHER_KEY": str(certificates.server_rsa.key)
    }  # fmt: skip
    given = {name: named.get(value, value) for name, value in settings.items()}
    _, files = read(**towards_clients(pair, **given) if side == "client" else given)
    (problem,) = files.problems
    assert problem.where == named.get(where, where)
    assert says in problem.message
    assert problem.fatal


def test_each_fault_is_named_whatever_else_is_wrong(certificates: Certificates) -> None:
    _, files = read(
        **towards_clients(
            certificates.server,
            client_tls_key_file=str(certificates.server_rsa.key),
            client_tls_ca_file="/nowhere",
            client_tls_ciphers="NOPE",
            client_tls13_ciphers="NEITHER",
            client_tls_ecdhcurve="nor",
            server_tls_ca_file=str(certificates.server.key),
        )
    )
    assert [problem.where for problem in files.problems] == [
        "/nowhere", str(certificates.server_rsa.key), "client_tls_ciphers", "client_tls13_ciphers",
        "client_tls_ecdhcurve", str(certificates.server.key),
    ]  # fmt: skip


# certificates that end


def test_certificates_that_end_soon_are_named(certificates: Certificates) -> None:
    for pair, says in ((certificates.server_expires_soon, "ends in"), (certificates.server_expired, "has ended")):
        tls, _ = read(**towards_clients(pair))
        (text,) = [text for text in ending(tls.certificates) if str(pair.certificate) in text]
        assert says in text
        assert "CN=" in text
    tls, _ = read(**towards_clients(certificates.server))
    assert list(ending(tls.certificates)) == []


def test_thirty_days_are_soon_and_more_are_not() -> None:
    certificate = Certificate("/tls.crt", "CN=db", not_after_s=40 * 86_400)
    assert list(ending([certificate], now=lambda: 9.9 * 86_400)) == []
    (text,) = ending([certificate, certificate], now=lambda: 10 * 86_400)
    assert text == (
        "the certificate of CN=db in /tls.crt ends in 30 days (1970-02-10 00:00 UTC): replace it"
    )  # fmt: skip


def test_a_bundle_of_all_authorities_is_no_reason_to_worry(certificates: Certificates, tmp_path: Path) -> None:
    bundle = tmp_path / "bundle.pem"
    bundle.write_bytes(certificates.server_expired.certificate.read_bytes() * 11)
    tls, files = read(server_tls_sslmode="verify-ca", server_tls_ca_file=str(bundle))
    assert (files.problems, list(ending(tls.certificates))) == ([], [])


def test_an_error_that_other_work_left_in_openssl_is_not_the_files(certificates: Certificates) -> None:
    scram = pytest.importorskip("howdah_probe.scram", reason="the release build has no probes")
    for words in (towards_clients(certificates.server), {"server_tls_ca_file": str(certificates.ca)}):
        scram.derive(b"secret", b"salt", 0)  # no iterations: OpenSSL refuses, and remembers that for this thread
        assert read(**words)[1].problems == []
