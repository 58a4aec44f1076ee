"""PAM against real modules, in a folder of services of the test's own."""

import ctypes
import time

import pytest

from howdah.control.auth import pam
from howdah.control.auth.answer import Answer, allowed
from howdah.control.auth.pam import PamService, check
from howdah.dataplane.rows import AuthVerdict
from tests.kit.pam import PASSWORDS, PamFolder

ALLOWED, DENIED, UNAVAILABLE = AuthVerdict.ALLOWED, AuthVerdict.DENIED, AuthVerdict.UNAVAILABLE


def ask(folder: PamFolder, user: str, password: str, host: str = "192.0.2.7", service: str = "howdah") -> Answer:
    return check(PamService(service, str(folder.home)), user, password.encode(), host)


@pytest.mark.parametrize("user", ["alice", "bob"])
def test_the_right_password_lets_in(pam_folder: PamFolder, user: str) -> None:
    assert ask(pam_folder, user, PASSWORDS[user]) == allowed(PASSWORDS[user].encode())


@pytest.mark.parametrize("user", ["alice", "nobody"])
def test_a_wrong_password_and_an_unknown_user_are_denied(pam_folder: PamFolder, user: str) -> None:
    assert ask(pam_folder, user, "wrong").verdict == DENIED


def test_an_account_that_may_not_log_in_is_denied_with_the_right_password(pam_folder: PamFolder) -> None:
    answer = ask(pam_folder, "locked", PASSWORDS["locked"])
    assert answer.verdict == DENIED and "account" in answer.message


def test_an_empty_password_is_denied_without_asking(pam_folder: PamFolder) -> None:
    pam_folder.write("open", "auth required pam_permit.so\naccount required pam_permit.so\n")
    assert ask(pam_folder, "alice", "x", service="open").verdict == ALLOWED
    assert ask(pam_folder, "alice", "", service="open").verdict == DENIED


def test_modules_are_told_where_the_client_is(pam_folder: PamFolder) -> None:
    ask(pam_folder, "alice", "wonderland", "2001:db8::7")
    ask(pam_folder, "alice", "wonderland", "")
    assert [line.strip() for line in pam_folder.asked] == ["alice 2001:db8::7", "alice"]


def test_a_service_that_is_not_there_is_unavailable(pam_folder: PamFolder) -> None:
    answer = ask(pam_folder, "alice", "wonderland", service="nowhere")
    assert answer.verdict == UNAVAILABLE and "'nowhere'" in answer.message


def test_a_module_that_is_not_there_is_unavailable(pam_folder: PamFolder) -> None:
    pam_folder.write("broken", "auth required pam_nonsense.so\n")
    assert ask(pam_folder, "alice", "wonderland", service="broken").verdict == UNAVAILABLE


def test_a_wrong_password_does_not_hold_the_thread(pam_folder: PamFolder) -> None:
    """Modules ask for a pause after failures; without our say it would be taken in here."""
    pam_folder.write("slow", "auth optional pam_faildelay.so delay=5000000\nauth required pam_deny.so\n")
    began = time.monotonic()
    assert ask(pam_folder, "alice", "wrong", service="slow").verdict == DENIED
    assert time.monotonic() - began < 3


def test_no_session_is_opened_and_no_password_changed(pam_folder: PamFolder) -> None:
    pam_folder.write("strict", "auth required pam_permit.so\naccount required pam_permit.so\n"
                               "session required pam_deny.so\npassword required pam_deny.so\n")  # fmt: skip
    assert ask(pam_folder, "alice", "x", service="strict").verdict == ALLOWED


def talk(*styles: int) -> tuple[int, list[bytes | None]]:
    """What a module gets for messages of these styles."""
    messages = [pam._Message(style, b"?") for style in styles]
    pointers = (ctypes.POINTER(pam._Message) * len(messages))(*map(ctypes.pointer, messages))
    responses = ctypes.c_void_p()
    status = pam._talk(b"secret", len(styles), pointers, ctypes.pointer(responses), None)
    if responses.value is None:
        return status, []
    array = ctypes.cast(responses, ctypes.POINTER(pam._Response))
    return status, [array[i].text and ctypes.string_at(array[i].text) for i in range(len(styles))]


def test_modules_get_the_password_where_something_is_typed_unseen_and_nothing_else() -> None:
    assert talk(pam._ECHO_OFF) == (pam._SUCCESS, [b"secret"])
    assert talk(pam._TEXT_INFO, pam._ECHO_OFF, pam._ERROR_MSG) == (pam._SUCCESS, [None, b"secret", None])
    assert talk(pam._ECHO_OFF, pam._ECHO_ON) == (pam._CONV_ERR, [])
