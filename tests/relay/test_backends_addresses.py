"""A backend with several addresses, over real sockets: which is used, and what is tried again."""

from __future__ import annotations

import yaml
from twisted.internet import reactor
from twisted.internet.protocol import Factory, Protocol

from tests.clients.stage import eventually, pki
from tests.relay.ends import OK, Backend, BackendConnection, answering, silent
from tests.relay.stage import GET, Stage, refused
from toolforge_gateway import config
from toolforge_gateway.proxy import marks
from toolforge_gateway.proxy.figures import AddressFigures
from toolforge_gateway.proxy.pool import Pool
from toolforge_gateway.testing.ports import free_port

POST = (
    b"POST /jobs/v1/tool/tf-test/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\nabc"
)


class Garbage(Protocol):
    """Speaks no TLS."""

    def connectionMade(self) -> None:
        self.transport.write(b"220 mail.example ESMTP\r\n")


class Mute(Protocol):
    """Takes a connection and says nothing."""


class Addresses(Stage):
    """The stage's backend, and other addresses for it.

    :ivar other: a second real one.
    """

    def setUp(self) -> None:
        self.other = Backend(pki())
        self.addCleanup(self.other.port.stopListening)
        super().setUp()

    def address(self, protocol: type[Protocol]) -> str:
        """An address where such a thing listens."""
        factory = Factory.forProtocol(protocol)
        factory.noisy = False
        port = reactor.listenTCP(0, factory, interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        return f"127.0.0.1:{port.getHost().port}"

    def document(self) -> dict:
        document = super().document()
        document["backends"][0]["addresses"] = self.addresses()
        return document

    def addresses(self) -> list[str]:
        """What the configuration lists."""
        return [f"127.0.0.1:{self.backend.number}", f"127.0.0.1:{self.other.number}"]

    @property
    def pool(self) -> Pool:
        """The backend's."""
        return self.service.prepared.pools[0]

    def figures(self, address: str) -> AddressFigures:
        """Of one address."""
        known = {f"{each.host}:{each.port}": each for each in self.pool.figures().addresses}
        return known[address]

    @property
    def heads(self) -> int:
        """Requests that any of the real ones has seen."""
        return sum(each.requests for b in (self.backend, self.other) for each in b.connections)


class BothTests(Addresses):
    async def test_both_are_used(self) -> None:
        """Requests that come at once go to both; each sees the backend's own name as its Host."""
        self.backend.script = self.other.script = silent
        clients = [await self.client() for _ in range(6)]
        for client in clients:
            client.send(GET)
        await eventually(lambda: self.heads == 6)
        self.assertEqual([len(b.connections) for b in (self.backend, self.other)], [3, 3])
        host = b"\r\nHost: 127.0.0.1:%d\r\n" % self.backend.number
        self.assertEqual(self.other.received.count(host), 3)

    async def test_written_once(self) -> None:
        """A request that one address took and closed without an answer is not sent to the other,
        whatever its method; the caller is told."""

        def close(connection: BackendConnection) -> None:
            if connection.requests:
                connection.transport.loseConnection()

        self.backend.script = self.other.script = close
        for n, request in enumerate((GET, POST), 1):
            answer = await self.ask(request, b'"}\n')
            self.assertEqual(refused(answer), (502, "backend-closed"))
            self.assertEqual(self.heads, n)

    async def test_one_dies(self) -> None:
        """When an address dies, what it had under way is lost with it, and nothing else: kept
        connections to it are not used, and new requests find the other one."""
        clients = [await self.client() for _ in range(10)]
        for client in clients:
            client.send(GET)
            await client.until(b"\r\n\r\nok")
            client.take()
        self.other.script = self.backend.script = silent
        began = self.heads
        for client in clients:
            client.send(GET)
        await eventually(lambda: self.heads == began + 10)
        await self.other.port.stopListening()
        for connection in self.other.connections:
            connection.transport.abortConnection()
        await eventually(lambda: sum(b'"backend-closed"' in c.received for c in clients) == 5)
        for connection in self.backend.connections:
            connection.send(OK)
        await eventually(lambda: sum(b"\r\n\r\nok" in c.received for c in clients) == 5)
        for connection in self.backend.connections:
            connection.take()
        self.backend.script = answering(OK)
        for _ in range(5):
            for client in clients:
                client.take()
                client.send(GET)
            for client in clients:
                self.assertIn(b" 200 OK\r\n", await client.until(b"\r\n\r\nok"))
        self.assertEqual(self.figures(f"127.0.0.1:{self.other.number}").state, "ejected")

    async def test_answers_are_answers(self) -> None:
        """An address that answers 500 is not spared."""
        answer = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 2\r\n\r\nno"
        self.backend.script = answering(answer)
        self.other.script = answering(answer)
        client = await self.client()
        for _ in range(10):
            client.send(GET)
            await client.until(b"\r\n\r\nno")
            client.take()
        self.assertEqual({each.state for each in self.pool.figures().addresses}, {"up"})


class RefusingTests(Addresses):
    """One address at which nobody listens."""

    def addresses(self) -> list[str]:
        self.bad = f"127.0.0.1:{free_port()}"
        return [self.bad, f"127.0.0.1:{self.backend.number}"]

    async def test_nobody_notices(self) -> None:
        """Requests, with bodies too, are answered by the other one; the bad one is spared."""
        self.backend.script = answering(
            b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"
        )
        client = await self.client()
        for n in range(12):
            client.send(POST if n % 2 else GET)
            self.assertIn(b" 200 OK\r\n", await client.until(b"\r\n\r\nok"))
            client.take()
        self.assertEqual(self.figures(self.bad).state, "ejected")
        self.assertEqual(self.figures(self.bad).last_error, "backend-refused")
        self.assertEqual(self.backend.received.count(b"\r\n\r\nabc"), 6)

    async def test_comes_back(self) -> None:
        """When somebody listens there again it is found out without a request, and used."""
        self.patch(marks, "FIRST", 0.5)
        self.backend.script = answering(
            b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"
        )
        for _ in range(40):
            if self.figures(self.bad).state == "ejected":
                break
            await self.ask(GET)
        back = Backend(pki(), int(self.bad.partition(":")[2]))
        self.addCleanup(back.port.stopListening)
        await eventually(lambda: self.figures(self.bad).state == "up")
        self.assertEqual(back.received, b"")
        for _ in range(40):
            if back.received:
                break
            await self.ask(GET)
        self.assertIn(b"GET /v1/tool/tf-test/jobs HTTP/1.1\r\n", back.received)


class BrokenTests(Addresses):
    """Addresses that take a connection and no TLS."""

    timeouts = {"connect": 2}

    def addresses(self) -> list[str]:
        return [
            self.address(Garbage),
            self.address(Mute),
            f"127.0.0.1:{self.backend.number}",
        ]

    async def test_next_one(self) -> None:
        """TLS that fails, or never comes to an end, leads to the next address: nothing of the
        request has been written."""
        client = await self.client()
        for _ in range(6):
            client.send(POST)
            self.assertIn(b" 200 OK\r\n", await client.until(b"\r\n\r\nok"))
            client.take()
        self.assertEqual(self.backend.received.count(b"\r\n\r\nabc"), 6)


class NameTests(Addresses):
    """Whoever is at an address must show a certificate for the backend's name."""

    backend_keys = {"server_name": "somebody-else.example.org"}

    async def test_wrong_name(self) -> None:
        """At no address does a byte of the request arrive without it."""
        answer = await self.ask(GET, b'"backend-tls"')
        self.assertIn(b" 502 Bad Gateway\r\n", answer)
        self.assertEqual(self.backend.received + self.other.received, b"")


class ResolvedTests(Stage):
    """A name instead of an address."""

    url = "https://localhost:{port}"

    async def test_name(self) -> None:
        """A real name is looked up by the system, and whichever of its addresses takes the
        connection answers."""
        self.assertIn(b" 200 OK\r\n", await self.ask(GET))
        figures = self.service.prepared.pools[0].figures()
        self.assertIn("127.0.0.1", [each.host for each in figures.addresses])
        self.assertIsNotNone(figures.looked_up_at)


class CheckTests(Addresses):
    """Active checks over the backend's mutual TLS."""

    backend_keys = {
        "url": "https://127.0.0.1:1/base",
        "checks": {"path": "/v1/healthz", "interval": 1, "timeout": 1, "good": 1, "bad": 1},
    }

    async def test_checked(self) -> None:
        """The check is a GET below the base path on a connection with our certificate; what says
        503 gets no requests, until it says 200."""

        def ill(connection: BackendConnection) -> None:
            if connection.requests:
                status = b"503 Service Unavailable" if self.ill else b"200 OK"
                connection.send(b"HTTP/1.1 " + status + b"\r\nContent-Length: 0\r\n\r\n")

        self.ill = True
        self.other.script = ill
        address = f"127.0.0.1:{self.other.number}"
        await eventually(lambda: self.figures(address).state == "failing-checks")
        self.assertEqual(self.figures(address).last_error, "status-503")
        self.assertTrue(self.other.received.startswith(b"GET /base/v1/healthz HTTP/1.1\r\n"))
        for _ in range(10):
            await self.ask(GET)
        self.assertNotIn(b"GET /base/v1/tool", self.other.received)
        self.ill = False
        await eventually(lambda: self.figures(address).state == "up")


class ReloadTests(Addresses):
    async def test_stream_goes_on(self) -> None:
        """A stream that began before a reload goes on at its address, though that is no address of
        the backend any more; new requests go where the new configuration says."""
        self.backend.script = self.other.script = silent
        client = await self.client()
        client.send(GET)
        await eventually(lambda: self.heads == 1)
        began, next_one = self.backend, self.other
        if self.other.connections:
            began, next_one = self.other, self.backend
        (stream,) = began.connections
        stream.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n")
        await client.until(b"one")
        document = self.document()
        document["backends"][0]["addresses"] = [f"127.0.0.1:{next_one.number}"]
        path = self.folder / "gateway.yaml"
        path.write_text(yaml.safe_dump(document))
        self.service.prepare(config.load(path)).commit()
        next_one.script = answering(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        for _ in range(4):
            await self.ask(GET)
        self.assertEqual(len(began.connections), 1)
        stream.send(b"3\r\ntwo\r\n0\r\n\r\n")
        self.assertIn(b"one\r\n3\r\ntwo\r\n0\r\n\r\n", await client.until(b"\r\n0\r\n\r\n"))
        await stream.closed()
