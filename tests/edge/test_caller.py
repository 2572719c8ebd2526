"""Whose words about the client count."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

from twisted.trial.unittest import SynchronousTestCase

from tests.auth.evidence import certificate
from toolforge_gateway.config.values import Forwarded
from toolforge_gateway.edge.caller import is_trusted

FORWARDED = Forwarded(
    networks=(ip_network("192.0.2.0/24"), ip_network("2001:db8::/32")),
    certificates=(("backend", "service:front"),),
)


class TrustTests(SynchronousTestCase):
    def test_address(self) -> None:
        """A peer in one of the networks is trusted; no address is in none."""
        for text, trusted in (
            ("192.0.2.8", True),
            ("2001:db8::8", True),
            ("192.0.3.8", False),
            ("2001:db9::8", False),
        ):
            self.assertEqual(is_trusted(FORWARDED, ip_address(text), None), trusted, text)
        self.assertFalse(is_trusted(FORWARDED, None, None))

    def test_certificate(self) -> None:
        """A certificate is trusted by its one CN and the CA that vouches for it, together."""
        for client_ca, subject, trusted in (
            ("backend", (("CN", "service:front"), ("O", "toolforge")), True),
            ("kubernetes", (("CN", "service:front"), ("O", "toolforge")), False),
            ("backend", (("CN", "service:other"), ("O", "toolforge")), False),
            ("backend", (("CN", "service:front"), ("CN", "service:other")), False),
            ("backend", (("O", "service:front"),), False),
        ):
            shown = certificate(*subject, client_ca=client_ca)
            self.assertEqual(is_trusted(FORWARDED, None, shown), trusted, shown)
