"""A client's connection over a fake transport: what only timing could show on a real one."""

from __future__ import annotations

from pathlib import Path

import attrs
from OpenSSL import SSL
from twisted.internet.address import IPv4Address
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from tests.clients.stage import ROOT, pki
from toolforge_gateway import config
from toolforge_gateway.edge.connection import QUIET, ServerConnection
from toolforge_gateway.edge.server import Server
from toolforge_gateway.edge.wire import LINGER
from toolforge_gateway.observe.several import Several
from toolforge_gateway.prepared import prepare


class Transport:
    """`ISecureTransport` of an anonymous client, as far as the server side uses it."""

    def __init__(self) -> None:
        self.written = b""
        self.ended: list[str] = []
        self.full = False
        """Whether what is written stays in its buffer."""
        self.quiet = True

    def getPeer(self) -> IPv4Address:
        return IPv4Address("TCP", "192.0.2.1", 5000)

    def getHandle(self) -> SSL.Connection:
        """One on which nobody has shown a certificate."""
        return SSL.Connection(SSL.Context(SSL.TLS_METHOD), None)

    def setTcpNoDelay(self, enabled: bool) -> None:
        """Nothing is delayed here."""

    def registerProducer(self, producer, streaming: bool) -> None:
        self.producer = producer

    def unregisterProducer(self) -> None:
        self.producer = None

    def write(self, data: bytes) -> None:
        self.written += data
        if self.full:
            self.producer.pauseProducing()

    def pauseProducing(self) -> None:
        """Whether it reads is not looked at."""

    def resumeProducing(self) -> None:
        """See `pauseProducing`."""

    def is_quiet(self) -> bool:
        return self.quiet

    def loseConnection(self) -> None:
        self.ended.append("lose")

    def close_wire(self) -> None:
        self.ended.append("wire")

    def abortConnection(self) -> None:
        self.ended.append("abort")


class ServedCase(SynchronousTestCase):
    """A listener's server, and one who has connected."""

    def setUp(self) -> None:
        folder = Path(self.mktemp())
        folder.mkdir(parents=True)
        (folder / "tls").symlink_to(pki())
        path = folder / "gateway.yaml"
        path.write_text((ROOT / "etc" / "gateway.yaml").read_text())
        self.clock = MemoryReactorClock()
        self.clock.advance(1_800_000_000)
        prepared = prepare(config.load(path), self.clock)
        prepared.put_in_force()
        listener, side = prepared.listeners[0]
        shared = prepared.shared(Several())
        self.server = Server(shared, listener, side.verifier, side.names_host)
        self.rules = shared, listener, side.verifier, side.names_host
        self.connection, self.transport = self.connect()

    def connect(self) -> tuple[ServerConnection, Transport]:
        """One who has connected, with the handshake behind them."""
        connection, transport = self.server.buildProtocol(None), Transport()
        connection.makeConnection(transport)
        connection.handshakeCompleted()
        return connection, transport

    def pass_time(self, seconds: float) -> None:
        for _ in range(int(seconds * 4) + 2):
            self.clock.advance(0.25)


class ConnectionTests(ServedCase):
    def ask(self) -> None:
        """A request that is answered at once, and is the last."""
        self.connection.dataReceived(b"GET /nope HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        self.assertIn(b"no-such-path", self.transport.written)

    def test_last_answer_waits_for_a_slow_reader(self) -> None:
        """A connection whose last answer is not out yet is closed when it is, not before."""
        self.transport.full = True
        self.ask()
        self.assertEqual(self.transport.ended, [])
        self.transport.producer.resumeProducing()
        self.assertEqual(self.transport.ended, ["lose"])

    def test_reader_that_takes_nothing(self) -> None:
        """One that takes nothing more has its time, then is closed, then is cut."""
        self.transport.full = True
        self.ask()
        self.pass_time(55)
        self.assertEqual(self.transport.ended, [])
        self.pass_time(5)
        self.assertEqual(self.transport.ended, ["wire"])
        self.pass_time(LINGER)
        self.assertEqual(self.transport.ended, ["wire", "abort"])

    def test_client_that_does_not_close(self) -> None:
        """After the last answer a client has a few seconds to close its side."""
        self.ask()
        self.assertEqual(self.transport.ended, ["lose"])
        self.pass_time(LINGER)
        self.assertEqual(self.transport.ended, ["lose", "wire"])

    def test_kept_connection_at_the_end(self) -> None:
        """When the gateway ends, a kept connection is closed once it has been quiet for a while."""
        self.connection.dataReceived(b"GET /nope HTTP/1.1\r\nHost: a\r\n\r\n")
        self.server.drain()
        self.pass_time(QUIET - 1)
        self.assertEqual(self.transport.ended, [])
        self.pass_time(1)
        self.assertEqual(self.transport.ended, ["lose"])

    def test_handshake_at_the_end(self) -> None:
        """So is one whose handshake was under way then, if nothing comes on it."""
        connection, transport = self.server.buildProtocol(None), Transport()
        connection.makeConnection(transport)
        self.server.drain()
        connection.handshakeCompleted()
        self.pass_time(QUIET)
        self.assertEqual(transport.ended, ["lose"])

    def test_request_that_nobody_has_read(self) -> None:
        """An idle connection on which a request has come, and was not read yet, is not closed."""
        self.transport.quiet = False
        self.server.drain()
        self.pass_time(QUIET + 1)
        self.assertEqual(self.transport.ended, [])
        self.connection.dataReceived(b"GET /nope HTTP/1.1\r\nHost: a\r\n\r\n")
        self.assertIn(b"\r\nConnection: close\r\n", self.transport.written)
        self.assertEqual(self.transport.ended, ["lose"])

    def test_address_not_believed_since_the_handshake(self) -> None:
        """Whose address was told before the handshake, by a proxy that is believed no more at its
        end, is served once."""
        connection, transport = self.server.buildProtocol(None), Transport()
        connection.makeConnection(transport)
        shared, listener, *others = self.rules
        self.server.adopt(shared, attrs.evolve(listener, proxy_protocol=()), *others)
        connection.handshakeCompleted()
        connection.dataReceived(b"GET /nope HTTP/1.1\r\nHost: a\r\n\r\n")
        self.assertIn(b"\r\nConnection: close\r\n", transport.written)
        self.assertEqual(transport.ended, ["lose"])

    def drain_with_three_ahead(self) -> None:
        self.transport.full = True
        self.connection.dataReceived(3 * b"GET /nope HTTP/1.1\r\nHost: a\r\n\r\n")
        self.server.drain()
        self.transport.full = False

    def test_requests_ahead_of_the_end(self) -> None:
        """Requests that were sent ahead are answered at the gateway's end, and the last answer
        says that it is."""
        self.drain_with_three_ahead()
        self.transport.producer.resumeProducing()
        answers = self.transport.written.split(b"HTTP/1.1 404")[1:]
        self.assertEqual([b"\r\nConnection: close" in each for each in answers], [0, 0, 1])
        self.assertEqual(self.transport.ended, ["lose"])

    def test_requests_ahead_when_it_is_late(self) -> None:
        """One who sends ahead without end does not use up the time that the others have."""
        self.drain_with_three_ahead()
        self.clock.advance(self.server.timeouts.drain / 2)
        self.transport.producer.resumeProducing()
        answers = self.transport.written.split(b"HTTP/1.1 404")[1:]
        self.assertEqual([b"\r\nConnection: close" in each for each in answers], [0, 1])

    def test_requests_ahead_wait_for_a_slow_reader(self) -> None:
        """While a client takes no answers, its next requests are not served."""
        self.transport.full = True
        request = b"GET /nope HTTP/1.1\r\nHost: a\r\n\r\n"
        self.connection.dataReceived(3 * request)
        self.assertEqual(self.transport.written.count(b"HTTP/1.1 404"), 1)
        self.transport.full = False
        self.transport.producer.resumeProducing()
        self.assertEqual(self.transport.written.count(b"HTTP/1.1 404"), 3)
