"""What a backend sees of a request, byte for byte."""

from __future__ import annotations

from tests.relay.stage import GET, Stage


def head(received: bytes) -> tuple[bytes, list[bytes]]:
    """Request line and field lines, those with a random value cut short."""
    line, *fields = received.partition(b"\r\n\r\n")[0].split(b"\r\n")
    return line, [
        b"%b..." % field[: field.index(b" ") + 1]
        if field.startswith((b"X-Request-ID: ", b"traceparent: "))
        else field
        for field in fields
    ]


class Forwarded(Stage):
    async def test_written_anew(self):
        """The head is the gateway's own: target without the prefix, the upstream's Host, the
        client's end-to-end fields in their order and spelling, then what the gateway says."""
        await self.ask(
            b"GET /jobs/v1/tool/tf-test/jobs?follow=True&x=%20+ HTTP/1.1\r\n"
            b"Host: localhost:8443\r\n"
            b"aCCept:  application/json \r\nX-Toolforge-Trace: 1\r\nX_Other: 2\r\n\r\n"
        )
        line, fields = head(self.backend.received)
        self.assertEqual(line, b"GET /v1/tool/tf-test/jobs?follow=True&x=%20+ HTTP/1.1")
        self.assertEqual(
            fields,
            [
                b"Host: 127.0.0.1:%d" % self.backend.number,
                b"aCCept: application/json",
                b"X-Toolforge-Trace: 1",
                b"X_Other: 2",
                b"X-Forwarded-For: 127.0.0.1",
                b"X-Forwarded-Proto: https",
                b"X-Forwarded-Host: localhost:8443",
                b"X-Toolforge-Tool: tf-test",
                b"X-Toolforge-User: tf-test",
                b"X-Request-ID: ...",
                b"traceparent: ...",
            ],
        )

    async def test_prefix_alone(self):
        """A request for the prefix itself arrives as a request for the root; without a
        certificate no identity is claimed."""
        self.backend_keys = {}
        answer = await self.ask(GET.replace(b"/v1/tool/tf-test/jobs", b""), b"not-tool-scoped")
        self.assertTrue(answer.startswith(b"HTTP/1.1 403 Forbidden\r\n"))
        self.assertEqual(self.backend.connections, [])

    async def test_client_identity_claims(self):
        """No spelling of the identity and forwarding headers gets from a client to a backend,
        and Connection cannot remove the gateway's own."""
        await self.ask(
            GET[:-2] + b"X-Toolforge-Tool: victim\r\nx_toolforge_tool: victim\r\n"
            b"X.Toolforge.User: victim\r\n"
            b"X-Forwarded-For: 6.6.6.6\r\nForwarded: for=6.6.6.6\r\nX-Real-IP: 6.6.6.6\r\n"
            b"ssl-client-subject-dn: CN=victim\r\nX-Original-URL: /victim\r\n"
            b"Authorization: Bearer secret\r\nCookie: secret=1\r\n"
            b"Connection: X-Toolforge-Tool, X-Forwarded-For, X-Request-ID\r\n\r\n"
        )
        self.assertNotIn(b"victim", self.backend.received)
        self.assertNotIn(b"6.6.6.6", self.backend.received)
        self.assertNotIn(b"secret", self.backend.received)
        self.assertIn(b"\r\nX-Toolforge-Tool: tf-test\r\n", self.backend.received)
        self.assertIn(b"\r\nX-Forwarded-For: 127.0.0.1\r\n", self.backend.received)
        self.assertIn(b"\r\nX-Request-ID: ", self.backend.received)

    async def test_anonymous(self):
        """Without a certificate a request is forwarded and says nothing of who calls."""
        await self.ask(GET, certificate=None)
        self.assertIn(b"GET /v1/tool/tf-test/jobs HTTP/1.1\r\n", self.backend.received)
        self.assertNotIn(b"Toolforge", self.backend.received)

    async def test_service(self):
        """A superuser acts for the path's tool under its own name."""
        await self.ask(GET, certificate="service-components-api")
        self.assertIn(b"\r\nX-Toolforge-Tool: tf-test\r\n", self.backend.received)
        self.assertIn(b"\r\nX-Toolforge-User: service:components-api\r\n", self.backend.received)

    async def test_methods(self):
        """Any method that is a token passes as it is, bodies or not."""
        client = await self.client()
        for count, method in enumerate((b"OPTIONS", b"DELETE", b"PATCH", b"M-SEARCH"), 1):
            client.send(GET.replace(b"GET", method, 1))
            await client.until(lambda count=count: client.received.count(b"\r\n\r\nok") == count)
            self.assertIn(method + b" /v1/tool/tf-test/jobs HTTP/1.1\r\n", self.backend.received)


class WithCredentials(Stage):
    backend_keys = {"forward_credentials": True}

    async def test_credentials(self):
        """Authorization and Cookie go to a backend that asks for them."""
        await self.ask(GET[:-2] + b"Authorization: Bearer x\r\nCookie: a=b\r\n\r\n")
        self.assertIn(b"\r\nAuthorization: Bearer x\r\n", self.backend.received)
        self.assertIn(b"\r\nCookie: a=b\r\n", self.backend.received)


class BasePath(Stage):
    url = "https://127.0.0.1:{port}/base"

    async def test_base_path(self):
        """The URL's path comes before the request's."""
        await self.ask(GET)
        self.assertIn(b"GET /base/v1/tool/tf-test/jobs HTTP/1.1\r\n", self.backend.received)


class Open(Stage):
    backend_keys = {"tool_path": None}

    async def test_prefix_alone(self):
        """A request for the prefix itself arrives as a request for the root, and a backend that
        is not tool-scoped is told the tool from the certificate."""
        for path in (b"/jobs", b"/jobs/", b"/jobs?x"):
            await self.ask(GET.replace(b"/jobs/v1/tool/tf-test/jobs", path))
        self.assertEqual(
            [
                line
                for line in self.backend.received.split(b"\r\n")
                if line.startswith(b"GET") or b"Tool:" in line
            ],
            [
                b"GET / HTTP/1.1",
                b"X-Toolforge-Tool: tf-test",
                b"GET / HTTP/1.1",
                b"X-Toolforge-Tool: tf-test",
                b"GET /?x HTTP/1.1",
                b"X-Toolforge-Tool: tf-test",
            ],
        )


class Refusing(Stage):
    backend_keys = {"anonymous": "refuse"}

    async def test_refused(self):
        """Under `anonymous: refuse` a caller without evidence gets a 401 that says what to do, but
        for the anonymous paths."""
        answer = await self.ask(GET, b"no-evidence", certificate=None)
        self.assertTrue(answer.startswith(b"HTTP/1.1 401 Unauthorized\r\n"), answer)
        self.assertEqual(self.backend.connections, [])
        await self.ask(GET.replace(b"tool/tf-test/jobs", b"healthz"), certificate=None)


class Trusted(Stage):
    listener = {
        "forwarded": {"trusted": [{"client_ca": "backend", "cn": "service:components-api"}]}
    }

    CLAIM = GET[:-2] + (
        b"X-Forwarded-For: 203.0.113.9\r\nX-Forwarded-Proto: http\r\n"
        b"X-Forwarded-Host: api.example.org\r\nX-Request-ID: abc-1\r\n\r\n"
    )

    async def test_trusted(self):
        """A trusted hop's words about the client are passed on, with the hop appended, and are
        what the access log says."""
        await self.ask(self.CLAIM, certificate="service-components-api")
        self.assertIn(b"X-Forwarded-For: 203.0.113.9, 127.0.0.1\r\n", self.backend.received)
        self.assertIn(b"X-Forwarded-Proto: http\r\n", self.backend.received)
        self.assertIn(b"X-Forwarded-Host: api.example.org\r\n", self.backend.received)
        self.assertIn(b"X-Request-ID: abc-1\r\n", self.backend.received)
        self.assertEqual(self.log()[0]["client"], "203.0.113.9")
        self.assertEqual(self.log()[0]["request_id"], "abc-1")

    async def test_others(self):
        """Anybody else's are not."""
        await self.ask(self.CLAIM)
        self.assertNotIn(b"203.0.113.9", self.backend.received)
        self.assertNotIn(b"abc-1", self.backend.received)
        self.assertEqual(self.log()[0]["client"], "127.0.0.1")
