"""What a client sees of an answer, and of answers of our own."""

from __future__ import annotations

import json

from tests.relay.ends import answering, silent
from tests.relay.stage import GET, Stage, refused


class Locations(Stage):
    url = "https://127.0.0.1:{port}/base"

    async def location(self, value: bytes, host: bytes = b"localhost:9999") -> bytes:
        """What becomes of a Location that the backend sends."""
        self.backend.script = lambda connection: connection.send(
            b"HTTP/1.1 307 Temporary Redirect\r\nLocation: %b\r\nContent-Location: %b\r\n"
            b"Content-Length: 2\r\n\r\nok" % (value, value)
        )
        answer = await self.ask(GET.replace(b"localhost", host))
        found = [line for line in answer.split(b"\r\n") if line.lower().startswith(b"location: ")]
        self.assertIn(b"Content-" + found[0], answer)
        return found[0].partition(b" ")[2]

    async def test_own_authority(self):
        """A place on the upstream's authority is told as the client has to call it: our host and
        prefix, without the base path, the query untouched."""
        upstream = b"127.0.0.1:%d" % self.backend.number
        for sent, seen in (
            (
                b"https://%b/base/v1/x?token=%%41&a" % upstream,
                b"https://localhost:9999/jobs/v1/x?token=%41&a",
            ),
            (b"http://%b/base/v1/x" % upstream, b"https://localhost:9999/jobs/v1/x"),
            (b"//%b/base/v1/x" % upstream, b"https://localhost:9999/jobs/v1/x"),
            (b"/base/v1/x?y", b"/jobs/v1/x?y"),
            (b"https://elsewhere.example/base/v1/x", b"https://elsewhere.example/base/v1/x"),
        ):
            self.assertEqual(await self.location(sent), seen)

    async def test_unknown_host(self):
        """A Host that our certificate does not name is not repeated: the path alone is told."""
        place = b"https://127.0.0.1:%d/base/v1/x?y" % self.backend.number
        self.assertEqual(await self.location(place, host=b"attacker.example"), b"/jobs/v1/x?y")


class ExternalURL(Stage):
    listener = {"external_url": "https://api.example.org"}

    async def test_external_url(self):
        """`external_url` is the authority, whatever Host the client sent."""
        self.backend.script = answering(
            b"HTTP/1.1 307 T\r\nLocation: https://127.0.0.1:%d/v1/x?y\r\n"
            b"Content-Length: 2\r\n\r\nok" % self.backend.number
        )
        answer = await self.ask(GET)
        self.assertIn(b"\r\nLocation: https://api.example.org/jobs/v1/x?y\r\n", answer)


class Passed(Stage):
    async def test_head(self):
        """Status, reason phrase and end-to-end fields pass as they are; what concerns the
        backend's connection does not."""
        self.backend.script = answering(
            b"HTTP/1.1 404 Never Heard Of It\r\nSet-Cookie: a=1\r\nset-cookie: b=2\r\nX-Mine: 1\r\n"
            b"Keep-Alive: timeout=5\r\nConnection: keep-alive, X-Mine\r\n"
            b"Content-Length: 2\r\n\r\nok"
        )
        answer = await self.ask(GET)
        self.assertEqual(
            answer,
            b"HTTP/1.1 404 Never Heard Of It\r\nSet-Cookie: a=1\r\nset-cookie: b=2\r\n"
            b"Content-Length: 2\r\n\r\nok",
        )

    async def test_odd_status(self):
        """A status that nobody knows passes too, and so does an empty reason phrase."""
        self.backend.script = answering(b"HTTP/1.1 299 \r\nContent-Length: 2\r\n\r\nok")
        self.assertTrue((await self.ask(GET)).startswith(b"HTTP/1.1 299 \r\n"))


class OwnPages(Stage):
    async def test_healthz(self):
        """`/healthz` says ok to anyone, HTTP/1.0 without a Host included."""
        for request in (
            b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n",
            b"GET /healthz HTTP/1.0\r\n\r\n",
        ):
            answer = await self.ask(request, b"\r\n\r\nok\n", certificate=None)
            self.assertTrue(answer.startswith(b"HTTP/1.1 200 OK\r\n"))

    async def test_greeting(self):
        """`/` greets in plain text and names the APIs."""
        answer = await self.ask(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"/jobs/\n", certificate=None)
        self.assertIn(b"\r\nContent-Type: text/plain; charset=utf-8\r\n", answer)
        self.assertNotIn(b"\r\nServer:", answer)

    async def test_head(self):
        """HEAD of our own pages has no body, and the connection goes on."""
        client = await self.client()
        client.send(b"HEAD /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        head = await client.until(b"\r\n\r\n")
        self.assertIn(b"\r\nContent-Length: 3\r\n", head)
        client.send(GET)
        answer = await client.until(b"\r\n\r\nok")
        self.assertTrue(answer.startswith(head + b"HTTP/1.1 200 OK\r\n"))

    async def test_other_methods(self):
        """Our pages are for reading, and say so in the shape of all refusals."""
        answer = await self.ask(
            b"POST /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc", b"}\n"
        )
        self.assertEqual(refused(answer), (405, "read-only-page"))
        self.assertIn(b"\r\nAllow: GET, HEAD\r\n", answer)

    async def test_unknown(self):
        """Any other path is a 404 that says what a path looks like."""
        for path in (b"/nope", b"/jobsx", b"/Jobs/v1"):
            answer = await self.ask(b"GET %b HTTP/1.1\r\nHost: x\r\n\r\n" % path, b"}\n")
            self.assertEqual(refused(answer), (404, "no-such-path"))
            self.assertEqual(self.log()[-1]["reason"], "no-such-path")
        answer = await self.ask(b"GET /healthz/x HTTP/1.1\r\nHost: x\r\n\r\n", b"}\n")
        self.assertEqual(refused(answer), (404, "no-such-path"))


class Refused(Stage):
    async def test_body(self):
        """A refusal serves every client there is: both error lists, a reason word and a request
        id, which the log has as well."""
        answer = await self.ask(GET.replace(b"tf-test", b"other"), b"}\n")
        head, _, body = answer.partition(b"\r\n\r\n")
        sentence = "your certificate is for tool tf-test, the path is for tool other"
        (line,) = self.log()
        self.assertEqual(
            json.loads(body),
            {
                "error": [sentence],
                "messages": {"error": [sentence], "info": [], "warning": []},
                "reason": "foreign-tool",
                "request_id": line["request_id"],
            },
        )
        self.assertIn(b"HTTP/1.1 403 Forbidden\r\n", head)
        self.assertIn(b"\r\nContent-Type: application/json\r\n", head)
        self.assertEqual((line["status"], line["reason"]), (403, "foreign-tool"))

    async def test_head(self):
        """A refused HEAD has no body."""
        client = await self.client()
        client.send(GET.replace(b"GET", b"HEAD", 1).replace(b"tf-test", b"other"))
        await client.until(b"\r\n\r\n")
        client.send(GET)
        answer = await client.until(b"\r\n\r\nok")
        self.assertNotIn(b"{", answer)

    async def test_backend_down(self):
        """A backend that is down is a 502 that the clients take for that, without its address."""
        await self.backend.port.stopListening()
        answer = await self.ask(GET, b"}\n")
        self.assertEqual(refused(answer), (502, "backend-refused"))
        self.assertNotIn(b"127.0.0.1", answer)

    async def test_wrong_usage(self):
        """A certificate that we judge unfit after the handshake is refused with a reason, and the
        connection closes."""
        client = await self.client("gateway-client")
        client.send(GET)
        self.assertEqual(refused(await client.closed())[0], 403)


class WrongBackend(Stage):
    backend_keys = {"server_name": "builds.example"}

    async def test_wrong_name(self):
        """A backend whose certificate is for another name gets no request."""
        answer = await self.ask(GET, b"}\n")
        self.assertEqual(refused(answer), (502, "backend-tls"))
        self.assertEqual(self.backend.received, b"")


class Logged(Stage):
    async def test_line(self):
        """The access log says of each request who, what, how much and how it ended, and nothing of
        its query."""
        await self.ask(
            GET[:-2].replace(b"GET", b"PUT", 1).replace(b"/jobs HTTP", b"/jobs?token=secret HTTP")
            + b"Content-Length: 3\r\nReferer: https://x/?token=secret\r\n\r\nabc"
        )
        text = (self.folder / "access.log").read_text()
        self.assertNotIn("secret", text)
        (line,) = self.log()
        for key in ("time", "request_id", "trace_id", "head_seconds", "seconds"):
            self.assertTrue(line.pop(key))
        self.assertEqual(
            line,
            {
                "client": "127.0.0.1",
                "identity": "tf-test",
                "kind": "tool",
                "authenticator": "kubernetes-certificate",
                "backend": "jobs-api",
                "method": "PUT",
                "path": "/jobs/v1/tool/tf-test/jobs",
                "status": 200,
                "reason": "own-tool",
                "complete": True,
                "bytes_in": 3,
                "bytes_out": 2,
                "tls": "TLSv1.3",
            },
        )

    async def test_unreadable(self):
        """Bytes that are no request have their line as well, and cannot break out of it."""
        client = await self.client()
        client.send(b'GET /"\n{}\x1b[31m HTTP/1.1\r\n\r\n')
        self.assertEqual(refused(await client.closed())[0], 400)
        (line,) = self.log()
        self.assertEqual((line["status"], line["path"]), (400, ""))

    async def test_streams_are_logged_at_their_end(self):
        """A request is logged once, when it is over."""
        self.backend.script = silent
        client = await self.client()
        client.send(GET)
        upstream = await self.backend.connection()
        self.assertEqual(self.log(), [])
        upstream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        await client.until(b"\r\n\r\nok")
        self.assertEqual(len(self.log()), 1)
