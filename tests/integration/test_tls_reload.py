"""Certificates change while clients stay: on SIGHUP, when files change, and never for the worse."""

import os
import shutil
import ssl
from pathlib import Path

import pytest

from tests.kit.certs import Certificates, Pair
from tests.kit.client import Gone
from tests.kit.deadline import wait_until
from tests.kit.fix_logins import PASSWORDS, GuardedPooler
from tests.kit.tls_client import TlsClient, client_context


@pytest.fixture
def files(guarded: GuardedPooler, certificates: Certificates) -> Pair:
    """The pooler's own copy of certificate and key, which a test may replace; it is running."""
    pair = Pair(guarded.folder / "tls.crt", guarded.folder / "tls.key")
    _install(pair, certificates.server)
    guarded.offer_tls("require", pair)
    guarded.run()
    return pair


def _install(files: Pair, new: Pair) -> None:
    """As certificate renewers do it: a new file put in the old one's place, key first."""
    for target, source in ((files.key, new.key), (files.certificate, new.certificate)):
        fresh = target.with_suffix(".new")
        shutil.copy(source, fresh)
        fresh.rename(target)


def _shown(pooler: GuardedPooler) -> bytes | None:
    """The certificate that a new client is shown."""
    with TlsClient(pooler.address) as client:
        client.start_tls()
        return client.server_certificate


def test_a_new_certificate_on_reload(guarded: GuardedPooler, certificates: Certificates, files: Pair) -> None:
    with guarded.tls_client() as client:
        client.begin()
        pid = client.query("SELECT pg_backend_pid()").value
        assert _shown(guarded) == certificates.server.der
        _install(files, certificates.server_renewed)
        guarded.reload()
        assert _shown(guarded) == certificates.server_renewed.der
        assert client.query("SELECT pg_backend_pid()").value == pid
        client.query("COMMIT")


def test_from_ecdsa_to_rsa(guarded: GuardedPooler, certificates: Certificates, files: Pair) -> None:
    with guarded.tls_client() as client:
        _install(files, certificates.server_rsa)
        guarded.reload()
        assert _shown(guarded) == certificates.server_rsa.der
        assert client.query("SELECT 1").value == "1"
        with guarded.tls_client() as later:  # SCRAM is bound to the new one
            assert later.query("SELECT 1").value == "1"


def test_a_new_certificate_when_the_files_change(
    guarded: GuardedPooler, certificates: Certificates, files: Pair
) -> None:
    _install(files, certificates.server_renewed)
    wait_until(lambda: _shown(guarded) == certificates.server_renewed.der, "the new certificate", within=30)


def test_tickets_outlive_a_reload_but_not_a_new_certificate(
    guarded: GuardedPooler, certificates: Certificates, files: Pair
) -> None:
    context = client_context()
    with TlsClient(guarded.address, context) as client:
        client.start_tls()
        client.log_in(user="alice", database="app", password=PASSWORDS["alice"])
        ticket = client.ticket
    guarded.reload()
    with TlsClient(guarded.address, context, session=ticket) as client:
        client.start_tls()
        assert client.tls.session_reused
    # SCRAM binds to the certificate: a client that resumes would bind to the old one.
    _install(files, certificates.server_renewed)
    guarded.reload()
    with TlsClient(guarded.address, context, session=ticket) as client:
        client.start_tls()
        assert not client.tls.session_reused
        client.log_in(user="alice", database="app", password=PASSWORDS["alice"])


@pytest.mark.parametrize("harm", ["empty", "text", "half", "key of another", "gone", "unreadable"])
def test_a_bad_new_file_is_refused_and_the_old_one_stays(
    guarded: GuardedPooler, certificates: Certificates, files: Pair, harm: str
) -> None:
    if harm == "unreadable" and os.geteuid() == 0:
        pytest.skip("root may read everything")
    with guarded.tls_client() as client:
        guarded.forget_log()
        _harm(files, certificates, harm)
        guarded.signal_reload()
        wait_until(lambda: guarded.log_contains(files.certificate.name + "|" + files.key.name), "the refusal")
        assert any(event["level"] in {"error", "warning"} for event in guarded.events)
        assert _shown(guarded) == certificates.server.der
        assert client.query("SELECT 1").value == "1"
        guarded.tls_client().close()
        _install(files, certificates.server_renewed)
        guarded.reload()
        assert _shown(guarded) == certificates.server_renewed.der


def _harm(files: Pair, certificates: Certificates, harm: str) -> None:
    whole = files.certificate.read_bytes()
    match harm:
        case "empty":
            files.certificate.write_bytes(b"")
        case "text":
            files.certificate.write_text("hello\n")
        case "half":
            files.certificate.write_bytes(whole[: len(whole) // 2])
        case "key of another":
            shutil.copy(certificates.server_renewed.key, files.key)
        case "gone":
            files.certificate.unlink()
        case "unreadable":
            files.key.chmod(0)


def test_a_renewal_seen_half_way_is_not_taken(guarded: GuardedPooler, certificates: Certificates, files: Pair) -> None:
    """Between the new key and the new certificate the two do not fit: the old pair stays in use until they do."""
    shutil.copy(certificates.server_renewed.key, files.key)
    guarded.signal_reload()
    wait_until(lambda: guarded.log_contains("tls.(key|crt)"), "the refusal")
    assert _shown(guarded) == certificates.server.der
    shutil.copy(certificates.server_renewed.certificate, files.certificate)
    wait_until(lambda: _shown(guarded) == certificates.server_renewed.der, "the new pair", within=30)


def test_a_new_ca_decides_who_comes_in(guarded: GuardedPooler, certificates: Certificates) -> None:
    ca = guarded.folder / "ca.crt"
    shutil.copy(certificates.ca, ca)
    guarded.offer_tls("verify-full", client_tls_ca_file=str(ca))
    guarded.run_with(auth_type="cert")
    assert _is_let_in(guarded, certificates.alice)
    assert not _is_let_in(guarded, certificates.alice_of_wrong_authority)
    with guarded.tls_client(pair=certificates.alice) as client:
        shutil.copy(certificates.wrong_ca, ca)
        guarded.reload()
        assert not _is_let_in(guarded, certificates.alice)
        assert _is_let_in(guarded, certificates.alice_of_wrong_authority)
        assert client.query("SELECT 1").value == "1"


def _is_let_in(pooler: GuardedPooler, pair: Pair) -> bool:
    try:
        pooler.tls_client(pair=pair).close()
    except (ssl.SSLError, Gone):
        return False
    return True


def test_a_new_ca_towards_servers(guarded: GuardedPooler, certificates: Certificates) -> None:
    ca = guarded.folder / "server-ca.crt"
    shutil.copy(certificates.wrong_ca, ca)
    guarded.run_with(
        server_tls_sslmode="verify-full", server_tls_ca_file=str(ca), server_login_retry=0.1, query_wait_timeout=1
    )
    assert not _is_served(guarded)
    shutil.copy(certificates.ca, ca)
    guarded.reload()
    wait_until(lambda: _is_served(guarded), "the server to be trusted")


def _is_served(pooler: GuardedPooler) -> bool:
    with pooler.stranger() as client:
        try:
            client.log_in(user="alice", database="app", password=PASSWORDS["alice"])
            client.query("SELECT 1")
        except Exception:
            return False
    return True


def test_switching_tls_on_and_off(guarded: GuardedPooler) -> None:
    guarded.offer_tls("disable")
    guarded.run()
    with guarded.client() as plain:
        guarded.settings["client_tls_sslmode"] = "require"
        guarded.reload()
        with guarded.tls_client() as encrypted:
            assert _first_answer(guarded) == b"S"
            guarded.settings["client_tls_sslmode"] = "disable"
            guarded.reload()
            assert _first_answer(guarded) == b"N"
            assert encrypted.query("SELECT 1").value == "1"
        assert plain.query("SELECT 1").value == "1"


def _first_answer(pooler: GuardedPooler) -> bytes:
    with TlsClient(pooler.address) as client:
        return client.ask_for_tls()


def test_a_bad_cipher_list_is_refused(guarded: GuardedPooler, files: Pair) -> None:
    guarded.settings["client_tls_ciphers"] = "NO-SUCH-CIPHER"
    guarded.forget_log()
    guarded.signal_reload()
    wait_until(lambda: guarded.log_contains("client_tls_ciphers"), "the refusal")
    with guarded.tls_client() as client:
        assert client.query("SELECT 1").value == "1"


def test_a_certificate_that_expires_soon_is_warned_of(guarded: GuardedPooler, certificates: Certificates) -> None:
    guarded.offer_tls("require", certificates.server_expires_soon)
    guarded.run()
    wait_until(lambda: guarded.log_contains("expire"), "the warning")
    (line,) = [event for event in guarded.events if "expire" in str(event)]
    assert line["level"] == "warning"
    assert str(certificates.server_expires_soon.certificate) in str(line)


def test_an_expired_certificate_is_warned_of_and_used(guarded: GuardedPooler, certificates: Certificates) -> None:
    """Clients that check will refuse it; those that do not must not lose their database over it."""
    guarded.offer_tls("require", certificates.server_expired)
    guarded.run()
    wait_until(lambda: guarded.log_contains("expired"), "the warning")
    with guarded.tls_client() as client:
        assert client.query("SELECT 1").value == "1"


def test_no_warning_for_a_certificate_that_lasts(guarded: GuardedPooler, files: Pair) -> None:
    assert not guarded.log_contains("expire")


def test_descriptors_and_memory_after_many_reloads(guarded: GuardedPooler, certificates: Certificates) -> None:
    files = Pair(guarded.folder / "tls.crt", guarded.folder / "tls.key")
    pairs = [certificates.server, certificates.server_renewed]
    _install(files, pairs[0])
    guarded.offer_tls("require", files)
    guarded.run()
    _renew(guarded, files, pairs, 5)
    open_files, memory = guarded.open_files, guarded.resident_bytes
    _renew(guarded, files, pairs, 20)
    assert guarded.open_files <= open_files + 2
    assert guarded.resident_bytes < memory + 8 * 2**20


def _renew(pooler: GuardedPooler, files: Pair, pairs: list[Pair], times: int) -> None:
    for number in range(times):
        _install(files, pairs[number % 2])
        pooler.reload()
        assert _shown(pooler) == pairs[number % 2].der
        Path(files.certificate).touch()


def test_a_ticket_is_worth_nothing_when_certificates_are_asked_for(guarded: GuardedPooler, files: Pair) -> None:
    context = client_context()
    with TlsClient(guarded.address, context) as client:
        _log_in(client)
        ticket = client.ticket
    guarded.offer_tls("verify-full", files)
    guarded.reload()
    with TlsClient(guarded.address, context, session=ticket) as client:
        with pytest.raises((Gone, OSError)):
            _log_in(client)


def _log_in(client: TlsClient) -> None:
    client.start_tls()
    client.log_in(user="alice", database="app", password=PASSWORDS["alice"])
