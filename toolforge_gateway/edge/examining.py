"""Looking again at who is connected, after the rules have changed."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Protocol

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

log = Logger()

AT_ONCE = 64
"""Connections that are examined before others have their turn: one takes 20 microseconds, with
Debian 12's libraries 100."""


class Examined(Protocol):
    """A connection that is to be looked at again; before its next request it looks itself."""

    def examine(self) -> None:
        """Judge its client anew, unless that has been done since."""
        ...

    def abort(self) -> None:
        """End it at once."""
        ...


class Examinations:
    """Examines many connections, a few in each turn of the reactor.

    Nobody is served by former rules meanwhile: what is left to be done here is to let those go who
    are not granted any more what they had, and who do not ask.
    """

    def __init__(self, clock: IReactorTime):
        self._clock = clock
        self._waiting: deque[Examined] = deque()
        self._is_due = False

    def begin(self, connections: Iterable[Examined]) -> None:
        """Examine these, the first few before this returns."""
        self._waiting.extend(connections)
        if not self._is_due:
            self._turn()

    def _turn(self) -> None:
        self._is_due = False
        for _ in range(min(AT_ONCE, len(self._waiting))):
            connection = self._waiting.popleft()
            try:
                connection.examine()
            except Exception:
                # It is let go, and the others are examined all the same.
                log.failure("a connection could not be examined again")
                connection.abort()
        if self._waiting:
            self._is_due = True
            self._clock.callLater(0, self._turn)
