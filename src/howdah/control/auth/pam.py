"""PAM: is this the user's password, and may the user log in?  Through ctypes onto Linux-PAM's libpam.

`check` blocks for as long as the modules of the service like to; it is called on a thread.  Sessions are not opened and
credentials not established: nobody becomes this user here.
"""

import ctypes
import functools
from ctypes import CFUNCTYPE, POINTER, Structure, byref, c_char_p, c_int, c_size_t, c_uint, c_void_p
from dataclasses import dataclass
from typing import Any

from howdah.control.auth.answer import Answer, allowed, denied, unavailable

# Numbers from security/_pam_types.h
_SUCCESS, _BUF_ERR, _CONV_ERR = 0, 5, 19
_ECHO_OFF, _ECHO_ON, _ERROR_MSG, _TEXT_INFO = 1, 2, 3, 4
_RHOST, _FAIL_DELAY = 4, 10
_SILENT = 0x8000
#: A module cannot be loaded or found, fails inside, has no memory, cannot reach who knows, wants to know more than a
#: password, or gives up at once: the operator's trouble.  All else is the user's, "system error" too: it is what
#: pam_exec says when its program says no.
_TROUBLES = frozenset((1, 2, 3, 5, 9, 19, 26, 28))


@dataclass(frozen=True, slots=True)
class PamService:
    """A service of PAM: its file in /etc/pam.d, or in `folder` if that is not empty."""

    name: str
    folder: str = ""


class _Message(Structure):
    _fields_ = (("style", c_int), ("text", c_char_p))


class _Response(Structure):
    _fields_ = (("text", c_void_p), ("code", c_int))


_TALK = CFUNCTYPE(c_int, c_int, POINTER(POINTER(_Message)), POINTER(c_void_p), c_void_p)
_DELAY = CFUNCTYPE(None, c_int, c_uint, c_void_p)


class _Conversation(Structure):
    _fields_ = (("talk", _TALK), ("context", c_void_p))


def _sleep_not(_: int, __: int, ___: int | None) -> None:
    """Wrong passwords are answered late by the data plane; a thread that sleeps would hold up others."""


_NO_DELAY = _DELAY(_sleep_not)


def pam_is_there() -> bool:
    try:
        _pam()
    except OSError:
        return False
    return True


def check(service: PamService, user: str, password: bytes, host: str) -> Answer:
    """Ask; `host` is the client's address, "" for a Unix socket."""
    if not password:
        return denied("empty password")
    pam, handle = _pam(), c_void_p()
    talk = _TALK(functools.partial(_talk, password))
    conversation = _Conversation(talk, None)
    status = _start(pam, service, user, conversation, handle)
    if status != _SUCCESS:
        return unavailable(f"PAM: cannot start service {service.name!r}: {_words(pam, handle, status)}")
    try:
        if host:
            pam.pam_set_item(handle, _RHOST, c_char_p(host.encode()))
        pam.pam_set_item(handle, _FAIL_DELAY, _NO_DELAY)
        status = pam.pam_authenticate(handle, _SILENT)
        step = "authentication"
        if status == _SUCCESS:
            status = pam.pam_acct_mgmt(handle, _SILENT)
            step = "account"
        if status == _SUCCESS:
            return allowed(password)
        return _refusal(service, step, status, _words(pam, handle, status))
    finally:
        pam.pam_end(handle, status)


def _refusal(service: PamService, step: str, status: int, words: str) -> Answer:
    message = f"PAM: service {service.name!r}, {step}: {words}"
    return unavailable(message) if status in _TROUBLES else denied(message)


def _start(pam: Any, service: PamService, user: str, conversation: _Conversation, handle: c_void_p) -> int:
    name, who = service.name.encode(), user.encode()
    if service.folder:
        return int(pam.pam_start_confdir(name, who, byref(conversation), service.folder.encode(), byref(handle)))
    return int(pam.pam_start(name, who, byref(conversation), byref(handle)))


def _talk(password: bytes, count: int, messages: Any, responses: Any, _: int | None) -> int:
    """Answer what a module asks for: the password, when it wants something typed unseen.  PAM frees the answers."""
    libc = _libc()
    texts = libc.calloc(count, ctypes.sizeof(_Response))
    if not texts:
        return _BUF_ERR
    array = ctypes.cast(texts, POINTER(_Response))
    for number in range(count):
        style = messages[number].contents.style
        if style == _ECHO_OFF:
            array[number].text = libc.strdup(password)
        elif style not in (_ERROR_MSG, _TEXT_INFO):
            # A question for something else, such as a token's number: there is nobody to ask.
            for earlier in range(number):
                libc.free(array[earlier].text)
            libc.free(texts)
            return _CONV_ERR
    responses[0] = texts
    return _SUCCESS


def _words(pam: Any, handle: c_void_p, status: int) -> str:
    text: bytes | None = pam.pam_strerror(handle, status)
    return (text or b"unknown error").decode(errors="replace")


@functools.cache
def _pam() -> Any:
    """libpam, with types of what is used.  OSError when it is not there."""
    pam = ctypes.CDLL("libpam.so.0")
    pam.pam_start.argtypes = (c_char_p, c_char_p, POINTER(_Conversation), POINTER(c_void_p))
    if hasattr(pam, "pam_start_confdir"):  # since 1.4
        pam.pam_start_confdir.argtypes = (c_char_p, c_char_p, POINTER(_Conversation), c_char_p, POINTER(c_void_p))
    pam.pam_set_item.argtypes = (c_void_p, c_int, c_void_p)
    pam.pam_authenticate.argtypes = pam.pam_acct_mgmt.argtypes = pam.pam_end.argtypes = (c_void_p, c_int)
    pam.pam_strerror.argtypes, pam.pam_strerror.restype = (c_void_p, c_int), c_char_p
    return pam


@functools.cache
def _libc() -> Any:
    """The C library's allocator: what PAM is handed, PAM frees."""
    libc = ctypes.CDLL(None)
    libc.calloc.argtypes, libc.calloc.restype = (c_size_t, c_size_t), c_void_p
    libc.strdup.argtypes, libc.strdup.restype = (c_char_p,), c_void_p
    libc.free.argtypes, libc.free.restype = (c_void_p,), None
    return libc
