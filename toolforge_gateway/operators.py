"""The operations port while the gateway runs.  Layer 5."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs
from twisted.internet.defer import Deferred, maybeDeferred, succeed
from twisted.internet.interfaces import IListeningPort

from toolforge_gateway.config.values import Operations
from toolforge_gateway.edge.operations import operations_site
from toolforge_gateway.edge.tree import refuse
from toolforge_gateway.listen.sockets import Place, Sockets
from toolforge_gateway.openings import Opened, operators_place
from toolforge_gateway.process import Process


class OperatorsPort:
    """Is where the configuration in force wants it, or nowhere.

    :param process: what it tells of.
    """

    def __init__(self, sockets: Sockets, process: Process):
        self._sockets = sockets
        self._process = process
        self._place: Place | None = None
        self._port: IListeningPort | None = None

    def __contains__(self, place: Place) -> bool:
        return place == self._place

    def address(self) -> Any:
        """Where it is; None when there is none."""
        return None if self._port is None else self._port.getHost()

    def adopt(self, operations: Operations | None, opened: Mapping[Place, Opened]) -> None:
        """Be where this wants it; what is there already goes on.

        :param opened: where something was opened for it.
        """
        wanted = None if operations is None else operators_place(operations)
        if wanted == self._place:
            return
        self.close()
        if wanted is None:
            return
        process = self._process
        frame = attrs.evolve(process.frame, places=[("/status", "Status")])
        status = process.overview.operators_page(frame, refuse)
        site = operations_site(
            lambda: "draining" if process.leaving else None,
            process.reactor,
            status,
            frame.assets,
            process.overview.all_figures,
        )
        new = opened.get(wanted, Opened(wanted))
        if new.front is not None and new.port is not None:
            new.front.current = site
            self._port = new.port
        else:
            self._port = self._sockets.listen(wanted, site)
        self._place = wanted

    def close(self) -> Deferred[Any]:
        """Listen no more; fires when that is so."""
        place, self._place = self._place, None
        port, self._port = self._port, None
        if place is None or port is None:
            return succeed(None)
        stopped: Deferred[Any] = maybeDeferred(port.stopListening)
        if place in self._sockets:
            self._sockets.close(place)
        return stopped
