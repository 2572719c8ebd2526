"""Time that other programs took: a busy machine is no fault of the gateway's."""

from __future__ import annotations

import time

from twisted.internet.task import LoopingCall
from twisted.trial.unittest import TestCase

_EACH = 0.02
"""Seconds between two looks."""


class Stolen:
    """Counts the seconds in which this process was not let run, from now to the end of a test.

    What it computes for itself is its own, however long that takes.
    """

    def __init__(self, test: TestCase):
        self._seconds = 0.0
        self._seen = self._now()
        self._loop = LoopingCall(self._look)
        self._loop.start(_EACH)
        test.addCleanup(self._loop.stop)

    def seconds(self) -> float:
        """So far."""
        wall, own = self._now()
        return self._seconds + max(0.0, wall - self._seen[0] - _EACH - (own - self._seen[1]))

    def _look(self) -> None:
        self._seconds, self._seen = self.seconds(), self._now()

    def _now(self) -> tuple[float, float]:
        return time.monotonic(), time.process_time()
