"""Fixtures: a directory server and PAM services of the tests' own."""

import sys
from collections.abc import Iterator
from typing import Any

import pytest

from tests.kit import pam, slapd
from tests.kit.certs import Certificates
from tests.kit.pam import PamFolder
from tests.kit.slapd import Slapd


@pytest.fixture(scope="session")
def _directory(certificates: Certificates) -> Iterator[Slapd]:
    if not slapd.PROGRAM.exists():
        pytest.skip(slapd.WHY_NOT)
    ldap: Any = pytest.importorskip("ldap", reason="python-ldap is not installed: pip install 'howdah[ldap]'")
    # libldap reads LDAPTLS_CACERT once, when it is loaded: too early for certificates made by the run.
    ldap.set_option(ldap.OPT_X_TLS_CACERTFILE, str(certificates.ca))
    directory = Slapd(certificates, certificates.server)
    try:
        yield directory.start()
    finally:
        directory.remove()


@pytest.fixture
def directory(_directory: Slapd) -> Iterator[Slapd]:
    """A running slapd.  A test may stop or freeze it."""
    _directory.ensure_running()
    yield _directory
    _directory.ensure_running()


@pytest.fixture
def pam_folder() -> Iterator[PamFolder]:
    """Services in a folder of the test's own; `howdah` is there."""
    if not pam.MODULES or sys.platform != "linux":
        pytest.skip(pam.WHY_NOT)
    folder = PamFolder()
    yield folder
    folder.remove()
