"""A worker whose supervisor has died comes to its end, even if it hangs."""

from __future__ import annotations

import ctypes
import math
import os
import signal
from collections.abc import Callable

PR_SET_PDEATHSIG = 1
"""Of <linux/prctl.h>; see prctl(2)."""
ORPHANED = signal.SIGRTMIN
"""What the kernel sends us when our supervisor has died: nobody else means anything by it."""


def end_when_orphaned(within: Callable[[], float]) -> None:
    """Have the kernel end this process some time after the one that started it has died.

    A reactor that turns hears of that death by itself, serves what runs and ends.  One that hangs
    would stay for ever, and keep the listening sockets, so that no other gateway could begin.

    :param within: the seconds that the end may take, asked when the time has come.
    :raise OSError: the kernel does not do that.
    """

    def orphaned(number: int, frame: object) -> None:
        signal.alarm(max(1, math.ceil(within())))

    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.signal(ORPHANED, orphaned)
    kernel = ctypes.CDLL(None, use_errno=True)
    if kernel.prctl(PR_SET_PDEATHSIG, int(ORPHANED), 0, 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
