"""What the workers have measured, together, and the operations port that shows it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import attrs
from twisted.internet.defer import Deferred, maybeDeferred, succeed
from twisted.internet.interfaces import IListeningPort, IReactorTime
from twisted.logger import Logger

from toolforge_gateway.edge.operations import operations_site
from toolforge_gateway.edge.tree import refuse
from toolforge_gateway.listen.sockets import Place, Sockets
from toolforge_gateway.observe import catalogue, process
from toolforge_gateway.observe.figures import Figures, LastReload, Ledger
from toolforge_gateway.observe.outlook import Outlook
from toolforge_gateway.overview import Reloads, operators_page
from toolforge_gateway.pages.assets import Assets
from toolforge_gateway.pages.frame import Frame
from toolforge_gateway.workers.member import Member

log = Logger()

SUPERVISOR = "supervisor"
"""What it is called among the processes that are measured."""


class Leads(Protocol):
    """What is to be known of a supervisor."""

    @property
    def count(self) -> int:
        """How many workers there are to be."""

    @property
    def generation(self) -> int:
        """Which generation of workers serves; the first is 1."""

    @property
    def deaths(self) -> int:
        """How many workers have ended without being asked to."""


class Records:
    """Keeps what each worker has told last, and what those have counted that have ended.

    :param clock: IReactorTime.
    """

    def __init__(self, clock: IReactorTime):
        self._began = clock.seconds()
        self._ledger = Ledger()
        self._reloads: Reloads | None = None
        self._leads: Leads | None = None

    def watch(self, leads: Leads) -> None:
        """Tell of those who are led."""
        self._leads = leads

    def follow(self, reloads: Reloads) -> None:
        """Tell what becomes of reloading."""
        self._reloads = reloads

    def told(self, member: Member, figures: bytes) -> None:
        """See `roles.IsToldOfAll`."""
        try:
            self._ledger.told(member.serial, Figures.unpack(figures))
        except ValueError as error:
            log.error("{name} has told nonsense: {error}", name=member.name, error=error)

    def gone(self, member: Member) -> None:
        """See `roles.IsToldOfAll`."""
        self._ledger.gone(member.serial)

    def whole(self) -> bytes:
        """See `roles.IsToldOfAll`."""
        return self.figures().pack()

    def figures(self) -> Figures:
        """What all have measured together, the supervisor with them."""
        reloads, leads = self._reloads, self._leads
        own: dict[str, Any] = dict(process.numbers(SUPERVISOR, self._began))
        if leads is not None:
            own[catalogue.WORKERS_WANTED.name] = {(): leads.count}
            own[catalogue.WORKER_DEATHS.name] = {(): leads.deaths}
            own[catalogue.GENERATION.name] = {(): leads.generation}
        last = None
        if reloads is not None:
            own[catalogue.RELOADS.name] = {("good",): reloads.good, ("bad",): reloads.bad}
            if reloads.last is not None:
                done = reloads.last
                last = LastReload(done.good, done.version, done.complaints, done.at)
        return self._ledger.whole(Figures(own, last_reload=last))


class OperatorsPort:
    """Serves the operations port for all.

    :param figures: what all have measured together.
    :param hindrance: why no requests are taken, in a word; None: they are.
    :param reactor: IReactorTime.
    """

    def __init__(
        self, figures: Callable[[], Figures], hindrance: Callable[[], str | None], reactor: Any
    ):
        self._figures = figures
        self._hindrance = hindrance
        self._reactor = reactor
        self._outlook = Outlook(figures, reactor)
        self._frame = attrs.evolve(
            Frame(Assets("/docs/assets", refuse)), places=[("/status", "Status")]
        )
        self._ports: Mapping[Place, IListeningPort] = {}

    def serve(self, place: Place | None, sockets: Sockets) -> None:
        """See `roles.Operators`."""
        if place is not None and place in self._ports:
            return
        former, self._ports = self._ports, {}
        for port in former.values():
            port.stopListening()
        if place is not None:
            page = operators_page(self._outlook, self._frame, refuse)
            site = operations_site(
                self._hindrance, self._reactor, page, self._frame.assets, self._figures
            )
            self._ports = {place: sockets.listen(place, site)}

    def address(self) -> Any:
        """Where it is; None when there is none."""
        for port in self._ports.values():
            return port.getHost()
        return None

    def stop(self) -> Deferred[Any]:
        """See `roles.Operators`."""
        former, self._ports = self._ports, {}
        for port in former.values():
            return maybeDeferred(port.stopListening)
        return succeed(None)
