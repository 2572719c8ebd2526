"""Waiting for a late decision."""

from __future__ import annotations

from twisted.internet.defer import Deferred, succeed
from twisted.trial.unittest import SynchronousTestCase

from toolforge_gateway.auth.chain import AuthenticatorChain
from toolforge_gateway.edge.deciding import Deciding
from toolforge_gateway.errors import Refusal
from toolforge_gateway.model import Evidence

STANDING = AuthenticatorChain([]).for_connection(Evidence(None))


class DecidingTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.told: list[object] = []
        self.decision: Deferred[object] = Deferred()

    def waiting(self, decision: Deferred[object] | None = None) -> Deciding:
        deciding = Deciding(
            self.decision if decision is None else decision,
            self.told.append,
            lambda refusal: self.told.append(refusal.reason),
            lambda: self.told.append("broke"),
            STANDING,
        )
        deciding.start()
        return deciding

    def test_decided(self) -> None:
        """What is decided is told, also when that was so from the beginning."""
        self.waiting()
        self.assertEqual(self.told, [])
        self.decision.callback("start")
        self.waiting(succeed("at once"))
        self.assertEqual(self.told, ["start", "at once"])

    def test_refused(self) -> None:
        """A refusal is told as it is."""
        self.waiting()
        self.decision.errback(Refusal(403, "no", "no"))
        self.assertEqual(self.told, ["no"])

    def test_broken_authenticator(self) -> None:
        """Whatever else comes of it is a no."""
        self.waiting()
        self.decision.errback(ZeroDivisionError())
        self.assertEqual(self.told, ["decision-failed"])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_stopped(self) -> None:
        """When nobody waits any more nobody is told, and the authenticator hears of it."""
        deciding = self.waiting()
        deciding.stop()
        deciding.stop()
        self.assertTrue(self.decision.called)
        self.assertEqual(self.told, [])

    def test_late_answer_after_all(self) -> None:
        """Nor when the authenticator answers all the same."""
        stubborn: Deferred[object] = Deferred(lambda decision: decision.callback("start"))
        deciding = self.waiting(stubborn)
        deciding.stop()
        self.assertEqual(self.told, [])

    def test_cannot_be_served(self) -> None:
        """A decision that cannot be carried out is logged, and ends it."""

        def breaks(start: object) -> None:
            raise ZeroDivisionError

        broke = lambda: self.told.append("broke")  # noqa: E731
        Deciding(self.decision, breaks, self.told.append, broke, STANDING).start()
        self.decision.callback("start")
        self.assertEqual(self.told, ["broke"])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
