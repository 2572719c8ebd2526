"""What ends by itself: certificates, handshakes, and waiting for those who do not read."""

from __future__ import annotations

from OpenSSL import SSL
from twisted.internet import reactor
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.error import ConnectionDone
from twisted.internet.protocol import Factory

from tests.relay.ends import OK, End, silent
from tests.relay.stage import GET, Stage, refused
from tests.relay.test_bodies import Sender

YEAR = 365 * 86400.0
PUT = GET[:-2].replace(b"GET", b"PUT", 1)


class Ahead:
    """The reactor, with a clock that a test can set forward."""

    def __init__(self):
        self.shift = 0.0

    def seconds(self) -> float:
        return reactor.seconds() + self.shift

    def __getattr__(self, name: str):
        return getattr(reactor, name)


class Expiry(Stage):
    """The demonstration's certificates are good for a year."""

    timeouts = {"keep_alive": 604800, "request_head": 604800, "response_head": 604800}

    def setUp(self):
        self.reactor = Ahead()
        super().setUp()

    async def test_living_connection(self):
        """A connection outlives its certificate, and is refused from then on, also for what it
        has asked again and again."""
        client = await self.client()
        for _ in range(3):
            client.send(GET)
            await client.until(b"\r\n\r\nok")
            client.take()
        self.reactor.shift = 2 * YEAR
        client.send(GET)
        self.assertEqual(refused(await client.closed()), (403, "certificate-expired"))
        self.assertEqual(self.log()[-1]["identity"], "")

    async def test_own_pages(self):
        """Our own pages are no exception; callers without a certificate are not touched."""
        client = await self.client()
        nobody = await self.client(None)
        self.reactor.shift = 2 * YEAR
        client.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        self.assertEqual(refused(await client.closed()), (403, "certificate-expired"))
        nobody.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        await nobody.until(b"\r\n\r\nok\n")

    async def test_running_answer(self):
        """What was allowed while the certificate was good comes to its end."""
        client, upstream = await self.held()
        self.reactor.shift = 2 * YEAR
        upstream.send(OK)
        await client.until(b"\r\n\r\nok")


class Half(Stage):
    timeouts = {"handshake": 0.3}

    async def test_handshake(self):
        """A connection that never begins, or never finishes, its handshake is closed."""
        for sent in (b"", b"\x16\x03\x01\x02\x00\x01\x00"):
            endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", self.port)
            client: End = await endpoint.connect(Factory.forProtocol(End))
            self._clients.append(client)
            client.send(sent)
            self.assertEqual(await client.closed(), b"")
        self.assertEqual(self.log(), [])


class Reading(Stage):
    timeouts = {"response_idle": 0.5}

    async def test_client_that_does_not_read(self):
        """A client that takes nothing of its answer is given as long as a silent backend."""
        client, upstream = await self.held()
        client.transport.pauseProducing()
        upstream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 50000000\r\n\r\n" + b"x" * 50_000_000)
        await upstream.closed()
        client.transport.resumeProducing()
        received = await client.closed()
        self.assertLess(len(received), 50_000_000)
        (line,) = self.log()
        self.assertFalse(line["complete"])


class Endings(Stage):
    def setUp(self):
        super().setUp()
        self.backend.script = silent

    async def exchange(self, request: bytes) -> tuple[End, End]:
        """A client whose request has reached the backend, and the backend's connection."""
        client = await self.client(None)
        client.send(request)
        upstream = await self.backend.connection(len(self.backend.connections) + 1)
        await upstream.until(b"\r\n\r\n")
        return client, upstream

    async def test_close_notify(self):
        """A body that ends with the connection ends with TLS close_notify when it is whole, and
        without when it was cut: so a client can tell."""
        old = b"GET /jobs/v1/healthz HTTP/1.0\r\n\r\n"
        for head, whole in (
            (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n", False),
            (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n0\r\n\r\n", True),
        ):
            client, upstream = await self.exchange(old)
            upstream.send(head)
            await client.until(b"half")
            upstream.transport.loseConnection()
            received = await client.closed()
            self.assertTrue(received.endswith(b"\r\n\r\nhalf"))
            self.assertEqual(client.lost.check(ConnectionDone, SSL.Error) is ConnectionDone, whole)

    async def test_last_answer(self):
        """The last answer of a connection reaches a slow reader whole, however large it is, and
        the connection then closes without delay."""
        client, upstream = await self.exchange(GET[:-2] + b"Connection: close\r\n\r\n")
        client.transport.pauseProducing()
        size = 512 * 65536
        upstream.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        sender = Sender(upstream, size)
        sender.start()
        await sender.stalled()
        client.transport.resumeProducing()
        received = await client.closed()
        self.assertEqual(len(received.partition(b"\r\n\r\n")[2]), size)
        self.assertIs(client.lost.type, ConnectionDone)

    async def test_backend_without_close_notify(self):
        """Nor does the gateway take a backend's body of open length for whole without it."""
        client, upstream = await self.exchange(GET)
        upstream.send(b"HTTP/1.1 200 OK\r\n\r\nhalf")
        await client.until(b"half\r\n")
        upstream.transport.abortConnection()
        self.assertFalse((await client.closed()).endswith(b"0\r\n\r\n"))

    async def test_no_bytes(self):
        """A body of no bytes needs none to be complete."""
        client, upstream = await self.exchange(PUT + b"Content-Length: 0\r\n\r\n")
        upstream.send(OK)
        await client.until(b"\r\n\r\nok")
        client.send(PUT + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
        await upstream.until(b"\r\n\r\n0\r\n\r\n")
        upstream.send(OK)
        await client.until(lambda: client.received.count(b"\r\n\r\nok") == 2)
        self.assertNotIn(b"close", client.received)


class Refused(Stage):
    """Requests with bodies that are refused at their head."""

    WRONG = PUT.replace(b"tf-test", b"other")

    async def test_unread_body(self):
        """The refusal is readable although the client goes on sending, and is the last answer."""
        for body in (b"Content-Length: 3000000\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\n"):
            client = await self.client()
            client.send(self.WRONG + body + b"x" * 3_000_000)
            received = await client.closed()
            self.assertEqual(refused(received), (403, "foreign-tool"))
            self.assertIn(b"\r\nConnection: close\r\n", received)
            self.assertIs(client.lost.type, ConnectionDone)

    async def test_no_body(self):
        """Without a body, or with one of no bytes, the connection goes on."""
        client = await self.client()
        for count, request in enumerate(
            (self.WRONG + b"\r\n", self.WRONG + b"Content-Length: 0\r\n\r\n"), 1
        ):
            client.send(request)
            await client.until(lambda count=count: client.received.count(b"}\n") == count)
        self.assertNotIn(b"close", client.received)
