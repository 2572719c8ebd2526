"""Calls that few operations make, as lines of curl and of requests: both send the same."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qsl

from twisted.internet import reactor
from twisted.web.resource import Resource
from twisted.web.server import Site

from tests.browser.stage import PageTest
from tests.clients import programs
from tests.coroutines import CoroutineCase

ODD = 'it\'s "$x" `y` \\ % & = + ; é\n#'
PLAIN: dict[str, Any] = {
    "method": "GET",
    "path": "/x",
    "query": [],
    "headers": [],
    "cookies": [],
    "body": None,
    "streams": False,
    "json": False,
    "settings": {"certificate": "", "key": "", "authority": "", "tool": ""},
}


class Echo(Resource):
    """Writes down what it is asked."""

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[Any] = []

    def render(self, request: Any) -> bytes:
        self.asked.append((request.method.decode(), request.uri.decode(), request))
        request.body = request.content.read()
        return b"fine"


class OddCalls(CoroutineCase, PageTest):
    """From a call to lines to bytes."""

    samples = ()
    # Nobody is there to have a document.
    expected = ("503",)
    timeout = 120

    def setUp(self):
        self.echo = Echo()
        port = reactor.listenTCP(0, Site(self.echo), interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        self.server = f"http://127.0.0.1:{port.getHost().port}"
        return super().setUp()

    async def asked(self, **call: Any) -> list[Any]:
        """What curl and what requests ask: two requests."""
        whole = {**PLAIN, "server": self.server, **call}

        def look(page: Any) -> list[str]:
            page.goto("/docs")
            url = (
                page.locator("script").first.get_attribute("src").replace("docs.js", "commands.js")
            )
            found: list[str] = page.evaluate(
                """async ([url, call]) => {
                    const made = await import(url);
                    return [made.curl(call), made.requests(call)];
                }""",
                [url, whole],
            )
            return found

        curl, python = await self.look(look)
        self.echo.asked.clear()
        for command in (
            ["/bin/sh", "-c", curl],
            [programs.client("python"), "-c", python],
        ):
            done = await programs.run(reactor, command)
            self.assertEqual(done.code, 0, command[-1] + done.said)
        self.assertEqual(len(self.echo.asked), 2)
        return list(self.echo.asked)

    async def test_methods(self) -> None:
        """Every method is the one that was meant, with a body and without."""
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"):
            for asked in await self.asked(method=method):
                self.assertEqual(asked[:2], (method, "/x"))
        body = {"type": "application/json", "kind": "json", "value": [None, True, 1.5, ODD, {}]}
        for method in ("POST", "PUT", "DELETE"):
            for name, _, request in await self.asked(method=method, body=body):
                self.assertEqual((name, json.loads(request.body)), (method, body["value"]))
                self.assertEqual(request.getHeader("content-type"), "application/json")

    async def test_query(self) -> None:
        """Names that come twice, empty values and every sign stay what they are."""
        query = [["a", "1"], ["a", "2"], ["b[]", ODD], ["empty", ""], ["ünï", "{x}*~"]]
        for _, uri, _ in await self.asked(query=query):
            found = parse_qsl(uri.partition("?")[2], keep_blank_values=True, strict_parsing=True)
            self.assertEqual([list(each) for each in found], query)

    async def test_headers(self) -> None:
        """Header fields, an empty one among them, and cookies."""
        headers = [["X-One", 'it\'s "x" $y; z'], ["X-Empty", ""]]
        asked = await self.asked(headers=headers, cookies=[["a", "b"], ["c", "d%20e"]])
        for _, _, request in asked:
            self.assertEqual(request.getHeader("x-one"), headers[0][1])
            self.assertEqual(request.getHeader("x-empty"), "")
            self.assertEqual(request.getHeader("cookie"), "a=b; c=d%20e")

    async def test_forms(self) -> None:
        """Both kinds of forms arrive field by field."""
        value = [["a", ODD, False], ["b", "@/etc/passwd", False], ["c", "<x", False]]
        kind = "application/x-www-form-urlencoded"
        body = {"type": kind, "kind": "form", "value": value}
        for _, _, request in await self.asked(method="POST", body=body):
            self.assertEqual(request.getHeader("content-type"), kind)
            self.assertEqual(
                parse_qsl(request.body.decode()), [(name, text) for name, text, _ in value]
            )
        body = {"type": "multipart/form-data", "kind": "multipart", "value": value}
        for _, _, request in await self.asked(method="POST", body=body):
            for name, text, _ in value:
                self.assertIn(f'name="{name}"'.encode(), request.body)
                self.assertIn(b"\r\n\r\n" + text.encode() + b"\r\n--", request.body)

    async def test_text(self) -> None:
        """A body that is no JSON is sent as it stands, with its type."""
        for text in (ODD, "@/etc/passwd", "-", '{"broken'):
            body = {"type": "text/yaml", "kind": "text", "value": text}
            for _, _, request in await self.asked(method="POST", body=body):
                self.assertEqual(request.body, text.encode())
                self.assertEqual(request.getHeader("content-type"), "text/yaml")

    async def test_paths(self) -> None:
        """A path with the marks of curl's patterns is taken as it is."""
        for _, uri, _ in await self.asked(path="/a/{b}/[1-3]"):
            self.assertIn(uri, ("/a/{b}/[1-3]", "/a/%7Bb%7D/%5B1-3%5D", "/a/%7Bb%7D/[1-3]"))
