"""Bounded: crowds of slow clients are gone by their deadline, and good ones do not notice."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from twisted.internet import reactor
from twisted.internet.defer import Deferred, ensureDeferred, gatherResults
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.internet.task import LoopingCall, deferLater

from tests.relay.ends import End
from tests.relay.stage import GET
from tests.strict.stolen import Stolen
from tests.strict.table import OK, TableCase, answers, reason, request, status
from toolforge_gateway.deadlines import RESOLUTION

NORMAL = 1.0
"""Seconds in which a good client is served, a crowd or not.  It takes milliseconds; but all ends
share one process here."""


class Crowd(TableCase):
    """Some of the clients are slow; one is good and asks all the time."""

    def setUp(self):
        super().setUp()
        self.slowest = 0.0
        self.served = 0
        self.stolen = Stolen(self)

    def seconds(self) -> float:
        """The time, while this process was let run."""
        return reactor.seconds() - self.stolen.seconds()

    async def gather(self, count: int, make: Callable[[int], Deferred]) -> list[End]:
        """So many clients, a few at a time, since all ends share one process here."""
        clients: list[End] = []
        while len(clients) < count:
            clients += await gatherResults([make(len(clients) + each) for each in range(10)])
            await deferLater(reactor, 0.01)
        return clients

    def raw(self, number: int) -> Deferred:
        """A TCP connection on which nobody has spoken TLS."""
        endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", self.port)
        return connectProtocol(endpoint, End()).addCallback(self._keep)

    def _keep(self, end: End) -> End:
        self._clients.append(end)
        return end

    @contextlib.asynccontextmanager
    async def good_client(self):
        """A client that asks all the time, on one connection and on new ones."""
        over = False
        kept = await self.client()

        async def ask_on() -> None:
            while not over:
                client = await self.client() if self.served % 4 == 0 else kept
                started = self.seconds()
                client.take()
                client.send(GET)
                received = await client.until(OK)
                self.assertEqual(received, OK)
                self.slowest = max(self.slowest, self.seconds() - started)
                self.served += 1
                await deferLater(reactor, 0.02)

        asking = ensureDeferred(ask_on())
        yield
        over = True
        await asking
        self.assertLess(self.slowest, NORMAL)
        self.assertGreater(self.served, 10)

    async def gone(self, clients: list[End], deadline: float) -> None:
        """The gateway closes all of these by their deadline, and the last not before it."""
        began, started = reactor.seconds(), self.seconds()
        await gatherResults([client.closed() for client in clients])
        self.assertGreater(reactor.seconds() - began, deadline * 0.8)
        self.assertLess(self.seconds() - started, deadline + RESOLUTION + 1)


class SlowRequests(Crowd):
    timeouts = {"request_head": 1.5, "request_idle": 1.5, "keep_alive": 1}

    async def test_slow_heads(self):
        """200 clients whose head comes byte by byte are answered 408 by the deadline."""

        def begin(number: int) -> Deferred:
            return self.client(None).addCallback(begun)

        def begun(client: End) -> End:
            client.send(b"GET /jobs HTTP/1.1\r\nX: ")
            return client

        def drip() -> None:
            for client in clients:
                if client.lost is None and not client.total:
                    client.send(b"x")

        clients = await self.gather(200, begin)
        loop = LoopingCall(drip)
        loop.start(0.3)
        async with self.good_client():
            await self.gone(clients, 1.5)
        loop.stop()
        for client in clients:
            (answer,) = answers(client.received)
            self.assertEqual((status(answer), reason(answer)), (408, "head-timeout"))

    async def test_slow_posts(self):
        """100 uploads that fall silent are answered 408 by the deadline, and their requests to
        the backend end."""

        def begin(number: int) -> Deferred:
            return self.client().addCallback(begun, number)

        def begun(client: End, number: int) -> End:
            framing = b"Content-Length: 1000" if number % 2 else b"Transfer-Encoding: chunked"
            body = b"hello" if number % 2 else b"5\r\nhello\r\n5\r\nhel"
            client.send(request(framing, method=b"POST", body=body))
            return client

        clients = await self.gather(100, begin)
        async with self.good_client():
            await self.gone(clients, 1.5)
        for client in clients:
            (answer,) = answers(client.received)
            self.assertEqual((status(answer), reason(answer)), (408, "body-timeout"))
        unfinished = [each for each in self.backend.connections if each.received]
        self.assertEqual(len(unfinished), 100)
        await gatherResults([each.closed() for each in unfinished])

    async def test_idle(self):
        """Connections that ask nothing, or nothing more, are closed by their deadline."""

        def begin(number: int) -> Deferred:
            return self.client(None)

        silent = await self.gather(10, begin)
        await self.gone(silent, 1.5)
        self.assertEqual([client.total for client in silent], [0] * 10)
        asked = await self.client(None)
        asked.send(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await asked.until(b"ok\n")
        await self.gone([asked], 1)


class SlowHandshakes(Crowd):
    timeouts = {"handshake": 1.5}

    async def test_half_open(self):
        """200 connections that begin TLS slowly, or not at all, are gone by the deadline."""

        def drip() -> None:
            for client in clients[::4]:
                if client.lost is None:
                    client.send(b"\x01" * 5)

        def begin(number: int) -> Deferred:
            return self.raw(number).addCallback(begun, number)

        def begun(client: End, number: int) -> End:
            # The first bytes of a record that holds a ClientHello, or nothing.
            if number % 2 == 0:
                client.send(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
            return client

        clients = await self.gather(200, begin)
        loop = LoopingCall(drip)
        loop.start(0.3)
        async with self.good_client():
            await self.gone(clients, 1.5)
        loop.stop()


class SlowProxies(Crowd):
    timeouts = {"handshake": 1}
    listener = {"proxy_protocol": {"trusted": ["127.0.0.1/32"]}}

    async def test_half_headers(self):
        """A PROXY header that is slow, endless or missing has the deadline of the handshake."""

        def begin(number: int) -> Deferred:
            return self.raw(number).addCallback(begun, number)

        def begun(client: End, number: int) -> End:
            client.send((b"", b"PROXY TCP4 192.0.2.1", b"\r\n\r\n\0\r\nQUIT\n")[number % 3])
            return client

        await self.gone(await self.gather(60, begin), 1)
        (endless,) = (await self.gather(10, self.raw))[:1]
        endless.send(b"PROXY TCP4 " + b"1" * 200)
        await endless.closed()


class AddressCaps(TableCase):
    listener = {"proxy_protocol": {"trusted": ["127.0.0.1/32"]}}
    limits = {"connections_per_address": 2}

    async def test_per_address(self):
        """The bound for one address is for the one that PROXY announced, not the proxy's."""
        for number in range(1, 4):
            header = b"PROXY TCP4 192.0.2.%d 127.0.0.1 1 443\r\n" % number
            for _ in range(2):
                client = await self.client(header=header)
                client.send(GET)
                self.assertEqual(await client.until(OK), OK)
            third = await self.client(header=header)
            self.assertEqual(await third.closed(), b"")
        client.transport.abortConnection()
        await client.closed()
        await deferLater(reactor, 0.05)
        client = await self.client(header=header)
        client.send(GET)
        await client.until(OK)


class DeafReaders(TableCase):
    timeouts = {"response_idle": 1}

    async def test_deaf(self):
        """A client that reads nothing of a large answer is cut off after the idle time, and the
        backend's connection with it."""
        client = await self.client()
        client.send(GET)
        await client.until(OK)
        self.recorder.answer = b"HTTP/1.1 200 OK\r\nContent-Length: 20000000\r\n\r\n"
        self.recorder.answer += bytes(20_000_000)
        client.transport.transport.pauseProducing()
        client.send(GET)
        upstream = await self.backend.connection()
        await upstream.closed()
        client.transport.transport.resumeProducing()
        await client.closed()
        self.assertLess(client.total, 20_000_000)
        self.assertEqual(self.log()[-1]["complete"], False)


class Caps(TableCase):
    limits = {"connections": 4}

    async def test_connections(self):
        """Over the limit a connection is closed before TLS; when one has left, there is room."""
        clients = [await self.client() for _ in range(4)]
        endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", self.port)
        for _ in range(20):
            refused = await connectProtocol(endpoint, End())
            await refused.closed()
            self.assertEqual(refused.received, b"")
        for client in clients:
            client.send(GET)
            await client.until(OK)
        clients[0].transport.abortConnection()
        await clients[0].closed()
        await deferLater(reactor, 0.05)
        self.assertEqual(await self.ask(GET), OK)


class Busy(TableCase):
    limits = {"requests": 3}

    async def test_requests(self):
        """Over the limit a request is a 503 at once, on a connection that goes on; our own pages
        are served, and when an answer has ended there is room."""
        self.backend.script = lambda connection: None
        waiting = [await self.client() for _ in range(3)]
        for client in waiting:
            client.send(GET)
        await self.backend.connection(3)
        late = await self.client()
        for _ in range(3):
            late.send(GET)
            await late.until(b'"too-many-requests-at-once"')
            (answer,) = answers(late.take())
            self.assertEqual(status(answer), 503)
            self.assertNotIn(b"Retry-After", answer)
        late.send(request(target=b"/healthz"))
        await late.until(b"ok\n")
        late.take()
        self.assertEqual(len(self.backend.connections), 3)
        await self.backend.connections[0].until(b"\r\n\r\n")
        self.backend.connections[0].send(OK)
        await waiting[0].until(OK)
        late.send(GET)
        upstream = self.backend.connections[0]
        await upstream.until(lambda: upstream.requests == 2)
        upstream.send(OK)
        await late.until(OK)
        # One that leaves makes room as well.
        waiting[1].transport.abortConnection()
        await self.backend.connections[1].closed()
        waiting[0].take()
        waiting[0].send(GET)
        await upstream.until(lambda: upstream.requests == 3)
        upstream.send(OK)
        await waiting[0].until(OK)
        self.assertEqual([line["status"] for line in self.log()].count(503), 3)

    async def test_body(self):
        """A request that is refused like that does not leave its body to be read as the next."""
        self.backend.script = lambda connection: None
        for _ in range(3):
            (await self.client()).send(GET)
        await self.backend.connection(3)
        late = await self.client()
        late.send(request(b"Content-Length: %d" % len(GET), body=GET, method=b"POST"))
        await late.closed()
        (answer,) = answers(late.received)
        self.assertEqual(status(answer), 503)
