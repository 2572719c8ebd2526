"""A gateway with sample backends, and a real browser before it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import attrs
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorFromThreads

from tests.browser.chromium import chromium, missing
from tests.clients.stage import ROOT, Stage, pki

SCREENSHOTS = ROOT / "docs" / "screenshots"
WIDE = {"width": 1200, "height": 900}
NARROW = {"width": 390, "height": 844}


@attrs.define
class Seen:
    """What a browser noticed while a page was open."""

    complaints: list[str] = attrs.field(factory=list)
    """Errors and warnings of the console, CSP violations and uncaught exceptions among them."""
    requests: list[tuple[str, str]] = attrs.field(factory=list)
    """Method and URL of every request that a page made."""
    failed: list[str] = attrs.field(factory=list)
    """Requests without an answer, and answers of 400 and above."""


class PageTest(Stage):
    """A test that looks at pages of the gateway.

    A look is a function of a Playwright page (its synchronous API); it runs in the
    browser's thread while the gateway runs in the reactor.  When it has returned, the
    console must be silent, every request must have been answered, and none may have gone
    elsewhere: a page that works only with another host, or against its own policy, fails.
    """

    skip = missing()
    timeout = 120
    expected: ClassVar[tuple[str, ...]] = ()
    """Parts of complaints that are what a test is about."""
    authority = "server-ca.crt"
    """Whom the browser trusts: a file of the demonstration's PKI."""

    def look(
        self,
        function: Callable[[Any], Any],
        *,
        tool: str | None = None,
        certificate: str | None = None,
        dark: bool = False,
        narrow: bool = False,
        **options: Any,
    ) -> Deferred[Any]:
        """Open a fresh profile and look.

        :param tool: whose certificate the browser has; None: it has none.
        :param certificate: or any of the demonstration's, by the stem of its files.
        :param options: others of a Playwright context, like `java_script_enabled`.
        :return: fires with what the function returned.
        """
        stem = f"tool-{tool}" if tool else certificate
        if stem is not None:
            files = {"certPath": pki() / f"{stem}.crt", "keyPath": pki() / f"{stem}.key"}
            options["client_certificates"] = [{"origin": self.url, **files}]
        options.setdefault("color_scheme", "dark" if dark else "light")
        options.setdefault("viewport", NARROW if narrow else WIDE)
        options.setdefault("reduced_motion", "reduce")
        browser = chromium(pki() / self.authority)
        seen = Seen()

        def work(browser: Any) -> Any:
            context = browser.context(base_url=self.url, **options)
            try:
                _watch(context, seen)
                return function(context.new_page())
            finally:
                context.close()

        done: Deferred[Any] = Deferred()
        threads = IReactorFromThreads(reactor)

        def tell(future: Any) -> None:
            error = future.exception()
            if error is None:
                threads.callFromThread(done.callback, future.result())
            else:
                threads.callFromThread(done.errback, error)

        browser.call(work).add_done_callback(tell)
        return done.addCallback(self._judge, seen)

    def _judge(self, result: Any, seen: Seen) -> Any:
        wrong = [
            each
            for each in seen.complaints + seen.failed
            if not any(part in each for part in self.expected)
        ]
        self.assertEqual(wrong, [])
        foreign = [url for _, url in seen.requests if not url.startswith((self.url + "/", "data:"))]
        self.assertEqual(foreign, [], "a page works with no other host")
        self.assertEqual({method for method, _ in seen.requests} - {"GET"}, set())
        self.seen = seen
        return result

    def assertAccessible(self, violations: list[str]) -> None:
        """`violations`, from `accessibility`, are none."""
        self.assertEqual(violations, [])


def _watch(context: Any, seen: Seen) -> None:
    """Write down all that happens in a context."""

    def say(message: Any) -> None:
        if message.type in ("error", "warning"):
            seen.complaints.append(f"{message.type}: {message.text}")

    def failed(request: Any) -> None:
        # Whoever leaves a page gives up what it still waits for, its icon for example.
        if request.failure != "net::ERR_ABORTED":
            seen.failed.append(f"no answer: {request.url}")

    def answered(response: Any) -> None:
        if response.status >= 400:
            seen.failed.append(f"{response.status} {response.url}")

    context.on("console", say)
    context.on("weberror", lambda error: seen.complaints.append(f"uncaught: {error.error}"))
    context.on("request", lambda request: seen.requests.append((request.method, request.url)))
    context.on("requestfailed", failed)
    context.on("response", answered)


def accessibility(page: Any) -> list[str]:
    """What axe-core finds against WCAG 2.2 A and AA, and best practice, in a page as it is now.

    :return: rule, impact and place of each finding of impact moderate and above.
    """
    import axe_playwright_python

    script = Path(axe_playwright_python.__file__).with_name("axe.min.js").read_text("utf-8")
    page.evaluate(script)
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{rule['id']} ({rule['impact']}): {json.dumps(node['target'])} {node['html'][:120]}"
        f" {[each['message'] for each in node['any']][:1]}"
        for rule in found["violations"]
        if rule["impact"] != "minor"
        for node in rule["nodes"]
    ]


def screenshot(page: Any, name: str, **options: Any) -> None:
    """Take a picture of the page from its top; with nothing in focus, nothing under the mouse.

    With TEST_SCREENSHOTS=1 it is kept in docs/screenshots/, else in trial's folder.
    """
    folder = SCREENSHOTS if os.environ.get("TEST_SCREENSHOTS") else Path("screenshots")
    folder.mkdir(exist_ok=True)
    page.mouse.move(0, 0)
    page.evaluate("document.activeElement.blur(); scrollTo(0, 0)")
    page.screenshot(path=str(folder / f"{name}.png"), scale="css", **options)
