"""Workers that begin at once accept at once."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred

TOGETHER = 5.0
"""Seconds that a worker at the start of all waits for the others."""


class Together:
    """Has those who begin at once accept at once: who is first would get all the clients that
    have been waiting, and keep them.

    :param count: how many they are; each calls `wait` once.
    :param clock: IReactorTime.
    """

    def __init__(self, count: int, clock: Any):
        self._missing = count
        self._clock = clock
        self._waiting: list[Deferred[None]] = []
        self._patience: Any = None

    def wait(self) -> Deferred[None]:
        """Fires when all wait, or `TOGETHER` seconds after the first one did."""
        waiting: Deferred[None] = Deferred()
        self._waiting.append(waiting)
        self._missing -= 1
        if self._patience is None:
            self._patience = self._clock.callLater(TOGETHER, self._go)
        if self._missing == 0 and self._patience.active():
            self._patience.cancel()
            self._go()
        elif not self._patience.active():
            self._go()
        return waiting

    def _go(self) -> None:
        waiting, self._waiting = self._waiting, []
        for each in waiting:
            each.callback(None)
