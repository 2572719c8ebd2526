"""A worker whose supervisor has died comes to its end, even if it hangs."""

from __future__ import annotations

import math
import os
import signal
from collections.abc import Callable

from twisted.logger import Logger

log = Logger()

PR_SET_PDEATHSIG = 1
"""Of <linux/prctl.h>; see prctl(2)."""
ORPHANED = signal.SIGRTMIN
"""What the kernel sends us when our supervisor has died: nobody else means anything by it."""


def end_when_orphaned(within: Callable[[], float]) -> None:
    """Have the kernel end this process some time after the one that started it has died.

    A reactor that turns hears of that death by itself, serves what runs and ends.  One that hangs
    would stay for ever, and keep the listening sockets, so that no other gateway could begin.  A
    kernel that does not do this is a warning in the log.

    :param within: the seconds that the end may take, asked when the time has come.
    """

    def orphaned(number: int, frame: object) -> None:
        signal.alarm(max(1, math.ceil(within())))

    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.signal(ORPHANED, orphaned)
    try:
        _tell_at_death_of_parent(ORPHANED)
    except (ImportError, OSError, MemoryError) as error:
        log.warn("if this worker hangs when its supervisor dies, it stays: {error}", error=error)


def _tell_at_death_of_parent(number: int) -> None:
    """:raise ImportError, OSError, MemoryError: it cannot be done here."""
    import ctypes  # where no memory may be written and executed this fails

    kernel = ctypes.CDLL(None, use_errno=True)
    if kernel.prctl(PR_SET_PDEATHSIG, int(number), 0, 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
