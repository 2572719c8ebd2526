"""A program that runs another Python program and counts what it is doing.

`sampler.py OUTPUT PROGRAM ARGUMENT...`: from SIGUSR1 on, each millisecond counts the stack that
it finds; at the end of the program the counts are written to OUTPUT as JSON.  It is a program of
its own, so that nothing of the benchmark is in the process that is measured.

Python runs signal handlers between its own instructions: time within C (a socket's send, OpenSSL)
counts for the Python line that called it, which is what one wants to know.
"""

from __future__ import annotations

import atexit
import json
import runpy
import signal
import sys
from collections import Counter
from types import CodeType, FrameType
from typing import Any

INTERVAL = 0.001
"""Seconds of the clock, not of the CPU: the kernel counts those in much larger steps."""
DEPTH = 40


class Sampler:
    """Counts stacks.

    :param output: the file for them.
    """

    def __init__(self, output: str):
        self._output = output
        self._stacks: Counter[tuple[tuple[CodeType, int], ...]] = Counter()

    def begin(self, number: int, frame: FrameType | None) -> None:
        """Start counting; a handler of a signal."""
        # Else each sample would make the reactor turn once more.
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGALRM, self._sample)
        signal.setitimer(signal.ITIMER_REAL, INTERVAL, INTERVAL)

    def _sample(self, number: int, frame: FrameType | None) -> None:
        stack: list[tuple[CodeType, int]] = []
        while frame is not None and len(stack) < DEPTH:
            stack.append((frame.f_code, frame.f_lineno))
            frame = frame.f_back
        self._stacks[tuple(stack)] += 1

    def write(self) -> None:
        """Write what was counted: lists of [file, function, line], innermost first."""
        signal.setitimer(signal.ITIMER_REAL, 0)
        stacks: list[dict[str, Any]] = [
            {
                "count": count,
                "frames": [(code.co_filename, code.co_name, line) for code, line in stack],
            }
            for stack, count in self._stacks.items()
        ]
        with open(self._output, "w", encoding="utf-8") as file:
            json.dump(stacks, file)


if __name__ == "__main__":
    sampler = Sampler(sys.argv[1])
    signal.signal(signal.SIGUSR1, sampler.begin)
    atexit.register(sampler.write)
    del sys.argv[:2]
    runpy.run_path(sys.argv[0], run_name="__main__")
