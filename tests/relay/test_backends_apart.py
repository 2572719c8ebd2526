"""One backend's trouble never slows another; a bounded queue is what holds it."""

from __future__ import annotations

from twisted.internet import reactor
from twisted.internet.protocol import Factory, Protocol

from tests.clients.stage import eventually, pki
from tests.relay.ends import OK, Backend, BackendConnection, End, answering, silent
from tests.relay.stage import GET, Stage, refused
from toolforge_gateway.proxy.pool import Pool
from toolforge_gateway.testing.ports import free_port

OTHER = b"GET /builds/v1/tool/tf-test/builds HTTP/1.1\r\nHost: localhost\r\n\r\n"
CLOSING = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"


class Mute(Protocol):
    """Takes a connection and says nothing."""


class Two(Stage):
    """`/jobs` is in trouble, `/builds` is well."""

    limits = {"requests": 40}
    backend_keys = {"limits": {"requests": 4, "queue": 8}}

    def setUp(self) -> None:
        self.well = Backend(pki())
        self.addCleanup(self.well.port.stopListening)
        super().setUp()

    def document(self) -> dict:
        document = super().document()
        jobs = document["backends"][0]
        document["backends"].append(
            {
                "name": "builds-api",
                "path": "/builds",
                "url": f"https://127.0.0.1:{self.well.number}",
                "server_name": jobs["server_name"],
            }
        )
        jobs["url"] = self.trouble() or jobs["url"]
        return document

    def trouble(self) -> str | None:
        """Another URL for `/jobs`."""
        return None

    @property
    def pool(self) -> Pool:
        """The one of `/jobs`."""
        return self.service.prepared.pools[0]

    async def crowd(self, count: int) -> list[End]:
        """So many clients want something of `/jobs`."""
        clients = [await self.client() for _ in range(count)]
        for client in clients:
            client.send(GET)
        return clients

    async def assert_well(self) -> None:
        """The other backend answers, on kept connections and on new ones."""
        client = await self.client()
        for answer in (OK, CLOSING, OK):
            self.well.script = answering(answer)
            for connection in self.well.connections:
                connection.take()
            client.send(OTHER)
            self.assertIn(b" 200 OK\r\n", await client.until(b"\r\n\r\nok"))
            client.take()


class HangingTests(Two):
    async def test_hangs(self) -> None:
        """A backend that never answers fills its places and its queue, the rest is told so at
        once, and the other backend answers as before."""
        self.backend.script = silent
        clients = await self.crowd(20)
        await eventually(lambda: sum(b"backend-busy" in each.received for each in clients) == 8)
        figures = self.pool.figures()
        self.assertEqual((figures.taken, figures.queued, figures.turned_away), (4, 8, 8))
        self.assertEqual(len(self.backend.connections), 4)
        await self.assert_well()
        told = [each.received for each in clients if each.received]
        self.assertEqual({refused(each) for each in told}, {(503, "backend-busy")})


class SharesTests(Two):
    """With nothing said of the backend at all."""

    limits = {"requests": 400}
    backend_keys: dict[str, object] = {}
    # Two hundred handshakes take a busy machine longer than anybody would wait in the queue, and
    # this is about how many there are.
    timeouts = {"connect": 60, "queue": 60}

    async def test_default(self) -> None:
        """What one backend may take by default leaves room for another one."""
        self.backend.script = silent
        clients = await self.crowd(300)
        await eventually(
            lambda: sum(b"backend-busy" in each.received for each in clients) == 36, within=45
        )
        self.assertEqual(self.pool.figures().taken, 200)
        await self.assert_well()
        self.assertNotIn(b"too-many-requests", b"".join(each.received for each in clients))

    timeout = 60


class RefusingTests(Two):
    def trouble(self) -> str:
        return f"https://127.0.0.1:{free_port()}"

    async def test_refuses(self) -> None:
        """While one refuses all connections the other answers."""
        clients = await self.crowd(12)
        await self.assert_well()
        await eventually(lambda: all(b"backend-refused" in each.received for each in clients))
        self.assertEqual(self.pool.figures().taken, 0)


class SwallowingTests(Two):
    timeouts = {"connect": 1, "queue": 1}

    def trouble(self) -> str:
        factory = Factory.forProtocol(Mute)
        factory.noisy = False
        port = reactor.listenTCP(0, factory, interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        return f"https://127.0.0.1:{port.getHost().port}"

    async def test_swallows(self) -> None:
        """While one takes connections and never ends a handshake the other answers; those who
        waited for it are told why, each with its own word."""
        clients = await self.crowd(14)
        await self.assert_well()
        await eventually(lambda: all(each.received for each in clients))
        reasons = [refused(each.received)[1] for each in clients]
        self.assertEqual(reasons.count("backend-busy"), 2)
        self.assertEqual(
            set(reasons) - {"backend-busy"}, {"backend-connect-timeout", "backend-queue-timeout"}
        )
        await eventually(lambda: self.pool.figures().taken == 0)


class QueueTests(Two):
    backend_keys = {"limits": {"requests": 1, "queue": 1}, "timeouts": {"queue": 2}}

    def answer(self, connection: BackendConnection, answer: bytes = OK) -> None:
        connection.take()
        connection.send(answer)

    async def test_next_in_line(self) -> None:
        """Who waits is served on the same connection as soon as the answer before it is over."""
        _, connection = await self.held()
        waiting = await self.client()
        waiting.send(GET)
        await eventually(lambda: self.pool.figures().queued)
        self.answer(connection)
        await eventually(lambda: connection.requests)
        self.answer(connection)
        self.assertIn(b" 200 OK\r\n", await waiting.until(b"\r\n\r\nok"))
        self.assertEqual(len(self.backend.connections), 1)

    async def test_next_in_line_dials(self) -> None:
        """The same when the backend closes after its answer: then it is a new connection."""
        _, connection = await self.held()
        waiting = await self.client()
        waiting.send(GET)
        await eventually(lambda: self.pool.figures().queued)
        self.answer(connection, CLOSING)
        second = await self.backend.connection(2)
        await eventually(lambda: second.requests)
        self.answer(second)
        self.assertIn(b" 200 OK\r\n", await waiting.until(b"\r\n\r\nok"))

    async def test_uploads_wait(self) -> None:
        """The body of a request that waits is not read beyond what has come, and arrives whole."""
        _, connection = await self.held()
        waiting = await self.client()
        size = 20 * 1024 * 1024
        waiting.send(
            b"POST /jobs/v1/tool/tf-test/jobs HTTP/1.1\r\nHost: localhost\r\n"
            b"Content-Length: %d\r\n\r\n" % size
        )
        waiting.send(b"x" * size)
        await eventually(lambda: self.pool.figures().queued)
        self.answer(connection)
        await connection.until(lambda: connection.total > size)
        self.assertEqual(connection.received.partition(b"\r\n\r\n")[2], b"x" * size)
        self.answer(connection)
        await waiting.until(b"\r\n\r\nok")

    async def test_leaves(self) -> None:
        """Who leaves while waiting leaves the queue: the next one finds room there, and nothing of
        the one who left is ever sent."""
        _, connection = await self.held()
        leaving = await self.client()
        leaving.send(b"GET /jobs/v1/tool/tf-test/left HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await eventually(lambda: self.pool.figures().queued)
        leaving.transport.abortConnection()
        await eventually(lambda: not self.pool.figures().queued)
        waiting = await self.client()
        waiting.send(GET)
        await eventually(lambda: self.pool.figures().queued)
        self.answer(connection)
        await eventually(lambda: connection.requests)
        self.assertNotIn(b"/left", connection.received)
        self.answer(connection)
        await waiting.until(b"\r\n\r\nok")

    async def test_in_vain(self) -> None:
        """Who has waited for `timeouts.queue` is told, with what to do, and may go on on the same
        connection; the one who has the place is not disturbed."""
        client, connection = await self.held()
        waiting = await self.client()
        waiting.send(GET)
        await waiting.until(b'"}\n')
        answer = waiting.take()
        self.assertEqual(refused(answer), (503, "backend-queue-timeout"))
        self.assertIn(b"nothing was done; please retry", answer)
        self.answer(connection)
        await client.until(b"\r\n\r\nok")
        self.backend.script = answering(OK)
        waiting.send(GET)
        await waiting.until(b"\r\n\r\nok")

    async def test_in_the_log(self) -> None:
        """The access log has the reason word, and the backend is not taken for failing."""
        await self.held()
        others = await self.crowd(2)
        await eventually(lambda: any(b"backend-busy" in each.received for each in others))
        await eventually(lambda: any(line["reason"] == "backend-busy" for line in self.log()))
        states = self.service.process.overview.board.public().sections[0].value
        self.assertEqual({each["state"] for each in states}, {"unknown"})
