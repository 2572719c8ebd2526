"""TLS handshakes of clients that broke off: there is no answer, and no line in the access log."""

from __future__ import annotations

import math

from OpenSSL import SSL
from twisted.logger import Logger
from twisted.python.failure import Failure

from toolforge_gateway.edge.proxy_protocol import Address

log = Logger()

CERTIFICATE, ALERT, PROTOCOL = "certificate", "alert", "protocol"
CAUSES = (CERTIFICATE, ALERT, PROTOCOL)
"""We refuse the client's certificate, or it shows none where one is required; the client refuses
ours, mostly; what it speaks is no TLS, or none that we speak."""
SILENCE = 60.0
"""Seconds for which nothing more is said of the same cause."""

_SAID = {
    CERTIFICATE: "a client's certificate is refused by OpenSSL",
    ALERT: "a client has broken off, by an alert",
}
"""What is said; whatever else comes from anywhere is no news."""


class FailedHandshakes:
    """Counts them, and says so of those that operators may have to do something about.

    :ivar counts: by cause, since the process began.
    """

    def __init__(self) -> None:
        self.counts = dict.fromkeys(CAUSES, 0)
        self._silent_until = dict.fromkeys(CAUSES, -math.inf)

    def add(self, reason: Failure, address: Address | None, now: float) -> None:
        """A connection has ended before its handshake had.

        :param reason: of its end; who has only gone, as probes do, is none.
        :param address: the client's.
        :param now: seconds of any clock.
        """
        if not reason.check(SSL.Error) or reason.check(SSL.SysCallError):
            return
        words = _words(reason.value)
        cause = _cause(words)
        self.counts[cause] += 1
        if cause in _SAID and now >= self._silent_until[cause]:
            self._silent_until[cause] = now + SILENCE
            log.warn(
                "{what} in the TLS handshake ({words}): {address}; {count} so far, no more is said"
                " of it for a minute",
                what=_SAID[cause],
                words=words,
                address=address,
                count=self.counts[cause],
            )


def _words(error: SSL.Error) -> str:
    """What OpenSSL says, such as `certificate verify failed`: one of its own phrases."""
    try:
        return str(error.args[0][-1][2])
    except (IndexError, TypeError):
        return ""


def _cause(words: str) -> str:
    if "alert" in words:
        return ALERT
    # "certificate verify failed", "peer did not return a certificate"
    return CERTIFICATE if "certificate" in words else PROTOCOL
