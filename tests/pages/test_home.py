"""`/`: the same text as ever on a terminal, a page in a browser."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.pages.test_answers import asking, refuse, said
from toolforge_gateway.pages.assets import Assets
from toolforge_gateway.pages.frame import Frame
from toolforge_gateway.pages.home import Api, Guest, HomePage, days_left

NOW = 1_800_000_000.0
DAY = 86400
EVIL = "<script>alert(1)</script>"
TEXT = "This is it.\n\nAPIs here:\n  /jobs/\n"
NOBODY = Guest("anonymous", "", None, None)


class HomeTests(SynchronousTestCase):
    def setUp(self) -> None:
        """A page with one API, for nobody."""
        self.apis = [Api("/jobs", "Jobs API", "1.2", "up", "jobs")]
        self.guest = NOBODY
        frame = Frame(Assets("/docs/assets", refuse))
        self.page = HomePage(
            frame, lambda: self.apis, lambda request: self.guest, TEXT, lambda: NOW, refuse
        )

    def html(self) -> str:
        return self.page.render(asking(accept=b"text/html,*/*;q=0.8")).decode()

    def test_terminal(self) -> None:
        """curl gets the text, and nothing in it depends on who asks."""
        for headers in ({}, {"accept": b"*/*"}):
            request = asking(**headers)
            self.assertEqual(self.page.render(request), TEXT.encode())
            self.assertEqual(said(request, "content-type"), b"text/plain; charset=utf-8")
            self.assertEqual(said(request, "vary"), b"Accept")
            self.assertEqual(said(request, "cache-control"), b"no-store")

    def test_head(self) -> None:
        """HEAD has GET's length and no body, in both forms."""
        for accept in (b"text/html", b"*/*"):
            body = self.page.render(asking(accept=accept))
            request = asking(method=b"HEAD", accept=accept)
            self.assertEqual(self.page.render(request), b"")
            self.assertEqual(said(request, "content-length"), b"%d" % len(body))

    def test_read_only(self) -> None:
        """Nothing can be posted here."""
        request = asking(method=b"DELETE")
        self.assertEqual(self.page.render(request), b"read-only-page")
        self.assertEqual(said(request, "allow"), b"GET, HEAD")

    def test_browser(self) -> None:
        """A browser gets the page, which nobody keeps: it may say who one is."""
        request = asking(accept=b"text/html")
        body = self.page.render(request)
        self.assertEqual(said(request, "content-type"), b"text/html; charset=utf-8")
        self.assertEqual(said(request, "cache-control"), b"no-store")
        self.assertEqual(said(request, "vary"), b"Accept, Accept-Encoding")
        for part in (b"Jobs API", b"<code>/jobs/</code>", b"1.2", b"badge good", b'href="/docs"'):
            self.assertIn(part, body)

    def test_nobody(self) -> None:
        """Without a certificate one is told where it is and how to use it."""
        html = self.html()
        self.assertIn("no client certificate", html)
        self.assertIn("--cert", html)
        self.assertNotIn("notice", html)

    def test_here(self) -> None:
        """The line to copy has the name by which the visitor has found us, if it is a name."""
        for host, shown in [
            (b"api.example.org:8443", "https://api.example.org:8443/whoami"),
            (b"[::1]:8443", "https://[::1]:8443/whoami"),
            (b"x' ; rm -rf ~ #", "https://\u2026/whoami"),
            (b"<script>", "https://\u2026/whoami"),
            (b"", "https://\u2026/whoami"),
        ]:
            html = self.page.render(asking(accept=b"text/html", host=host)).decode()
            self.assertIn(shown, html)

    def test_tool(self) -> None:
        """A tool sees its name, its kind and how long its certificate is good for."""
        self.guest = Guest("tool", "my-tool", "O=toolforge, CN=my-tool", NOW + 300 * DAY)
        html = self.html()
        self.assertIn("you are the tool <strong><bdi>my-tool</bdi></strong>", html)
        self.assertIn("(in 300 d)", html)
        self.assertIn("O=toolforge, CN=my-tool", html)
        self.assertNotIn("notice", html)

    def test_kinds(self) -> None:
        """Administrators and services are called that; a certificate that is nobody's is said
        to be just that."""
        for kind, words in [
            ("admin", "you are the administrator"),
            ("service", "you are the service"),
            ("anonymous", "stands for nobody"),
            ("unverified-token", "stands for nobody"),
        ]:
            self.guest = Guest(kind, "x", "CN=x", NOW + 300 * DAY)
            self.assertIn(words, self.html())

    def test_warning(self) -> None:
        """From 30 days before its end on the owner is warned, in words that fit."""
        for seconds, words in [
            (31 * DAY, None),
            (31 * DAY - 1, "runs out in 30 days."),
            (30 * DAY, "runs out in 30 days."),
            (DAY, "runs out in 1 day."),
            (DAY - 1, "runs out within a day."),
            (0, "runs out within a day."),
            (-1, "has run out."),
        ]:
            self.guest = Guest("tool", "x", "CN=x", NOW + seconds)
            html = self.html()
            if words is None:
                self.assertNotIn("notice", html)
            else:
                self.assertIn(f"Your certificate {words}", html)

    def test_days_left(self) -> None:
        """Whole days, rounded down."""
        self.assertEqual(
            [days_left(NOW + seconds, NOW) for seconds in (DAY * 2.5, DAY, 1, 0, -1)],
            [2, 1, 0, 0, -1],
        )

    def test_no_apis(self) -> None:
        """A gateway with nothing behind it says so."""
        self.apis = []
        self.assertIn("None so far.", self.html())

    def test_documented(self) -> None:
        """An API leads to its documentation, where it has one; where none has, nothing leads to
        a document that is not there."""
        self.assertIn('<a href="/docs?api=jobs"><bdi>Jobs API</bdi></a>', self.html())
        self.assertIn('<a href="/openapi.json">OpenAPI document</a>: ', self.html())
        self.apis = [Api("/jobs", "Jobs API", None, "up")]
        self.assertNotIn("/docs?", self.html())
        self.assertNotIn('<a href="/openapi.json">OpenAPI document</a>: ', self.html())

    def test_hostile(self) -> None:
        """Whatever a document or a certificate says is text; and text that runs from right to
        left turns nothing else round."""
        self.apis = [Api("/jobs", EVIL + "\u202e", EVIL, EVIL, EVIL, EVIL)]
        self.guest = Guest("tool", EVIL, f'CN="{EVIL}\u202e', NOW + DAY)
        html = self.html()
        self.assertNotIn("<script", html)
        self.assertIn("&lt;script&gt;", html)
        self.assertIn("<bdi>&lt;script&gt;alert(1)&lt;/script&gt;\u202e</bdi>", html)

    def test_long(self) -> None:
        """A title of any length makes a page, of no more than that length."""
        self.apis = [Api("/jobs", "x" * 100_000, None, "up")]
        self.assertLess(len(self.html()), 110_000)
