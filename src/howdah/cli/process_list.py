"""Keeps passwords out of `ps`: what others see of our command line is our own memory, and can be overwritten."""

import re
from pathlib import Path

_SECRETS = (
    re.compile(rb"\bpostgres(?:ql)?://[^\0/?:@]*:([^\0?]+)@"),
    re.compile(rb"[?&](?:ssl)?password=([^\0&]+)"),
    re.compile(rb"ldapbindpasswd=([^\0]+)"),
)
#: Where the arguments begin, the 48th field of proc(5)'s stat; counted behind the command's name.
_ARG_START = 48 - 3


def hide_passwords() -> None:
    """Cross out what is one in our arguments.  A system that does not let us keeps showing them."""
    own = Path("/proc/self")
    try:
        shown = (own / "cmdline").read_bytes()
        spans = [match.span(1) for pattern in _SECRETS for match in pattern.finditer(shown)]
        if not spans:
            return
        begin = int((own / "stat").read_text().rpartition(")")[2].split()[_ARG_START])
        with (own / "mem").open("r+b", buffering=0) as memory:
            for first, last in spans:
                memory.seek(begin + first)
                memory.write(b"x" * (last - first))
    except OSError:
        return
