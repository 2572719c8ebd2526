"""A backend reached by ordinary traversal, in a Site that is not the gateway's."""

from __future__ import annotations

from twisted.internet import reactor
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.protocol import Factory
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.web.resource import Resource
from twisted.web.server import Site

from tests.clients.stage import eventually
from tests.relay.ends import OK, End, answering, silent
from tests.relay.scripted import TOOL, ScriptedStage
from tests.relay.stage import GET, Stage, refused
from tests.relay.test_bodies import Sender
from toolforge_gateway import config
from toolforge_gateway.errors import BadEvidence
from toolforge_gateway.prepared import prepare

MEGABYTE = 1024 * 1024


def serve(stage: Stage) -> Resource:
    """Have a stage's clients served by a Site of its own; its tree."""
    prepared = prepare(config.load(stage.folder / "gateway.yaml"), reactor)
    stage.addCleanup(lambda: [pool.close() for pool in prepared.pools])
    (_, side), *_ = prepared.listeners
    tls = TLSMemoryBIOFactory(side.creator, False, Site(prepared.root))
    port = reactor.listenTCP(0, tls, interface="127.0.0.1")
    stage.addCleanup(port.stopListening)
    stage.port = port.getHost().port
    return prepared.root


class Traversed(Stage):
    """The gateway's tree, at the root of another Site."""

    def setUp(self):
        super().setUp()
        plain = reactor.listenTCP(0, Site(serve(self)), interface="127.0.0.1")
        self.addCleanup(plain.stopListening)
        self.plain = plain.getHost().port

    async def test_forwarded(self):
        """It is identified, authorized and forwarded as on the gateway's own server side."""
        answer = await self.ask(GET[:-2] + b"X_Toolforge_Tool: victim\r\n\r\n")
        self.assertTrue(answer.startswith(b"HTTP/1.1 200 OK\r\n"), answer)
        received = self.backend.received
        self.assertIn(b"GET /v1/tool/tf-test/jobs HTTP/1.1\r\n", received)
        self.assertIn(b"\r\nX-Toolforge-Tool: tf-test\r\n", received)
        self.assertNotIn(b"victim", received)

    async def test_refused(self):
        """What is refused there is refused here."""
        for request, outcome in (
            (GET.replace(b"tf-test", b"other"), (403, "foreign-tool")),
            (GET.replace(b"/tool/", b"/%74ool/"), (400, "escaped-unreserved")),
        ):
            answer = await self.ask(request, b"}\n")
            self.assertEqual(refused(answer), outcome)
        self.assertEqual(self.backend.connections, [])

    async def test_body(self):
        """A body of megabytes arrives whole."""
        self.backend.script = silent
        body = bytes(range(256)) * (3 * MEGABYTE // 256)
        client = await self.client()
        client.send(
            GET[:-2].replace(b"GET", b"PUT", 1) + b"Content-Length: %d\r\n\r\n" % len(body) + body
        )
        upstream = await self.backend.connection()
        start = (await upstream.until(b"\r\n\r\n")).index(b"\r\n\r\n") + 4
        received = await upstream.until(lambda: upstream.total >= start + len(body))
        self.assertEqual(received[start:], body)
        upstream.send(OK)
        await client.until(b"\r\n\r\nok")

    async def test_stream(self):
        """An answer is passed on as it comes; a cut one is cut."""
        self.backend.script = silent
        client = await self.client()
        client.send(GET)
        upstream = await self.backend.connection()
        upstream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")
        await client.until(b"half")
        upstream.transport.loseConnection()
        await client.closed()

    async def test_back_pressure(self):
        """A client that does not read holds the backend up, instead of filling memory."""
        client, upstream = await self.held()
        client.transport.pauseProducing()
        upstream.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (64 * MEGABYTE))
        sender = Sender(upstream, 64 * MEGABYTE)
        sender.start()
        await sender.stalled()
        self.assertLess(sender.taken, 32 * MEGABYTE)
        client.transport.resumeProducing()
        await client.until(lambda: client.total > 64 * MEGABYTE)

    async def test_client_leaves(self):
        """When the client leaves, the upstream request ends at once."""
        self.backend.script = silent
        client = await self.client()
        client.send(GET)
        upstream = await self.backend.connection()
        client.transport.abortConnection()
        await upstream.closed()

    async def test_without_tls(self):
        """In a Site without TLS everybody is anonymous."""
        factory = Factory.forProtocol(End)
        client = await TCP4ClientEndpoint(reactor, "127.0.0.1", self.plain).connect(factory)
        self._clients.append(client)
        client.send(GET)
        await client.until(b"\r\n\r\nok")
        self.assertNotIn(b"Toolforge", self.backend.received)

    async def test_backend_down(self):
        """A backend that is down is a 502 here too."""
        await self.backend.port.stopListening()
        self.assertEqual(refused(await self.ask(GET, b"}\n")), (502, "backend-refused"))

    async def test_other_answers(self):
        """Fields and status pass, and the Site adds none that the backend has or does without."""
        self.backend.script = answering(
            b"HTTP/1.1 418 Short And Stout\r\nX-A: b\r\nDate: its own\r\n"
            b"Content-Length: 2\r\n\r\nok"
        )
        answer = await self.ask(GET)
        self.assertEqual(answer.count(b"\r\nDate: "), 1)
        self.assertIn(b"\r\nDate: its own\r\n", answer)
        self.assertNotIn(b"Content-Type", answer)
        self.assertTrue(answer.startswith(b"HTTP/1.1 418 Short And Stout\r\n"))
        self.assertIn(b"\r\nX-A: b\r\n", answer)


class TraversedLate(ScriptedStage):
    """The same while an authenticator takes its time."""

    def setUp(self):
        super().setUp()
        serve(self)

    async def test_allowed(self):
        """A late yes forwards the request with its body."""
        client = await self.client(None)
        client.send(GET[:-2].replace(b"GET", b"PUT", 1) + b"Content-Length: 3\r\n\r\nabc")
        (await self.asked()).answer.callback(TOOL)
        received = await client.until(b"\r\n\r\nok")
        self.assertTrue(received.startswith(b"HTTP/1.1 200 OK\r\n"))
        self.assertIn(b"\r\nX-Toolforge-Tool: tf-test\r\n", self.backend.received)
        self.assertTrue(self.backend.received.endswith(b"\r\n\r\nabc"))

    async def test_refused(self):
        """A late no is answered like any other."""
        client = await self.client(None)
        client.send(GET)
        (await self.asked()).answer.errback(BadEvidence(401, "stale", "ask for a new one"))
        self.assertEqual(refused(await client.until(b"}\n")), (401, "stale"))
        self.assertEqual(self.backend.connections, [])

    async def test_client_leaves(self):
        """Nobody waits for an answer to a client that has left, and nothing is forwarded even if
        one comes."""
        for count, at_cancel in enumerate((None, TOOL), 1):
            client = await self.client(None)
            client.send(GET)
            question = await self.asked(count)
            question.at_cancel = at_cancel
            client.transport.abortConnection()
            await eventually(lambda question=question: question.cancelled)
        self.assertEqual(self.backend.connections, [])


class TraversedLateConnection(TraversedLate):
    """And when what it says depends on the connection."""

    depends_on = "connection"
