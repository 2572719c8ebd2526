"""What holds for both ways of putting TLS under a protocol."""

from __future__ import annotations

from array import array
from zlib import crc32

from cryptography.x509.oid import ExtendedKeyUsageOID
from OpenSSL import SSL
from twisted.internet import reactor
from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import (
    IHandshakeListener,
    IOpenSSLClientConnectionCreator,
    IPushProducer,
)
from twisted.internet.protocol import Factory
from twisted.internet.task import deferLater
from zope.interface import implementer
from zope.interface.verify import verifyObject

from tests.clients.stage import pki
from tests.coroutines import CoroutineCase
from tests.relay.ends import End, connect
from toolforge_gateway.config.values import Origin, SettingFile
from toolforge_gateway.tls.files import Findings, read_authorities, read_key_pair
from toolforge_gateway.tls.options import GatewayCertificateOptions
from toolforge_gateway.transport.choice import Transports
from toolforge_gateway.transport.direct import DirectTLS
from toolforge_gateway.transport.dispatch import WRITE
from toolforge_gateway.transport.interfaces import ISecureTransport
from toolforge_gateway.transport.portable import PortableTLS

MEGABYTE = 1024 * 1024


@implementer(IHandshakeListener, IPushProducer)
class Above(End):
    """A protocol over the transport that is tested."""

    def __init__(self):
        super().__init__()
        self.shaken = 0
        self.full = 0
        self.room = 0
        self.made: Deferred = Deferred()

    def handshakeCompleted(self) -> None:
        self.shaken += 1
        self.made.callback(self)
        self._look()

    def pauseProducing(self) -> None:
        self.full += 1
        self._look()

    def resumeProducing(self) -> None:
        self.room += 1
        self._look()

    def stopProducing(self) -> None:
        """Nothing is produced."""


@implementer(IOpenSSLClientConnectionCreator)
class ClientCreator:
    """A client that trusts the PKI's server CA."""

    def clientConnectionForTLS(self, protocol: object) -> SSL.Connection:
        return self.over_socket(None)

    def over_socket(self, socket: object) -> SSL.Connection:
        context = SSL.Context(SSL.TLS_METHOD)
        context.load_verify_locations(str(pki() / "server-ca.crt"))
        context.set_verify(SSL.VERIFY_PEER)
        return SSL.Connection(context, socket)


class Pouring:
    """client -> sender, sink -> end: what the sender gets goes into the sink's transport.

    :param size: how much may be poured.
    """

    def __init__(self, client: End, sender: Above, sink: Above, end: End, size: int):
        self.client, self.sender, self.sink, self.end = client, sender, sink, end
        self.poured = self.delivered = 0
        self._left = size
        sender.dataReceived = self._data
        sink.transport.registerProducer(sink, True)
        sink.pauseProducing = self._pause
        sink.resumeProducing = self._resume

    def _data(self, data: bytes) -> None:
        self.delivered += len(data)
        self.sink.transport.write(data)
        poured = self.sender.transport.pour(self.sink.transport, self._left)
        self._left -= poured
        self.poured += poured
        self.sender._look()

    def _pause(self) -> None:
        self.sink.full += 1
        self.sender.transport.pauseProducing()

    def _resume(self) -> None:
        self.sink.room += 1
        self.sender.transport.resumeProducing()


def numbered(size: int, name: bytes = b"") -> bytes:
    """Bytes of which no two places look alike."""
    first = crc32(name) << 32
    return array("Q", range(first, first + size // 8 + 1)).tobytes()[:size]


def turn() -> Deferred:
    """Fires in the reactor's next turn."""
    return deferLater(reactor, 0, lambda: None)


class Both:
    """The cases; `direct` says which way."""

    timeout = 30
    direct: bool

    def setUp(self):
        self.transports = Transports(reactor, direct=self.direct)
        self.above: list[Above] = []
        factory = Factory()
        factory.noisy = False
        factory.buildProtocol = self.build
        self.port = reactor.listenTCP(
            0, self.transports.server(self.options(), factory), interface="127.0.0.1"
        )
        self.addCleanup(self.port.stopListening)
        self.clients: list[End] = []
        self.addCleanup(self.hang_up)

    def build(self, addr: object) -> Above:
        self.above.append(Above())
        return self.above[-1]

    def options(self) -> GatewayCertificateOptions:
        findings = Findings(reactor.seconds())

        def file(name: str) -> SettingFile:
            return SettingFile(pki() / name, Origin("x", None, ""))

        pair = read_key_pair(
            file("server.crt"), file("server.key"), ExtendedKeyUsageOID.SERVER_AUTH, findings
        )
        trusted = read_authorities(file("k8s-ca.crt"), findings)
        findings.raise_if_any()
        return GatewayCertificateOptions(pair, trusted, required=False, for_server=True)

    def hang_up(self):
        for end in self.clients + self.above:
            if end.lost is None:
                end.transport.abortConnection()
        return DeferredList([end.closed() for end in self.clients + self.above])

    async def pair(self, certificate: str | None = None) -> tuple[End, Above]:
        """A client, and the protocol over the transport at the other end."""
        client = await connect(pki(), self.port.getHost().port, certificate)
        self.clients.append(client)
        client.send(b"hello")
        above = self.above[-1]
        await above.until(b"hello")
        return client, above

    async def test_interface(self):
        """It provides what it promises, and says who is there."""
        client, above = await self.pair("tool-tf-test")
        verifyObject(ISecureTransport, above.transport)
        self.assertIsInstance(above.transport, DirectTLS if self.direct else PortableTLS)
        self.assertEqual(above.shaken, 1)
        self.assertIsInstance(above.transport.getHandle(), SSL.Connection)
        self.assertEqual(above.transport.getPeerCertificate().get_subject().CN, "tf-test")
        self.assertEqual(above.transport.getPeer().port, client.transport.getHost().port)
        self.assertEqual(above.transport.getHost().port, self.port.getHost().port)

    async def test_there_and_back(self):
        """Bytes go both ways, in order, small and large."""
        client, above = await self.pair()
        body = bytes(range(256)) * (4 * MEGABYTE // 256)
        above.send(body)
        above.send(b"end")
        received = await client.until(lambda: client.total == len(body) + 3)
        self.assertEqual(received, body + b"end")
        client.send(body)
        received = await above.until(lambda: above.total == len(body) + 5)
        self.assertEqual(received, b"hello" + body)

    async def test_producer(self):
        """A producer is paused while the peer takes no more, and resumed when it does."""
        client, above = await self.pair()
        above.transport.registerProducer(above, True)
        client.transport.pauseProducing()
        sent = 0
        while not above.full and sent < 64 * MEGABYTE:
            above.send(b"x" * 65536)
            sent += 65536
            if sent % MEGABYTE == 0:
                await turn()
        self.assertEqual(above.full and above.room, 0)
        client.transport.resumeProducing()
        await above.until(lambda: above.room)
        await client.until(lambda: client.total == sent)
        above.transport.unregisterProducer()

    async def test_paused_reading(self):
        """What comes while reading is paused comes after it, all of it."""
        client, above = await self.pair()
        above.transport.pauseProducing()
        client.send(b"x" * 100_000)
        for _ in range(5):
            await turn()
        self.assertEqual(above.total, 5)
        above.transport.resumeProducing()
        await above.until(lambda: above.total == 100_005)

    async def test_paused_in_the_middle(self):
        """Pausing while bytes are delivered holds for the next ones, and nothing is lost."""
        client, above = await self.pair()
        pause = above.dataReceived

        def once(data: bytes) -> None:
            pause(data)
            above.transport.pauseProducing()

        above.dataReceived = once
        client.send(b"x" * 100_000)
        for _ in range(1000):
            await turn()
            above.transport.resumeProducing()
            if above.total == 100_005:
                return
        self.fail(f"only {above.total} bytes have come")

    async def pouring(self, size: int = 1 << 40) -> Pouring:
        """A pair that pours into another one as much as may be."""
        _, receiver = await self.pair()
        _, sender = await self.pair()
        return Pouring(self.clients[-1], sender, receiver, self.clients[-2], size)

    async def test_pour(self):
        """Everything arrives, in order, whichever way it goes."""
        pouring = await self.pouring()
        body = numbered(4 * MEGABYTE)
        pouring.client.send(body)
        await pouring.end.until(lambda: pouring.end.total == len(body))
        self.assertEqual(pouring.end.received, body)
        self.assertEqual(pouring.delivered + pouring.poured, len(body))
        self.assertEqual(pouring.poured > len(body) // 2, self.direct)

    async def test_pour_most(self):
        """Never is more poured than may be."""
        pouring = await self.pouring(size=300_000)
        body = numbered(MEGABYTE)
        pouring.client.send(body)
        await pouring.end.until(lambda: pouring.end.total == len(body))
        self.assertEqual(pouring.end.received, body)
        self.assertLessEqual(pouring.poured, 300_000)
        self.assertEqual(pouring.poured > 0, self.direct)

    async def test_pour_small(self):
        """What comes in small pieces is delivered."""
        pouring = await self.pouring()
        for number in range(100):
            pouring.client.send(b"%04d" % number)
            await pouring.end.until(b"%04d" % number)
        self.assertEqual(pouring.poured, 0)

    async def test_pour_into_a_full_one(self):
        """A peer that does not read stops who sends to it; when it reads again it gets all of
        it, though other connections were written to and read from in between."""
        pouring, other = await self.pouring(), await self.pouring()
        body = numbered(64 * MEGABYTE)
        pouring.end.transport.pauseProducing()
        sent = 0
        while not pouring.sink.full and sent < len(body):
            pouring.client.send(body[sent : sent + 65536])
            sent += 65536
            await turn()
        self.assertTrue(pouring.sink.full)
        noise = numbered(MEGABYTE, b"other")
        other.client.send(noise)
        await other.end.until(lambda: other.end.total == len(noise))
        self.assertEqual(other.end.received, noise)
        taken = pouring.delivered + pouring.poured
        for _ in range(20):
            await turn()
        self.assertEqual(pouring.delivered + pouring.poured, taken, "it waits")
        pouring.end.transport.resumeProducing()
        await pouring.end.until(lambda: pouring.end.total == sent)
        self.assertTrue(pouring.end.received == body[:sent])

    async def test_pour_into_one_that_goes(self):
        """When the other one is aborted in the middle, what comes is delivered to nobody, and
        the connection that it came on lives on."""
        pouring = await self.pouring()
        pouring.client.send(numbered(MEGABYTE))
        await pouring.end.until(lambda: pouring.end.total > 100_000)
        pouring.end.transport.abortConnection()
        pouring.client.send(numbered(8 * MEGABYTE))
        await pouring.sink.closed()
        # It may have been waiting for the one that is gone.
        pouring.sender.transport.resumeProducing()
        await pouring.sender.until(lambda: pouring.delivered + pouring.poured == 9 * MEGABYTE)
        pouring.sender.send(b"still here")
        await pouring.client.until(b"still here")

    async def test_pour_from_one_that_goes(self):
        """When a peer leaves in the middle this is told, and the other connection lives on, with
        all that came before."""
        for end, reason in (
            (lambda end: end.transport.loseConnection(), ConnectionDone),
            (lambda end: end.transport.transport.loseConnection(), ConnectionLost),
        ):
            pouring = await self.pouring()
            body = numbered(MEGABYTE)
            pouring.client.send(body)
            # What it has written has to leave before its socket is closed.
            await pouring.end.until(lambda at=pouring: at.end.total == MEGABYTE)
            pouring.client.send(body)
            await turn()
            end(pouring.client)
            await pouring.sender.closed()
            self.assertTrue(pouring.sender.lost.check(reason), pouring.sender.lost)
            taken = pouring.delivered + pouring.poured
            await pouring.end.until(lambda at=pouring, size=taken: at.end.total == size)
            pouring.sink.send(b"still here")
            await pouring.end.until(b"still here")

    async def test_pour_and_unregister(self):
        """Nobody waits for room any more when the producer has gone, and nothing is lost."""
        pouring = await self.pouring()
        pouring.end.transport.pauseProducing()
        sent = 0
        while not pouring.sink.full:
            pouring.client.send(b"x" * 65536)
            sent += 65536
            await turn()
        pouring.sink.transport.unregisterProducer()
        room = pouring.sink.room
        if self.direct and not pouring.sink.transport._out:
            self.assertFalse(pouring.sink.transport._events & WRITE, "it would never be silent")
        pouring.end.transport.resumeProducing()
        pouring.sender.transport.resumeProducing()
        await pouring.end.until(lambda: pouring.end.total == sent)
        self.assertEqual(pouring.sink.room, room)

    async def test_pour_and_close(self):
        """Closing a connection that waits for room sends what was written, then ends it."""
        for name in ("close_wire", "close_now"):
            pouring = await self.pouring()
            pouring.end.transport.pauseProducing()
            sent = 0
            while not pouring.sink.full:
                pouring.client.send(b"x" * 65536)
                sent += 65536
                await turn()
            taken = pouring.delivered + pouring.poured
            getattr(pouring.sink.transport, name)()
            pouring.client.transport.abortConnection()
            pouring.end.transport.resumeProducing()
            await pouring.end.closed()
            if name == "close_wire" or not self.direct:
                self.assertGreaterEqual(pouring.end.total, taken)
            await pouring.sink.closed()

    async def test_lose_connection(self):
        """What was written goes out first, then close_notify; the peer then closes."""
        client, above = await self.pair()
        above.send(b"x" * MEGABYTE)
        above.transport.loseConnection()
        await client.closed()
        self.assertEqual(client.total, MEGABYTE)
        self.assertTrue(client.lost.check(ConnectionDone))
        await above.closed()
        self.assertTrue(above.lost.check(ConnectionDone))

    async def test_lose_connection_waits_for_the_producer(self):
        """As long as a producer is registered, closing waits for it."""
        client, above = await self.pair()
        above.transport.registerProducer(above, True)
        above.transport.loseConnection()
        above.send(b"last words")
        await client.until(b"last words")
        self.assertIsNone(client.lost)
        above.transport.unregisterProducer()
        await client.closed()

    async def test_reading_goes_on(self):
        """After `loseConnection` what the peer still sends is read, so that it is not reset."""
        client, above = await self.pair()
        above.transport.registerProducer(above, True)
        above.transport.loseConnection()
        client.send(b"late")
        await above.until(b"late")
        above.transport.unregisterProducer()

    async def test_close_wire(self):
        """It closes without close_notify, but with all that was written."""
        client, above = await self.pair()
        above.send(b"x" * MEGABYTE)
        above.transport.close_wire()
        await client.closed()
        self.assertEqual(client.total, MEGABYTE)
        self.assertTrue(client.lost.check(ConnectionLost))
        await above.closed()

    async def test_close_now(self):
        """It closes with close_notify, and waits for nobody."""
        client, above = await self.pair()
        client.transport.pauseProducing()
        above.transport.close_now()
        await above.closed()
        client.transport.resumeProducing()
        await client.closed()
        self.assertTrue(client.lost.check(ConnectionDone))

    async def test_abort(self):
        """A reset: at once, whatever waits to be written."""
        client, above = await self.pair()
        client.transport.pauseProducing()
        above.send(b"x" * 16 * MEGABYTE)
        above.transport.abortConnection()
        await above.closed()
        client.transport.resumeProducing()
        await client.closed()
        self.assertLess(client.total, 16 * MEGABYTE)

    async def test_broken_above(self):
        """When the protocol above fails, that is logged, and the connection ends: nobody waits."""
        client, server = await self.pair()

        def fail(data: bytes) -> None:
            raise ZeroDivisionError

        server.dataReceived = fail
        client.transport.write(b"x")
        await client.closed()
        await server.closed()
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    async def test_peer_closes(self):
        """A peer that says goodbye is a clean end; one that does not is a lost connection."""
        client, above = await self.pair()
        client.transport.loseConnection()
        await above.closed()
        self.assertTrue(above.lost.check(ConnectionDone))
        client, above = await self.pair()
        client.transport.transport.loseConnection()
        await above.closed()
        self.assertTrue(above.lost.check(ConnectionLost))

    async def test_after_the_end(self):
        """Nothing that is asked of it after the end does harm."""
        client, above = await self.pair()
        client.transport.abortConnection()
        await above.closed()
        above.transport.write(b"x")
        above.transport.loseConnection()
        above.transport.unregisterProducer()

    async def test_quiet(self):
        """It is quiet until the peer says something that was not read, or closes."""
        client, above = await self.pair()
        self.assertTrue(above.transport.is_quiet())
        above.transport.pauseProducing()
        client.send(b"more")
        # The kernel may hold it back until the first bytes are acknowledged (RFC 9293, 3.7.4).
        while above.transport.is_quiet():
            await turn()

    async def test_no_more_quiet(self):
        """What has ended is not quiet, whoever has its descriptor's number by then."""
        client, above = await self.pair()
        self.assertTrue(above.transport.is_quiet())
        transport = above.transport
        client.transport.abortConnection()
        await above.closed()
        other, _ = await self.pair()
        self.assertFalse(transport.is_quiet())
        self.assertIsNone(other.lost)

    async def test_bad_handshake(self):
        """A handshake that fails is the end, with the reason; the protocol above never hears that
        it was completed."""
        client = await connect(pki(), self.port.getHost().port, "gateway-client")
        self.clients.append(client)
        await client.closed()
        above = self.above[-1]
        await above.closed()
        self.assertTrue(above.lost.check(SSL.Error), above.lost)
        self.assertEqual(above.shaken, 0)

    async def test_no_tls(self):
        """Bytes that are no TLS end the connection."""
        factory = Factory.forProtocol(End)
        factory.noisy = False
        plain = await TCP4ClientEndpoint(reactor, "127.0.0.1", self.port.getHost().port).connect(
            factory
        )
        self.clients.append(plain)
        plain.transport.write(b"GET / HTTP/1.1\r\n\r\n")
        await plain.closed()
        self.assertEqual(self.above[-1].shaken, 0)

    async def test_client_side(self):
        """The same code dials."""
        above = Above()
        factory = Factory()
        factory.noisy = False
        factory.buildProtocol = lambda addr: above
        creator = ClientCreator()
        await TCP4ClientEndpoint(reactor, "127.0.0.1", self.port.getHost().port).connect(
            self.transports.client(creator, factory)
        )
        self.clients.append(above)
        await above.made
        verifyObject(ISecureTransport, above.transport)
        above.send(b"to the server")
        await self.above[-1].until(b"to the server")


class DirectTests(Both, CoroutineCase):
    direct = True


class PortableTests(Both, CoroutineCase):
    direct = False
