"""Connections that are accepted without a transport of the reactor's for each."""

from __future__ import annotations

import resource
import socket
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults, maybeDeferred
from twisted.internet.endpoints import UNIXServerEndpoint
from twisted.internet.error import ConnectionAborted, ConnectionDone
from twisted.internet.interfaces import IListeningPort
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.task import deferLater
from twisted.python.failure import Failure
from zope.interface.verify import verifyObject

from tests.coroutines import CoroutineCase
from toolforge_gateway.transport.accepting import AT_ONCE, Accepted, DirectPort, accepts_directly
from toolforge_gateway.transport.dispatch import Dispatcher
from toolforge_gateway.transport.interfaces import IUnderTLS


class Seen(Protocol):
    """Notes what it is told."""

    def __init__(self) -> None:
        self.lost: Failure | None = None

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        assert self.lost is None, "told once"
        self.lost = reason


class Served(Factory):
    """Makes `Seen`, or what a test wants instead."""

    noisy = False

    def __init__(self) -> None:
        self.made: list[Any] = []
        self.instead = Seen

    def buildProtocol(self, addr: object) -> Any:
        self.made.append(self.instead())
        return self.made[-1]


class AcceptingTests(CoroutineCase):
    timeout = 30
    interface = "127.0.0.1"

    def setUp(self) -> None:
        self.factory = Served()
        self.dispatcher = Dispatcher(reactor)
        port = reactor.listenTCP(0, self.factory, backlog=AT_ONCE * 4, interface=self.interface)
        self.assertTrue(accepts_directly(port, self.factory))
        self.port = DirectPort(port, self.factory, self.dispatcher, reactor)
        self.addCleanup(self.stop)
        self.sockets: list[socket.socket] = []

    def stop(self) -> Deferred | None:
        for client in self.sockets:
            client.close()
        for protocol in self.factory.made:
            if isinstance(protocol, Seen) and protocol.transport and protocol.lost is None:
                protocol.transport.abortConnection()
        return self.port.stopListening()

    def connect(self) -> socket.socket:
        client = socket.create_connection((self.interface, self.port.getHost().port))
        client.setblocking(False)
        self.sockets.append(client)
        return client

    async def until(self, condition) -> None:
        """Let the reactor turn until something holds; the test's own limit ends it."""
        while not condition():
            await deferLater(reactor, 0.001, lambda: None)

    async def one(self) -> tuple[socket.socket, Seen]:
        before = len(self.factory.made)
        client = self.connect()
        await self.until(lambda: len(self.factory.made) > before)
        return client, self.factory.made[-1]

    async def test_those_who_wait_when_it_stops(self) -> None:
        """All who have connected before the port stops are let in, be they a crowd."""
        crowd = AT_ONCE + 3
        for _ in range(crowd):
            self.connect()
        await maybeDeferred(self.port.stopListening)
        self.assertEqual(len(self.factory.made), crowd)
        self.assertTrue(all(each.lost is None for each in self.factory.made))

    async def test_accepted(self):
        """A connection gets a protocol, and a transport that knows both ends."""
        client, protocol = await self.one()
        verifyObject(IUnderTLS, protocol.transport)
        verifyObject(IListeningPort, self.port)
        self.assertEqual(protocol.transport.getPeer().host, self.interface)
        self.assertEqual(protocol.transport.getPeer().port, client.getsockname()[1])
        self.assertEqual(protocol.transport.getHost(), self.port.getHost())
        self.assertFalse(protocol.transport.getHandle().getblocking())
        self.assertFalse(protocol.transport.getHandle().get_inheritable())

    async def test_many(self):
        """More connections than are accepted at once all come."""
        for _ in range(AT_ONCE * 2 + 1):
            self.connect()
        await self.until(lambda: len(self.factory.made) == AT_ONCE * 2 + 1)

    async def test_lose(self):
        """Losing closes the socket in good order and tells the protocol, once, in a later turn."""
        client, protocol = await self.one()
        protocol.transport.loseConnection()
        protocol.transport.loseConnection()
        self.assertIsNone(protocol.lost)
        await self.until(lambda: protocol.lost is not None)
        self.assertTrue(protocol.lost.check(ConnectionDone))
        client.setblocking(True)
        self.assertEqual(client.recv(1), b"")
        protocol.transport.abortConnection()  # after the end nothing does harm

    async def test_abort(self):
        """Aborting resets, also one that is ending already."""
        for lose_first in (False, True):
            client, protocol = await self.one()
            if lose_first:
                protocol.transport.loseConnection()
            protocol.transport.abortConnection()
            await self.until(lambda protocol=protocol: protocol.lost is not None)
            expected = ConnectionDone if lose_first else ConnectionAborted
            self.assertTrue(protocol.lost.check(expected))
            client.setblocking(True)
            self.assertRaises(ConnectionResetError, client.recv, 1)

    async def test_nobody(self):
        """A factory that wants no connection has it closed."""
        self.factory.instead = lambda: None
        client, _ = await self.one()
        client.setblocking(True)
        self.assertEqual(client.recv(1), b"")

    async def test_broken_factory(self):
        """A factory that breaks is logged, and the next connection is accepted."""
        self.factory.instead = lambda: 1 / 0
        broken = self.connect()
        broken.setblocking(True)
        received = deferLater(reactor, 0, lambda: None)
        await received
        await self.until(lambda: self.flushLoggedErrors(ZeroDivisionError))
        self.assertEqual(broken.recv(1), b"")
        self.factory.instead = Seen
        await self.one()

    async def test_broken_protocol(self):
        """A protocol that breaks while its connection begins is told that it is lost."""

        class Broken(Seen):
            def connectionMade(self) -> None:
                raise ZeroDivisionError

        self.factory.instead = Broken
        client, protocol = await self.one()
        await self.until(lambda: protocol.lost is not None)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        client.setblocking(True)
        self.assertRaises(ConnectionResetError, client.recv, 1)

    async def test_no_descriptors(self):
        """Without a descriptor to spare it waits, and goes on when there is one."""
        client = self.connect()
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        spare = socket.socket()
        lowest = spare.fileno()
        spare.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, hard))
        try:
            while not self.factory.made and self.port._pause is None:
                reactor.doIteration(0)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        self.assertEqual(self.factory.made, [])
        await self.until(lambda: self.factory.made)
        self.assertIsNotNone(client)

    async def test_stop(self):
        """A stopped port accepts nobody, and those who are there stay."""
        client, protocol = await self.one()
        await self.port.stopListening()
        self.assertRaises(ConnectionRefusedError, self.connect_again, client)
        client.send(b"x")
        self.assertEqual(protocol.transport.getHandle().recv(1), b"x")
        self.assertIsNone(protocol.lost)
        self.port.stopListening = lambda: None

    def connect_again(self, client: socket.socket) -> None:
        socket.create_connection(client.getpeername()[:2]).close()

    async def test_stop_at_once(self):
        """A port that is stopped by what it accepts lets in who waits already, and nobody after;
        each of them may stop it."""
        stopped = []

        class Stopping(Seen):
            def connectionMade(this) -> None:
                stopped.append(maybeDeferred(self.port.stopListening))

        self.factory.instead = Stopping
        self.connect()
        self.connect()
        await self.until(lambda: self.factory.made)
        await gatherResults(stopped)
        self.assertEqual(len(self.factory.made), 2)
        self.assertRaises(ConnectionRefusedError, self.connect_again, self.sockets[0])
        self.port.stopListening = lambda: None


class SixTests(AcceptingTests):
    """The same over IPv6."""

    interface = "::1"


class OtherPortTests(CoroutineCase):
    async def test_unix(self):
        """A Unix socket is left to Twisted."""
        factory = Served()
        port = await UNIXServerEndpoint(reactor, self.mktemp()[-90:]).listen(factory)
        self.addCleanup(port.stopListening)
        self.assertFalse(accepts_directly(port, factory))

    async def test_wrapped(self):
        """So is a port whose endpoint has put something of its own before our factory."""
        port = reactor.listenTCP(0, Served(), interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        self.assertFalse(accepts_directly(port, Served()))

    def test_slots(self):
        """A connection's transport has no dictionary: there may be ten thousand."""
        ours, theirs = socket.socketpair()
        self.addCleanup(ours.close)
        self.addCleanup(theirs.close)
        self.assertFalse(hasattr(Accepted(ours, None, Seen(), Dispatcher(reactor)), "__dict__"))
