"""The two ends: a client that sends bytes, a backend that follows a script."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from OpenSSL import SSL
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.internet.protocol import Factory, Protocol
from twisted.protocols.tls import TLSMemoryBIOFactory, TLSMemoryBIOProtocol
from twisted.python.failure import Failure
from zope.interface import implementer

from toolforge_gateway.demo.backends import backend_tls

PATIENCE = 15.0
"""Seconds after which a wait has failed; a test that passes waits for none."""


class End(Protocol):
    """One end of a connection, and all that came in on it."""

    def __init__(self):
        self._pieces: list[bytes] = []
        self.total = 0
        """Bytes received."""
        self.lost: Failure | None = None
        self._waits: list[tuple[Callable[[], bool], Deferred]] = []

    @property
    def received(self) -> bytes:
        """All that has come."""
        self._pieces = [b"".join(self._pieces)]
        return self._pieces[0]

    def take(self, size: int | None = None) -> bytes:
        """Remove the first bytes of `received`, all by default, and return them."""
        received = self.received
        size = len(received) if size is None else size
        self._pieces = [received[size:]]
        return received[:size]

    def dataReceived(self, data: bytes) -> None:
        self._pieces.append(data)
        self.total += len(data)
        self._look()

    def connectionLost(self, reason: Failure) -> None:
        self.lost = reason
        self._look()

    def send(self, data: bytes) -> None:
        self.transport.write(data)

    def until(self, what: bytes | Callable[[], bool]) -> Deferred:
        """Fires with all received bytes once these bytes have come, or the
        condition holds; fails after `PATIENCE`."""
        condition = what if callable(what) else lambda: what in self.received
        wait: Deferred = Deferred()
        wait.addTimeout(PATIENCE, reactor, lambda *_: self._impatient(what))
        self._waits.append((condition, wait))
        self._look()
        return wait

    def closed(self) -> Deferred:
        """Fires with all received bytes once the connection is gone."""
        return self.until(lambda: self.lost is not None)

    def _look(self) -> None:
        due = [wait for condition, wait in self._waits if wait.called or condition()]
        self._waits = [each for each in self._waits if each[1] not in due]
        for wait in due:
            if not wait.called:
                wait.callback(self.received)

    def _impatient(self, what) -> Failure:
        raise AssertionError(
            f"waited in vain for {what!r}; lost: {self.lost}; received: {self.received[-2000:]!r}"
        )


class BackendConnection(End):
    """A connection that the gateway opened; `script` is told of each segment."""

    def __init__(self, backend: Backend):
        super().__init__()
        self.backend = backend

    def connectionMade(self) -> None:
        self.backend.connections.append(self)
        self.backend.arrived()

    def dataReceived(self, data: bytes) -> None:
        super().dataReceived(data)
        self.backend.script(self)

    @property
    def requests(self) -> int:
        """Heads that have come."""
        return self.received.count(b"\r\n\r\n")


class Backend(Factory):
    """A backend over mutual TLS, as the real ones: TLS 1.2 only.

    :ivar script: called with the connection whenever bytes have come.
    """

    noisy = False

    def __init__(self, tls: Path, port: int = 0):
        self.connections: list[BackendConnection] = []
        self.script: Callable[[BackendConnection], None] = answering(OK)
        self._waiting: list[tuple[int, Deferred]] = []
        factory = TLSMemoryBIOFactory(backend_tls(tls), False, self)
        factory.protocol = TLSMemoryBIOProtocol
        self.port = reactor.listenTCP(port, factory, interface="127.0.0.1")
        self.number = self.port.getHost().port

    def buildProtocol(self, addr: object) -> BackendConnection:
        return BackendConnection(self)

    def arrived(self) -> None:
        due = [wait for count, wait in self._waiting if len(self.connections) >= count]
        self._waiting = [each for each in self._waiting if each[1] not in due]
        for wait in due:
            wait.callback(self.connections[-1])

    def connection(self, count: int = 1) -> Deferred:
        """Fires with the newest connection once there have been so many."""
        wait: Deferred = Deferred()
        wait.addTimeout(PATIENCE, reactor)
        self._waiting.append((count, wait))
        self.arrived()
        return wait

    @property
    def received(self) -> bytes:
        """All bytes of all connections."""
        return b"".join(each.received for each in self.connections)


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def answering(answer: bytes) -> Callable[[BackendConnection], None]:
    """A script: this answer to each request head."""
    answered: dict[BackendConnection, int] = {}

    def script(connection: BackendConnection) -> None:
        while answered.get(connection, 0) < connection.requests:
            answered[connection] = answered.get(connection, 0) + 1
            connection.send(answer)

    return script


def silent(connection: BackendConnection) -> None:
    """A script: say nothing; the test speaks."""


@implementer(IOpenSSLClientConnectionCreator)
class ClientContext:
    """Makes client connections with, or without, a certificate."""

    def __init__(self, tls: Path, certificate: str | None):
        self._context = SSL.Context(SSL.TLS_METHOD)
        self._context.load_verify_locations(str(tls / "server-ca.crt"))
        self._context.set_verify(SSL.VERIFY_PEER)
        if certificate is not None:
            self._context.use_certificate_file(str(tls / f"{certificate}.crt"))
            self._context.use_privatekey_file(str(tls / f"{certificate}.key"))

    def clientConnectionForTLS(self, protocol: object) -> SSL.Connection:
        connection = SSL.Connection(self._context, None)
        connection.set_tlsext_host_name(b"localhost")
        return connection


def connect(tls: Path, port: int, certificate: str | None = None, header: bytes = b"") -> Deferred:
    """Open a client connection.

    :param certificate: base name of a certificate of the PKI, `tool-tf-test`.
    :param header: bytes to send before TLS: a PROXY header.
    :return: fires with an `End`.
    """
    creator = ClientContext(tls, certificate)
    factory = Factory.forProtocol(End)
    factory.noisy = False
    wrapped = TLSMemoryBIOFactory(creator, True, factory)
    wrapped.noisy = False

    class WithHeader(TLSMemoryBIOProtocol):
        def makeConnection(self, transport):
            if header:
                transport.write(header)
            super().makeConnection(transport)

    wrapped.protocol = WithHeader
    endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", port)
    return endpoint.connect(wrapped).addCallback(lambda wrapper: wrapper.wrappedProtocol)
