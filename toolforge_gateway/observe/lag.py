"""How late timers are: the reactor does one thing at a time, and whatever takes long makes all
connections wait."""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Callable

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall

from toolforge_gateway.observe.catalogue import LAG
from toolforge_gateway.observe.figures import Numbers
from toolforge_gateway.observe.spread import IN_SECONDS, PLACES, Spread

STEP = 0.25
"""Seconds between two looks."""


class Lag:
    """Sets a timer again and again, and counts how late each was.

    :param clock: sets the timers.
    :param seconds: measures; unlike the time of day nobody can set it.
    """

    def __init__(self, clock: IReactorTime, seconds: Callable[[], float] = time.monotonic):
        self._seconds = seconds
        self._loop = LoopingCall(self._look)
        self._loop.clock = clock
        self._before = 0.0
        self._counts = [0] * PLACES
        self._together = 0.0

    def start(self) -> None:
        """Begin; what was counted before stays."""
        self._before = self._seconds()
        self._loop.start(STEP, now=False)

    def stop(self) -> None:
        """Set no timers any more; harmless when none was."""
        if self._loop.running:
            self._loop.stop()

    def numbers(self) -> Numbers:
        """All that was counted."""
        return {LAG.name: {(): Spread(tuple(self._counts), self._together)}}

    def _look(self) -> None:
        now = self._seconds()
        # A LoopingCall keeps its step: after one that came late, the next may come early.
        late = max(now - self._before - STEP, 0.0)
        self._before = now
        self._counts[bisect_left(IN_SECONDS, late)] += 1
        self._together += late
