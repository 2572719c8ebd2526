"""Which form of a page a client gets."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from toolforge_gateway.pages.preference import preferred

TEXT, HTML, JSON = "text/plain", "text/html", "application/json"

CHROMIUM = (
    b"text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;"
    b"q=0.8,application/signed-exchange;v=b3;q=0.7"
)
FIREFOX = b"text/html,application/xhtml+xml,application/xml;q=0.9,image/png,*/*;q=0.8"
LYNX = b"text/html, text/plain, text/sgml, text/css, application/xhtml+xml, */*;q=0.01"


class PreferenceTests(SynchronousTestCase):
    def test_table(self) -> None:
        """Browsers get a page, curl and everything that does not care the first of our forms."""
        for header, offers, expected in [
            (None, (TEXT, HTML), TEXT),
            (b"", (TEXT, HTML), TEXT),
            (b"*/*", (TEXT, HTML), TEXT),
            (b"*/*", (JSON, HTML), JSON),
            (CHROMIUM, (TEXT, HTML), HTML),
            (CHROMIUM, (JSON, HTML), HTML),
            (FIREFOX, (TEXT, HTML), HTML),
            (LYNX, (JSON, HTML), HTML),
            (LYNX, (TEXT, HTML), TEXT),
            (b"text/html", (TEXT, HTML), HTML),
            (b"TEXT/HTML", (TEXT, HTML), HTML),
            (b"text/*", (JSON, HTML), HTML),
            (b"text/html;q=0.5, text/plain", (TEXT, HTML), TEXT),
            (b"text/html;q=0.5, text/plain;q=0.4", (TEXT, HTML), HTML),
            (b"text/html ; q=0.5 , */* ; q=0.1", (TEXT, HTML), HTML),
            (b"text/html;q=0, */*", (TEXT, HTML), TEXT),
            (b"*/*, text/plain;q=0", (TEXT, HTML), HTML),
            (b"text/*;q=0.9, text/plain;q=0.2", (TEXT, HTML), HTML),
            (b"image/png", (TEXT, HTML), TEXT),
            (b"application/json", (JSON, HTML), JSON),
        ]:
            with self.subTest(header=header):
                self.assertEqual(preferred(header, offers), expected)

    def test_nonsense(self) -> None:
        """Whatever is written there, there is an answer, and soon."""
        for header in [
            b",",
            b";;;",
            b"text/html;q=",
            b"text/html;q=nan",
            b"text/html;q=-1",
            b"text/html;q=1e999",
            b"\xff\xfe",
            b"text/html;q=0.1," * 10_000,
            b"," * 100_000,
        ]:
            with self.subTest(header=header[:40]):
                self.assertIn(preferred(header, (TEXT, HTML)), (TEXT, HTML))
