"""What the gateway tells of itself: what is observed and configured, joined with the pages.

Layer 5.  `observe` counts, `tls` knows what runs out, `pages` show; none of them knows another.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.web.resource import Resource
from zope.interface import alsoProvides

from toolforge_gateway.config.values import Configuration
from toolforge_gateway.edge.handshakes import CAUSES
from toolforge_gateway.edge.visitor import IPersonal, visitor_of
from toolforge_gateway.interfaces import IObserver
from toolforge_gateway.measured import PoolBook, expiries, files
from toolforge_gateway.model import Kind
from toolforge_gateway.observe import catalogue, process, routes
from toolforge_gateway.observe.figures import Figures, LastReload, Recent
from toolforge_gateway.observe.health import Health
from toolforge_gateway.observe.history import History
from toolforge_gateway.observe.lag import Lag
from toolforge_gateway.observe.outlook import Outlook
from toolforge_gateway.observe.snapshot import Board
from toolforge_gateway.observe.total import Total
from toolforge_gateway.observe.traffic import Traffic
from toolforge_gateway.openapi.live import ApiState
from toolforge_gateway.pages.answers import Refuse
from toolforge_gateway.pages.frame import Frame
from toolforge_gateway.pages.home import Api, Guest, HomePage
from toolforge_gateway.pages.status import StatusPage, View
from toolforge_gateway.proxy.pool import Pool
from toolforge_gateway.reload import Outcome
from toolforge_gateway.tls.watch import RotationWatch

ALONE = "0"
"""What a process is called that has no others beside it."""


class Reloads(Protocol):
    """What is to be known of reloading; see `Reloader`."""

    last: Outcome | None
    good: int
    bad: int


class Overview:
    """Observes, and makes the pages that show it, as long as the process runs.

    :param clock: IReactorTime; its `seconds()` are POSIX time.

    :ivar observers: to be told of each exchange.
    :ivar worker: which of several processes this is.
    """

    def __init__(self, clock: IReactorTime):
        self._configuration: Configuration | None = None
        self._clock = clock
        self._documents: Callable[[], Sequence[ApiState]] = tuple
        self._began = self._adopted = clock.seconds()
        self._now_open: Callable[[], Mapping[str, int]] = dict
        self._draining: Callable[[], bool] = bool
        self._names: dict[str, str] = {}
        self._pools = PoolBook()
        self._reloads: Reloads | None = None
        self._rotation: RotationWatch | None = None
        self._lines_lost: Callable[[], int] = int
        self._traffic = Traffic(())
        self._health = Health((), self._began)
        self._history = History(self._total, clock)
        self._lag = Lag(clock)
        self._outlook = Outlook(self.figures, clock)
        self.worker = ALONE
        self.observers: tuple[IObserver, ...] = (self._traffic, self._health)

    def adopt(
        self,
        configuration: Configuration,
        documents: Callable[[], Sequence[ApiState]] = tuple,
        pools: Sequence[Pool] = (),
    ) -> None:
        """Tell of a configuration from now on; what was counted stays.

        :param documents: what is known of the APIs' documents.
        :param pools: the ways to the backends.
        """
        self._configuration = configuration
        self._documents = documents
        self._adopted = self._clock.seconds()
        names = [backend.name for backend in configuration.backends]
        self._names = {backend.path: backend.name for backend in configuration.backends}
        self._traffic.adopt(names)
        self._health.adopt(names, self._adopted)
        self._pools.adopt(pools)

    def start(
        self,
        now_open: Callable[[], Mapping[str, int]],
        draining: Callable[[], bool],
        rotation: RotationWatch | None = None,
        lines_lost: Callable[[], int] = int,
    ) -> None:
        """Begin to keep the history.

        :param now_open: what is open at the moment, by name: `connections`,
            `connections_refused` since the start, and `connections_refused_per_address`,
            `handshakes_failed_...` since the start by their cause,
            `requests_under_way`, `streams`, and the limits as `..._limit`.
        :param draining: whether the service is about to end.
        :param rotation: looks at the files of TLS.
        :param lines_lost: how many lines of the access log nobody took.
        """
        self._now_open, self._draining = now_open, draining
        self._rotation, self._lines_lost = rotation, lines_lost
        self._history.start()
        self._lag.start()

    def stop(self) -> None:
        """Keep no history any more."""
        self._history.stop()
        self._lag.stop()

    def follow(self, reloads: Reloads) -> None:
        """Tell what becomes of reloading."""
        self._reloads = reloads

    def be_one_of_several(self, worker: str, ask: Callable[[], Deferred[Figures]]) -> None:
        """Be a worker: show from now on what all of them have measured together.

        :param worker: its place among them, a small number; it stays when the process in it is
            replaced.
        :param ask: gets the sum of the figures of all, this one's among them.
        """
        self.worker = worker
        self._outlook.show(ask)

    @property
    def board(self) -> Board:
        """Where whoever has something to say of the gateway puts up a section."""
        return self._outlook.board

    def figures(self) -> Figures:
        """All that this process has measured."""
        now_open, traffic = self._now_open(), self._traffic.numbers()
        total = routes.apis(Figures(traffic))
        seconds, recent = self._history.recent(total)
        reloads, configuration = self._reloads, self._configuration
        last = None if reloads is None else reloads.last
        own: dict[str, dict[tuple[str, ...], float]] = {
            catalogue.DRAINING.name: {(): int(self._draining())},
            catalogue.WORKERS.name: {(): 1},
            catalogue.LINES_LOST.name: {(): self._lines_lost()},
            catalogue.API_DOCUMENT_STALE.name: {
                (self._names[each.path],): int(each.error is not None)
                for each in self._documents()
                if each.path in self._names
            },
            catalogue.SERVED.name: {(self.worker,): self._traffic.ended_so_far},
        }
        for name, (measure, *labels) in _OPEN.items():
            if name in now_open:
                own.setdefault(measure.name, {})[tuple(labels)] = now_open[name]
        if "connections" in now_open:
            own[catalogue.WORKER_CONNECTIONS.name] = {(self.worker,): now_open["connections"]}
        if configuration is not None:
            own[catalogue.CONFIGURATION.name] = {(configuration.version,): 1}
            own[catalogue.LOADED_AT.name] = {(): self._adopted}
        rotation = self._rotation
        if rotation is not None and rotation.looked_at is not None:
            own[catalogue.FILES_LOOKED_AT.name] = {(): rotation.looked_at}
        if reloads is not None:
            own[catalogue.RELOADS.name] = {("good",): reloads.good, ("bad",): reloads.bad}
        return Figures(
            {
                **traffic,
                **self._lag.numbers(),
                **process.numbers(self.worker, self._began),
                **self._pools.numbers(),
                **own,
            },
            self._states().states(),
            {} if rotation is None else expiries(rotation),
            None if last is None else LastReload(last.good, last.version, last.complaints, last.at),
            "" if configuration is None else str(configuration.file),
            Recent(recent.requests / seconds if seconds else None, recent),
            self._history.course(total),
            self._pools.addresses(),
            {} if rotation is None else files(rotation),
        )

    def all_figures(self) -> Figures | Deferred[Figures]:
        """What all processes have measured together, for /metrics."""
        return self._outlook.figures()

    def _total(self) -> Total:
        return routes.apis(Figures(self._traffic.numbers()))

    def pages(self, frame: Frame, text: str, refuse: Refuse) -> Mapping[str, Resource]:
        """The pages for visitors, by their first segment.

        :param text: what `/` is on a terminal.
        """
        home = HomePage(frame, self._apis, self._guest, text, self._clock.seconds, refuse)
        status = StatusPage(frame, self._view, refuse)
        for page in (home, status):
            alsoProvides(page, IPersonal)
        return {"": home, "status": status}

    def operators_page(self, frame: Frame, refuse: Refuse) -> Resource:
        """The status for those who are on this machine: everything, whoever asks."""
        return operators_page(self._outlook, frame, refuse)

    def _view(self, request: Any) -> View | Deferred[View]:
        if visitor_of(request).identity.kind is Kind.ADMIN:
            return _renewed(self._outlook, lambda: View(self.board.whole(), whole=True))
        return _renewed(self._outlook, lambda: View(self.board.public(), whole=False))

    def _guest(self, request: Any) -> Guest:
        visitor = visitor_of(request)
        identity, certificate = visitor.identity, visitor.certificate
        if certificate is None:
            return Guest(identity.kind.value, identity.name, None, None)
        subject = ", ".join(f"{kind}={value}" for kind, value in certificate.subject.attributes)
        return Guest(identity.kind.value, identity.name, subject, certificate.not_after)

    def _apis(self) -> Sequence[Api]:
        states = self._states().states()
        documents = {document.path: document for document in self._documents()}
        found = []
        for backend in self._configuration.backends if self._configuration else ():
            document = documents.get(backend.path)
            title = version = note = documented_as = None
            if document is not None:
                title, version, documented_as = document.title, document.version, document.api
                note = f"{document.api} {document.error}" if document.error else None
            found.append(
                Api(
                    path=backend.path,
                    title=title or backend.api or backend.name,
                    version=version,
                    state=states[backend.name].state.value,
                    documented_as=documented_as,
                    note=note,
                )
            )
        return found

    def _states(self) -> Health:
        """The backends' health, with what fetching their documents has shown."""
        for document in self._documents():
            if document.checked_at is not None and document.path in self._names:
                self._health.answered(self._names[document.path], document.checked_at)
        return self._health


def operators_page(outlook: Outlook, frame: Frame, refuse: Refuse) -> Resource:
    """The status with everything in it, whoever asks.

    :param outlook: of one process, or of all.
    """
    return StatusPage(
        frame,
        lambda request: _renewed(outlook, lambda: View(outlook.board.whole(), whole=True)),
        refuse,
    )


def _renewed(outlook: Outlook, view: Callable[[], View]) -> View | Deferred[View]:
    waiting = outlook.renew()
    return view() if waiting is None else waiting.addCallback(lambda _: view())


_OPEN: Mapping[str, tuple[Any, ...]] = {
    "connections": (catalogue.CONNECTIONS,),
    "connections_limit": (catalogue.CONNECTIONS_LIMIT,),
    "connections_refused": (catalogue.CONNECTIONS_REFUSED, "connections"),
    "connections_refused_per_address": (
        catalogue.CONNECTIONS_REFUSED,
        "connections_per_address",
    ),
    **{f"handshakes_failed_{cause}": (catalogue.HANDSHAKES_FAILED, cause) for cause in CAUSES},
    "requests_under_way": (catalogue.UNDER_WAY,),
    "requests_under_way_limit": (catalogue.UNDER_WAY_LIMIT,),
    "streams": (catalogue.STREAMS,),
}
"""The measure of each thing that is open, and its labels."""
