"""A child process that ends with its parent, even when the parent is killed with SIGKILL (Linux: prctl)."""

import os
import signal
from collections.abc import Callable

_PR_SET_PDEATHSIG = 1


def die_with_parent(number: signal.Signals) -> Callable[[], None]:
    """For `preexec_fn`, which runs after the change of user: that change would forget the setting."""
    import ctypes

    prctl = ctypes.CDLL(None, use_errno=True).prctl
    parent = os.getpid()

    def on_fork() -> None:
        prctl(_PR_SET_PDEATHSIG, int(number), 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)  # it was already gone

    return on_fork
