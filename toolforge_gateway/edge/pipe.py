"""Two protocols joined in memory, as if by a socket.

Bytes are delivered in a later turn of the reactor, so that neither side is
entered again while it is still writing.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IAddress, IReactorTime, ISSLTransport, ITransport
from twisted.python.failure import Failure
from zope.interface import implementer

HIGH_WATER = 65536
"""Bytes on their way in one direction above which the writer is paused."""


@implementer(ITransport, ISSLTransport)
class PipeEnd:
    """The transport of one of the two protocols.

    It says that it is secure, because what it stands for came in over TLS.

    :param clock: delivers.
    :param host: what `getHost` answers.
    :param peer: what `getPeer` answers.
    """

    negotiatedProtocol = b"http/1.1"

    def __init__(self, clock: IReactorTime, host: IAddress, peer: IAddress):
        self._clock = clock
        self._host = host
        self._peer = peer
        self._other: PipeEnd = self
        self._protocol: Any = None
        self._incoming: list[bytes] = []
        self._end: Exception | None = None
        self._scheduled = False
        self._paused = False
        self._producer: Any = None
        self._streaming = True
        self._producer_paused = False
        self.disconnecting = False
        self.connected = True

    # ITransport, for the protocol at this end.

    def write(self, data: bytes) -> None:
        if self.connected and not (self.disconnecting and self._producer is None) and data:
            self._other._arrive(data)
            if self._producer is not None and self._other._waiting() > HIGH_WATER:
                self._pause_producer()

    def writeSequence(self, data: list[bytes]) -> None:
        self.write(b"".join(data))

    def loseConnection(self) -> None:
        self.disconnecting = True
        if self._producer is None:
            self._other._finish(ConnectionDone())
            self._finish(ConnectionDone())

    def abortConnection(self) -> None:
        self._producer = None
        self._incoming.clear()
        self._other._finish(ConnectionLost())
        self._finish(ConnectionLost())

    def close_wire(self) -> None:
        """See `ISecureTransport`: a cut."""
        self._producer = None
        self.disconnecting = True
        self._other._finish(ConnectionLost())
        self._finish(ConnectionDone())

    def close_now(self) -> None:
        """See `ISecureTransport`."""
        self._producer = None
        self.loseConnection()

    def is_quiet(self) -> bool:
        """See `ISecureTransport`."""
        return self.connected and self._end is None and not self._incoming

    def pour(self, into: Any, most: int) -> int:
        """See `ISecureTransport`."""
        return 0

    def getPeer(self) -> IAddress:
        return self._peer

    def getHost(self) -> IAddress:
        return self._host

    def getPeerCertificate(self) -> None:
        """The client's certificate stays with the connection it came on."""

    def setTcpNoDelay(self, enabled: bool) -> None:
        """Nothing is delayed here."""

    # IConsumer

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        self._producer = producer
        self._streaming = streaming
        self._producer_paused = not streaming
        if not streaming:
            producer.resumeProducing()
            self._schedule(self._other)

    def unregisterProducer(self) -> None:
        self._producer = None
        if self.disconnecting:
            self.loseConnection()

    def _pause_producer(self) -> None:
        if self._streaming and not self._producer_paused:
            self._producer_paused = True
            self._producer.pauseProducing()

    # IPushProducer, for the protocol at this end

    def pauseProducing(self) -> None:
        self._paused = True

    def resumeProducing(self) -> None:
        self._paused = False
        self._schedule(self)

    def stopProducing(self) -> None:
        self.loseConnection()

    # Delivery.

    def _arrive(self, data: bytes) -> None:
        self._incoming.append(data)
        self._schedule(self)

    def _finish(self, reason: Exception) -> None:
        if self._end is None:
            self._end = reason
            self._schedule(self)

    def _waiting(self) -> int:
        return sum(map(len, self._incoming))

    @staticmethod
    def _schedule(end: PipeEnd) -> None:
        if not end._scheduled and end.connected:
            end._scheduled = True
            end._clock.callLater(0, end._deliver)

    def _deliver(self) -> None:
        self._scheduled = False
        if not self.connected:
            return
        if not self._paused and self._incoming:
            data = b"".join(self._incoming)
            self._incoming.clear()
            self._protocol.dataReceived(data)
        writer = self._other
        if writer._producer is not None and writer._producer_paused and not self._incoming:
            # A pull producer stays "paused": it is asked once per delivery.
            writer._producer_paused = not writer._streaming
            writer._producer.resumeProducing()
            if not writer._streaming:
                self._schedule(self)
        if self._end is not None and not self._incoming and self.connected:
            self.connected = False
            self._protocol.connectionLost(Failure(self._end))


def join(
    clock: IReactorTime, address: IAddress, left: Any, right: Any, guest: IAddress | None = None
) -> None:
    """Connect two protocols; both see `connectionMade` before any bytes.

    :param address: of either end.
    :param guest: what the right one is told as the address of the left one.
    """
    ends = PipeEnd(clock, address, address), PipeEnd(clock, address, guest or address)
    ends[0]._other, ends[1]._other = ends[1], ends[0]
    ends[0]._protocol, ends[1]._protocol = left, right
    right.makeConnection(ends[1])
    left.makeConnection(ends[0])
