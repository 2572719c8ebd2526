"""Lines on their way to somebody who may not take them just now: a pipe, a terminal, a socket.

Nobody waits for a log, and a log that nobody reads may not fill the memory: what is not taken at
once waits here in its order, within a bound, until the reactor says that it is.  What is beyond
the bound is lost, counted, and said.
"""

from __future__ import annotations

import errno
from collections import deque
from typing import Any, Protocol

from twisted.internet.interfaces import IReactorFDSet, IWriteDescriptor
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

log = Logger()

MOST = 1024 * 1024
"""Bytes that wait at most."""
AGAIN = 1.0
"""Seconds until somebody who is gone is looked for again."""
INTERVAL = 60.0
"""Seconds between two complaints about lost lines, at least."""

_NOT_NOW = frozenset([errno.EAGAIN, errno.ENOBUFS, errno.ENOMEM, errno.EINTR])


class Losses:
    """Counts the lines that could not be written, and says so: when it begins, once a minute while
    it lasts, and when it is over.

    :param where: where they were to go, for people.
    :param clock: IReactorTime.
    :param quiet: say nothing before it is over, because what we say goes the same way.
    :ivar lost: all of them.
    """

    def __init__(self, where: str, clock: Any, quiet: bool = False):
        self.where = where
        self.lost = 0
        self._clock = clock
        self._quiet = quiet
        self._failing = False
        self._unsaid = 0
        self._said = False
        self._next = 0.0

    def lose(self, lines: int, why: object) -> None:
        """So many lines could not be written."""
        self._failing = True
        self.lost += lines
        self._unsaid += lines
        if not self._quiet and self._clock.seconds() >= self._next:
            log.error(
                "the access log cannot be written to {where}: {why}; lines lost so far: {lines}",
                where=self.where,
                why=why,
                lines=self._unsaid,
            )
            self._said = True
            self._unsaid = 0
            self._next = self._clock.seconds() + INTERVAL

    def well(self) -> None:
        """Lines can be written."""
        if not self._failing:
            return
        self._failing = False
        if self._said or self._clock.seconds() >= self._next:
            self._next = max(self._next, self._clock.seconds() + INTERVAL)
            self._said = False
            self._say_it_is_over()

    def end(self) -> None:
        """Nothing will be written any more."""
        if self._unsaid and not (self._quiet and self._failing):
            log.error(
                "the access log could not be written to {where}; lines lost: {lines}",
                where=self.where,
                lines=self._unsaid,
            )
            self._unsaid = 0

    def _say_it_is_over(self) -> None:
        unsaid, self._unsaid = self._unsaid, 0
        log.info(
            "the access log can be written again to {where}; lines lost meanwhile: {lines}",
            where=self.where,
            lines=unsaid,
        )


class Carrier(Protocol):
    """What takes data, whole or in part, and never waits."""

    can_come_back: bool
    """Whether it is worth trying `again` after an error."""

    def fileno(self) -> int:
        """A descriptor that can be watched for being writable."""
        ...

    def send(self, data: bytes) -> int:
        """Take it.

        :return: how many bytes were taken.
        :raise OSError: none were; EAGAIN: not now.
        """
        ...

    def again(self) -> None:
        """Connect anew.

        :raise OSError: nobody is there.
        """
        ...

    def close(self) -> None:
        """Not used any more."""
        ...


@implementer(IWriteDescriptor)
class Outbox:
    """Hands data to a `Carrier`, now or when it takes it.

    :param reactor: IReactorTime; where it is an IReactorFDSet as well, it says when to go on.
    """

    def __init__(self, carrier: Carrier, reactor: Any, losses: Losses):
        self._carrier = carrier
        self._reactor = reactor
        self._losses = losses
        self._waiting: deque[tuple[bytes, int]] = deque()
        self._size = 0
        self._timer: Any = None
        self._watched = False

    def put(self, data: bytes, lines: int) -> None:
        """Send this after all that was put before.

        :param lines: how many lines it is.
        """
        if self._size + len(data) > MOST:
            self._losses.lose(lines, "it is not read fast enough, or not at all")
            return
        self._waiting.append((data, lines))
        self._size += len(data)
        if not self._watched and self._timer is None:
            self._send()

    def close(self) -> None:
        """Send what is taken now; the rest is lost."""
        self._unwatch()
        self._send()
        self._unwatch()
        self._lose_all("it was not read to the end")
        self._carrier.close()

    def reconnect(self) -> None:
        """Look for the other end anew.

        :raise OSError: nobody is there; everything is as before.
        """
        self._unwatch()
        try:
            self._carrier.again()
        finally:
            self._send()

    # IWriteDescriptor.

    def fileno(self) -> int:
        """See `IFileDescriptor`."""
        return self._carrier.fileno()

    def logPrefix(self) -> str:
        """See `ILoggingContext`."""
        return "access log"

    def doWrite(self) -> None:
        """It takes more."""
        self._unwatch()
        self._send()

    def connectionLost(self, reason: Failure) -> None:
        """The reactor saw that the other end is gone, and does not watch any more."""
        self._watched = False
        self._send()

    def _send(self) -> None:
        """Send what is taken; whatever then still waits has somebody who will go on."""
        waiting, connected_anew = self._waiting, False
        while waiting:
            data, lines = waiting.popleft()
            self._size -= len(data)
            try:
                taken = self._carrier.send(data)
            except OSError as error:
                if error.errno == errno.EMSGSIZE:
                    self._losses.lose(lines, f"{len(data)} bytes are more than it takes at once")
                elif error.errno in _NOT_NOW:
                    self._keep(data, lines)
                    # Without memory for buffers it would be writable and take nothing.
                    self._watch() if error.errno == errno.EAGAIN else self._try_later()
                    return
                elif not self._carrier.can_come_back:
                    self._losses.lose(lines, error)
                    self._lose_all(error)
                    return
                else:
                    self._keep(data, lines)
                    if connected_anew:
                        self._look_later(error)
                        return
                    if not self._find_again():
                        return
                    connected_anew = True
            else:
                if taken < len(data):
                    # The line that has begun comes to its end before any other.
                    self._keep(data[taken:], lines)
                    self._watch()
                    return
        self._losses.well()

    def _find_again(self) -> bool:
        """Whether somebody is there to connect to."""
        try:
            self._carrier.again()
        except OSError as error:
            self._look_later(error)
            return False
        return True

    def _look_later(self, error: OSError) -> None:
        self._losses.lose(0, error)
        self._try_later()

    def _try_later(self) -> None:
        self._timer = self._reactor.callLater(AGAIN, self._try_again)

    def _try_again(self) -> None:
        self._timer = None
        self._send()

    def _keep(self, data: bytes, lines: int) -> None:
        self._waiting.appendleft((data, lines))
        self._size += len(data)

    def _lose_all(self, why: object) -> None:
        lines = sum(lines for _, lines in self._waiting)
        self._waiting.clear()
        self._size = 0
        if lines:
            self._losses.lose(lines, why)

    def _watch(self) -> None:
        if self._watched or self._timer is not None:
            return
        if IReactorFDSet.providedBy(self._reactor):
            self._reactor.addWriter(self)
            self._watched = True
        else:
            self._try_later()

    def _unwatch(self) -> None:
        if self._watched:
            self._reactor.removeWriter(self)
            self._watched = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
