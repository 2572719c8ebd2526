"""Opening what a configuration wants to listen on, all of it or nothing.  Layer 5."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import attrs
from twisted.internet.defer import maybeDeferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import IListeningPort

from toolforge_gateway.config.values import Listener, Operations
from toolforge_gateway.edge.door import Front
from toolforge_gateway.errors import Complaint, ConfigurationError
from toolforge_gateway.listen.opening import BACKLOG
from toolforge_gateway.listen.sockets import Place, Sockets, Unholdable

_REMEDY = "stop what holds the address, or change the endpoint in the configuration"
_REMEDY_SYSTEMD = (
    "stop the service, start its socket unit, and start the service again (systemd starts no "
    "socket whose service runs), or change the endpoint in the configuration"
)

Fault = tuple[str, str]
"""What is wrong, and what to do."""


@attrs.frozen
class Opened:
    """Where a door can be put, and what accepts there already if Twisted itself has to."""

    place: Place
    front: Front | None = None
    port: IListeningPort | None = None


def operators_place(operations: Operations) -> Place:
    """Where the operations port is."""
    return Place(operations.endpoint, purpose="operators")


class Openings:
    """Opens what is not open yet.

    :param sockets: those that are open already.
    """

    def __init__(self, sockets: Sockets, reactor: Any):
        self._sockets = sockets
        self._reactor = reactor

    def open(
        self,
        wanted: Iterable[tuple[Place, Listener | Operations]],
        fault_of: Callable[[Place, Listener | Operations], Fault | bool],
    ) -> tuple[Opened, ...]:
        """Open all.

        :param fault_of: whether a place is in use already, or what stands in the way of going on
            to use it.
        :raise ConfigurationError: with all that cannot be had; nothing new is open then.
        """
        opened: list[Opened] = []
        complaints: list[Complaint] = []
        for place, listener in wanted:
            fault = fault_of(place, listener)
            if isinstance(fault, tuple):
                complaints.append(listener.origin.complaint(*fault))
            if fault or place in self._sockets:
                continue
            try:
                opened.append(self._open_one(place))
            except OSError as error:
                why = error.strerror or str(error)
                passed = place.endpoint.startswith("systemd:")
                complaints.append(
                    listener.origin.complaint(
                        f"cannot listen on {place.endpoint}: {why}",
                        _REMEDY_SYSTEMD if passed else _REMEDY,
                    )
                )
        if complaints:
            self.close(opened)
            raise ConfigurationError(complaints)
        return tuple(opened)

    def close(self, opened: Iterable[Opened]) -> None:
        """Close again what nobody uses after all."""
        for each in opened:
            if each.port is not None:
                each.port.stopListening()
            elif each.place in self._sockets:
                self._sockets.close(each.place)

    def _open_one(self, place: Place) -> Opened:
        try:
            self._sockets.open(place)
        except Unholdable:
            front = Front()
            listening = maybeDeferred(serverFromString(self._reactor, place.endpoint).listen, front)
            ports: list[IListeningPort] = []
            failures: list[Any] = []
            listening.addCallbacks(ports.append, failures.append)
            if failures:
                raise OSError(failures[0].getErrorMessage()) from None
            if not ports:
                raise OSError("it is not ready at once") from None
            if "backlog=" not in place.endpoint and (own := getattr(ports[0], "socket", None)):
                own.listen(BACKLOG)
            return Opened(place, front, ports[0])
        return Opened(place)
