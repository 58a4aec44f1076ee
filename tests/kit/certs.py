"""Certificates for a run of the tests: authorities, servers, clients, and all that can be wrong with them.

Each is made the first time a test asks for it, in a folder that goes with the run.  Nothing here is worth stealing.
"""

import datetime as dt
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

Algorithm = Literal["ecdsa", "rsa"]
PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey

#: The name that the servers' certificates are made out to; no resolver knows it.
HOST = "db.example.com"


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate, followed by the chain it needs, and its key, both as PEM files."""

    certificate: Path
    key: Path

    @property
    def der(self) -> bytes:
        """The first certificate as it goes over the wire."""
        first = x509.load_pem_x509_certificate(self.certificate.read_bytes())
        return first.public_bytes(serialization.Encoding.DER)


@dataclass(frozen=True, slots=True)
class Authority:
    """Somebody who signs.  `file` is what others trust; `chain` goes along with what it signs."""

    certificate: x509.Certificate
    key: PrivateKey
    file: Path
    chain: tuple[x509.Certificate, ...] = ()


class Certificates:
    """All of them, by what they are.  `folder` exists and is the run's own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    # who signs

    @cached_property
    def authority(self) -> Authority:
        """The one that everybody trusts."""
        return self._authority("ca", "Howdah test CA")

    @cached_property
    def wrong_authority(self) -> Authority:
        """One of the same name that nobody trusts."""
        return self._authority("wrong-ca", "Howdah test CA")

    @cached_property
    def intermediate(self) -> Authority:
        """Signed by `authority`; comes along with what it signs."""
        return self._authority("intermediate-ca", "Howdah intermediate CA", self.authority)

    @property
    def ca(self) -> Path:
        return self.authority.file

    @property
    def wrong_ca(self) -> Path:
        return self.wrong_authority.file

    # servers

    @cached_property
    def server(self) -> Pair:
        """ECDSA P-256, for db.example.com, localhost, 127.0.0.1 and ::1."""
        return self.make_server("server")

    @cached_property
    def server_rsa(self) -> Pair:
        """The same with RSA-2048."""
        return self.make_server("server-rsa", algorithm="rsa")

    @cached_property
    def server_renewed(self) -> Pair:
        """As `server`, with another key and serial number: what is there after a renewal."""
        return self.make_server("server-renewed")

    @cached_property
    def server_expired(self) -> Pair:
        return self.make_server("server-expired", days=(-30, -1))

    @cached_property
    def server_of_tomorrow(self) -> Pair:
        """Not valid yet."""
        return self.make_server("server-of-tomorrow", days=(1, 30))

    @cached_property
    def server_expires_soon(self) -> Pair:
        return self.make_server("server-expires-soon", days=(-30, 7))

    @cached_property
    def server_of_wrong_authority(self) -> Pair:
        return self.make_server("server-of-wrong-ca", signer=self.wrong_authority)

    @cached_property
    def server_by_name_alone(self) -> Pair:
        """Without any subjectAltName: only the CN is db.example.com."""
        return self.make("server-cn", HOST)

    @cached_property
    def server_of_another_name(self) -> Pair:
        return self.make("server-other", "other.example.com", dns=["other.example.com"])

    @cached_property
    def server_wildcard(self) -> Pair:
        return self.make("server-wildcard", "*.example.com", dns=["*.example.com"])

    @cached_property
    def server_of_address(self) -> Pair:
        """For 127.0.0.1 and no DNS name."""
        return self.make("server-ip", "elsewhere", addresses=["127.0.0.1"])

    @cached_property
    def server_with_nul(self) -> Pair:
        r"""For "localhost\0.evil.com", in CN and subjectAltName; C's string functions see "localhost"."""
        return self.make("server-nul", "localhost\0.evil.com", dns=["localhost\0.evil.com"])

    @cached_property
    def server_with_nul_in_cn(self) -> Pair:
        """The same without a subjectAltName."""
        return self.make("server-nul-cn", "localhost\0.evil.com")

    # clients

    @cached_property
    def alice(self) -> Pair:
        return self.make("alice", "alice")

    @cached_property
    def bob(self) -> Pair:
        return self.make("bob", "bob")

    @cached_property
    def alice_expired(self) -> Pair:
        return self.make("alice-expired", "alice", days=(-30, -1))

    @cached_property
    def alice_of_wrong_authority(self) -> Pair:
        return self.make("alice-of-wrong-ca", "alice", signer=self.wrong_authority)

    @cached_property
    def alice_by_intermediate(self) -> Pair:
        """Signed by the intermediate authority, whose certificate comes along."""
        return self.make("alice-by-intermediate", "alice", signer=self.intermediate)

    @cached_property
    def alice_with_nul(self) -> Pair:
        r"""For "alice\0.evil"."""
        return self.make("alice-nul", "alice\0.evil")

    @cached_property
    def nameless_client(self) -> Pair:
        """Without a CN."""
        return self.make("nameless", None)

    @cached_property
    def department(self) -> Pair:
        """CN "Alice Liddell" in department "wonder": for ident maps and distinguished names."""
        return self.make("department", "Alice Liddell", unit="wonder")

    # making more

    def make_server(
        self,
        name: str,
        *,
        signer: Authority | None = None,
        days: tuple[int, int] = (-1, 365),
        algorithm: Algorithm = "ecdsa",
    ) -> Pair:
        """A server's certificate for all the names the tests' servers have."""
        names, addresses = [HOST, "localhost"], ["127.0.0.1", "::1"]
        return self.make(name, HOST, dns=names, addresses=addresses, signer=signer, days=days, algorithm=algorithm)

    def make(
        self,
        name: str,
        common_name: str | None,
        *,
        unit: str = "",
        dns: Sequence[str] = (),
        addresses: Sequence[str] = (),
        signer: Authority | None = None,
        days: tuple[int, int] = (-1, 365),
        algorithm: Algorithm = "ecdsa",
    ) -> Pair:
        """A certificate in files of this name; `days` are the first and last it is valid, counted from now."""
        signer = signer or self.authority
        key = _key(algorithm)
        builder = _builder(_name(common_name, unit), key, signer.certificate.subject, days)
        names: list[x509.GeneralName] = [x509.DNSName(one) for one in dns]
        names += [x509.IPAddress(ipaddress.ip_address(one)) for one in addresses]
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        signed = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True).sign(
            signer.key, hashes.SHA256()
        )
        pair = Pair(self.folder / f"{name}.crt", self.folder / f"{name}.key")
        pair.certificate.write_bytes(b"".join(_pem(one) for one in (signed, *signer.chain)))
        _write_key(pair.key, key)
        return pair

    def _authority(self, name: str, common_name: str, signer: Authority | None = None) -> Authority:
        key = _key("ecdsa")
        subject = _name(common_name, "")
        builder = _builder(subject, key, signer.certificate.subject if signer else subject, (-2, 730))
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        signed = builder.sign(signer.key if signer else key, hashes.SHA256())
        file = self.folder / f"{name}.crt"
        file.write_bytes(_pem(signed))
        return Authority(signed, key, file, (signed,) if signer else ())


def _key(algorithm: Algorithm) -> PrivateKey:
    if algorithm == "rsa":
        return rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return ec.generate_private_key(ec.SECP256R1())


def _name(common_name: str | None, unit: str) -> x509.Name:
    parts = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Howdah tests")]
    if unit:
        parts.append(x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, unit))
    if common_name is not None:
        parts.append(x509.NameAttribute(NameOID.COMMON_NAME, common_name))
    return x509.Name(parts)


def _builder(subject: x509.Name, key: PrivateKey, issuer: x509.Name, days: tuple[int, int]) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    first, last = (now + dt.timedelta(days=day) for day in days)
    builder = x509.CertificateBuilder(issuer, subject, key.public_key(), x509.random_serial_number())
    return builder.not_valid_before(first).not_valid_after(last)


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _write_key(file: Path, key: PrivateKey) -> None:
    file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )  # fmt: skip
    file.chmod(0o600)
