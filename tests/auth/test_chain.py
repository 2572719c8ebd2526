"""Who is asked, how often, and who decides."""

from __future__ import annotations

import re
from collections.abc import Callable
from ipaddress import ip_address
from typing import Any

import attrs
from twisted.internet.defer import Deferred, fail, succeed
from twisted.logger import LogEvent, formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from tests.auth.evidence import certificate, deployment, tool
from toolforge_gateway.auth.chain import AuthenticatorChain
from toolforge_gateway.auth.deploytoken import DeployToken, TokenPath
from toolforge_gateway.auth.kubernetes import KubernetesCertificate
from toolforge_gateway.auth.superuser import Superuser
from toolforge_gateway.errors import BadEvidence, Refusal
from toolforge_gateway.interfaces import IAuthenticator
from toolforge_gateway.model import ANONYMOUS, DependsOn, Evidence, Identity, Kind
from toolforge_gateway.routing import PathTemplate

A = Identity("a", Kind.TOOL, "scripted")
B = Identity("b", Kind.TOOL, "scripted")
NOW = 500.0


@implementer(IAuthenticator)
@attrs.define
class Scripted:
    """Says what it is told to say, and keeps what it was shown."""

    says: Callable[[Evidence], Any] = lambda evidence: None
    depends_on: DependsOn = DependsOn.CONNECTION
    headers: frozenset[str] = frozenset()
    name: str = "scripted"
    shown: list[Evidence] = attrs.field(factory=list)

    def authenticate(self, evidence: Evidence) -> Any:
        self.shown.append(evidence)
        return self.says(evidence)


def per_connection(says: Any = None) -> Scripted:
    """Answers the same to each connection."""
    return Scripted(lambda evidence: says)


def per_request(says: Any = None, *headers: str) -> Scripted:
    """Answers the same to each request."""
    return Scripted(lambda evidence: says, DependsOn.REQUEST, frozenset(headers))


def raising(error: Exception, depends_on: DependsOn) -> Scripted:
    """Raises."""

    def says(evidence: Evidence) -> None:
        raise error

    return Scripted(says, depends_on)


class ChainTest(SynchronousTestCase):
    def identify(self, *authenticators: Any, shown: Any = None) -> Any:
        """The answer to one request of a new connection."""
        caller = AuthenticatorChain(authenticators).for_connection(Evidence(shown))
        return caller.settled(NOW) or caller.for_request(Evidence(shown, method="GET"))

    def refusal(self, *authenticators: Any, shown: Any = None) -> Refusal:
        """The refusal of one request of a new connection."""
        error = self.assertRaises(Refusal, self.identify, *authenticators, shown=shown)
        return error


class Order(ChainTest):
    def test_nobody(self) -> None:
        """Without evidence, and without authenticators, a caller is anonymous."""
        self.assertIs(self.identify(), ANONYMOUS)
        self.assertIs(self.identify(per_connection(), per_request()), ANONYMOUS)

    def test_first_decides(self) -> None:
        """The first that knows the caller decides; those after it are not asked."""
        for first in (per_connection, per_request):
            last = per_request(B)
            self.assertIs(self.identify(per_connection(), first(A), last), A)
            self.assertEqual(last.shown, [])

    def test_request_before_connection(self) -> None:
        """An earlier one that depends on the request beats a later one that does not."""
        self.assertIs(self.identify(per_request(A), per_connection(B)), A)
        self.assertIs(self.identify(per_request(), per_connection(B)), B)

    def test_bad_evidence_ends_it(self) -> None:
        """Bad evidence is no "no evidence": nobody else is asked."""
        error = BadEvidence(401, "bad", "bad")
        for depends_on in DependsOn:
            last = per_request(B)
            self.assertIs(self.refusal(raising(error, depends_on), last), error)
            self.assertEqual(last.shown, [])

    def test_certificate_that_nobody_knows(self) -> None:
        """A certificate that nobody recognizes is refused, never anonymous."""
        for authenticators in ((), (per_connection(),), (per_connection(), per_request())):
            refusal = self.refusal(*authenticators, shown=tool("a"))
            self.assertIsInstance(refusal, BadEvidence)
            self.assertEqual((refusal.status, refusal.reason), (403, "certificate-not-recognized"))
            self.assertTrue(refusal.close)


class Once(ChainTest):
    def test_settled(self) -> None:
        """What depends on the connection is asked once, and needs no request."""
        first, second = per_connection(), per_connection(A)
        chain = AuthenticatorChain([first, second])
        caller = chain.for_connection(Evidence(None, ip_address("192.0.2.1")))
        for _ in range(3):
            self.assertIs(caller.settled(NOW), A)
        self.assertEqual(first.shown, [Evidence(None, ip_address("192.0.2.1"))])
        self.assertEqual(len(second.shown), 1)

    def test_anonymous_is_settled(self) -> None:
        """Where nobody looks at requests, even an anonymous caller is settled."""
        caller = AuthenticatorChain([per_connection()]).for_connection(Evidence(None))
        self.assertIs(caller.settled(NOW), ANONYMOUS)

    def test_each_request(self) -> None:
        """What depends on the request is asked anew, with that request."""
        answers = iter((A, None, B))
        token = Scripted(lambda evidence: next(answers), DependsOn.REQUEST)
        known = per_connection()
        caller = AuthenticatorChain([known, token]).for_connection(Evidence(None))
        for number, identity in enumerate((A, ANONYMOUS, B)):
            self.assertIsNone(caller.settled(NOW))
            self.assertIs(caller.for_request(Evidence(None, path=f"/{number}")), identity)
        self.assertEqual([each.path for each in token.shown], ["/0", "/1", "/2"])
        self.assertEqual(len(known.shown), 1)

    def test_refused_again(self) -> None:
        """A refusal of the connection refuses each of its requests."""
        caller = AuthenticatorChain([per_connection()]).for_connection(Evidence(tool("a")))
        for _ in range(3):
            self.assertIsNone(caller.settled(NOW))
            error = self.assertRaises(BadEvidence, caller.for_request, Evidence(tool("a")))
        depth, frame = 0, error.__traceback__
        while frame is not None:
            depth, frame = depth + 1, frame.tb_next
        self.assertLess(depth, 8)

    def test_dates(self) -> None:
        """A connection may outlive its certificate, but nobody is known by it then."""
        shown = certificate(("O", "toolforge"), ("CN", "a"), not_before=10, not_after=20)
        caller = AuthenticatorChain([per_connection(A)]).for_connection(Evidence(shown))
        for now in (10.0, 15.0, 20.0):
            self.assertIs(caller.settled(now), A)
            self.assertTrue(caller.is_settled(A, now))
            self.assertFalse(caller.is_settled(B, now))
        for now in (9.9, 20.1):
            self.assertFalse(caller.is_settled(A, now))
            refusal = self.assertRaises(BadEvidence, caller.settled, now)
            self.assertEqual((refusal.status, refusal.reason), (403, "certificate-expired"))
            self.assertTrue(refusal.close)


class Headers(ChainTest):
    def test_union(self) -> None:
        """The chain wants what any of them wants."""
        chain = AuthenticatorChain([per_request(None, "a", "b"), per_request(None, "b", "c")])
        self.assertEqual(chain.headers, {"a", "b", "c"})

    def test_each_its_own(self) -> None:
        """Each is shown the fields that it wants, and nobody else's."""
        first, second, third = per_request(None, "a", "b"), per_request(None, "b"), per_request()
        caller = AuthenticatorChain([first, second, third]).for_connection(Evidence(None))
        caller.for_request(Evidence(None, headers=(("a", "1"), ("b", "2"), ("b", "3"))))
        self.assertEqual(first.shown[0].headers, (("a", "1"), ("b", "2"), ("b", "3")))
        self.assertEqual(second.shown[0].headers, (("b", "2"), ("b", "3")))
        self.assertEqual(third.shown[0].headers, ())


class Deferreds(ChainTest):
    def test_fired_already(self) -> None:
        """A Deferred that has fired is waited for by nobody."""
        self.assertIs(self.identify(per_connection(succeed(A))), A)
        self.assertIs(self.identify(per_request(succeed(None)), per_request(succeed(A))), A)
        error = BadEvidence(401, "bad", "bad")
        self.assertIs(self.refusal(per_request(fail(error))), error)

    def test_request(self) -> None:
        """A request waits for its own answer; the next one is asked after None."""
        first, second = Deferred(), Deferred()
        answer = self.identify(per_request(first), per_request(second), per_request(B))
        self.assertNoResult(answer)
        first.callback(None)
        self.assertNoResult(answer)
        second.callback(A)
        self.assertIs(self.successResultOf(answer), A)

    def test_request_refused(self) -> None:
        """A Deferred that fails with a refusal is that refusal."""
        waiting = Deferred()
        answer = self.identify(per_request(waiting), per_request(B))
        error = BadEvidence(401, "bad", "bad")
        waiting.errback(error)
        self.assertIs(self.failureResultOf(answer, BadEvidence).value, error)

    def test_connection(self) -> None:
        """Requests wait for the answer about their connection, then it is settled."""
        slow = Deferred()
        chain = AuthenticatorChain([per_connection(slow), per_connection(A)])
        caller = chain.for_connection(Evidence(None))
        self.assertIsNone(caller.settled(NOW))
        answers = [caller.for_request(Evidence(None)) for _ in range(2)]
        self.assertNoResult(answers[0])
        slow.callback(None)
        self.assertEqual([self.successResultOf(answer) for answer in answers], [A, A])
        self.assertIs(caller.settled(NOW), A)

    def test_connection_then_request(self) -> None:
        """After a slow answer about the connection the request's turn comes in order."""
        slow = Deferred()
        caller = AuthenticatorChain([per_request(), per_connection(slow)]).for_connection(
            Evidence(None)
        )
        answer = caller.for_request(Evidence(None))
        slow.errback(BadEvidence(403, "bad", "bad"))
        self.failureResultOf(answer, BadEvidence)
        self.assertRaises(BadEvidence, caller.for_request, Evidence(None))

    def test_cancel_request(self) -> None:
        """When a caller leaves, its question is cancelled where it is."""
        cancelled: list[Any] = []
        answer = self.identify(per_request(Deferred(cancelled.append)))
        answer.cancel()
        self.failureResultOf(answer)
        self.assertEqual(len(cancelled), 1)

    def test_cancel_one_of_two(self) -> None:
        """A request that leaves takes nothing from another that waits."""
        slow = Deferred()
        caller = AuthenticatorChain([per_connection(slow)]).for_connection(Evidence(None))
        leaving, staying = caller.for_request(Evidence(None)), caller.for_request(Evidence(None))
        leaving.cancel()
        self.failureResultOf(leaving)
        slow.callback(A)
        self.assertIs(self.successResultOf(staying), A)

    def test_lost(self) -> None:
        """When the connection is gone, nobody goes on asking about it."""
        cancelled: list[Any] = []
        chain = AuthenticatorChain([per_connection(Deferred(cancelled.append))])
        caller = chain.for_connection(Evidence(None))
        caller.lost()
        caller.lost()
        self.assertEqual(len(cancelled), 1)
        self.assertRaises(Refusal, caller.for_request, Evidence(None))


class Broken(ChainTest):
    def setUp(self) -> None:
        self.events: list[LogEvent] = []
        globalLogPublisher.addObserver(self.events.append)
        self.addCleanup(globalLogPublisher.removeObserver, self.events.append)

    def broken(self, authenticator: Scripted) -> None:
        """It leads to a 500, and to one line in the log without the secret."""
        self.events.clear()
        refusal = self.refusal(authenticator, per_connection(A))
        self.assertEqual((refusal.status, refusal.reason), (500, "authenticator-broken"))
        self.assertEqual(len(self.events), 1)
        self.assertEqual(self.events[0]["name"], "scripted")
        self.assertNotIn("s3cret", repr((self.events, refusal.message)))

    def test_raises(self) -> None:
        """An exception is a 500, and never "nothing here"."""
        for depends_on in DependsOn:
            self.broken(raising(RuntimeError("s3cret"), depends_on))
        for says in (per_connection, per_request):
            self.broken(says(fail(RuntimeError("s3cret"))))

    def test_answers(self) -> None:
        """An answer that no backend may be told is a 500."""
        for answer in (
            "a",
            True,
            ANONYMOUS,
            Identity("A", Kind.TOOL, "scripted"),
            Identity("", Kind.TOOL, "scripted", asserted=False),
            Identity("", Kind.SERVICE, "scripted"),
            Identity("a\r\nX-Toolforge-Tool: b", Kind.SERVICE, "scripted"),
            Identity("a\n", Kind.ADMIN, "scripted", asserted=False),
            Identity("é", Kind.ADMIN, "scripted"),
            Identity("a" * 256, Kind.SERVICE, "scripted"),
            Identity("a", Kind.UNVERIFIED_TOKEN, "scripted"),
            Identity("a", "tool", "scripted"),
            Identity("a", Kind.TOOL, "scripted", paths=("/jobs/.*",)),
            Identity("a", Kind.TOOL, "scripted", paths="/jobs/.*"),
            Identity("a", Kind.TOOL, "scripted", paths=[re.compile("/jobs/.*")]),
        ):
            self.broken(per_connection(answer))
            self.broken(per_request(succeed(answer)))

    def test_says_what(self) -> None:
        """Of an answer that is no identity the log says what is wrong with it."""
        self.broken(per_request(Identity("a", Kind.TOOL, "scripted", paths=("/jobs/.*",))))
        self.assertIn("re.compile", formatEvent(self.events[0]))


class BuiltIn(ChainTest):
    def setUp(self) -> None:
        path = PathTemplate("/components/v1/tool/{tool}/deployment")
        self.chain = AuthenticatorChain(
            [
                KubernetesCertificate(),
                Superuser({}),
                DeployToken("token", (TokenPath("POST", path, "components-api"),)),
            ]
        )

    def test_certificate(self) -> None:
        """A tool's certificate settles its connection, whatever else is configured."""
        caller = self.chain.for_connection(Evidence(tool("a")))
        self.assertEqual(caller.settled(NOW), Identity("a", Kind.TOOL, "kubernetes-certificate"))

    def test_token(self) -> None:
        """Without a certificate each request's token counts for that request."""
        caller = self.chain.for_connection(Evidence(None))
        self.assertIs(caller.for_request(deployment()).kind, Kind.UNVERIFIED_TOKEN)
        self.assertIs(caller.for_request(deployment(None)), ANONYMOUS)
        self.assertRaises(BadEvidence, caller.for_request, deployment("token=x"))
