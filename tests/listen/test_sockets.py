"""Listening sockets that outlast their ports."""

from __future__ import annotations

import errno
import os
import socket
from pathlib import Path
from shutil import rmtree
from tempfile import TemporaryDirectory

from twisted.internet import endpoints, reactor
from twisted.internet.defer import maybeDeferred, succeed
from twisted.internet.endpoints import TCP4ClientEndpoint, UNIXClientEndpoint
from twisted.internet.protocol import Factory, Protocol
from twisted.plugin import IPlugin
from zope.interface import implementer

from tests.coroutines import CoroutineCase
from tests.relay.ends import End
from toolforge_gateway.listen.opening import BACKLOG, Unholdable, open_socket
from toolforge_gateway.listen.sockets import Place, Sockets, places


class Greeting(Protocol):
    def connectionMade(self) -> None:
        self.transport.write(self.factory.word)
        self.transport.loseConnection()


def greets(word: bytes) -> Factory:
    factory = Factory.forProtocol(Greeting)
    factory.word = word
    factory.noisy = False
    return factory


class PlaceTests(CoroutineCase):
    def test_places(self) -> None:
        """The same description twice is two places, whatever else stands between them."""
        self.assertEqual(
            places(["tcp:0", "tcp:1", "tcp:0"]), (Place("tcp:0"), Place("tcp:1"), Place("tcp:0", 1))
        )


class SocketTests(CoroutineCase):
    def setUp(self) -> None:
        self.sockets = Sockets(reactor)
        self.addCleanup(self.sockets.close_all)
        # The name of a Unix socket is short (unix(7): 108 bytes), and a test's folder may be deep.
        short = TemporaryDirectory()
        self.addCleanup(short.cleanup)
        self.folder = Path(short.name)

    async def word(self, endpoint) -> bytes:
        end = await endpoint.connect(Factory.forProtocol(End))
        return await end.closed()

    def tcp(self, place: Place) -> TCP4ClientEndpoint:
        return TCP4ClientEndpoint(reactor, "127.0.0.1", self.sockets.socket(place).getsockname()[1])

    async def test_port_is_exchanged(self) -> None:
        """Who connects while no port accepts is served by the next one."""
        for description in ("tcp:0:interface=127.0.0.1", f"unix:{self.folder}/s"):
            place = Place(description)
            self.sockets.open(place)
            client = (
                UNIXClientEndpoint(reactor, f"{self.folder}/s")
                if description.startswith("unix")
                else self.tcp(place)
            )
            first = self.sockets.listen(place, greets(b"first"))
            self.assertEqual(await self.word(client), b"first")
            await maybeDeferred(first.stopListening)
            waiting = self.word(client)
            second = self.sockets.listen(place, greets(b"second"))
            self.assertEqual(await waiting, b"second")
            await maybeDeferred(second.stopListening)
            self.sockets.close(place)

    async def test_no_descriptor_left(self) -> None:
        """Somebody for whom there was no descriptor any more is lost, the next one is served."""

        class Full:
            """A reactor that has had its last descriptor."""

            left = 0

            def __getattr__(self, name: str) -> object:
                return getattr(reactor, name)

            def adoptStreamConnection(self, *arguments: object) -> object:
                self.left += 1
                if self.left == 1:
                    raise OSError(errno.EMFILE, "Too many open files")
                return reactor.adoptStreamConnection(*arguments)

        place = Place(f"unix:{self.folder}/s")
        sockets = Sockets(Full())
        self.addCleanup(sockets.close_all)
        sockets.open(place)
        port = sockets.listen(place, greets(b"hello"))
        self.addCleanup(port.stopListening)
        client = UNIXClientEndpoint(reactor, f"{self.folder}/s")
        self.assertEqual(await self.word(client), b"")
        self.assertEqual(await self.word(client), b"hello")

    async def test_closed(self) -> None:
        """A place that is closed refuses, and can be opened again; a Unix socket's file and lock
        are gone meanwhile."""
        place = Place(f"unix:{self.folder}/s")
        self.sockets.open(place)
        self.assertTrue((self.folder / "s").is_socket())
        self.sockets.close(place)
        self.assertEqual(list(self.folder.iterdir()), [])
        self.sockets.open(place)
        self.assertTrue((self.folder / "s").is_socket())

    def test_folder_is_gone(self) -> None:
        """A place whose folder has been removed can be closed all the same."""
        folder = self.folder / "short-lived"
        folder.mkdir()
        place = Place(f"unix:{folder}/s")
        self.sockets.open(place)
        rmtree(folder)
        self.sockets.close(place)
        self.assertNotIn(place, self.sockets)

    async def test_shared(self) -> None:
        """What another process has opened is accepted on like one's own, and stays open there."""
        theirs = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(theirs.close)
        place = Place("tcp:443")
        shared = Sockets(reactor, {place: socket.socket(fileno=os.dup(theirs.fileno()))})
        port = shared.listen(place, greets(b"hello"))
        client = TCP4ClientEndpoint(reactor, *theirs.getsockname())
        self.assertEqual(await self.word(client), b"hello")
        await port.stopListening()
        shared.close_all()
        with socket.create_connection(theirs.getsockname()):
            self.assertTrue(theirs.accept())

    def test_backlog(self) -> None:
        """A crowd may wait, unless the description says how many."""
        for description, crowd in (("tcp:0", BACKLOG), ("tcp:0:backlog=3", 3)):
            opened = open_socket(description)
            self.addCleanup(opened.close)
            port = opened.socket.getsockname()[1]
            for _ in range(6):
                client = socket.socket()
                self.addCleanup(client.close)
                client.setblocking(False)
                client.connect_ex(("127.0.0.1", port))
            accepted = 0
            opened.socket.setblocking(False)
            while True:
                try:
                    opened.socket.accept()[0].close()
                except BlockingIOError:
                    break
                accepted += 1
            self.assertEqual(accepted, min(6, crowd + 1))

    def test_address_families(self) -> None:
        """tcp6 and an interface written as IPv6 are IPv6."""
        for description in ("tcp6:0:interface=\\:\\:1", "tcp:0:interface=\\:\\:1"):
            opened = open_socket(description)
            self.addCleanup(opened.close)
            self.assertEqual(opened.socket.getsockname()[0], "::1")

    def test_taken(self) -> None:
        """An address that somebody else has is an error that says so."""
        opened = open_socket("tcp:0:interface=127.0.0.1")
        self.addCleanup(opened.close)
        port = opened.socket.getsockname()[1]
        error = self.assertRaises(OSError, open_socket, f"tcp:{port}:interface=127.0.0.1")
        self.assertEqual(error.strerror, "Address already in use")
        path = f"unix:{self.folder}/s"
        first = open_socket(path)
        self.assertIn("another process", str(self.assertRaises(OSError, open_socket, path)))
        first.close()

    def test_stale_file(self) -> None:
        """The socket of a process that has died is replaced, also if another one has its number by
        now, our own for one: in a container all gateways have the same."""
        for number in ("999999999", "1", str(os.getpid())):
            with socket.socket(socket.AF_UNIX) as dead:
                dead.bind(f"{self.folder}/s")
            (self.folder / "s.lock").symlink_to(number)
            opened = open_socket(f"unix:{self.folder}/s:mode=600")
            self.assertEqual((self.folder / "s").stat().st_mode & 0o777, 0o600)
            opened.close()
            self.assertEqual(list(self.folder.iterdir()), [])

    def test_no_systemd(self) -> None:
        """A socket that systemd has not passed is said to be missing."""
        error = self.assertRaises(OSError, open_socket, "systemd:domain=INET6:index=0")
        self.assertIn("systemd", str(error))

    def test_others(self) -> None:
        """An endpoint of a plug-in that asks more of the reactor than a socket is told apart."""

        @implementer(IPlugin, endpoints.IStreamServerEndpointStringParser)
        class Stranger:
            prefix = "stranger"

            def parseStreamServer(self, reactor, *args, **kwargs):
                class Endpoint:
                    def listen(self, factory):
                        return succeed(reactor.listenToTheStars(factory))

                return Endpoint()

        self.patch(endpoints, "getPlugins", lambda interface: [Stranger()])
        self.assertRaises(Unholdable, open_socket, "stranger:0")
