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
from twisted.internet.interfaces import (
    IAddress,
    IListeningPort,
    IProtocol,
    IProtocolFactory,
    IReadDescriptor,
)
from twisted.internet.protocol import connectionDone
from twisted.internet.tcp import Port
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from toolforge_gateway.transport.dispatch import READ, Dispatcher
from toolforge_gateway.transport.interfaces import IUnderTLS
from toolforge_gateway.transport.turns import Turns, all_the_same, step_back

log = Logger()

AT_ONCE = 32
"""Connections that are accepted before others have their turn."""
AT_LAST = 1024
"""Connections that are accepted when the port stops: as many as wait, by default."""
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


class _Queue:
    """Takes connections from the queue of a listening socket, when it is our turn.

    :param turns: whose turn it is; None: always ours.
    """

    def __init__(self, port: Any, reactor: Any, turns: Turns | None):
        self._port = port
        self._reactor = reactor
        self._turns = turns
        self._socket: socket.socket = port.socket
        self._descriptor = self._socket.fileno()
        self._pause: Any = None
        self._stopping = False

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
        self._turns = None
        if self._pause is not None:
            self._pause.cancel()
            self._go_on()
        if self._descriptor >= 0:
            for _ in range(AT_LAST):
                if not self._accept():
                    break
            if self._descriptor >= 0 and self._pause is None:
                self._look_away()
        self._descriptor = -1
        if self._pause is not None:
            self._pause.cancel()
            self._pause = None
        stopped: Deferred[None] | None = self._port.stopListening()
        return stopped

    def _look(self) -> None:
        """Have `_ready` called when there is somebody."""
        raise NotImplementedError

    def _look_away(self) -> None:
        """Have it called no more."""
        raise NotImplementedError

    def _take(self, accepted: socket.socket, address: Any) -> None:
        """Somebody has come."""
        raise NotImplementedError

    def _ready(self, events: int = READ) -> None:
        turns = self._turns
        for _ in range(AT_ONCE):
            if turns is not None and (ahead := turns.ahead()) > 0:
                self._look_away()
                self._pause = self._reactor.callLater(
                    step_back(ahead), self._go_on, all_the_same(ahead)
                )
                return
            if not self._accept():
                return

    def _go_on(self, at_once: int = 0) -> None:
        """Look again.

        :param at_once: how many to take, whosever turn it is.
        """
        self._pause = None
        self._look()
        for _ in range(at_once):
            if not self._accept():
                return

    def _accept(self) -> bool:
        """Take one.

        :return: whether to go on.
        """
        try:
            accepted, address = self._socket.accept()
        except BlockingIOError:
            return False
        except OSError as error:
            if error.errno in _LEFT_ALREADY:
                return True
            log.warn("cannot accept connections for a moment: {error}", error=error)
            self._look_away()
            self._pause = self._reactor.callLater(PAUSE, self._go_on)
            return False
        accepted.setblocking(False)
        self._take(accepted, address)
        return self._descriptor >= 0  # whoever is told of a connection may stop the port


@implementer(IListeningPort)
class DirectPort(_Queue):
    """Accepts the connections of a port of the reactor.

    :param port: `accepts_directly`; it listens, with `factory` as its factory,
        and from now on reads no more.
    :param factory: its protocols have to be content with `IUnderTLS`.
    :param reactor: IReactorTime.
    :param turns: whose turn it is; None: always ours.
    """

    def __init__(
        self,
        port: Any,
        factory: IProtocolFactory,
        dispatcher: Dispatcher,
        reactor: Any,
        turns: Turns | None = None,
    ):
        super().__init__(port, reactor, turns)
        self._factory = factory
        self._dispatcher = dispatcher
        self._address = _ADDRESSES[port.addressFamily]
        port.stopReading()
        self._look()

    def _look(self) -> None:
        self._dispatcher.watch(self._descriptor, READ, self._ready)

    def _look_away(self) -> None:
        self._dispatcher.forget(self._descriptor)

    def _take(self, accepted: socket.socket, address: Any) -> None:
        self._begin(accepted, self._address("TCP", *address))

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


@implementer(IListeningPort, IReadDescriptor)
class SharedPort(_Queue):
    """The same for connections that get a transport of the reactor's: who reads a PROXY header
    before TLS, or a Unix socket.

    :param port: an `IReadDescriptor` that listens and has a `socket`; from now on it reads no more.
    :param reactor: IReactorFDSet, IReactorSocket and IReactorTime.
    """

    def __init__(self, port: Any, factory: IProtocolFactory, reactor: Any, turns: Turns):
        super().__init__(port, reactor, turns)
        self._factory = factory
        reactor.removeReader(port)
        self._look()

    def doRead(self) -> None:
        """See `IReadDescriptor`."""
        self._ready()

    def fileno(self) -> int:
        """See `IReadDescriptor`."""
        return self._descriptor

    def connectionLost(self, reason: object) -> None:
        """See `IReadDescriptor`: the reactor ends."""

    def logPrefix(self) -> str:
        """What twistd's log says of it."""
        return "toolforge-gateway"

    def _look(self) -> None:
        self._reactor.addReader(self)

    def _look_away(self) -> None:
        self._reactor.removeReader(self)

    def _take(self, accepted: socket.socket, address: Any) -> None:
        with accepted:
            try:
                # It makes a descriptor of its own.
                self._reactor.adoptStreamConnection(
                    accepted.fileno(), accepted.family, self._factory
                )
            except OSError:
                pass  # they have left already
            except Exception:
                log.failure("a connection could not begin")


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
