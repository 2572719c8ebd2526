"""One coarse sweep for all deadlines.

A timer per request costs more than the request; here a deadline is a number
on an object, and one sweep looks at all of them a few times a second.  A
deadline is therefore kept with a delay of up to `RESOLUTION`.  Layer 1: the
clock is an argument.
"""

from __future__ import annotations

from typing import Protocol

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

log = Logger()

RESOLUTION = 0.25
"""Seconds between two sweeps."""


class Watched(Protocol):
    """Anything that must not take for ever."""

    deadline: float | None
    """In the clock's seconds; None while there is none."""

    def deadline_passed(self) -> None:
        """Called once `deadline` has passed; it was set to None before."""


class Deadlines:
    """Watches objects and calls those whose deadline has passed."""

    def __init__(self, clock: IReactorTime):
        self.clock = clock
        self.seconds = clock.seconds
        self._watched: set[Watched] = set()
        self._loop = LoopingCall(self._sweep)
        self._loop.clock = clock

    def watch(self, watched: Watched) -> None:
        """Look at this object's deadline from now on."""
        self._watched.add(watched)
        if not self._loop.running:
            self._loop.start(RESOLUTION, now=False)

    def forget(self, watched: Watched) -> None:
        """Stop looking at it; harmless when it is not watched."""
        self._watched.discard(watched)
        # An idle process should be able to sleep, and a test's reactor to be
        # clean, so that the sweep runs only while something is watched.
        if not self._watched and self._loop.running:
            self._loop.stop()

    def _sweep(self) -> None:
        now = self.seconds()
        passed = [
            watched
            for watched in self._watched
            if watched.deadline is not None and watched.deadline <= now
        ]
        for watched in passed:
            # An earlier callback of this sweep may have moved the deadline.
            if watched.deadline is not None and watched.deadline <= now:
                watched.deadline = None
                try:
                    watched.deadline_passed()
                except Exception:
                    # One that breaks must not take all others' deadlines away.
                    log.failure("a deadline could not be kept")
