"""Makes a fresh checkout ready to build: system packages, `.venv`, pinned dependencies.  ``make`` calls it; so may you.

Runs on the standard library of any Python from 3.11.  Does again only what changed since the last time.
With ``--with clang`` it also sees to what `make fuzz` needs; with ``--with tests``, and nothing else, to the servers
without which some tests are skipped.
"""

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
LOCK = ROOT / "requirements.lock"
OLDEST = (3, 11)


def fail(message: str) -> NoReturn:
    raise SystemExit(f"howdah set-up: {message}")


def say(message: str) -> None:
    print(f"howdah set-up: {message}", file=sys.stderr, flush=True)


# system packages


def compiles(source: str, *flags: str, compiler: str = "gcc") -> bool:
    """Can this C program be built?  Looking for files would miss the compiler's own search path."""
    if shutil.which(compiler) is None:
        return False
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder) / "try.c"
        program.write_text(source)
        command = [compiler, str(program), "-o", str(Path(folder) / "try"), *flags]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0


def has_compiler() -> bool:
    return compiles("#include <stdlib.h>\nint main(void) { return 0; }\n")


def has_openssl() -> bool:
    program = "#include <openssl/ssl.h>\nint main(void) { return SSL_CTX_new(TLS_method()) == 0; }\n"
    return compiles(program, "-lssl", "-lcrypto")


def has_ldap() -> bool:
    """For python-ldap, which comes as source only."""
    program = "#include <ldap.h>\n#include <sasl/sasl.h>\nint main(void) { return ldap_get_option(0, 0, 0) == 1; }\n"
    return compiles(program, "-lldap", "-llber")


def has_python_headers() -> bool:
    return (Path(sysconfig.get_path("include")) / "Python.h").exists()


def has_venv() -> bool:
    return importlib.util.find_spec("venv") is not None and importlib.util.find_spec("ensurepip") is not None


def has_libfuzzer() -> bool:
    source = "int LLVMFuzzerTestOneInput(const unsigned char *d, unsigned long n) { return d == 0 && n; }\n"
    return compiles(source, "-fsanitize=fuzzer,address,undefined", compiler="clang")


def has_embeddable_python() -> bool:
    folders = [sysconfig.get_config_var("LIBDIR"), sysconfig.get_config_var("LIBPL")]
    return any(list(Path(folder).glob("libpython3*")) for folder in folders if folder)


def has_postgres_with_tls() -> bool:
    """The embedded one has none.  Debian's is linked with OpenSSL, others' may not be."""
    for program in Path("/usr/lib/postgresql").glob("*/bin/postgres"):
        linked = subprocess.run(["ldd", str(program)], capture_output=True, text=True, check=False)
        if "libssl" in linked.stdout:
            return True
    return False


def has_slapd() -> bool:
    return Path("/usr/sbin/slapd").exists()  # not on everybody's PATH


def has_pgbadger() -> bool:
    return shutil.which("pgbadger") is not None


Need = tuple[Callable[[], bool], tuple[str, ...]]
#: What must be there, and the Debian packages that bring it.
BUILD_NEEDS: list[Need] = [
    (has_compiler, ("gcc", "libc6-dev")),
    (has_openssl, ("libssl-dev",)),
    (has_ldap, ("libldap-dev", "libsasl2-dev")),
    (has_python_headers, ("python3-dev",)),
    (has_venv, ("python3-venv",)),
]
FUZZ_NEEDS: list[Need] = [
    (has_libfuzzer, ("clang", "libclang-rt-dev")),
    (has_embeddable_python, ("python3-dev",)),
]
TEST_NEEDS: list[Need] = [
    (has_postgres_with_tls, ("postgresql",)),
    (has_slapd, ("slapd",)),
    (has_pgbadger, ("pgbadger",)),
]


def missing_packages(needs: list[Need]) -> list[str]:
    found = {package for is_there, packages in needs if not is_there() for package in packages}
    if "libssl-dev" in found and "gcc" in found:
        found -= {"libssl-dev"} if Path("/usr/include/openssl/ssl.h").exists() else set()
    return sorted(found)


def privilege() -> list[str] | None:
    """What to put before apt-get; None where packages may not be installed."""
    if shutil.which("apt-get") is None:
        return None
    if os.geteuid() == 0:
        return []
    if shutil.which("sudo") is None:
        return None
    asked = subprocess.run(["sudo", "-n", "true"], capture_output=True, check=False)
    return ["sudo", "-n"] if asked.returncode == 0 else None


def install_packages(packages: list[str]) -> None:
    before = privilege()
    if before is None:
        fail(
            f"these packages are missing and I may not install them: {' '.join(packages)}\n"
            f"  Install them and start again; on Debian and Ubuntu:  sudo apt-get install {' '.join(packages)}"
        )
    say(f"installing {' '.join(packages)}")
    # RUNLEVEL: a server that comes with its package is not started, at least not by System V's scripts.
    apt = [*before, "env", "DEBIAN_FRONTEND=noninteractive", "RUNLEVEL=1", "apt-get", "-qq", "-o", "Dpkg::Use-Pty=0"]
    for command in (["update"], ["install", "-y", "--no-install-recommends", *packages]):
        done = subprocess.run([*apt, *command], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            print(done.stdout, done.stderr, sep="\n", file=sys.stderr)
            fail(f"`apt-get {command[0]}` failed (see above); packages wanted: {' '.join(packages)}")


def keep_servers_from_starting() -> None:
    """Debian makes a cluster, and starts it, with the package: the tests make their own."""
    before = privilege()
    settings = Path("/etc/postgresql-common/createcluster.conf")
    if before is None or settings.exists():
        return  # somebody has decided
    script = f"mkdir -p {settings.parent} && echo create_main_cluster = false > {settings}"
    subprocess.run([*before, "sh", "-c", script], check=False)


def is_debians_python() -> bool:
    return Path(sys.base_prefix) == Path("/usr") and Path("/etc/debian_version").exists()


def see_to_packages(needs: list[Need]) -> None:
    wanted = missing_packages(needs)
    own = {"python3-dev", "python3-venv"} & set(wanted)
    if own and not is_debians_python():
        fail(f"{sys.executable} lacks its headers or venv; reinstall it with them, or use make PYTHON=/usr/bin/python3")
    if wanted:
        install_packages(wanted)
    still = missing_packages(needs)
    if still:
        fail(f"still missing after installing them: {' '.join(still)}")


# the virtual environment


def pip(*arguments: str) -> None:
    command = [str(VENV / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "--quiet", *arguments]
    environment = {**os.environ, "HOWDAH_BUILD": "none"}
    if subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode != 0:
        fail("pip failed (see above); with the network back, start again: what is done is kept")


def state(*inputs: Path) -> str:
    return "\n".join([sys.version, *(hashlib.sha256(path.read_bytes()).hexdigest() for path in inputs)])


def is_done(step: str, *inputs: Path) -> bool:
    """Was this step done with these inputs and this Python?"""
    note = VENV / f".{step}"
    return note.exists() and note.read_text() == state(*inputs)


def note_done(step: str, *inputs: Path) -> None:
    (VENV / f".{step}").write_text(state(*inputs))


def make_venv() -> None:
    if is_done("made") and (VENV / "bin" / "python").exists():
        return
    say(f"making {VENV.name} with {sys.executable} ({sys.version.split()[0]})")
    import venv  # here, not above: Debian has it in a package of its own

    venv.create(VENV, with_pip=True, clear=True, symlinks=True)
    note_done("made")


def install_dependencies() -> None:
    if not is_done("dependencies", LOCK):
        say("installing the pinned dependencies")
        pip("install", "--require-hashes", "--only-binary=:all:", "--no-binary=python-ldap", "-r", str(LOCK))
        note_done("dependencies", LOCK)
    metadata = ROOT / "pyproject.toml"
    if not is_done("howdah", metadata, LOCK):
        pip("install", "--no-deps", "--no-build-isolation", "--editable", ".")
        note_done("howdah", metadata, LOCK)


def main() -> None:
    if sys.version_info < OLDEST:
        fail(f"{sys.executable} is {sys.version.split()[0]}, 3.11 or later is needed; name one: make PYTHON=python3.12")
    if sys.argv[1:] == ["--with", "tests"]:
        if not has_postgres_with_tls():
            keep_servers_from_starting()
        see_to_packages(TEST_NEEDS)
        return
    see_to_packages(BUILD_NEEDS + (FUZZ_NEEDS if sys.argv[1:] == ["--with", "clang"] else []))
    make_venv()
    install_dependencies()


if __name__ == "__main__":
    main()
