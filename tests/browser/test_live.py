"""`/docs` on the document that the gateway makes of its backends' own."""

from __future__ import annotations

import json
from typing import Any

from twisted.internet import reactor
from twisted.internet.task import deferLater

from tests.browser.stage import PageTest, accessibility, screenshot
from tests.browser.test_docs import TALL, shown, unfold
from tests.clients import programs
from tests.coroutines import CoroutineCase


class Live(CoroutineCase, PageTest):
    """The sample backends, which publish documents that collide on purpose."""

    async def open(self, look: Any, address: str = "/docs", **options: Any) -> Any:
        """Look at the page once all five APIs are in the document."""

        curl = [programs.program("curl"), "--silent", "--insecure", f"{self.url}/openapi.json"]
        while True:
            found = json.loads((await programs.run(reactor, curl)).out)
            if len({path.split("/")[1] for path in found.get("paths", ())}) == 5:
                break
            await deferLater(reactor, 0.1)

        def arrived(page: Any) -> Any:
            page.goto(address)
            page.locator(".operation:visible").first.wait_for()
            return look(page)

        return await self.look(arrived, **options)

    async def test_all_unfold(self) -> None:
        """Every operation of every API unfolds, with a line to call it and its answers."""

        def look(page: Any) -> None:
            self.assertEqual(
                page.locator("section h2").evaluate_all(
                    "all => all.map(each => each.id && each.firstChild.textContent)"
                ),
                ["builds", "components", "envvars", "jobs", "logs"],
            )
            names = shown(page)
            self.assertGreater(len(names), 30)
            for button in page.locator(".operation h3 button").all():
                button.click()
            self.assertEqual(page.locator(".operation .lines code").count(), len(names))
            for code in page.locator(".operation .lines code").all():
                self.assertRegex(code.text_content(), r"(?s)^curl .*https://")
            self.assertEqual(page.get_by_text("leads nowhere").count(), 0)

        await self.open(look)

    async def test_accessible(self) -> None:
        """axe finds nothing in the whole of it, in light and dark."""

        def look(page: Any) -> list[str]:
            for button in page.locator(".operation h3 button").all()[::4]:
                button.click()
            return accessibility(page)

        for dark in (False, True):
            self.assertAccessible(await self.open(look, dark=dark))

    async def test_screenshots(self) -> None:
        """The pictures of docs/pages.md."""
        for name, options in [
            ("docs-live", {"viewport": TALL}),
            ("docs-live-dark", {"viewport": TALL, "dark": True}),
        ]:

            def look(page: Any, name: str = name) -> None:
                unfold(page, shown(page)[0])
                screenshot(page, name)

            await self.open(look, "/docs?q=deploy", **options)
