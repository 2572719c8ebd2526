"""How many connections, and requests, there may be at once over all listeners."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from typing import Any

import attrs
from twisted.internet.interfaces import IAddress, IProtocol, IProtocolFactory
from twisted.internet.protocol import Factory
from twisted.logger import Logger
from twisted.python.failure import Failure

from toolforge_gateway.edge.proxy_protocol import Address, address_of

log = Logger()

SILENCE = 60.0
"""Seconds for which nothing more is said of connections over the same limit."""


def _nobody(open: int) -> None:
    """Nobody wants to know."""


class TurnedAway:
    """The connections that one limit has closed at once: counted, and said.

    :param limit: its key.
    :param seconds: a clock's.
    :ivar count: since the process began.
    """

    def __init__(self, limit: str, seconds: Callable[[], float]):
        self.count = 0
        self._limit = limit
        self._seconds = seconds
        self._silent_until = -math.inf

    def add(self, most: int, address: Address | None) -> None:
        """One more.

        :param most: the limit.
        :param address: of the client, if it has one.
        """
        self.count += 1
        now = self._seconds()
        if now >= self._silent_until:
            self._silent_until = now + SILENCE
            log.warn(
                "limits.{limit} ({most}) is reached: a connection of {address} was closed at once,"
                " {count} so far; no more is said of it for a minute",
                limit=self._limit,
                most=most,
                address=address,
                count=self.count,
            )


@attrs.define
class Turnstile:
    """Counts exchanges in and out; shared by all listeners."""

    limit: int
    open: int = 0


@attrs.define
class Entrance(Turnstile):
    """The same for connections."""

    turned_away: TurnedAway = attrs.field(kw_only=True)
    tell: Callable[[int], None] = attrs.field(default=_nobody, kw_only=True)
    """Told of each new number of connections."""


class Addresses:
    """How many connections each address has, over all listeners.

    They are counted whether there is a limit or not: a reload may bring one.

    :ivar turned_away: those over the limit.
    """

    def __init__(self, turned_away: TurnedAway):
        self.turned_away = turned_away
        self._open: Counter[Address] = Counter()

    def enter(self, address: Address | None, most: int | None) -> bool:
        """Count a connection in, unless its address has too many.

        :param address: None for a Unix socket, which has no limit.
        :param most: the limit, if there is one.
        """
        if address is None:
            return True
        already = self._open[address]
        if most is not None and already >= most:
            self.turned_away.add(most, address)
            return False
        self._open[address] = already + 1
        return True

    def leave(self, address: Address | None) -> None:
        """Count it out."""
        if address is not None:
            self._open[address] -= 1
            if not self._open[address]:
                del self._open[address]


class Admission(Factory):
    """Closes a connection over the limit before a byte of it is read.

    :param wrapped: what builds the protocol of an admitted connection.
    """

    noisy = False

    def __init__(self, wrapped: IProtocolFactory, entrance: Entrance):
        self._wrapped = wrapped
        self._entrance = entrance

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
        entrance = self._entrance
        if entrance.open >= entrance.limit:
            entrance.turned_away.add(entrance.limit, address_of(addr))
            return None
        protocol: Any = self._wrapped.buildProtocol(addr)
        if protocol is None:
            return None
        entrance.open += 1
        entrance.tell(entrance.open)
        lost = protocol.connectionLost

        def connection_lost(reason: Failure) -> None:
            entrance.open -= 1
            entrance.tell(entrance.open)
            lost(reason)

        # Instead of a wrapping protocol, which would cost a call per segment.
        protocol.connectionLost = connection_lost
        return protocol
