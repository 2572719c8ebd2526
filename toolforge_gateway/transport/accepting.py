"""Accepting connections for `direct`, without a transport of the reactor's for each.

Twisted's transport for a TCP connection reads, writes and buffers; under
`DirectTLS` it would do none of this, and yet cost a new connection 80
microseconds and a kilobyte.  Here the reactor's port opens and closes the
listening socket, and each connection gets a transport that can only end.
"""

from __future__ import annotations

import errno
import socket
import struct
from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionAborted
from twisted.internet.interfaces import IAddress, IListeningPort, IProtocol, IProtocolFactory
from twisted.internet.protocol import connectionDone
from twisted.internet.tcp import Port
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from toolforge_gateway.transport.dispatch import READ, Dispatcher
from toolforge_gateway.transport.interfaces import IUnderTLS

log = Logger()

AT_ONCE = 32
"""Connections that are accepted before others have their turn."""
PAUSE = 0.1
"""Seconds without accepting when the system has no room for a connection:
it would say so again at once, and the connections wait in its queue."""

_LEFT_ALREADY = frozenset(
    [
        errno.ECONNABORTED,
        errno.EHOSTDOWN,
        errno.EHOSTUNREACH,
        errno.ENETDOWN,
        errno.ENETUNREACH,
        errno.ENONET,
        errno.ENOPROTOOPT,
        errno.EOPNOTSUPP,
        errno.EPERM,
        errno.EPROTO,
    ]
)
"""What accept(2) says of one connection and not of the next ones."""
_ADDRESSES: dict[int, Any] = {socket.AF_INET: IPv4Address, socket.AF_INET6: IPv6Address}
_RESET = struct.pack("ii", 1, 0)


def accepts_directly(port: Any, factory: IProtocolFactory) -> bool:
    """Whether `DirectPort` can accept for a port.

    It is one for TCP, and an endpoint has put nothing before our factory.
    """
    return isinstance(port, Port) and port.addressFamily in _ADDRESSES and port.factory is factory


@implementer(IListeningPort)
class DirectPort:
    """Accepts the connections of a port of the reactor.

    :param port: `accepts_directly`; it listens, with `factory` as its factory,
        and from now on reads no more.
    :param factory: its protocols have to be content with `IUnderTLS`.
    :param reactor: IReactorTime.
    """

    def __init__(self, port: Any, factory: IProtocolFactory, dispatcher: Dispatcher, reactor: Any):
        self._port = port
        self._factory = factory
        self._dispatcher = dispatcher
        self._reactor = reactor
        self._socket: socket.socket = port.socket
        self._address = _ADDRESSES[port.addressFamily]
        self._descriptor = self._socket.fileno()
        self._pause: Any = None
        self._stopping = False
        port.stopReading()
        dispatcher.watch(self._descriptor, READ, self._ready)

    def startListening(self) -> None:
        """It does already."""

    def getHost(self) -> IAddress:
        """See `IListeningPort`."""
        host: IAddress = self._port.getHost()
        return host

    def stopListening(self) -> Deferred[None] | None:
        """See `IListeningPort`; connections that were accepted live on.

        Who has connected and waits to be accepted is let in: closing the socket would
        turn them away.
        """
        if self._stopping:
            return None  # One of those who were let in wants it as well.
        self._stopping = True
        if self._pause is not None:
            self._pause.cancel()
            self._pause = None
        elif self._descriptor >= 0:
            self._ready(READ)
            if self._descriptor >= 0 and self._pause is None:
                self._dispatcher.forget(self._descriptor)
        self._descriptor = -1
        stopped: Deferred[None] | None = self._port.stopListening()
        return stopped

    def _ready(self, events: int) -> None:
        for _ in range(AT_ONCE):
            try:
                accepted, address = self._socket.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in _LEFT_ALREADY:
                    continue
                log.warn("cannot accept connections for a moment: {error}", error=error)
                self._dispatcher.forget(self._descriptor)
                self._pause = self._reactor.callLater(PAUSE, self._go_on)
                return
            accepted.setblocking(False)
            self._begin(accepted, self._address("TCP", *address))
            if self._descriptor < 0:
                return  # whoever is told of a connection may stop the port

    def _go_on(self) -> None:
        self._pause = None
        self._dispatcher.watch(self._descriptor, READ, self._ready)

    def _begin(self, accepted: socket.socket, address: IAddress) -> None:
        try:
            protocol: Any = self._factory.buildProtocol(address)
        except Exception:
            log.failure("no protocol for a connection")
            protocol = None
        if protocol is None:
            accepted.close()
            return
        transport = Accepted(accepted, address, protocol, self._dispatcher)
        try:
            protocol.makeConnection(transport)
        except Exception:
            log.failure("a connection could not begin")
            transport.abortConnection()


@implementer(IUnderTLS)
class Accepted:
    """A connection whose protocol reads and writes the descriptor itself."""

    __slots__ = ("_dispatcher", "_peer", "_protocol", "_reason", "_socket")

    def __init__(
        self,
        accepted: socket.socket,
        peer: IAddress,
        protocol: IProtocol,
        dispatcher: Dispatcher,
    ):
        self._socket = accepted
        self._peer = peer
        self._protocol: IProtocol | None = protocol
        self._dispatcher = dispatcher
        self._reason: Failure | None = None

    def stopReading(self) -> None:
        """It has never begun."""

    def getHandle(self) -> socket.socket:
        """See `IUnderTLS`."""
        return self._socket

    def getPeer(self) -> IAddress:
        """See `IUnderTLS`."""
        return self._peer

    def getHost(self) -> IAddress:
        """See `IUnderTLS`."""
        address: IAddress = _ADDRESSES[self._socket.family]("TCP", *self._socket.getsockname())
        return address

    def loseConnection(self) -> None:
        """See `IUnderTLS`."""
        self._end(connectionDone)

    def abortConnection(self) -> None:
        """See `IUnderTLS`."""
        if self._protocol is not None:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            self._end(Failure(ConnectionAborted()))

    def _end(self, reason: Failure) -> None:
        if self._reason is None:
            self._reason = reason
            self._dispatcher.after(self._ended)

    def _ended(self) -> None:
        protocol, self._protocol = self._protocol, None
        self._socket.close()
        assert protocol is not None and self._reason is not None, "it ends once"
        protocol.connectionLost(self._reason)
