"""What is said of a backend that gave no answer."""

from __future__ import annotations

from OpenSSL import SSL
from twisted.internet import error
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from toolforge_gateway.errors import BackendFailure
from toolforge_gateway.proxy import failures


class FailureTests(SynchronousTestCase):
    def outcome(self, failure: BackendFailure) -> tuple[int, str]:
        """Status and reason word; the sentence names the backend and nothing else of it."""
        self.assertIn("jobs-api", failure.message)
        self.assertNotIn("192.0.2.1", failure.message)
        return failure.status, failure.reason

    def test_dial(self) -> None:
        """Refused, silent and unreachable are told apart, and none tells the address."""
        for cause, outcome in (
            (error.ConnectionRefusedError("192.0.2.1"), (502, "backend-refused")),
            (error.TimeoutError("192.0.2.1"), (504, "backend-connect-timeout")),
            (error.TCPTimedOutError("192.0.2.1"), (504, "backend-connect-timeout")),
            (error.NoRouteError("192.0.2.1"), (502, "backend-unreachable")),
            (error.DNSLookupError("192.0.2.1"), (502, "backend-unreachable")),
            (OSError(1, "192.0.2.1"), (502, "backend-unreachable")),
        ):
            failure = failures.dial_failed("jobs-api", Failure(cause))
            self.assertEqual(self.outcome(failure), outcome, cause)

    def test_lost(self) -> None:
        """A TLS alert after the request was sent is about TLS; anything else may have been acted
        on, and the caller is told so."""
        refused = failures.lost("jobs-api", Failure(SSL.Error([("", "", "alert")])))
        self.assertEqual(self.outcome(refused), (502, "backend-tls"))
        closed = failures.lost("jobs-api", Failure(error.ConnectionLost()))
        self.assertEqual(self.outcome(closed), (502, "backend-closed"))
        self.assertIn("may have acted", closed.message)

    def test_retry(self) -> None:
        """Whoever may have been heard is not advised to retry."""
        self.assertNotIn("retry", failures.answer_timed_out("jobs-api").message)
        self.assertIn("retry", failures.handshake_failed("jobs-api").message)
