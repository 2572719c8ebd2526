"""What goes wrong at one address, in the log: where, and why.

A backend that is down fails every request, and a line for each would bury what else there is to
say, or fill the disk for whoever cares to ask again and again.  What became of each request is in
the access log, and all are counted.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.logger import Logger

from toolforge_gateway.config.backend import UpstreamAddress

log = Logger()

EVERY = 10.0
"""Seconds at least between two lines that say the same."""
KINDS = 32
"""Lines that are told apart; beyond that only by their reason words, lest a backend that always
has another fault make the log, and this, grow."""


class Reports:
    """Tells the operators of one address's failures.

    :param seconds: tells the time.
    """

    def __init__(self, backend: str, address: UpstreamAddress, seconds: Callable[[], float]):
        self._backend = backend
        self._address = address
        self._seconds = seconds
        self._until: dict[str, float] = {}
        self._untold: dict[str, int] = {}

    def tell(self, reason: str, detail: object) -> None:
        """It has failed.

        :param reason: a reason word.
        :param detail: what went wrong in its own words.
        """
        now, kind = self._seconds(), f"{reason}: {detail}"
        if kind not in self._until and len(self._until) >= KINDS:
            kind = reason
        if now < self._until.get(kind, now):
            self._untold[kind] = self._untold.get(kind, 0) + 1
            return
        self._until[kind] = now + EVERY
        untold = self._untold.pop(kind, 0)
        log.warn(
            "{backend} at {address}: {reason}: {detail}{more}",
            backend=self._backend,
            address=self._address,
            reason=reason,
            detail=detail,
            more=f" ({untold} more since this was last said)" if untold else "",
        )
