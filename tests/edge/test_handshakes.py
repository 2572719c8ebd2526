"""What is counted and said of TLS handshakes that broke off."""

from __future__ import annotations

from OpenSSL import SSL
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.logger import formatEvent, globalLogPublisher
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from toolforge_gateway.edge.handshakes import SILENCE, FailedHandshakes

REFUSED = "certificate verify failed"


class HandshakesTests(SynchronousTestCase):
    def setUp(self) -> None:
        """Collect what is logged."""
        self.failed = FailedHandshakes()
        self.said: list[str] = []
        observer = lambda event: self.said.append(formatEvent(event))  # noqa: E731
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)

    def fail_by(self, words: str, now: float = 0.0) -> None:
        error = SSL.Error([("SSL routines", "", words)])
        self.failed.add(Failure(error), None, now)

    def test_causes(self) -> None:
        """Each has its cause: a certificate of the client's, an alert of its, or no TLS at all."""
        for words in (REFUSED, "peer did not return a certificate"):
            self.fail_by(words)
        for words in ("tlsv1 alert unknown ca", "sslv3 alert certificate expired"):
            self.fail_by(words)
        for words in ("http request", "wrong version number", "no shared cipher"):
            self.fail_by(words)
        self.failed.add(Failure(SSL.Error([])), None, 0.0)
        self.failed.add(Failure(SSL.Error()), None, 0.0)
        self.assertEqual(self.failed.counts, {"certificate": 2, "alert": 2, "protocol": 5})

    def test_gone(self) -> None:
        """Who has only gone, as probes and scanners do, is not counted."""
        for error in (ConnectionDone(), ConnectionLost(), SSL.SysCallError(-1, "Unexpected EOF")):
            self.failed.add(Failure(error), None, 0.0)
        self.assertEqual(sum(self.failed.counts.values()), 0)

    def test_said(self) -> None:
        """The log has one of a cause a minute, and none of those that speak no TLS."""
        for now in (0.0, SILENCE - 1):
            self.fail_by(REFUSED, now)
            self.fail_by("http request", now)
        self.assertEqual(len(self.said), 1, self.said)
        self.fail_by("tlsv1 alert unknown ca", 1.0)
        self.fail_by(REFUSED, SILENCE)
        self.assertEqual(len(self.said), 3, self.said)
        self.assertIn(f"({REFUSED}): None; 3 so far", self.said[2])
