"""`/status` in a real browser: live without reloading, for all eyes and hands."""

from __future__ import annotations

import json
import random
import ssl
import urllib.request
from inspect import iscoroutine
from typing import Any
from urllib.error import HTTPError

from twisted.internet import reactor
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.task import Clock
from twisted.internet.threads import blockingCallFromThread

from tests.browser.stage import PageTest, accessibility, screenshot
from tests.clients.stage import pki
from tests.coroutines import CoroutineCase
from tests.observe.exchanges import over
from toolforge_gateway import overview
from toolforge_gateway.demo.backends import listen
from toolforge_gateway.observe import snapshot
from toolforge_gateway.observe.health import FAILURES
from toolforge_gateway.observe.history import MINUTES, History
from toolforge_gateway.pages import status

OFTEN = 0.2
"""Seconds between two looks of the page's script in these tests."""
ENVVARS = "/envvars/v1/tool/tf-test/envvars"


class StatusCase(CoroutineCase, PageTest):
    """The page looks often, and each look sees something new."""

    every: float = OFTEN

    def setUp(self):
        """Before the gateway is made."""
        self.patch(status, "EVERY", self.every)
        self.patch(snapshot, "FRESH", 0.0)
        return super().setUp()

    def call(self, path: str = ENVVARS, tool: str = "tf-test") -> int:
        """Call an API, from the browser's thread; gives the status code."""
        context = ssl.create_default_context(cafile=str(pki() / "server-ca.crt"))
        context.load_cert_chain(pki() / f"tool-{tool}.crt", pki() / f"tool-{tool}.key")
        try:
            with urllib.request.urlopen(self.url + path, context=context, timeout=10) as answer:
                return answer.status
        except HTTPError as error:
            return error.code

    def in_reactor(self, function: Any, *arguments: Any) -> Any:
        """Call something where the gateway runs, from the browser's thread."""

        def call() -> Deferred[Any]:
            result = function(*arguments)
            if iscoroutine(result):
                return Deferred.fromCoroutine(result)
            return maybeDeferred(lambda: result)

        return blockingCallFromThread(reactor, call)


class LiveTests(StatusCase):
    async def test_traffic(self) -> None:
        """What goes through shows without reloading, and nothing that the reader has in hand is
        taken away: focus, and what is unfolded."""

        def watch(page: Any) -> None:
            page.goto("/status")
            page.evaluate("window.mark = 'not reloaded'")
            row = page.get_by_role("row").filter(
                has=page.get_by_role("rowheader", name="envvars-api", exact=True)
            )
            since_start = row.nth(1).get_by_role("cell").first
            assert since_start.inner_text() == "0"
            region = page.get_by_role("region", name="By route, since the start", exact=True)
            region.focus()
            for _ in range(3):
                assert self.call() == 200
            page.wait_for_function(
                "cell => cell.textContent === '3'", arg=since_start.element_handle()
            )
            assert page.evaluate("window.mark") == "not reloaded"
            assert page.evaluate("document.activeElement.className") == "wide"
            assert row.first.locator(".badge").inner_text() == "up"

        await self.look(watch, certificate="admin")

    async def test_backend_goes_down(self) -> None:
        """A backend that goes down, and comes back, is seen and told to those who listen."""

        def watch(page: Any) -> list[str]:
            assert self.call() == 200
            page.goto("/status")
            badge = page.locator("[data-state-of='envvars-api'] .badge")
            said = page.locator("#announcements")
            heard = []
            # The others are up once their documents have been fetched, which is told as well.
            page.wait_for_function(
                "() => [...document.querySelectorAll('[data-where^=backends] .badge')]"
                ".every(badge => badge.textContent === 'up')"
            )
            self.in_reactor(self.take_down)
            for _ in range(FAILURES):
                assert self.call() == 502
            page.wait_for_function(
                "badge => badge.textContent === 'failing'", arg=badge.element_handle()
            )
            heard.append(said.inner_text())
            assert said.get_attribute("role") == "status"
            assert "bad" in (badge.get_attribute("class") or "").split()
            self.in_reactor(self.bring_back)
            assert self.call() == 200
            page.wait_for_function(
                "badge => badge.textContent === 'up'", arg=badge.element_handle()
            )
            heard.append(said.inner_text())
            return heard

        heard = await self.look(watch)
        self.assertEqual(heard, ["envvars-api is now failing", "envvars-api is now up"])

    async def take_down(self) -> None:
        """The backend is gone, and with it the connections that were kept."""
        self.number = self.ports["envvars"].getHost().port
        await self.close_backend("envvars")
        for pool in self.service._prepared.pools:
            pool.close()

    def bring_back(self) -> None:
        """It is there again, where it was."""
        self.ports["envvars"] = listen(reactor, self.backends["envvars"], pki(), self.number)

    async def test_pause(self) -> None:
        """By keyboard the page can be made to stand still, and to go on."""

        def pause(page: Any) -> None:
            page.goto("/status")
            button = page.get_by_role("button")
            assert button.inner_text() == "Pause updating"
            button.focus()
            page.keyboard.press("Enter")
            assert button.inner_text() == "Go on updating"
            page.wait_for_load_state("networkidle")
            asked = len(self.asked(page))
            page.wait_for_timeout(5 * OFTEN * 1000)
            assert len(self.asked(page)) == asked
            page.keyboard.press("Enter")
            # Not by `wait_for_function`: the page's policy keeps that from looking twice.
            while len(self.asked(page)) <= asked:
                page.wait_for_timeout(50)

        await self.look(pause)

    def asked(self, page: Any) -> list[Any]:
        return page.evaluate("performance.getEntriesByName(location.href)")

    async def test_hidden(self) -> None:
        """A page that nobody sees asks for nothing, and looks at once when it is seen again."""

        def hide(page: Any) -> None:
            page.goto("/status")
            page.evaluate(
                "Object.defineProperty(document, 'hidden', {value: true, configurable: true})"
            )
            page.wait_for_timeout(2 * OFTEN * 1000)
            asked = len(self.asked(page))
            page.wait_for_timeout(5 * OFTEN * 1000)
            assert len(self.asked(page)) == asked
            page.evaluate("delete document.hidden")
            page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
            # Not by `wait_for_function`: the page's policy keeps that from looking twice.
            while len(self.asked(page)) <= asked:
                page.wait_for_timeout(50)

        await self.look(hide)


class GoneTests(StatusCase):
    expected = ("no answer", "net::ERR_", "503")

    async def test_gateway_goes_down(self) -> None:
        """When the gateway answers no more the page says that it is out of date, and why."""

        def watch(page: Any) -> str:
            page.goto("/status")
            self.in_reactor(self.service.stopService)
            notice = page.get_by_role("alert")
            notice.wait_for()
            return notice.inner_text()

        self.assertIn("not up to date", await self.look(watch))


class SeenTests(StatusCase):
    async def test_anonymous(self) -> None:
        """Without a certificate, or with a tool's, the page has names and states only."""

        def read(page: Any) -> str:
            page.goto("/status")
            assert page.locator("h2").all_inner_texts() == ["APIs", "Gateway"]
            return page.inner_text("main")

        for tool in (None, "tf-test"):
            text = await self.look(read, tool=tool)
            self.assertIn("jobs-api", text)
            self.assertIn("Administrators see more", text)
            self.assertNotIn("127.0.0.1", text)

    async def test_without_a_script(self) -> None:
        """Without JavaScript it is all there, and no button that does nothing."""

        def read(page: Any) -> str:
            page.goto("/status")
            assert page.get_by_role("button").count() == 0
            return page.inner_text("main")

        text = await self.look(read, certificate="admin", java_script_enabled=False)
        for part in ("jobs-api", "Last hour", "server certificate of"):
            self.assertIn(part, text)

    async def test_json(self) -> None:
        """The same address gives programs JSON."""

        def read(page: Any) -> Any:
            page.goto("/status")
            return page.evaluate(
                "fetch('/status', {headers: {Accept: 'application/json'}}).then(a => a.json())"
            )

        document = await self.look(read, certificate="admin")
        self.assertTrue(document["whole"])
        json.dumps(document)


class AnHour(StatusCase):
    """An hour has gone by: with good and with bad minutes."""

    def setUp(self):
        """The history has a clock of its own, an hour behind."""
        self.late = Clock()
        self.late.advance(reactor.seconds() - 60 * (MINUTES + 1))
        self.patch(overview, "History", lambda traffic, clock: History(traffic, self.late))
        done = super().setUp()
        self.pass_an_hour()
        return done

    def pass_an_hour(self) -> None:
        chance = random.Random(1)
        for minute in range(MINUTES + 1):
            rush = 90 + 60 * (minute % 20 > 12) + chance.randrange(30)
            for _ in range(rush):
                slow = chance.lognormvariate(-5.2, 0.7)
                self.happens(
                    started=self.late.seconds(), head_after=slow, ended_after=slow, bytes_in=120
                )
            for _ in range(chance.randrange(4)):
                self.happens(backend="", status=404, reason="no-such-path", head_after=0.0002)
                self.happens(status=403, reason="foreign-tool", head_after=0.0003)
            if 40 < minute < 46:
                for _ in range(12):
                    self.happens(
                        backend="builds-api",
                        started=self.late.seconds(),
                        status=502,
                        reason="backend-refused",
                        head_after=0.004,
                        ended_after=0.004,
                    )
            for _ in range(6):
                self.late.advance(10)

    def happens(self, **said: Any) -> None:
        for observer in self.service.process.overview.observers:
            observer.ended(over(**said))


class PictureTests(AnHour):
    """As it is: with an update now and then."""

    every = status.EVERY

    async def test_whole(self) -> None:
        """What an administrator sees is complete, accessible, and looks like the pictures."""

        def see(page: Any, name: str, unfold: bool = False) -> list[str]:
            page.goto("/status", wait_until="load")
            if unfold:
                page.get_by_text("The same as a table").click()
                assert page.get_by_role("rowheader", name="60 min ago").is_visible()
            found = accessibility(page)
            screenshot(page, name, full_page=True)
            drawn = page.get_by_role("img").all()
            assert len(drawn) == 4, drawn
            for each in drawn:
                assert "the last 60 min: least" in (each.get_attribute("aria-label") or "")
                assert each.bounding_box()["height"] > 20
            return found

        for name, options in [
            ("status", {}),
            ("status-dark", {"dark": True}),
            ("status-phone", {"narrow": True}),
        ]:
            found = await self.look(
                lambda page, name=name: see(page, name), certificate="admin", **options
            )
            self.assertAccessible(found)
        self.assertAccessible(
            await self.look(
                lambda page: see(page, "status-unfolded", unfold=True), certificate="admin"
            )
        )

    async def test_anonymous_picture(self) -> None:
        """What everyone sees."""

        def see(page: Any) -> list[str]:
            page.goto("/status")
            screenshot(page, "status-anonymous", full_page=True)
            return accessibility(page)

        self.assertAccessible(await self.look(see))


class UnfoldedTests(AnHour):
    """Updates, after an hour."""

    async def test_unfolded_stays(self) -> None:
        """A table that was unfolded is not folded by an update."""

        def unfold(page: Any) -> None:
            page.goto("/status")
            page.get_by_text("The same as a table").click()
            before = page.locator("#live > p time").get_attribute("datetime")
            page.wait_for_function(
                "before => document.querySelector('#live > p time').dateTime !== before",
                arg=before,
            )
            assert page.get_by_role("rowheader", name="60 min ago").is_visible()

        await self.look(unfold, certificate="admin")


class OperationsTests(StatusCase):
    """On the operations port, over plain HTTP."""

    @property
    def url(self) -> str:
        """Where the page is."""
        return f"http://localhost:{self.service.operations_address().port}"

    def configuration(self) -> dict:
        """With an operations port."""
        return {**super().configuration(), "operations": {"endpoint": "tcp:0:interface=127.0.0.1"}}

    async def test_page(self) -> None:
        """It is the whole page, live as well, and without certificates."""

        def see(page: Any) -> list[str]:
            page.goto("/status")
            before = page.locator("#live > p time").get_attribute("datetime")
            page.wait_for_function(
                "before => document.querySelector('#live > p time').dateTime !== before",
                arg=before,
            )
            assert "Certificates" in page.locator("h2").all_inner_texts()
            return accessibility(page)

        self.assertAccessible(await self.look(see))
