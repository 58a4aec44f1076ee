"""PgBouncer 1.24: built from Debian 13's source package below bench/.build, never installed.

Debian 12 ships 1.18.  The source comes through apt with a sources list, state and cache of our own; the mirror is
the one this machine's apt is configured with, so nothing of the system's configuration is touched or bypassed.
"""

import os
import re
import shutil
import subprocess
from pathlib import Path

from bench.credentials import Certificate, userlist
from bench.needs import Needs
from bench.places import BUILD, NotHere

HOME = BUILD / "pgbouncer"
PROGRAM = HOME / "pgbouncer"
OLDEST = (1, 24)
#: What building it needs besides a compiler.
PACKAGES = {
    "gcc": "/usr/bin/gcc",
    "make": "/usr/bin/make",
    "pkg-config": "/usr/bin/pkg-config",
    "dpkg-dev": "/usr/bin/dpkg-source",
    "libevent-dev": "/usr/include/event2/event.h",
    "libssl-dev": "/usr/include/openssl/ssl.h",
    "libc-ares-dev": "/usr/include/ares.h",
}
KEYRINGS = ("debian-archive-trixie-stable.gpg", "debian-archive-keyring.gpg")


def version(text: str) -> tuple[int, ...]:
    """(1, 24, 1) from "PgBouncer 1.24.1 ..."."""
    match = re.search(r"PgBouncer (\d+)\.(\d+)\.(\d+)", text)
    return tuple(int(part) for part in match.groups()) if match else ()


def installed() -> Path | None:
    """The build below bench/.build, or a new enough one of the system's."""
    for candidate in (str(PROGRAM), shutil.which("pgbouncer"), "/usr/sbin/pgbouncer"):
        if candidate and Path(candidate).exists() and version(describe(Path(candidate))) >= OLDEST:
            return Path(candidate)
    return None


def describe(program: Path) -> str:
    """What it calls itself."""
    return subprocess.run([program, "--version"], capture_output=True, text=True, check=False).stdout.strip()


def program() -> Path:
    """A PgBouncer that is new enough, built now if there is none."""
    found = installed()
    if found is not None:
        return found
    HOME.mkdir(parents=True, exist_ok=True)
    _packages()
    source = _fetch()
    _build(source)
    return PROGRAM


def _packages() -> None:
    missing = [name for name, path in PACKAGES.items() if not Path(path).exists()]
    if not missing:
        return
    install = ["apt-get", "install", "-y", "--no-install-recommends", *missing]
    message = f"building PgBouncer needs packages that are not installed; run as root: {' '.join(install)}"
    if os.geteuid() != 0:
        if shutil.which("sudo") is None:
            raise NotHere(message)
        install = ["sudo", "-n", *install]
    if subprocess.run(install, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False).returncode:
        raise NotHere(message)


def _mirror() -> str:
    """The first archive this machine's apt uses; a security archive has no full set of sources."""
    listed = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages"],
        capture_output=True, text=True, check=True,
    ).stdout.split()  # fmt: skip
    for uri in listed:
        if uri.startswith("http") and "security" not in uri:
            return uri
    raise NotHere("apt on this machine has no archive over HTTP configured: put a PgBouncer >= 1.24 in the PATH")


def _fetch() -> Path:
    """The unpacked source."""
    for folder in ("lists/partial", "cache/archives/partial", "sources"):
        (HOME / folder).mkdir(parents=True, exist_ok=True)
    keyring = next(
        (f"/usr/share/keyrings/{name}" for name in KEYRINGS if Path(f"/usr/share/keyrings/{name}").exists()), ""
    )
    signed = f"[signed-by={keyring}] " if keyring else ""
    (HOME / "sources.list").write_text(f"deb-src {signed}{_mirror()} trixie main\n")
    options = {
        "Dir::Etc::sourcelist": HOME / "sources.list",
        "Dir::Etc::sourceparts": "-",
        "Dir::State::lists": HOME / "lists",
        "Dir::Cache": HOME / "cache",
        "APT::Sandbox::User": "",
        "Acquire::Languages": "none",
    }
    apt = ["apt-get", "-q", *(part for name, value in options.items() for part in ("-o", f"{name}={value}"))]
    _run([*apt, "update"], HOME)
    _run([*apt, "source", "--download-only", "pgbouncer"], HOME / "sources")
    (description,) = (HOME / "sources").glob("pgbouncer_*.dsc")
    shutil.rmtree(HOME / "source", ignore_errors=True)
    _run(["dpkg-source", "-x", str(description), str(HOME / "source")], HOME)
    return HOME / "source"


def _build(source: Path) -> None:
    _run(["./configure", "--with-cares", "--without-pam", "--without-systemd"], source, CFLAGS="-O2 -g")
    _run(["make", f"-j{os.cpu_count() or 1}"], source)
    shutil.copy2(source / "pgbouncer", PROGRAM)


def _run(command: list[str], where: Path, **environment: str) -> None:
    with (HOME / "build.log").open("ab") as log:
        done = subprocess.run(
            command,
            cwd=where,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={**os.environ, **environment},
            check=False,
        )
    if done.returncode:
        raise NotHere(f"building PgBouncer: {' '.join(command)} failed; see {HOME / 'build.log'}")


CONFIG = """\
[databases]
bench = host=127.0.0.1 port={server_port} dbname=bench
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
listen_backlog = 4096
unix_socket_dir =
auth_type = {auth_type}
auth_file = {users}
pool_mode = transaction
default_pool_size = {pool_size}
max_client_conn = 15000
max_prepared_statements = 200
server_tls_sslmode = {server_tls}
ignore_startup_parameters = extra_float_digits
log_connections = 0
log_disconnections = 0
log_stats = 0
"""
CLIENT_TLS = """\
client_tls_sslmode = require
client_tls_cert_file = {certificate}
client_tls_key_file = {key}
client_tls_ca_file = {certificate}
client_tls_protocols = tlsv1.3
"""


def write_config(
    home: Path, port: int, server_port: int, pool_size: int, needs: Needs, certificate: Certificate | None
) -> Path:
    """Its configuration file, and the user list, which even trust needs."""
    text = CONFIG.format(
        port=port, server_port=server_port, pool_size=pool_size,
        users=userlist(home, scram=needs.scram), auth_type="scram-sha-256" if needs.scram else "trust",
        server_tls="require" if needs.server_tls else "disable",
    )  # fmt: skip
    if certificate is not None:
        text += CLIENT_TLS.format(certificate=certificate.certificate, key=certificate.key)
    path = home / "pgbouncer.ini"
    path.write_text(text)
    return path
