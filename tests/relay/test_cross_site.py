"""A browser's certificate serves no other site's page."""

from __future__ import annotations

from tests.relay.ends import OK, answering
from tests.relay.stage import GET, Stage, refused
from tests.relay.test_traversal import serve

POST = GET[:-2].replace(b"GET", b"POST") + b"Content-Length: 2\r\n"
FOREIGN = (
    b"Sec-Fetch-Site: cross-site\r\n",
    b"Sec-Fetch-Site: same-site\r\n",
    b"Origin: https://evil.example\r\n",
    b"Origin: null\r\n",
)
OWN = (
    b"",
    b"Sec-Fetch-Site: same-origin\r\nOrigin: https://localhost\r\n",
    b"Origin: https://ui.example\r\n",
)
END = b"\r\n{}"


class CrossSite(Stage):
    """`ui.example` is allowed."""

    def document(self):
        return {**super().document(), "allowed_origins": ["https://ui.example:443"]}

    async def test_refused(self):
        """What a foreign page sends with a certificate does not reach the backend."""
        for line in FOREIGN:
            for certificate in ("tool-tf-test", "service-components-api", "admin"):
                answer = await self.ask(POST + line + END, b"}\n", certificate)
                self.assertEqual(refused(answer), (403, "cross-site"), line)
        for method in (b"OPTIONS", b"DELETE"):
            answer = await self.ask(POST.replace(b"POST", method) + FOREIGN[0] + END, b"}\n")
            self.assertEqual(refused(answer), (403, "cross-site"), method)
        self.assertEqual(self.backend.connections, [])

    async def test_allowed(self):
        """Own and allowed origins, reading, and callers without a certificate."""
        self.backend.script = answering(OK)
        for line in OWN:
            await self.ask(POST + line + END)
        for line in FOREIGN:
            await self.ask(GET[:-2] + line + b"\r\n")
            await self.ask(POST + line + END, certificate=None)

    async def test_connection_goes_on(self):
        """A no of this kind costs nobody the connection."""
        client = await self.client()
        client.send(GET[:-2].replace(b"GET", b"PUT") + FOREIGN[0] + b"\r\n")
        self.assertEqual(refused(await client.until(b"}\n")), (403, "cross-site"))
        client.send(GET)
        await client.until(b"\r\n\r\nok")

    async def test_own_pages(self):
        """The rule is the same for our own pages."""
        post = b"POST /healthz HTTP/1.1\r\nHost: localhost\r\n%b\r\n"
        answer = await self.ask(post % FOREIGN[0], b"}\n")
        self.assertEqual(refused(answer), (403, "cross-site"))
        self.assertEqual(refused(await self.ask(post % b"", b"}\n")), (405, "read-only-page"))
        self.assertIn(b" 200 OK", await self.ask(b"GET" + post[4:] % FOREIGN[0], b"ok\n"))


class Traversed(CrossSite):
    """The same in anybody's Site, where our own pages know nobody's certificate."""

    def setUp(self):
        super().setUp()
        serve(self)

    async def test_own_pages(self):
        """Nobody is identified there."""
        post = b"POST /healthz HTTP/1.1\r\nHost: localhost\r\n%b\r\n"
        answer = await self.ask(post % FOREIGN[0], b"}\n")
        self.assertEqual(refused(answer), (405, "read-only-page"))


class External(Stage):
    """The gateway has another name outside."""

    listener = {"external_url": "https://api.example.org"}

    async def test_external(self):
        """The address that clients know is our own origin."""
        await self.ask(POST + b"Origin: https://api.example.org\r\n" + END)
        answer = await self.ask(POST + b"Origin: https://api.example.org:444\r\n" + END, b"}\n")
        self.assertEqual(refused(answer), (403, "cross-site"))
