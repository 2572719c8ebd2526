"""The listening sockets that a supervisor holds, for its workers and for the operations port."""

from __future__ import annotations

from collections.abc import Mapping
from socket import socket as Socket
from typing import Any

from toolforge_gateway.config.values import Configuration, Listener, Operations
from toolforge_gateway.listen.sockets import Place, Sockets, places
from toolforge_gateway.openings import Opened, Openings, operators_place


class Held:
    """Opens what configurations want, and closes what none wants any more.

    :param sockets: that are open already.
    :param reactor: IReactorSocket.
    """

    def __init__(self, sockets: Sockets, reactor: Any):
        self.sockets = sockets
        self._openings = Openings(sockets, reactor)

    def open(self, configuration: Configuration) -> tuple[Opened, ...]:
        """Open what is not open yet.

        :raise ConfigurationError: with all that cannot be had; nothing new is open then.
        """
        # Whether workers can share it is looked at by `config`.
        return self._openings.open(_wanted(configuration).items(), lambda place, listener: False)

    def close(self, opened: tuple[Opened, ...]) -> None:
        """Close again what nobody uses after all."""
        self._openings.close(opened)

    def keep(self, configuration: Configuration) -> None:
        """Close all that this one does not want; workers have it as long as they accept there."""
        wanted = _wanted(configuration)
        for place in tuple(self.sockets.held()):
            if place not in wanted:
                self.sockets.close(place)

    def of_workers(self, configuration: Configuration) -> Mapping[Place, Socket]:
        """What a worker listens on."""
        return {place: self.sockets.socket(place) for place in _of_clients(configuration)}

    def turn_away(self, configuration: Configuration) -> None:
        """Close the sockets of clients, and no other; workers have theirs as long as they
        accept."""
        for place in _of_clients(configuration):
            if place in self.sockets:
                self.sockets.close(place)


def _of_clients(configuration: Configuration) -> tuple[Place, ...]:
    return places(listener.endpoint for listener in configuration.listen)


def _wanted(configuration: Configuration) -> dict[Place, Listener | Operations]:
    wanted: dict[Place, Listener | Operations] = dict(
        zip(_of_clients(configuration), configuration.listen, strict=True)
    )
    if configuration.operations is not None:
        wanted[operators_place(configuration.operations)] = configuration.operations
    return wanted
