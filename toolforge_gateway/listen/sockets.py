"""The listening sockets of a process, by the endpoints they belong to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from socket import AF_UNIX
from socket import socket as Socket
from typing import Any

import attrs
from twisted.internet.interfaces import IListeningPort, IProtocolFactory

from toolforge_gateway.listen.opening import Opened, Unholdable, open_socket
from toolforge_gateway.listen.unix import UnixPort

__all__ = ["Place", "Sockets", "Unholdable", "places"]


@attrs.frozen(order=True)
class Place:
    """Where somebody listens."""

    endpoint: str
    """A Twisted server endpoint description, as the configuration has it."""
    number: int = 0
    """The how manieth with this description: `tcp:0` may be there twice."""
    purpose: str = "clients"
    """Whom it is for: a place for others is another one."""


def places(endpoints: Iterable[str]) -> tuple[Place, ...]:
    """Tell equal descriptions apart."""
    seen: Counter[str] = Counter()
    found = []
    for endpoint in endpoints:
        found.append(Place(endpoint, seen[endpoint]))
        seen[endpoint] += 1
    return tuple(found)


class Sockets:
    """Opens and keeps listening sockets.

    :param reactor: IReactorSocket; accepts.
    :param inherited: sockets that another process has opened and shares with us; closing ours
        leaves them open there.
    """

    def __init__(self, reactor: Any, inherited: Mapping[Place, Socket] | None = None):
        self._reactor = reactor
        self._opened: dict[Place, Opened] = {}
        self._given: dict[Place, Opened] = {}
        for place, shared in (inherited or {}).items():
            self.share(place, shared)

    def __contains__(self, place: Place) -> bool:
        return place in self._opened

    def share(self, place: Place, shared: Socket) -> None:
        """Take a socket that another process has opened."""
        shared.setblocking(False)
        self._opened[place] = Opened(shared, shared.close)

    def open(self, place: Place) -> None:
        """Have a socket there; nobody accepts yet, but clients may connect already.

        :raise OSError: it is not to be had.
        :raise Unholdable: only Twisted itself can listen there.
        """
        if place in self._opened:
            return
        opened = self._given.pop(place, None) or open_socket(place.endpoint)
        self._opened[place] = opened

    def socket(self, place: Place) -> Socket:
        """The socket that is open there."""
        return self._opened[place].socket

    def listen(self, place: Place, factory: IProtocolFactory) -> IListeningPort:
        """Accept connections there; stopping the port leaves the socket as it is.

        :raise KeyError: nothing is open there.
        """
        held = self._opened[place].socket
        port: IListeningPort
        if held.family == AF_UNIX:
            port = UnixPort(held.dup(), factory, self._reactor)
            port.startListening()
        else:
            # It makes a descriptor of its own.
            port = self._reactor.adoptStreamPort(held.fileno(), held.family, factory)
        return port

    def close(self, place: Place) -> None:
        """Nobody connects there any more; who waits to be accepted is turned away,
        unless another process has the socket as well."""
        opened = self._opened.pop(place)
        if opened.given:
            self._given[place] = opened  # it could not be opened again
        else:
            opened.close()

    def close_all(self) -> None:
        """The end."""
        for opened in (*self._opened.values(), *self._given.values()):
            opened.close()
        self._opened.clear()
        self._given.clear()

    def held(self) -> Mapping[Place, Socket]:
        """All that are open."""
        return {place: opened.socket for place, opened in self._opened.items()}
