"""Bodies in both directions: every framing, from the first byte, with back-pressure."""

from __future__ import annotations

from twisted.internet import reactor
from twisted.internet.error import ConnectionLost
from twisted.internet.task import deferLater

from tests.relay.ends import silent
from tests.relay.stage import GET, Stage, refused
from toolforge_gateway.http.body import encode_chunk

POST = b"POST /jobs/v1/tool/tf-test/jobs HTTP/1.1\r\nHost: localhost\r\n"
MEGABYTE = 1024 * 1024


class Uploads(Stage):
    def setUp(self):
        super().setUp()
        self.backend.script = silent

    async def exchange(self, head: bytes):
        """Send a head; the client and the backend's connection, once the head is there."""
        client = await self.client()
        client.send(head)
        upstream = await self.backend.connection()
        await upstream.until(b"\r\n\r\n")
        return client, upstream

    async def test_length(self):
        """A body of known length flows while it comes, and its length is said."""
        client, upstream = await self.exchange(POST + b"Content-Length: 6\r\n\r\nabc")
        await upstream.until(b"\r\n\r\nabc")
        client.send(b"def")
        await upstream.until(b"\r\n\r\nabcdef")

    async def test_chunked(self):
        """A chunked body flows while it comes, framed anew, without extensions and trailers."""
        client, upstream = await self.exchange(POST + b"Transfer-Encoding: chunked\r\n\r\n")
        client.send(b"3;name=value\r\nabc\r\n")
        await upstream.until(b"\r\n\r\n3\r\nabc\r\n")
        client.send(b"02\r\nde\r\n0\r\nX-Toolforge-Tool: victim\r\n\r\n")
        received = await upstream.until(b"0\r\n\r\n")
        self.assertTrue(received.endswith(b"\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"), received)
        upstream.send(b"HTTP/1.1 204 No Content\r\n\r\n")
        await client.until(b"204 No Content\r\n\r\n")

    async def test_empty(self):
        """A POST that says its body is empty says so to the backend; one that says nothing does
        not gain a body."""
        _, upstream = await self.exchange(POST + b"Content-Length: 0\r\n\r\n")
        self.assertIn(b"\r\nContent-Length: 0\r\n", upstream.received)
        client = await self.client()
        client.send(POST + b"\r\n")
        upstream = await self.backend.connection(2)
        received = await upstream.until(b"\r\n\r\n")
        self.assertNotIn(b"Content-Length", received)
        self.assertNotIn(b"Transfer-Encoding", received)

    async def test_large(self):
        """Many megabytes arrive whole and in order, in either framing."""
        body = bytes(range(256)) * (4 * MEGABYTE // 256)
        for framing, sent in (
            (b"Content-Length: %d" % len(body), body),
            (b"Transfer-Encoding: chunked", encode_chunk(body) + b"0\r\n\r\n"),
        ):
            client = await self.client()
            client.send(POST + framing + b"\r\n\r\n" + sent)
            upstream = await self.backend.connection(len(self.backend.connections) + 1)
            if framing.startswith(b"C"):
                start = (await upstream.until(b"\r\n\r\n")).index(b"\r\n\r\n") + 4
                size = start + len(body)
                received = await upstream.until(lambda at=upstream, size=size: at.total >= size)
                self.assertEqual(received[start:], body)
            else:
                received = await upstream.until(b"\r\n0\r\n\r\n")
                self.assertEqual(unchunked(received.partition(b"\r\n\r\n")[2]), body)

    async def test_large_and_the_next(self):
        """A request that a client sends straight behind a large body is not taken for a part of
        it, and what the log counts is the body."""
        body = numbered(MEGABYTE)
        length = b"Content-Length: %d\r\n\r\n" % len(body)
        client = await self.client()
        client.send(POST + length + body + GET)
        upstream = await self.backend.connection()
        await upstream.until(lambda: upstream.received.endswith(body))
        upstream.take()
        upstream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        await upstream.until(b"\r\n\r\n")
        self.assertTrue(upstream.received.startswith(b"GET "), upstream.received[:100])
        self.assertEqual(self.log()[0]["bytes_in"], len(body))

    async def test_cut(self):
        """A large upload that breaks off does not look whole to the backend, and the log counts
        what has come."""
        for end in ("loseConnection", "abortConnection"):
            client = await self.client()
            client.send(POST + b"Content-Length: 2000000\r\n\r\n" + numbered(MEGABYTE))
            upstream = await self.backend.connection(len(self.backend.connections) + 1)
            await upstream.until(lambda at=upstream: at.total > MEGABYTE)
            getattr(client.transport, end)()
            received = await upstream.closed()
            self.assertEqual(received.partition(b"\r\n\r\n")[2], numbered(MEGABYTE))
            self.assertEqual(self.log()[-1]["bytes_in"], MEGABYTE)
            self.assertEqual(self.log()[-1]["reason"], "client-left")

    async def test_backend_leaves(self):
        """A backend that leaves in the middle of a large upload is answered for at once."""
        client, upstream = await self.exchange(POST + b"Content-Length: 2000000\r\n\r\n")
        client.send(numbered(MEGABYTE))
        await upstream.until(lambda: upstream.total > MEGABYTE)
        upstream.transport.abortConnection()
        self.assertEqual(refused(await client.until(b"}\n"))[0], 502)

    async def test_back_pressure(self):
        """A backend that does not read holds the client up, instead of filling memory."""
        client, upstream = await self.exchange(POST + b"Content-Length: 100000000\r\n\r\n")
        upstream.transport.pauseProducing()
        sender = Sender(client, 64 * MEGABYTE)
        sender.start()
        await sender.stalled()
        self.assertLess(sender.taken, 32 * MEGABYTE)
        upstream.transport.resumeProducing()
        await upstream.until(lambda: upstream.total > 64 * MEGABYTE)

    async def test_expect(self):
        """`Expect: 100-continue` reaches the backend, and its 100 the client, before the body."""
        client, upstream = await self.exchange(
            POST + b"Content-Length: 2\r\nExpect: 100-continue\r\n\r\n"
        )
        self.assertIn(b"\r\nExpect: 100-continue\r\n", upstream.received)
        upstream.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        await client.until(b"HTTP/1.1 100 Continue\r\n\r\n")
        client.send(b"hi")
        await upstream.until(b"\r\n\r\nhi")
        upstream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        received = await client.until(b"\r\n\r\nok")
        self.assertEqual(received.count(b"HTTP/1.1"), 2)

    async def test_early_answer(self):
        """An answer before the end of an upload reaches the client whole, which may go on sending
        without being reset; the connection then closes."""
        client, upstream = await self.exchange(POST + b"Content-Length: 10000000\r\n\r\nstart")
        upstream.send(b"HTTP/1.1 413 Too Big\r\nContent-Length: 4\r\n\r\nno!\n")
        received = await client.until(b"\r\n\r\nno!\n")
        self.assertTrue(received.startswith(b"HTTP/1.1 413 Too Big\r\n"))
        self.assertIn(b"\r\nConnection: close\r\n", received)
        client.send(b"x" * MEGABYTE)
        await upstream.closed()
        client.transport.loseConnection()
        await client.closed()

    async def test_client_leaves(self):
        """When a client leaves in the middle of its upload, the backend's request ends at once and
        does not look whole."""
        client, upstream = await self.exchange(
            POST + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"
        )
        client.transport.abortConnection()
        received = await upstream.closed()
        self.assertFalse(received.endswith(b"0\r\n\r\n"))


class TooLarge(Stage):
    limits = {"request_body": 1000}

    async def test_announced(self):
        """A body that is announced as too large is refused unread."""
        answer = await self.ask(POST + b"Content-Length: 1001\r\n\r\n", b"}\n")
        self.assertEqual(refused(answer), (413, "body-too-large"))
        self.assertEqual(self.backend.connections, [])

    async def test_found_out(self):
        """A chunked body is refused when it has become too large, and never looks whole to the
        backend."""
        self.backend.script = silent
        client = await self.client()
        client.send(POST + b"Transfer-Encoding: chunked\r\n\r\n")
        upstream = await self.backend.connection()
        client.send(encode_chunk(b"x" * 1001) + b"0\r\n\r\n")
        answer = await client.until(b"}\n")
        self.assertEqual(refused(answer), (413, "body-too-large"))
        self.assertFalse((await upstream.closed()).endswith(b"0\r\n\r\n"))


class Downloads(Stage):
    def setUp(self):
        super().setUp()
        self.backend.script = silent

    async def exchange(self, request: bytes = GET):
        client = await self.client()
        client.send(request)
        upstream = await self.backend.connection(len(self.backend.connections) + 1)
        await upstream.until(b"\r\n\r\n")
        return client, upstream

    async def test_from_the_first_byte(self):
        """Each piece of an answer reaches the client while the next has not been written."""
        client, upstream = await self.exchange()
        upstream.send(b"HTTP/1.1 200 Fine\r\nTransfer-Encoding: chunked\r\nX-A: b\r\n\r\n")
        received = await client.until(b"\r\n\r\n")
        self.assertEqual(
            received, b"HTTP/1.1 200 Fine\r\nX-A: b\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        for line in (b"one\n", b"two\n"):
            upstream.send(encode_chunk(line))
            await client.until(encode_chunk(line))
        upstream.send(b"0\r\nX-Trailer: dropped\r\n\r\n")
        received = await client.until(b"0\r\n\r\n")
        self.assertNotIn(b"dropped", received)

    async def test_until_close(self):
        """An answer that ends with the backend's connection is chunked for the client, whose
        connection stays."""
        client, upstream = await self.exchange()
        upstream.send(b"HTTP/1.1 200 OK\r\n\r\nbody")
        await client.until(b"4\r\nbody\r\n")
        upstream.transport.loseConnection()
        await client.until(b"4\r\nbody\r\n0\r\n\r\n")
        client.send(GET)
        await self.backend.connection(2)

    async def test_http_1_0(self):
        """A client of HTTP/1.0 gets an answer without chunks, that ends with the connection."""
        client, upstream = await self.exchange(b"GET /jobs/v1/healthz HTTP/1.0\r\n\r\n")
        upstream.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        upstream.send(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n"
        )
        received = await client.closed()
        self.assertEqual(received, b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nbody")

    async def test_no_body(self):
        """Answers to HEAD, and 204 and 304, end with their head; what they say of a length
        passes."""
        client = await self.client()
        head = GET.replace(b"GET", b"HEAD", 1)
        for count, (request, answer) in enumerate(
            (
                (head, b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"),
                (GET, b"HTTP/1.1 204 No Content\r\n\r\n"),
                (GET, b"HTTP/1.1 304 Not Modified\r\nETag: x\r\n\r\n"),
            )
        ):
            client.send(request)
            # A connection that carried a HEAD is not used again.
            upstream = await self.backend.connection(min(count, 1) + 1)
            await upstream.until(lambda at=upstream, count=count: at.requests == max(count, 1))
            upstream.send(answer)
            received = await client.until(answer)
            self.assertTrue(received.endswith(answer))

    async def test_large(self):
        """Many megabytes arrive whole and in order, in either framing, and the connection is good
        for the next request."""
        body = numbered(4 * MEGABYTE)
        for framing, sent in (
            (b"Content-Length: %d" % len(body), body),
            (b"Transfer-Encoding: chunked", encode_chunk(body) + b"0\r\n\r\n"),
        ):
            client, upstream = await self.exchange()
            upstream.send(b"HTTP/1.1 200 OK\r\n" + framing + b"\r\n\r\n" + sent)
            if framing.startswith(b"C"):
                received = await client.until(lambda at=client: at.received.endswith(body[-9:]))
                received = received.partition(b"\r\n\r\n")[2]
            else:
                received = await client.until(b"\r\n0\r\n\r\n")
                received = unchunked(received.partition(b"\r\n\r\n")[2])
            self.assertTrue(received == body)
            self.assertEqual(self.log()[-1]["bytes_out"], len(body))
            self.assertTrue(self.log()[-1]["complete"])
            client.take()
            upstream.take()
            client.send(GET)
            await upstream.until(b"\r\n\r\n")
            upstream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            await client.until(b"\r\n\r\nok")
            client.transport.abortConnection()
            upstream.transport.abortConnection()
            await upstream.closed()

    async def test_large_cut(self):
        """The same far into a large body; what has come has arrived."""
        for end in ("loseConnection", "abortConnection"):
            client, upstream = await self.exchange()
            upstream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2000000\r\n\r\n")
            upstream.send(numbered(MEGABYTE))
            await client.until(lambda at=client: at.total > MEGABYTE)
            getattr(upstream.transport, end)()
            received = await client.closed()
            self.assertTrue(client.lost.check(ConnectionLost), client.lost)
            self.assertTrue(received.partition(b"\r\n\r\n")[2] == numbered(MEGABYTE))
            self.assertFalse(self.log()[-1]["complete"])
            self.assertEqual(self.log()[-1]["bytes_out"], MEGABYTE)

    async def test_back_pressure(self):
        """A client that does not read holds the backend up, instead of filling memory."""
        client, upstream = await self.exchange()
        client.transport.pauseProducing()
        upstream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 67108864\r\n\r\n")
        sender = Sender(upstream, 64 * MEGABYTE)
        sender.start()
        await sender.stalled()
        self.assertLess(sender.taken, 32 * MEGABYTE)
        client.transport.resumeProducing()
        await client.until(lambda: client.total > 64 * MEGABYTE)

    async def test_cut(self):
        """A body that breaks off on the way from the backend breaks off for the client as well."""
        for answer, seen in (
            (b"Content-Length: 10\r\n\r\nhalf", b"half"),
            (b"Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n", b"4\r\nhalf\r\n"),
        ):
            client, upstream = await self.exchange()
            upstream.send(b"HTTP/1.1 200 OK\r\n" + answer)
            await client.until(seen)
            upstream.transport.loseConnection()
            received = await client.closed()
            self.assertTrue(received.endswith(seen), received)
            self.assertFalse(self.log()[-1]["complete"])

    async def test_client_leaves(self):
        """When a client leaves in the middle of an answer, the backend's request ends at once."""
        client, upstream = await self.exchange()
        upstream.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nline\r\n")
        await client.until(b"line")
        client.transport.loseConnection()
        await upstream.closed()
        self.assertEqual(self.log()[0]["reason"], "client-left")

    async def test_client_leaves_before_the_head(self):
        """The same before the backend has said anything."""
        client, upstream = await self.exchange()
        client.transport.abortConnection()
        await upstream.closed()
        self.assertEqual((self.log()[0]["status"], self.log()[0]["reason"]), (0, "client-left"))


def numbered(size: int) -> bytes:
    """Bytes of which no two places look alike."""
    return b"".join(b"%08d" % number for number in range(size // 8))


def unchunked(body: bytes) -> bytes:
    """The payload of a chunked body."""
    pieces = []
    while True:
        size, _, body = body.partition(b"\r\n")
        if not int(size, 16):
            return b"".join(pieces)
        pieces.append(body[: int(size, 16)])
        body = body[int(size, 16) + 2 :]


class Sender:
    """A producer that writes as much as its transport takes."""

    def __init__(self, end, total: int, piece: bytes = b"x" * 65536):
        self._end = end
        self._total = total
        self._piece = piece
        self._paused = False
        self._quiet = None
        self.taken = 0

    def start(self) -> None:
        self._end.transport.registerProducer(self, True)
        self.resumeProducing()

    def stalled(self):
        """Fires when nothing has been taken for a while."""
        before = self.taken

        def look(_):
            if self.taken == before and self._paused:
                return None
            return self.stalled()

        return deferLater(reactor, 0.2, lambda: None).addCallback(look)

    def resumeProducing(self) -> None:
        self._paused = False
        while not self._paused and self.taken < self._total:
            self.taken += len(self._piece)
            self._end.transport.write(self._piece)
        if self.taken >= self._total:
            self._end.transport.unregisterProducer()

    def pauseProducing(self) -> None:
        self._paused = True

    def stopProducing(self) -> None:
        self._paused = True
