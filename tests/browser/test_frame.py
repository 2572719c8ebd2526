"""What holds for every page."""

from __future__ import annotations

from tests.browser.stage import PageTest, accessibility
from tests.coroutines import CoroutineCase

PAGES = ("/", "/docs", "/status")
"""All pages that anyone may see."""


class EveryPage(CoroutineCase, PageTest):
    """All pages, one after the other."""

    async def test_accessible(self) -> None:
        """axe finds nothing, in light and dark, wide and narrow."""
        for path in PAGES:
            for options in ({}, {"dark": True}, {"narrow": True}):

                def axe(page, path=path):
                    page.goto(path, wait_until="networkidle")
                    return accessibility(page)

                self.assertAccessible(await self.look(axe, **options))

    async def test_skip_link(self) -> None:
        """The first thing that Tab reaches leads past the navigation."""
        for path in PAGES:

            def skip(page, path=path):
                page.goto(path)
                page.keyboard.press("Tab")
                text = page.evaluate("document.activeElement.textContent")
                page.keyboard.press("Enter")
                return text, page.evaluate("document.activeElement.id")

            self.assertEqual(await self.look(skip), ("Skip to the content", "content"))

    async def test_no_sideways(self) -> None:
        """On a phone no page is wider than the screen."""
        for path in PAGES:

            def widths(page, path=path):
                page.goto(path, wait_until="networkidle")
                return page.evaluate("[document.documentElement.scrollWidth, innerWidth]")

            width, screen = await self.look(widths, narrow=True)
            self.assertLessEqual(width, screen, path)

    async def test_with_a_certificate(self) -> None:
        """A browser with a client certificate gets the pages as well, and is known by it."""
        for path in PAGES:
            await self.look(lambda page, path=path: page.goto(path), tool="tf-test")

        def ask(page) -> int:
            page.goto("/docs")
            path = "/envvars/v1/tool/tf-test/envvars"
            return page.evaluate(f"fetch('{path}').then(answer => answer.status)")

        self.assertEqual(await self.look(ask, tool="tf-test"), 200)


class Trust(CoroutineCase, PageTest):
    """What the other tests rest upon."""

    expected = ("no answer",)
    authority = "backend-ca.crt"

    async def test_certificates_are_checked(self) -> None:
        """A browser that trusts another authority refuses the gateway's certificate."""

        def refused(page) -> str:
            try:
                page.goto("/docs")
            except Exception as error:
                return str(error)
            return "trusted"

        self.assertIn("ERR_CERT_AUTHORITY_INVALID", await self.look(refused))


class Watched(CoroutineCase, PageTest):
    """The console and the network are really looked at."""

    async def test_a_violation_is_noticed(self) -> None:
        """A script that a page's policy forbids, and a foreign image, do not go unseen."""

        def sin(page) -> None:
            page.goto("/docs")
            page.evaluate(
                "document.body.append(Object.assign(document.createElement('script'),"
                " {textContent: 'document.title = 1'}))"
            )
            page.evaluate("new Image().src = 'https://elsewhere.invalid/x.png'")
            page.wait_for_timeout(200)

        with self.assertRaises(self.failureException) as caught:
            await self.look(sin)
        self.assertIn("Content Security Policy", str(caught.exception))
