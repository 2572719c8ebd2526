"""`/` in a real browser."""

from __future__ import annotations

from typing import Any

from tests.browser.stage import PageTest, accessibility, screenshot
from tests.coroutines import CoroutineCase


class HomeTests(CoroutineCase, PageTest):
    async def test_nobody(self) -> None:
        """Without a certificate: which APIs there are, where to go, how to get in."""

        def see(page: Any) -> tuple[str, list[str]]:
            page.goto("/")
            screenshot(page, "home", full_page=True)
            return page.inner_text("main"), accessibility(page)

        text, found = await self.look(see)
        self.assertAccessible(found)
        for part in ("/jobs/", "/builds/", "no client certificate", "Documentation", "Status"):
            self.assertIn(part, text)

    async def test_tool(self) -> None:
        """With one: whose it is, and how long it is good for."""

        def see(page: Any) -> tuple[str, list[str]]:
            page.goto("/")
            screenshot(page, "home-tool", full_page=True)
            return page.inner_text("main"), accessibility(page)

        text, found = await self.look(see, tool="tf-test")
        self.assertAccessible(found)
        self.assertIn("you are the tool tf-test", text)
        self.assertIn("Valid until", text)

    async def test_dark_and_narrow(self) -> None:
        """It is as good at night and on a phone."""

        def see(page: Any, name: str) -> list[str]:
            page.goto("/")
            screenshot(page, name, full_page=True)
            return accessibility(page)

        for name, options in [("home-dark", {"dark": True}), ("home-phone", {"narrow": True})]:
            found = await self.look(
                lambda page, name=name: see(page, name), tool="tf-test", **options
            )
            self.assertAccessible(found)

    async def test_links(self) -> None:
        """What the page leads to is there."""

        def follow(page: Any) -> list[str]:
            page.goto("/")
            links = page.locator("a[href^='/']")
            return sorted({link.get_attribute("href") for link in links.all()})

        for path in await self.look(follow):
            await self.look(lambda page, path=path: page.goto(path))
