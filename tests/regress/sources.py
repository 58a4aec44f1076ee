"""PostgreSQL's regression tests and their driver, of the release that Debian has installed here.

The driver (pg_regress) and the headers come with postgresql-server-dev, the tests themselves only with the source
package, which is fetched by apt into lists of its own: the machine's list of sources is left as it is.
"""

import re
import shutil
import subprocess
import tarfile
from pathlib import Path

from tools.bootstrap import ROOT, fail, install_packages, say

KEPT = ROOT / "build" / "regress"
#: Of contrib, which the tests of triggers look for beside their own library.
MODULES = ("autoinc.so", "refint.so")


def installed() -> tuple[str, str]:
    """The newest PostgreSQL of Debian's packages here: its major release and the package's version."""
    listed = _said("dpkg-query", "-W", "-f", "${Package} ${Version}\n", "postgresql-[0-9]*").stdout
    found = [(int(match[1]), match[2]) for match in re.finditer(r"^postgresql-(\d+) (\S+)$", listed, re.MULTILINE)]
    if not found:
        fail("PostgreSQL's regression tests need Debian's PostgreSQL: apt-get install postgresql")
    major, version = max(found)
    return str(major), version


def binaries(major: str) -> Path:
    return Path("/usr/lib/postgresql", major, "bin")


def driver(major: str, version: str) -> Path:
    """pg_regress, installed where it is missing."""
    path = Path("/usr/lib/postgresql", major, "lib/pgxs/src/test/regress/pg_regress")
    if not path.exists():
        install_packages([f"postgresql-server-dev-{major}={version}"])
    return path


def tests(major: str, version: str) -> Path:
    """The folder src/test/regress of the source package, with its library of C functions built in it."""
    folder = KEPT / version / "regress"
    if not (folder / "regress.so").exists():
        unpacked = _unpack(_fetch(major, version))
        _build(unpacked, major)
        for module in MODULES:
            shutil.copy(Path("/usr/lib/postgresql", major, "lib", module), unpacked)
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(unpacked, folder)
        shutil.rmtree(unpacked.parents[2])
    return folder


def _fetch(major: str, version: str) -> Path:
    """The archive of the sources, else those of the minor release nearest to it that there is."""
    folder = KEPT / version
    lists = folder / "lists"
    lists.mkdir(parents=True, exist_ok=True)
    sources = folder / "source.list"
    sources.write_text("\n".join(_source_lines()) + "\n")
    own = ("-o", f"Dir::Etc::SourceList={sources}", "-o", "Dir::Etc::SourceParts=-",
           "-o", f"Dir::State::Lists={lists}", "-o", "APT::Sandbox::User=root")  # fmt: skip
    say(f"fetching the sources of PostgreSQL {version}")
    _said("apt-get", *own, "-qq", "update")
    shown = _said("apt-cache", *own, "showsrc", "--only-source", f"postgresql-{major}").stdout
    others = set(re.findall(r"^Version: (\S+)$", shown, re.MULTILINE)) - {version}
    for wanted in (version, *sorted(others, reverse=True)):
        source = f"postgresql-{major}={wanted}"
        if _said("apt-get", *own, "-qq", "source", "--download-only", source, cwd=folder).returncode == 0:
            return next(folder.glob("*.orig.tar.*"))
        say(f"apt-get did not bring the source package {source}")
    return fail("PostgreSQL's regression tests come with Debian's source package; is there a source of packages?")


def _source_lines() -> list[str]:
    """This machine's package sources, of source packages."""
    policy = _said("apt-cache", "policy").stdout
    # " 500 http://deb.debian.org/debian bookworm/main amd64 Packages"
    found = re.findall(r"^ *\d+ (\S+://\S+) (\S+)/(\S+) \S+ Packages$", policy, re.MULTILINE)
    return sorted({f"deb-src {address} {suite} {component}" for address, suite, component in found})


def _unpack(archive: Path) -> Path:
    with tarfile.open(archive) as packed:
        members = [member for member in packed.getmembers() if "/src/test/regress/" in member.name]
        packed.extractall(archive.parent, members, filter="data")
    return archive.parent / members[0].name.split("/")[0] / "src" / "test" / "regress"


def _build(folder: Path, major: str) -> None:
    """regress.so, as its Makefile would."""
    headers = _said(str(binaries(major) / "pg_config"), "--includedir-server").stdout.strip()
    command = ("gcc", "-O1", "-w", "-fPIC", "-shared", "-I", headers, "-o", "regress.so", "regress.c")
    done = _said(*command, cwd=folder)
    if done.returncode:
        fail(f"the C functions of PostgreSQL's regression tests do not compile:\n{done.stderr}")


def _said(*command: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
