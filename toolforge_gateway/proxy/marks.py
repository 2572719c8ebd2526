"""How requests have fared at one address, and whether it should be spared for a while.

Nobody is asked on purpose here: what counts is what became of the requests.  An answer of
whatever status is an answer; a connection that does not come about, one that ends without an
answer, one that is silent for too long and one that says what is no HTTP are failures.
"""

from __future__ import annotations

from collections.abc import Callable

FAILURES = 3
"""In a row; after so many an address is ejected."""
FIRST = 5.0
"""Seconds for which it is the first time; twice as long with each further time in a row."""
LONGEST = 120.0
"""Seconds at most."""
SPREAD = 0.2
"""Share by which that is shortened or lengthened by chance: several gateways would otherwise
all come back at once."""


class Marks:
    """One address's failures, and its time out.

    :param seconds: tells the time, POSIX seconds.
    :param chance: a number from 0 to below 1, another one each time.
    :ivar failures: in a row, up to now.
    :ivar ejected_until: POSIX seconds; None while it may be used.
    :ivar times: in a row that it was ejected, with no answer in between.
    :ivar last_error: reason word of the latest failure; "" when there was none.
    :ivar all_failures: since the start.
    :ivar all_ejections: since the start.
    """

    def __init__(self, seconds: Callable[[], float], chance: Callable[[], float]):
        self._seconds = seconds
        self._chance = chance
        self.failures = 0
        self.ejected_until: float | None = None
        self.times = 0
        self.last_error = ""
        self.last_error_at: float | None = None
        self.all_failures = 0
        self.all_ejections = 0

    def answered(self) -> None:
        """It has answered; what it was asked before its time out says nothing of today."""
        if self.ejected_until is None:
            self.failures = self.times = 0

    def failed(self, reason: str) -> bool:
        """It has not.

        :param reason: a reason word.
        :return: whether it is time to eject it.
        """
        self.failures += 1
        self.all_failures += 1
        self.last_error, self.last_error_at = reason, self._seconds()
        return self.failures >= FAILURES and self.ejected_until is None

    def eject(self) -> float:
        """It has a time out, or another one.

        :return: for how many seconds.
        """
        # The exponent is bounded: after years of failures it would be no float any more.
        out = min(LONGEST, FIRST * 2.0 ** min(self.times, 16))
        out *= 1 - SPREAD + 2 * SPREAD * self._chance()
        self.times += 1
        self.all_ejections += 1
        self.ejected_until = self._seconds() + out
        return out

    def readmit(self) -> None:
        """Its time out is over; one more failure, and it has another, longer one."""
        self.ejected_until = None
        self.failures = FAILURES - 1
