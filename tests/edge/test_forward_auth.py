"""What `/auth` remembers of a proxy's clients, and for how long."""

from __future__ import annotations

import math
from unittest.mock import Mock

import attrs
from twisted.trial.unittest import SynchronousTestCase

from toolforge_gateway.auth.chain import AuthenticatorChain
from toolforge_gateway.config.values import Origin, TrustedProxy
from toolforge_gateway.edge.caller import Caller
from toolforge_gateway.edge.crosssite import SiteRule
from toolforge_gateway.edge.forward_auth import ASKED_AGAIN, LONGEST, ForwardAuth, Parties
from toolforge_gateway.edge.gatekeeper import Gatekeeper
from toolforge_gateway.errors import Refusal
from toolforge_gateway.http.head import HeadLimits, parse_request_head
from toolforge_gateway.model import (
    Certificate,
    DependsOn,
    DistinguishedName,
    Exchange,
    Identity,
    Kind,
)
from toolforge_gateway.policy import ToolforgeAuthorizer
from toolforge_gateway.routing import Route, RouteTable

TOOL = Certificate(
    DistinguishedName((("O", "toolforge"), ("CN", "a"))),
    "kubernetes",
    frozenset({Kind.TOOL}),
    0,
    1000,
    "ff",
)
PROXY = attrs.evolve(
    TOOL,
    subject=DistinguishedName((("CN", "proxy"),)),
    client_ca="backend",
    identifies=frozenset(),
    not_after=math.inf,
)
DER = "TUlJ" * 32


class MemoryTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.now = 0.0
        self.shown = Mock()
        self.shown.examine.return_value = TOOL
        self.authenticator = Mock()
        self.authenticator.depends_on = DependsOn.CONNECTION
        self.authenticator.headers = frozenset()
        self.authenticator.authenticate.return_value = Identity("a", Kind.TOOL, "x")
        resource = Mock()
        resource.route = Route("jobs", "/jobs")
        parties = Parties(
            gatekeeper=Gatekeeper(AuthenticatorChain([self.authenticator]), ToolforgeAuthorizer()),
            routes=RouteTable({"/jobs": resource}),
            local=Mock(),
            sites=SiteRule([], lambda host: False),
            shown=self.shown,
            head_limits=HeadLimits(),
        )
        origin = Origin("f", 1, "")
        kinds = frozenset({Kind.TOOL})
        proxy = TrustedProxy("p", ("backend", "proxy"), "caddy", "x-shown", kinds, origin)
        self.auth = ForwardAuth([proxy], False, parties, lambda: self.now, lambda: b"now")

    def ask(self, shown: str = DER) -> str:
        """The reason of the answer."""
        text = (
            "GET /auth HTTP/1.1\r\nHost: a\r\nX-Forwarded-Method: GET\r\n"
            f"X-Forwarded-Uri: /jobs/x\r\nX-Shown: {shown}\r\n\r\n"
        )
        head = parse_request_head(text.encode(), HeadLimits())
        exchange = Exchange("id", "192.0.2.1", 0)
        self.answer = self.auth.decide(Caller(None, certificate=PROXY), exchange, head, "/auth")
        return exchange.reason

    def counts(self) -> tuple[int, int]:
        """How often certificates were verified, and authenticators asked."""
        return self.shown.examine.call_count, self.authenticator.authenticate.call_count

    def test_remembered(self) -> None:
        """A certificate is verified once, and its owner identified once a minute."""
        for shift, counts in ((0, (1, 1)), (1, (1, 1)), (ASKED_AGAIN, (1, 2)), (1, (1, 2))):
            self.now += shift
            self.assertEqual(self.ask(), "known-caller")
            self.assertEqual(self.counts(), counts)
        self.auth.forget()
        self.ask()
        self.assertEqual(self.counts(), (2, 3))

    def test_dates(self) -> None:
        """What is remembered ends with the certificate, and with the list it was looked up in."""
        self.ask()
        self.now = 1001
        self.assertEqual(self.ask(), "certificate-expired")
        self.auth.forget()
        self.shown.examine.return_value = attrs.evolve(TOOL, not_after=9999, list_until=2000)
        self.assertEqual(self.ask(), "known-caller")
        self.now = 2000
        self.assertEqual(self.ask(), "revocation-list-expired")

    def test_reasons(self) -> None:
        """A reason that is no word, of somebody's plug-in, breaks no header."""
        for reason in ("a\r\nX-Evil: 1", "schön", "two words", "", "x" * 5000):
            self.auth.forget()
            refusal = Refusal(403, reason, "no")
            self.authenticator.authenticate = Mock(side_effect=refusal)
            self.assertEqual(self.ask(), reason)
            self.assertIn(b"\r\nX-Toolforge-Reason: refused\r\n", self.said())

    def said(self) -> bytes:
        """The lines of the last answer."""
        answer = Mock()
        exchange = Exchange("id", "192.0.2.1", 0)
        self.answer(exchange, answer)
        [(_, lines, _)] = [call.args for call in answer.whole.call_args_list]
        return lines

    def test_bounds(self) -> None:
        """Many clients, or long headers, do not make it grow."""
        self.ask("TUlJ" * (LONGEST // 4 + 1))
        self.assertFalse(self.auth._verified or self.auth._settled)
        for n in range(3000):
            self.ask(f"{DER}{n:04}")
        self.assertLessEqual(len(self.auth._verified), 1024)
        self.assertLessEqual(len(self.auth._settled), 1024)
        self.assertGreater(len(self.auth._settled), 0)
