"""Which requests a page of some other site has sent."""

from __future__ import annotations

from unittest.mock import Mock

from twisted.trial.unittest import SynchronousTestCase

from toolforge_gateway.edge.crosssite import SiteRule
from toolforge_gateway.http.head import HeadLimits, parse_request_head
from toolforge_gateway.http.known import KnownRequests
from toolforge_gateway.http.message import RequestHead


def head(*lines: str, method: str = "POST", host: str = "gateway.example") -> RequestHead:
    text = "".join(f"{line}\r\n" for line in (f"Host: {host}", *lines))
    return parse_request_head(f"{method} / HTTP/1.1\r\n{text}\r\n".encode("latin-1"), HeadLimits())


class CrossSite(SynchronousTestCase):
    """The gateway's certificate covers `gateway.example`, `ui.example` is allowed."""

    def setUp(self) -> None:
        self.names_host = Mock(side_effect=lambda host: host.startswith(b"gateway.example"))
        self.rule = SiteRule([b"https://ui.example:443"], self.names_host)

    def test_own(self) -> None:
        """Our own pages, allowed ones, and whoever is no browser."""
        for lines in (
            [],
            ["Sec-Fetch-Site: same-origin"],
            ["Sec-Fetch-Site: none"],
            ["Origin: https://gateway.example"],
            ["Origin: https://gateway.example:443"],
            ["origin: https://ui.example", "SEC-FETCH-SITE: same-origin"],
            ["Origin: https://UI.example:443"],
            ["Origin: https://ui.example", "Origin: https://gateway.example"],
            ["Referer: https://evil.example/", "Sec-Fetch-Mode: cors", "X-Origin: null"],
            ["Access-Control-Request-Method: PUT"],
        ):
            self.assertFalse(self.rule.refuses(head(*lines)), lines)

    def test_foreign(self) -> None:
        """One foreign sign is enough, also beside good ones."""
        for lines in (
            ["Sec-Fetch-Site: cross-site"],
            ["Sec-Fetch-Site: same-site"],
            ["sec-fetch-site: cross-site"],
            ["Sec-Fetch-Site: Cross-Site"],
            ["Sec-Fetch-Site: same-origin, cross-site"],
            ["Sec-Fetch-Site: something-new"],
            ["Sec-Fetch-Site:"],
            ["Sec-Fetch-Site: same-origin", "Sec-Fetch-Site: cross-site"],
            ["Origin: https://ui.example", "Sec-Fetch-Site: cross-site"],
            ["Origin: https://gateway.example", "Sec-Fetch-Site: same-site"],
            ["Sec-Fetch-Site: same-origin", "Origin: https://evil.example"],
            ["Origin: null"],
            ["Origin:"],
            ["Origin: *"],
            ["Origin: https://evil.example"],
            ["Origin: http://ui.example"],
            ["Origin: http://ui.example:443"],
            ["Origin: https://ui.example:8443"],
            ["Origin: https://ui.example."],
            ["Origin: https://sub.ui.example"],
            ["Origin: https://ui.example.evil.example"],
            ["Origin: https://ui.example/"],
            ["Origin: https://ui.example https://evil.example"],
            ["Origin: https://ui.example", "Origin: https://evil.example"],
            ["Origin: http://gateway.example"],
            ["Origin: https://gateway.example:8443"],
        ):
            self.assertTrue(self.rule.refuses(head(*lines)), lines)

    def test_host(self) -> None:
        """The page's own host is ours only if our certificate says so, and with its port."""
        for host, origin, foreign in (
            ("gateway.example:8443", "https://gateway.example:8443", False),
            ("gateway.example:8443", "https://gateway.example", True),
            ("gateway.example:443", "https://gateway.example", False),
            ("evil.example", "https://evil.example", True),
        ):
            asked = head(f"Origin: {origin}", host=host)
            self.assertEqual(self.rule.refuses(asked), foreign, (host, origin))

    def test_no_host(self) -> None:
        """HTTP/1.0 without a Host has no origin of its own."""
        text = b"POST / HTTP/1.0\r\nOrigin: https://gateway.example\r\n\r\n"
        self.assertTrue(self.rule.refuses(parse_request_head(text, HeadLimits())))

    def test_methods(self) -> None:
        """Reading is allowed, everything else is not; OPTIONS is a method like others."""
        foreign = ("Origin: https://evil.example", "Sec-Fetch-Site: cross-site")
        for method in ("GET", "HEAD"):
            self.assertFalse(self.rule.refuses(head(*foreign, method=method)), method)
        for method in ("POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND", "GETX", "QUERY"):
            self.assertTrue(self.rule.refuses(head(*foreign, method=method)), method)

    def test_once(self) -> None:
        """The same header lines are judged once, under whatever request line."""
        known = KnownRequests(HeadLimits())
        lines = b"Host: gateway.example\r\nOrigin: https://gateway.example\r\n\r\n"
        for method in (b"POST", b"GET", b"PUT", b"POST"):
            self.assertFalse(self.rule.refuses(known.parse(method + b" / HTTP/1.1\r\n" + lines)))
        self.assertEqual(self.names_host.call_count, 1)

    def test_each_its_own(self) -> None:
        """Two rules may disagree about one head."""
        asked = head("Origin: https://ui.example")
        self.assertFalse(self.rule.refuses(asked))
        self.assertTrue(SiteRule([], self.names_host).refuses(asked))
        self.assertFalse(self.rule.refuses(asked))
