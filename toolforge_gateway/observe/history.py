"""The last hour, minute by minute, from differences of what was counted."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping

import attrs
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.task import LoopingCall

from toolforge_gateway.observe.total import Total

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


def minutes(course: Mapping[int, Total]) -> tuple[Minute, ...]:
    """The minutes that are over, oldest first.

    :param course: what went through in each minute, by its number (POSIX seconds / 60); the last
        one is not over.
    """
    *over, _ = sorted(course) or [0]
    return tuple(
        Minute(
            began=float(number * MINUTE),
            requests=total.requests,
            errors=total.errors,
            p50=total.percentile(0.5),
            p99=total.percentile(0.99),
        )
        for number in over
        for total in [course[number]]
    )


def added(courses: Iterable[Mapping[int, Total]]) -> Mapping[int, Total]:
    """Several processes' courses as one: the last hour and what has been since, no more."""
    sums: dict[int, Total] = {}
    for course in courses:
        for number, total in course.items():
            sums[number] = sums[number].plus(total) if number in sums else total
    newest = max(sums, default=0)
    # Without a gap, as each of them is: a process may have begun later, or be gone.
    oldest = max(min(sums, default=newest + 1), newest - MINUTES)
    return {number: sums.get(number, Total()) for number in range(oldest, newest + 1)}


class History:
    """Looks at the counters every `STEP` seconds, and keeps what an hour needs.

    :param total: tells what has gone through up to now.
    :param clock: IReactorTime; its `seconds()` are POSIX time.
    """

    def __init__(self, total: Callable[[], Total], clock: IReactorTime):
        self._total = total
        self._clock = clock
        self._minutes: deque[tuple[int, Total]] = deque(maxlen=MINUTES)
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

    def recent(self, total: Total | None = None) -> tuple[float, Total]:
        """The last minute, up to now.

        :param total: what has gone through up to now, where it is known.
        :return: its length in seconds (less than 60 right after the start, at most 70), and
            what went through in it.
        """
        now, total = self._clock.seconds(), total or self._total()
        if not self._looks:
            return 0.0, total.since(total)
        began, before = self._looks[0]
        return max(now - began, 0.0), total.since(before)

    def course(self, total: Total | None = None) -> Mapping[int, Total]:
        """What went through in each kept minute, and since, by the number of the minute.

        :param total: what has gone through up to now, where it is known.
        """
        course = dict(self._minutes)
        if self._beginnings:
            number, before = self._beginnings[-1]
            course[number] = (total or self._total()).since(before)
        return course

    def look(self) -> None:
        """Take note of the counters."""
        now, total = self._clock.seconds(), self._total()
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
        self._minutes.append((number, between))

    def _forget(self) -> None:
        for kept in (self._minutes, self._looks, self._beginnings):
            kept.clear()
