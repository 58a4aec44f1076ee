"""Into the background.  The parent stays until its child is up, and ends as the child's start does.

To be called before there are threads.
"""

import os
import sys
from collections.abc import Callable

#: What the child says when it is up.
_UP = b"\0"


def daemonize() -> Callable[[], None]:
    """Go on as a process without terminal, session leader or parent; the caller's process ends in here.

    What is returned is to be called when the start is over: until then messages still reach the terminal.
    """
    reading, writing = os.pipe()
    if os.fork():
        os.close(writing)
        os._exit(0 if os.read(reading, 1) == _UP else 1)  # the child has said why
    os.close(reading)
    os.setsid()
    if os.fork():
        os._exit(0)  # so that no terminal can become ours

    def up() -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        nowhere = os.open(os.devnull, os.O_RDWR)
        for fd in (0, 1, 2):
            os.dup2(nowhere, fd)
        os.close(nowhere)
        try:
            os.write(writing, _UP)
        except BrokenPipeError:
            pass  # the parent was killed; we are up all the same
        os.close(writing)

    return up
