"""The chain's reasons in words."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.auth.evidence import TOKEN, deployment, service, tool
from tests.auth.test_chain import A, per_request
from toolforge_gateway.auth.chain import AuthenticatorChain
from toolforge_gateway.auth.deploytoken import DeployToken, TokenPath
from toolforge_gateway.auth.explain import explain
from toolforge_gateway.auth.kubernetes import KubernetesCertificate
from toolforge_gateway.auth.superuser import Superuser
from toolforge_gateway.errors import Refusal
from toolforge_gateway.model import ANONYMOUS, Evidence, Identity
from toolforge_gateway.routing import PathTemplate

DEPLOYMENT = PathTemplate("/components/v1/tool/{tool}/deployment")


class ExplainTest(SynchronousTestCase):
    def setUp(self) -> None:
        self.chain = AuthenticatorChain(
            [
                KubernetesCertificate(),
                Superuser({"service:x": ()}),
                DeployToken("token", (TokenPath("POST", DEPLOYMENT, "components-api"),)),
            ]
        )

    def lines(self, evidence: Evidence) -> list[str]:
        """The steps as `explain` prints them; no token is in any."""
        explanation = self.successResultOf(explain(self.chain, evidence, Clock(), 60))
        lines = [str(step) for step in explanation.steps]
        self.assertNotIn(TOKEN, repr(lines))
        self.answer = explanation.answer
        return lines

    def test_tool(self) -> None:
        """The first that knows the caller ends it."""
        self.assertEqual(self.lines(Evidence(tool("a"))), ["kubernetes-certificate: tool a"])
        self.assertIsInstance(self.answer, Identity)

    def test_service(self) -> None:
        """Who passes says why; who decides says with what scope."""
        self.assertEqual(
            self.lines(Evidence(service("service:x"))),
            [
                "kubernetes-certificate: not its caller: "
                "the CA backend vouches for no tool or administrator",
                "superuser: service service:x, scope empty",
            ],
        )

    def test_unlisted(self) -> None:
        """A service that is not listed learns that."""
        lines = self.lines(Evidence(service("service:y")))
        self.assertEqual(
            lines[1], "superuser: not its caller: CN service:y is not one of its superusers"
        )
        self.assertEqual(lines[2][:12], "deploy-token")
        self.assertIn("neither a tool", lines[3])
        self.assertIsInstance(self.answer, Refusal)

    def test_token(self) -> None:
        """A token that is passed on is shown as nobody's."""
        self.assertEqual(
            self.lines(deployment())[-1],
            "deploy-token: unverified-token, not told to the backend",
        )

    def test_refused(self) -> None:
        """A refusal is shown with its status, reason and sentence."""
        line = self.lines(deployment(method="PUT"))[-1]
        self.assertIn("deploy-token: 403 token-not-allowed-here: ", line)

    def test_anonymous(self) -> None:
        """In the end there is nobody else."""
        lines = self.lines(deployment(None))
        self.assertEqual(lines[0], "kubernetes-certificate: not its caller: no client certificate")
        self.assertEqual(
            lines[2:],
            [
                "deploy-token: not its caller: no token= in the query",
                "nobody else: anonymous",
            ],
        )
        self.assertIs(self.answer, ANONYMOUS)

    def test_deferred(self) -> None:
        """A slow stranger is waited for, and needs to explain nothing."""
        waiting: Deferred[None] = Deferred()
        chain = AuthenticatorChain([per_request(waiting), per_request(A)])
        asked = explain(chain, Evidence(None), Clock(), 60)
        self.assertNoResult(asked)
        waiting.callback(None)
        lines = [str(step) for step in self.successResultOf(asked).steps]
        self.assertEqual(
            lines, ["scripted: not its caller: nothing here for it", "scripted: tool a"]
        )

    def test_too_late(self) -> None:
        """All of them together have so long, as they have for a request."""
        first, second, clock = Deferred(), Deferred(), Clock()
        chain = AuthenticatorChain([per_request(first), per_request(second)])
        asked = explain(chain, Evidence(None), clock, 60)
        clock.advance(50)
        first.callback(None)
        clock.advance(9)
        self.assertNoResult(asked)
        clock.advance(1)
        explanation = self.successResultOf(asked)
        self.assertEqual(explanation.answer.reason, "decision-timeout")
        self.assertEqual(len(explanation.steps), 2)
        self.assertEqual(clock.getDelayedCalls(), [])
