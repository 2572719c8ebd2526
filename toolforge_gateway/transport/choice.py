"""Which of the two ways a connection goes."""

from __future__ import annotations

import select
from collections.abc import Callable
from typing import Any, Protocol

from OpenSSL import SSL
from twisted.internet.interfaces import (
    IAddress,
    IListeningPort,
    IOpenSSLClientConnectionCreator,
    IOpenSSLServerConnectionCreator,
    IProtocol,
    IProtocolFactory,
    IReactorFDSet,
)
from zope.interface import implementer

from toolforge_gateway.transport.accepting import DirectPort, SharedPort, accepts_directly
from toolforge_gateway.transport.direct import DirectTLS
from toolforge_gateway.transport.dispatch import Dispatcher
from toolforge_gateway.transport.portable import PortableFactory
from toolforge_gateway.transport.turns import Turns


class Creator(Protocol):
    """What `tls` provides: one of Twisted's connection creators, that can put
    its connections on a socket as well."""

    def over_socket(self, socket: Any) -> SSL.Connection:
        """A connection that reads and writes the socket itself."""
        ...


class Transports:
    """Puts TLS under protocols.

    :param reactor: for `direct` it has to be an IReactorFDSet.
    :param direct: False: always the portable way.
    :param turns: whose turn it is to accept; None: always ours.
    """

    def __init__(self, reactor: Any, direct: bool = True, turns: Turns | None = None):
        self._turns = turns
        self._reactor = reactor
        self._dispatcher = None
        if direct and IReactorFDSet.providedBy(reactor) and hasattr(select, "epoll"):
            self._dispatcher = Dispatcher(reactor)

    def __repr__(self) -> str:
        return f"<Transports {'direct' if self._dispatcher is not None else 'portable'}>"

    def server(
        self,
        creator: IOpenSSLServerConnectionCreator,
        above: IProtocolFactory,
        untouched: bool = True,
    ) -> IProtocolFactory:
        """A factory for the connections that clients open.

        :param untouched: whether nobody reads from the socket before TLS; who
            reads a PROXY header may have read a part of what follows it.
        """
        if self._dispatcher is None or not untouched:
            return PortableFactory(creator, False, above)
        return _DirectFactory(self._dispatcher, creator, False, above)

    def accepting(
        self, port: IListeningPort, factory: IProtocolFactory, untouched: bool = True
    ) -> IListeningPort:
        """The port to stop instead of this one.

        :param port: listens with `factory`.
        :param factory: leads to what `server` made; between the two nobody
            reads from the socket if it is `untouched`.
        """
        if self._dispatcher is None or not untouched or not accepts_directly(port, factory):
            if self._turns is None or not hasattr(port, "socket"):
                return port
            return SharedPort(port, factory, self._reactor, self._turns)
        return DirectPort(port, factory, self._dispatcher, self._reactor, self._turns)

    def after(self, call: Callable[[], None]) -> None:
        """Call when all that is to be dealt with in this turn of the reactor has been; if there is
        nothing that we know of, at once."""
        if self._dispatcher is not None and self._dispatcher.has_turn:
            self._dispatcher.after_turn(call)
        else:
            call()

    def client(
        self, creator: IOpenSSLClientConnectionCreator, above: IProtocolFactory
    ) -> IProtocolFactory:
        """A factory for a connection that we open."""
        if self._dispatcher is None:
            return PortableFactory(creator, True, above)
        return _DirectFactory(self._dispatcher, creator, True, above)


@implementer(IProtocolFactory)
class _DirectFactory:
    def __init__(
        self, dispatcher: Dispatcher, creator: Any, is_client: bool, above: IProtocolFactory
    ):
        self._dispatcher = dispatcher
        self._creator = creator
        self._is_client = is_client
        self._above = above

    def doStart(self) -> None:
        self._above.doStart()

    def doStop(self) -> None:
        self._above.doStop()

    def buildProtocol(self, addr: IAddress) -> IProtocol | None:
        above = self._above.buildProtocol(addr)
        if above is None:
            return None
        return DirectTLS(self._dispatcher, self._creator.over_socket, self._is_client, above)
