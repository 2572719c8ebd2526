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
"""Seconds at least between two lines with the same reason word."""


class Reports:
    """Tells the operators of one address's failures.

    :param seconds: tells the time.
    """

    def __init__(self, backend: str, address: UpstreamAddress, seconds: Callable[[], float]):
        self._backend = backend
        self._address = address
        self._seconds = seconds
        # By reason words, of which there are not ten.
        self._until: dict[str, float] = {}
        self._untold: dict[str, int] = {}

    def tell(self, reason: str, detail: object) -> None:
        """It has failed.

        :param reason: a reason word.
        :param detail: what went wrong in its own words.
        """
        now = self._seconds()
        if now < self._until.get(reason, now):
            self._untold[reason] = self._untold.get(reason, 0) + 1
            return
        self._until[reason] = now + EVERY
        untold = self._untold.pop(reason, 0)
        log.warn(
            "{backend} at {address}: {reason}: {detail}{more}",
            backend=self._backend,
            address=self._address,
            reason=reason,
            detail=detail,
            more=f" ({untold} more since this was last said)" if untold else "",
        )
