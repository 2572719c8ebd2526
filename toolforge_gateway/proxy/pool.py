"""The kept connections of one backend.

The key of a pool is its backend: address, name to verify and credentials are
the same for all its connections.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from twisted.internet.abstract import isIPAddress, isIPv6Address
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint, TCP4ClientEndpoint, TCP6ClientEndpoint
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator, IStreamClientEndpoint
from twisted.internet.protocol import Factory

from toolforge_gateway.proxy.connection import UpstreamConnection
from toolforge_gateway.transport.choice import Transports

if TYPE_CHECKING:
    from toolforge_gateway.deadlines import Deadlines
    from toolforge_gateway.proxy.forwarding import Forwarding

IDLE_SECONDS = 50.0
"""How long a connection is kept; the backends' sidecars close theirs after 65
to 75 seconds, and who closes first must be us."""
ATTEMPT_DELAY = 0.1
"""Seconds between attempts at the addresses of one name (RFC 8305 section 5);
Twisted also waits this long before it tells that all of them refused."""
MAX_IDLE = 64
"""How many are kept; more than this many exchanges at once dial anew."""


class Pool:
    """Kept connections to one backend, last in first out.

    :param reactor: IReactorTime and what `HostnameEndpoint` needs.
    :param creator: mutual TLS with the name to verify built in.
    :param transports: puts TLS under the connections.
    :param connect_timeout: seconds for TCP; the borrower's own deadline
        covers TCP and TLS together.
    :ivar max_idle: how many connections are kept.
    :param deadlines: tells when what is kept has been idle for too long.
    """

    def __init__(
        self,
        reactor: Any,
        host: str,
        port: int,
        creator: IOpenSSLClientConnectionCreator,
        transports: Transports,
        connect_timeout: float,
        deadlines: Deadlines,
    ):
        self._reactor = reactor
        self._endpoint = _endpoint(reactor, host, port, connect_timeout)
        self._creator = creator
        self._transports = transports
        self._deadlines = deadlines
        self._idle: deque[UpstreamConnection] = deque()
        self._closed = False
        self.deadline: float | None = None
        self.open = 0
        self.max_idle = MAX_IDLE

    def __repr__(self) -> str:
        return f"<Pool idle={len(self._idle)} open={self.open}>"

    def take(self) -> UpstreamConnection | None:
        """A kept connection that is alive, or None."""
        while self._idle:
            connection = self._idle.pop()
            if connection.is_quiet():
                return connection
            connection.abort()
        return None

    def dial(self, borrower: Forwarding) -> Deferred[object]:
        """Open a connection for a borrower, who is told through `connected`,
        `lost` or the returned Deferred's failure; cancelling ends it."""
        return self._endpoint.connect(self._transports.client(self._creator, _Dial(self, borrower)))

    def put(self, connection: UpstreamConnection) -> None:
        """Keep a connection whose last exchange ended in good order."""
        if self._closed or len(self._idle) >= self.max_idle:
            connection.close()
            return
        connection.current = None
        connection.read_on(True)
        connection.idle_since = self._reactor.seconds()
        self._idle.append(connection)
        if self.deadline is None:
            self.deadline = connection.idle_since + IDLE_SECONDS
            self._deadlines.watch(self)

    def lost(self, connection: UpstreamConnection) -> None:
        """A connection is gone; called by the connection."""
        self.open -= 1
        try:
            self._idle.remove(connection)
        except ValueError:
            pass

    def deadline_passed(self) -> None:
        """Close what has been idle for too long."""
        limit = self._reactor.seconds() - IDLE_SECONDS
        while self._idle and self._idle[0].idle_since <= limit:
            self._idle.popleft().close()
        if self._idle:
            self.deadline = self._idle[0].idle_since + IDLE_SECONDS
        else:
            self._deadlines.forget(self)

    def close(self) -> None:
        """Close what is idle, and from now on whatever comes back."""
        self._closed = True
        self._deadlines.forget(self)
        while self._idle:
            self._idle.pop().close()


def _endpoint(reactor: Any, host: str, port: int, timeout: float) -> IStreamClientEndpoint:
    if isIPAddress(host):
        return TCP4ClientEndpoint(reactor, host, port, timeout)
    if isIPv6Address(host):
        return TCP6ClientEndpoint(reactor, host, port, timeout)
    return HostnameEndpoint(reactor, host, port, timeout, attemptDelay=ATTEMPT_DELAY)


class _Dial(Factory):
    noisy = False

    def __init__(self, pool: Pool, borrower: Forwarding):
        self._pool = pool
        self._borrower = borrower

    def buildProtocol(self, addr: object) -> UpstreamConnection:
        self._pool.open += 1
        return UpstreamConnection(self._pool, self._borrower)
