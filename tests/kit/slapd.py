"""A real OpenLDAP server with a few people in it, as child process of whoever runs the tests."""

import base64
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
from pathlib import Path
from typing import Self

from tests.kit.certs import Certificates, Pair
from tests.kit.deadline import wait_until
from tests.kit.ports import take_port

PROGRAM = Path("/usr/sbin/slapd")  # Debian's package slapd; not on everybody's PATH
SCHEMAS = Path("/etc/ldap/schema")
WHY_NOT = f"{PROGRAM} is not installed (Debian's package slapd)"

BASE = "dc=example,dc=com"
PEOPLE = f"ou=people,{BASE}"
#: Who may search; nobody may without a name.
READER, READER_PASSWORD = f"cn=reader,{BASE}", "reader's secret"
#: Users by uid; "dup" is there twice, in two departments, and "o+k" has a name that must be escaped.
PASSWORDS = {"alice": "wonderland", "bob": "p ä ss", "o+k,=": "plus"}

_CONFIGURATION = """
include {schemas}/core.schema
include {schemas}/cosine.schema
include {schemas}/inetorgperson.schema
modulepath /usr/lib/ldap
moduleload back_mdb
pidfile {folder}/pid
argsfile {folder}/args
TLSCACertificateFile {ca}
TLSCertificateFile {certificate}
TLSCertificateKeyFile {key}
# The careless setting that lets a bind without a password "succeed" as nobody.
allow bind_anon_cred bind_anon_dn
database mdb
suffix {base}
directory {folder}/data
maxsize 10485760
rootdn cn=admin,{base}
access to attrs=userPassword by anonymous auth by * none
access to * by dn.exact="{reader}" read by anonymous auth by * none
"""


def _entry(name: str, *lines: str) -> str:
    return "\n".join((f"dn: {name}", *lines)) + "\n\n"


def _person(uid: str, password: str, unit: str = "people") -> str:
    escaped = re.sub(r"([,+=])", r"\\\1", uid)
    name = f"uid={escaped},ou={unit},{BASE}"
    coded = base64.b64encode(password.encode()).decode()
    return _entry(name, "objectClass: inetOrgPerson", f"uid: {uid}", "cn: P", "sn: P", f"userPassword:: {coded}")


_PEOPLE = "".join((
    _entry(BASE, "objectClass: dcObject", "objectClass: organization", "o: Example", "dc: example"),
    _entry(READER, "objectClass: organizationalRole", "objectClass: simpleSecurityObject", "cn: reader",
           f"userPassword: {READER_PASSWORD}"),
    *(_entry(f"ou={unit},{BASE}", "objectClass: organizationalUnit", f"ou: {unit}") for unit in ("people", "guests")),
    *(_person(uid, password) for uid, password in PASSWORDS.items()),
    _person("dup", "one"),
    _person("dup", "one", "guests"),
))  # fmt: skip


class Slapd:
    """One server; `start` it first.  Plain (with StartTLS) on `port`, TLS from the start on `tls_port`."""

    def __init__(self, certificates: Certificates, pair: Pair) -> None:
        # Not "localhost": under that name libldap wants a certificate of the machine's own name.
        self.host = "127.0.0.1"
        self.port, self.tls_port = take_port(), take_port()
        self.ca = certificates.ca
        self.folder = Path(tempfile.mkdtemp(prefix="howdah-slapd-"))
        (self.folder / "data").mkdir()
        # A copy: where AppArmor guards /usr/sbin/slapd, that may not read configurations elsewhere.
        self._program = shutil.copy(PROGRAM, self.folder / "slapd")
        self._write_configuration(pair)
        self._process: subprocess.Popen[bytes] | None = None

    def _write_configuration(self, pair: Pair) -> None:
        text = _CONFIGURATION.format(
            schemas=SCHEMAS, folder=self.folder, base=BASE, reader=READER, ca=self.ca, certificate=pair.certificate,
            key=pair.key,
        )  # fmt: skip
        (self.folder / "slapd.conf").write_text(text)
        (self.folder / "people.ldif").write_text(_PEOPLE)
        self._run("-T", "add", "-f", "slapd.conf", "-q", "-l", "people.ldif")

    def start(self) -> Self:
        urls = f"ldap://{self.host}:{self.port} ldaps://{self.host}:{self.tls_port}"
        with (self.folder / "log").open("ab") as log:
            # With -d it stays in the foreground; 0 is for nothing to tell.
            self._process = subprocess.Popen(
                [self._program, "-d", "0", "-f", "slapd.conf", "-h", urls], cwd=self.folder, stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        wait_until(self._answers, f"slapd to answer; its log: {self.folder / 'log'}")
        return self

    def stop(self) -> None:
        if self._process is not None:
            self.thaw()
            self._process.terminate()
            self._process.wait(20)
            self._process = None

    def ensure_running(self) -> None:
        if self._process is None:
            self.start()
        self.thaw()

    def freeze(self) -> None:
        """From now on it takes connections and answers nothing."""
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def remove(self) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def pid(self) -> int:
        assert self._process is not None, "slapd is not running"
        return self._process.pid

    def options(self, **more: str) -> dict[str, str]:
        """Options of an access rule for this server."""
        return {"ldapserver": self.host, "ldapport": str(self.port), **more}

    def search_options(self, **more: str) -> dict[str, str]:
        """For search and bind."""
        reader = {"ldapbinddn": READER, "ldapbindpasswd": READER_PASSWORD}
        return self.options(ldapbasedn=BASE, **reader | more)

    def _answers(self) -> bool:
        assert self._process is not None and self._process.poll() is None, (self.folder / "log").read_text()
        try:
            socket.create_connection((self.host, self.tls_port), 5).close()
        except OSError:
            return False
        return True

    def _run(self, *arguments: str) -> None:
        made = subprocess.run(
            [self._program, "-f", "slapd.conf", *arguments],
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
        )
        assert made.returncode == 0, made.stderr
