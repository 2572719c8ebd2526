"""Web origins, and what is none."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from toolforge_gateway.http.origin import web_origin


class OriginTests(SynchronousTestCase):
    def test_same(self) -> None:
        """Case and default ports make no difference, and IPv6 has one short form."""
        for text, written in (
            (b"https://example.org", b"https://example.org:443"),
            (b"HTTPS://Example.ORG:443", b"https://example.org:443"),
            (b"https://example.org:0443", b"https://example.org:443"),
            (b"http://example.org", b"http://example.org:80"),
            (b"https://example.org:8443", b"https://example.org:8443"),
            (b"http://example.org:443", b"http://example.org:443"),
            (b"https://192.0.2.1", b"https://192.0.2.1:443"),
            (b"https://[2001:DB8:0::1]:8443", b"https://[2001:db8::1]:8443"),
            (b"https://example.org.", b"https://example.org.:443"),
        ):
            self.assertEqual(web_origin(text), written, text)

    def test_none(self) -> None:
        """Anything else is no origin, and is never compared."""
        for text in (
            b"", b"null", b"NULL", b"*", b"https://", b"https:///", b"https://a/", b"https://a/x",
            b"https://a https://b", b"https://a,https://b", b"https://a?", b"https://a#",
            b"https://u@a", b"https://a:", b"https://a:0", b"https://a:65536", b"https://a:x",
            b"https://*.a", b"https://a b", b"https://[::1", b"https://[::g]", b"https://::1",
            b"ftp://a", b"file://", b"chrome-extension://abc", b"//a", b"a", b"https:a",
            b"https://\xc3\xa9", b" https://a", b"https://a\n",
        ):  # fmt: skip
            self.assertIsNone(web_origin(text), text)

    @given(st.binary(max_size=80) | st.from_regex(rb"https?://[a-z0-9.:\[\]-]*"))
    def test_settled(self, text: bytes) -> None:
        """What is written is an origin, and its own form."""
        written = web_origin(text)
        if written is not None:
            self.assertEqual(web_origin(written), written)
