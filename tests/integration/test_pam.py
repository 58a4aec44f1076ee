"""PAM through the pooler: the system's own stack, with a service of the test's own in /etc/pam.d."""

import os
from collections.abc import Iterator

import pytest

from tests.kit import pam
from tests.kit.client import Client
from tests.kit.fix_logins import GuardedPooler, refused
from tests.kit.pam import PASSWORDS, PamFolder

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to write a service into /etc/pam.d"),
    pytest.mark.skipif(not pam.MODULES, reason=pam.WHY_NOT),
]


@pytest.fixture
def service() -> Iterator[PamFolder]:
    """A service under a name of its own."""
    made = PamFolder.of_the_system()
    yield made
    made.remove()


def login(pooler: GuardedPooler, user: str, password: str) -> str:
    with Client(pooler.address) as client:
        client.log_in(user=user, database="app", password=password)
        return str(client.query("SELECT current_user").value)


def refusal(pooler: GuardedPooler, user: str, password: str) -> tuple[str, str]:
    with Client(pooler.address) as client:
        error = refused(client, password, user=user, database="app")
        return error.sqlstate, error.fields["M"]


def test_users_of_pam_get_in_and_nobody_else(guarded: GuardedPooler, service: PamFolder) -> None:
    guarded.run_with(auth_type="pam", auth_pam_service=service.name)
    for user in ("alice", "bob"):
        assert login(guarded, user, PASSWORDS[user]) == user
    for user, password in (("alice", "wrong"), ("nobody", "x"), ("alice", ""), ("locked", PASSWORDS["locked"])):
        assert refusal(guarded, user, password) == ("28P01", f'password authentication failed for user "{user}"')
    assert "alice 127.0.0.1" in service.asked


def test_an_hba_line_names_its_service(guarded: GuardedPooler, service: PamFolder) -> None:
    guarded.use_hba(f"host app alice all pam pamservice={service.name}\nhost app all all pam\n")
    guarded.run_with(auth_pam_service="howdah-test-is-not-there")
    assert login(guarded, "alice", PASSWORDS["alice"]) == "alice"
    assert refusal(guarded, "bob", PASSWORDS["bob"])[0] in {"28P01", "08006"}  # as the service "other" has it


def test_a_broken_service_is_told(guarded: GuardedPooler, service: PamFolder) -> None:
    service.write(service.name, "auth required pam_nonsense.so\n")
    guarded.run_with(auth_type="pam", auth_pam_service=service.name)
    assert refusal(guarded, "alice", PASSWORDS["alice"]) == ("08006", "authentication is not available now: PAM")
    guarded.wait_until_told("PAM", f"PAM: service {service.name!r}")
    guarded.wait_until_told("PAM", "Module is unknown")


def test_a_module_that_hangs_holds_up_nobody_else(guarded: GuardedPooler, service: PamFolder) -> None:
    guarded.use_hba(f"host app bob all trust\nhost app all all pam pamservice={service.name}\n")
    guarded.run_with(auth_threads=1, client_login_timeout=2)
    service.hang()
    assert refusal(guarded, "alice", "wrong") == ("08006", "authentication is not available now: PAM")
    guarded.wait_until_told("PAM", "no answer of PAM within")
    assert login(guarded, "bob", "") == "bob"
    service.go_on()
    assert login(guarded, "alice", PASSWORDS["alice"]) == "alice"
