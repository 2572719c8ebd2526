"""One listener while it runs: its port, what stands before HTTP, its server."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, DeferredList, maybeDeferred
from twisted.internet.interfaces import IAddress, IListeningPort, IProtocol, IProtocolFactory
from twisted.internet.protocol import Factory

from toolforge_gateway.config.values import Listener
from toolforge_gateway.edge.admission import Entrance
from toolforge_gateway.edge.listening import over_tls
from toolforge_gateway.edge.server import Server, Shared
from toolforge_gateway.listen.sockets import Place, Sockets
from toolforge_gateway.tls.server import ServerSide
from toolforge_gateway.transport.choice import Transports


class Front(Factory):
    """Builds what its current factory builds, so that a port stays while all behind it is
    exchanged."""

    noisy = False

    def __init__(self) -> None:
        self.current: IProtocolFactory | None = None

    def logPrefix(self) -> str:
        """What twistd's log says is "starting on" a port."""
        return "toolforge-gateway"

    def buildProtocol(self, addr: IAddress) -> IProtocol | None:
        """See `IProtocolFactory`; None closes the connection."""
        return self.current.buildProtocol(addr) if self.current is not None else None


class Door:
    """A listener of the configuration, from when it is opened until the last connection is gone.

    :param place: where.
    :param front: what already accepts there, where only Twisted itself can listen; else None.
    :param port: its port; likewise.
    """

    def __init__(
        self,
        place: Place,
        sockets: Sockets,
        transports: Transports,
        entrance: Entrance,
        reactor: Any,
        front: Front | None = None,
        port: IListeningPort | None = None,
    ):
        self.place = place
        self._sockets = sockets
        self._transports = transports
        self._entrance = entrance
        self._reactor = reactor
        self._front = front or Front()
        self._own_port = port
        self._port: IListeningPort | None = None
        self._untouched: bool | None = None
        self._over: Deferred[Any] | None = None
        self.server: Server | None = None

    def can_adopt(self, listener: Listener) -> bool:
        """Whether it could go by this configuration without being opened anew."""
        return self._own_port is None or (listener.proxy_protocol is None) == self._untouched

    def adopt(self, shared: Shared, listener: Listener, side: ServerSide) -> None:
        """Serve by a configuration from now on; the first one opens the door."""
        untouched = listener.proxy_protocol is None
        if self._port is not None and untouched != self._untouched:
            # How connections are accepted depends on who reads from them first; those who
            # have connected already come in the former way.
            port, self._port = self._port, None
            port.stopListening()
        if self.server is None:
            self.server = Server(shared, listener, side.verifier, side.names_host)
        else:
            self.server.adopt(shared, listener, side.verifier, side.names_host)
        self._front.current = over_tls(
            self.server, listener, side.creator, self._transports, self._entrance, self._reactor
        )
        if self._port is None:
            self._port = self._accept(untouched)
            self._untouched = untouched

    def address(self) -> Any:
        """Where it is; tells the port where the configuration said 0."""
        assert self._port is not None, "it is open"
        return self._port.getHost()

    def close(self) -> Deferred[Any]:
        """Let nobody in any more; fires when the last connection is gone."""
        port, self._port = self._port, None
        assert self.server is not None, "it was open, or was to be"
        over = []
        if port is not None:
            over.append(maybeDeferred(port.stopListening))
        # Behind that: a port that stops lets in those who wait, and they are waited for too.
        over.append(self.server.drain())
        if self.place in self._sockets:
            self._sockets.close(self.place)
        self._over = DeferredList(over)
        return self.gone()

    def gone(self) -> Deferred[Any]:
        """Fires when a closed door's last connection is gone."""
        done: Deferred[Any] = Deferred()
        assert self._over is not None, "it is closed"
        self._over.addCallback(lambda result: [done.callback(None), result][1])
        return done

    def give_up(self) -> None:
        """Close what is still connected."""
        if self.server is not None:
            for connection in tuple(self.server.connections):
                connection.give_up()

    def _accept(self, untouched: bool) -> IListeningPort:
        port = self._own_port or self._sockets.listen(self.place, self._front)
        return self._transports.accepting(port, self._front, untouched)
