"""The same request again and again on one connection: it is looked up, and nothing else changes."""

from __future__ import annotations

import re

from twisted.internet import reactor
from twisted.internet.task import deferLater

from tests.relay.ends import OK, answering
from tests.relay.stage import GET, Stage, refused

TIMES = 4
"""Often enough to be remembered, and then to be remembered again."""


class Repeats(Stage):
    async def again(self, client, request: bytes = GET, until: bytes = b"\r\n\r\nok") -> bytes:
        """One more request on this connection; its answer."""
        client.take()
        client.send(request)
        return await client.until(until)

    def heads(self) -> list[bytes]:
        """The heads that the backend saw."""
        return self.backend.received.split(b"\r\n\r\n")[:-1]

    async def test_backend_sees_each(self):
        """Each is forwarded, with an id of its own, and is otherwise the same as the first."""
        client = await self.client()
        answers = [await self.again(client) for _ in range(TIMES)]
        self.assertEqual(len(set(answers)), 1)
        heads = self.heads()
        ids = {re.search(rb"X-Request-ID: (\w+)", head)[1].decode() for head in heads}
        self.assertEqual(len(ids), TIMES)
        self.assertEqual(
            len({re.sub(rb"(X-Request-ID|traceparent): .*", rb"", h) for h in heads}), 1
        )
        self.assertEqual({line["request_id"] for line in self.log()}, ids)

    async def test_log_says_the_same(self):
        """The log's lines differ in nothing but time, id and durations."""
        client = await self.client()
        for _ in range(TIMES):
            await self.again(client)
        lines = self.log()
        for line in lines:
            for name in ("time", "request_id", "trace_id", "head_seconds", "seconds"):
                self.assertTrue(line.pop(name))
        self.assertEqual(lines, [lines[0]] * TIMES)
        self.assertEqual(lines[0]["identity"], "tf-test")

    async def test_answers_are_new(self):
        """The answer is the backend's of now, whatever it was before."""
        client = await self.client()
        for number in range(TIMES):
            body = b"%d" % number
            self.backend.script = answering(OK[:-2] + b"%d " % number)
            answer = await self.again(client, until=b"\r\n\r\n" + body)
            self.assertIn(b"\r\n\r\n%d " % number, answer)
            for connection in self.backend.connections:
                connection.take()

    async def test_sent_ahead(self):
        """Those that come together are answered in turn."""
        client = await self.client()
        for _ in range(TIMES):
            await self.again(client)
        client.take()
        client.send(GET * 3)
        await client.until(lambda: client.received.count(b"\r\n\r\nok") == 3)
        self.assertEqual(len(self.heads()), TIMES + 3)

    async def test_in_pieces(self):
        """One that comes in pieces is the same request, wherever it is cut."""
        client = await self.client()
        for at in range(1, len(GET)):
            client.take()
            client.send(GET[:at])
            await deferLater(reactor, 0)
            client.send(GET[at:])
            answer = await client.until(b"\r\n\r\nok")
            self.assertTrue(answer.startswith(b"HTTP/1.1 200 OK\r\n"), (at, answer))
        self.assertEqual(len(self.heads()), len(GET) - 1)

    async def test_other_requests_between(self):
        """Others in between are themselves, more of them than are remembered too."""
        client = await self.client()
        for _ in range(2):
            for number in range(10):
                path = b"/jobs/v1/tool/tf-test/jobs/%d" % number
                await self.again(client, GET.replace(b"/jobs/v1/tool/tf-test/jobs", path))
                self.assertIn(b"/%d HTTP/1.1" % number, self.heads()[-1])

    async def test_foreign_tool(self):
        """A refusal is not remembered, nor turned into anything else."""
        client = await self.client()
        foreign = GET.replace(b"tf-test", b"victim")
        for _ in range(TIMES):
            answer = await self.again(client, foreign, b"}")
            self.assertEqual(refused(answer), (403, "foreign-tool"))
        self.assertEqual(self.backend.connections, [])

    async def test_bodies(self):
        """Requests with a body arrive with theirs, each time."""
        client = await self.client()
        post = GET.replace(b"GET", b"POST")[:-2] + b"Content-Length: 4\r\n\r\n"
        for number in range(TIMES):
            await self.again(client, post + b"n=%02d" % number)
        received = self.backend.received
        self.assertEqual(
            re.findall(rb"\r\n\r\n(n=\d\d)", received), [b"n=00", b"n=01", b"n=02", b"n=03"]
        )

    async def test_closing(self):
        """The one that says it is the last is the last."""
        client = await self.client()
        for _ in range(TIMES):
            await self.again(client)
        self.assertIn(
            b"\r\nConnection: close\r\n",
            await self.again(client, GET[:-2] + b"Connection: close\r\n\r\n"),
        )
        await client.closed()

    async def test_draining(self):
        """When the gateway stops, the answer under way is the last one."""
        client = await self.client()
        for _ in range(TIMES):
            await self.again(client)
        self.backend.script = lambda connection: None
        client.take()
        client.send(GET)
        upstream = self.backend.connections[0]
        await upstream.until(lambda: upstream.requests == TIMES + 1)
        stopped = self.service.stopService()
        upstream.send(OK)
        self.assertIn(b"\r\nConnection: close\r\n", await client.until(b"\r\n\r\nok"))
        client.transport.loseConnection()
        await stopped

    async def test_moved(self):
        """A Location is written for the request that it answers."""
        moved = b"HTTP/1.1 307 Temporary Redirect\r\nLocation: /v1/x\r\nContent-Length: 2\r\n\r\nok"
        self.backend.script = answering(moved)
        client = await self.client()
        for _ in range(TIMES):
            self.assertIn(
                b"\r\nLocation: /jobs/v1/x\r\n",
                (await self.again(client)).replace(b"https://localhost", b""),
            )

    async def test_head_method(self):
        """HEAD is answered without a body, GET with one, in whatever order they come."""
        client = await self.client()
        for _ in range(TIMES):
            await self.again(client)
            self.backend.script = answering(OK[:-2])
            head = await self.again(client, GET.replace(b"GET", b"HEAD"), b"\r\n\r\n")
            self.assertTrue(head.endswith(b"Content-Length: 2\r\n\r\n"), head)
            self.backend.script = answering(OK)


class Busy(Stage):
    limits = {"requests": 1}

    async def test_limit(self):
        """A request that is known is refused like any other when too many are under way."""
        first, second = await self.client(), await self.client()
        for _ in range(TIMES):
            first.take()
            first.send(GET)
            await first.until(b"\r\n\r\nok")
        self.backend.script = lambda connection: None
        second.send(GET)
        await self.backend.connections[0].until(
            lambda: self.backend.received.count(b"\r\n\r\n") > TIMES
        )
        first.take()
        first.send(GET)
        answer = await first.until(b"}")
        self.assertEqual(refused(answer), (503, "too-many-requests-at-once"))


class Trusted(Stage):
    listener = {"forwarded": {"trusted": [{"cidr": "127.0.0.1/32"}]}}

    async def test_ids_of_a_trusted_hop(self):
        """The same bytes from a trusted hop have the id that they say, each time."""
        client = await self.client()
        request = GET[:-2] + b"X-Request-ID: theirs\r\n\r\n"
        for _ in range(TIMES):
            client.take()
            client.send(request)
            await client.until(b"\r\n\r\nok")
        self.assertEqual(self.backend.received.count(b"X-Request-ID: theirs\r\n"), TIMES)
