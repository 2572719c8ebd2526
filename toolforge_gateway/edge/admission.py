"""How many connections, and requests, there may be at once over all listeners."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
from twisted.internet.interfaces import IAddress, IProtocol, IProtocolFactory
from twisted.internet.protocol import Factory
from twisted.python.failure import Failure


def _nobody(open: int) -> None:
    """Nobody wants to know."""


@attrs.define
class Turnstile:
    """Counts connections, or exchanges, in and out; shared by all listeners."""

    limit: int
    open: int = 0
    tell: Callable[[int], None] = _nobody
    """Told of each new number of connections."""
    refused: int = 0
    """How many connections were closed at once because of the limit."""


class Admission(Factory):
    """Closes a connection over the limit before a byte of it is read.

    :param wrapped: what builds the protocol of an admitted connection.
    """

    noisy = False

    def __init__(self, wrapped: IProtocolFactory, turnstile: Turnstile):
        self._wrapped = wrapped
        self._turnstile = turnstile

    def logPrefix(self) -> str:
        """What twistd's log says is "starting on" a port."""
        return "toolforge-gateway"

    def doStart(self) -> None:
        """Listening begins."""
        self._wrapped.doStart()

    def doStop(self) -> None:
        """Listening ends."""
        self._wrapped.doStop()

    def buildProtocol(self, addr: IAddress) -> IProtocol | None:
        """See `IProtocolFactory`; None closes the connection."""
        if self._turnstile.open >= self._turnstile.limit:
            self._turnstile.refused += 1
            return None
        protocol: Any = self._wrapped.buildProtocol(addr)
        if protocol is None:
            return None
        turnstile = self._turnstile
        turnstile.open += 1
        turnstile.tell(turnstile.open)
        lost = protocol.connectionLost

        def connection_lost(reason: Failure) -> None:
            turnstile.open -= 1
            turnstile.tell(turnstile.open)
            lost(reason)

        # Instead of a wrapping protocol, which would cost a call per segment.
        protocol.connectionLost = connection_lost
        return protocol
