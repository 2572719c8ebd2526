"""The last hour, minute by minute, from differences of what `Traffic` has counted."""

from __future__ import annotations

from collections import deque

import attrs
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.task import LoopingCall

from toolforge_gateway.observe.traffic import Total, Traffic

MINUTES = 60
"""How many of them are kept."""
MINUTE = 60
STEP = 10
"""Seconds between two looks at the counters."""


@attrs.frozen
class Minute:
    """What went through in one minute."""

    began: float
    """POSIX seconds."""
    requests: int
    errors: int
    p50: float | None
    """Seconds to the answer's head; None where there was no answer."""
    p99: float | None


class History:
    """Looks at the counters every `STEP` seconds, and keeps what an hour needs.

    :param traffic: the counters.
    :param clock: IReactorTime; its `seconds()` are POSIX time.
    """

    def __init__(self, traffic: Traffic, clock: IReactorTime):
        self._traffic = traffic
        self._clock = clock
        self._minutes: deque[Minute] = deque(maxlen=MINUTES)
        self._looks: deque[tuple[float, Total]] = deque(maxlen=MINUTE // STEP + 1)
        # The counters as they were when each kept minute, and the present one, began.
        self._beginnings: deque[tuple[int, Total]] = deque(maxlen=MINUTES + 1)
        self._loop = LoopingCall(self.look)
        self._loop.clock = clock
        self._beginning: IDelayedCall | None = None

    def start(self) -> None:
        """Begin to look; the looks fall on the minute."""
        self.look()
        wait = STEP - self._clock.seconds() % STEP
        self._beginning = self._clock.callLater(wait, self._begin)

    def stop(self) -> None:
        """Look no more; what is known stays."""
        beginning, self._beginning = self._beginning, None
        if beginning is not None:
            beginning.cancel()
        if self._loop.running:
            self._loop.stop()

    def recent(self) -> tuple[float, Total]:
        """The last minute, up to now.

        :return: its length in seconds (less than 60 right after the start, at most 70), and
            what went through in it.
        """
        now, total = self._clock.seconds(), self._traffic.total()
        if not self._looks:
            return 0.0, total.since(total)
        began, before = self._looks[0]
        return max(now - began, 0.0), total.since(before)

    def hour(self) -> Total:
        """What went through in the kept minutes and since."""
        total = self._traffic.total()
        return total.since(self._beginnings[0][1] if self._beginnings else total)

    def minutes(self) -> tuple[Minute, ...]:
        """The minutes that are over, oldest first, without a gap; at most `MINUTES`."""
        return tuple(self._minutes)

    def look(self) -> None:
        """Take note of the counters."""
        now, total = self._clock.seconds(), self._traffic.total()
        if self._looks and now < self._looks[-1][0]:
            self._forget()  # The clock was set back: there is no telling what was when.
        self._looks.append((now, total))
        number = int(now // MINUTE)
        if not self._beginnings:
            self._beginnings.append((number, total))
            return
        began, before = self._beginnings[-1]
        if number == began:
            return
        if number - began > MINUTES:
            self._forget()  # The process did not run, or the clock was set.
            self._looks.append((now, total))
            self._beginnings.append((number, total))
            return
        self._close(began, total.since(before))
        for missed in range(began + 1, number):
            # Nobody looked in between; whatever came then is in the first minute.
            self._beginnings.append((missed, total))
            self._close(missed, total.since(total))
        self._beginnings.append((number, total))

    def _begin(self) -> None:
        self._beginning = None
        self._loop.start(STEP)

    def _close(self, number: int, between: Total) -> None:
        self._minutes.append(
            Minute(
                began=float(number * MINUTE),
                requests=between.requests,
                errors=between.errors,
                p50=between.percentile(0.5),
                p99=between.percentile(0.99),
            )
        )

    def _forget(self) -> None:
        for kept in (self._minutes, self._looks, self._beginnings):
            kept.clear()
