"""One connection to a backend; it carries one exchange at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twisted.internet.interfaces import IHandshakeListener, IPushProducer
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

if TYPE_CHECKING:
    from toolforge_gateway.proxy.upstream import Upstream
    from toolforge_gateway.transport.interfaces import ISecureTransport


@implementer(IHandshakeListener, IPushProducer)
class UpstreamConnection(Protocol):
    """Bytes to and from a backend, for whoever borrows it.

    :param pool: `IPool`; told when the connection is gone.
    :ivar current: the `IBorrower`; None while the connection is idle.
    :ivar upstream: where it leads; None for what is no backend.
    :ivar placed: whether it has one of the pool's places.
    :ivar idle_since: seconds of the pool's clock; set by the pool.
    """

    idle_since = 0.0
    placed = False
    _full = False
    """Whether the backend has not taken all that was written."""

    def __init__(self, pool: Any, current: Any, upstream: Upstream | None = None):
        self._pool = pool
        self.current: Any = current
        self.upstream: Any = upstream
        self._reading = True

    def connectionMade(self) -> None:
        self.transport.setTcpNoDelay(True)
        self.transport.registerProducer(self, True)
        # Known to the borrower from the first moment, so that a caller who
        # leaves during the handshake ends it.
        if self.current is not None:
            self.current.dialled(self)

    def handshakeCompleted(self) -> None:
        if self.current is not None:
            self.current.connected(self)

    def dataReceived(self, data: bytes) -> None:
        if self.current is not None:
            self.current.received(data)
        else:
            # Nobody asked: an answer to no request can only do harm.
            self.abort()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._pool.lost(self)
        self._leave()
        current, self.current = self.current, None
        if current is not None:
            current.lost(reason)

    def write(self, data: bytes) -> None:
        """Send bytes of a request."""
        self.transport.write(data)

    def pour(self, transport: ISecureTransport, most: int) -> int:
        """Send bytes of a request's body, straight from where they come."""
        poured: int = transport.pour(self.transport, most)
        return poured

    def read_on(self, wanted: bool) -> None:
        """Take, or leave for now, what the backend sends."""
        if wanted != self._reading:
            self._reading = wanted
            if wanted:
                self.transport.resumeProducing()
            else:
                self.transport.pauseProducing()

    def is_quiet(self) -> bool:
        """Whether an idle connection is still open, has nothing to say, and takes a request.

        A backend may have closed it, or be saying something, without the
        reactor having come round to reading that.  One that has answered early may still have
        most of the former request before it: nobody would tell the next one to wait.
        """
        return not self._full and self.transport.is_quiet()

    def close(self) -> None:
        """End an idle connection in good order."""
        self.current = None
        # Not `loseConnection`: it would wait, without limit, for the
        # backend's close_notify.
        self.transport.close_now()
        self._leave()

    def abort(self) -> None:
        """End it at once, whatever it carries."""
        self.current = None
        self.transport.abortConnection()
        self._leave()

    def _leave(self) -> None:
        # Not only once it is gone, a turn of the reactor later: somebody who comes until then
        # would be turned away for nothing.
        if self.placed:
            self.placed = False
            self._pool.places.leave()

    # The transport's view: it is our producer's consumer.

    def pauseProducing(self) -> None:
        self._full = True
        if self.current is not None:
            self.current.backend_full()

    def resumeProducing(self) -> None:
        self._full = False
        if self.current is not None:
            self.current.backend_ready()

    def stopProducing(self) -> None:
        """The connection is going away; `connectionLost` tells the rest."""
