"""What the gateway tells of itself: what is observed and configured, joined with the pages.

Layer 5.  `observe` counts, `tls` knows what runs out, `pages` show; none of them knows another.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from twisted.internet.interfaces import IReactorTime
from twisted.web.resource import Resource
from zope.interface import alsoProvides

from toolforge_gateway._version import __version__
from toolforge_gateway.config.values import Configuration
from toolforge_gateway.edge.visitor import IPersonal, visitor_of
from toolforge_gateway.interfaces import IObserver
from toolforge_gateway.model import Kind
from toolforge_gateway.observe import sections
from toolforge_gateway.observe.health import Health
from toolforge_gateway.observe.history import History
from toolforge_gateway.observe.snapshot import Board, Section
from toolforge_gateway.observe.traffic import Traffic
from toolforge_gateway.openapi.live import ApiState
from toolforge_gateway.pages.answers import Refuse
from toolforge_gateway.pages.frame import Frame
from toolforge_gateway.pages.home import SOON, Api, Guest, HomePage, days_left
from toolforge_gateway.pages.status import StatusPage, View
from toolforge_gateway.parts import Parts
from toolforge_gateway.tls import validity

_LIST_SOON = 1
"""Days: revocation lists are short-lived, and made anew every few days."""


class Overview:
    """Observes, and makes the pages that show it, as long as the process runs.

    :param clock: IReactorTime; its `seconds()` are POSIX time.

    :ivar observers: to be told of each exchange.
    :ivar board: where whoever has something to say of the gateway puts up a section.
    """

    def __init__(self, clock: IReactorTime):
        self._configuration: Configuration | None = None
        self._clock = clock
        self._documents: Callable[[], Sequence[ApiState]] = tuple
        self._began = self._adopted = clock.seconds()
        self._now_open: Callable[[], Mapping[str, int]] = dict
        self._draining: Callable[[], bool] = bool
        self._names: dict[str, str] = {}
        self._certificates: Callable[[], Sequence[Mapping[str, Any]]] = tuple
        self._traffic = Traffic(())
        self._health = Health((), self._began)
        self._history = History(self._traffic, clock)
        self.observers: tuple[IObserver, ...] = (self._traffic, self._health)
        self.board = Board(clock)
        for section in (
            sections.backends(self._states),
            sections.last_minute(self._history, self._open),
            sections.last_hour(self._history),
            sections.routes(self._traffic),
            sections.refusals(self._traffic),
            Section("certificates", "Certificates", self._what_runs_out),
            Section("gateway", "Gateway", self._gateway, frozenset(["state"])),
        ):
            self.board.add(section)

    def adopt(
        self,
        configuration: Configuration,
        loaded: Parts,
        documents: Callable[[], Sequence[ApiState]] = tuple,
    ) -> None:
        """Tell of a configuration from now on; what was counted stays.

        :param loaded: the parts of the same configuration.
        :param documents: what is known of the APIs' documents.
        """
        self._configuration = configuration
        self._documents = documents
        self._adopted = self._clock.seconds()
        names = [backend.name for backend in configuration.backends]
        self._names = {backend.path: backend.name for backend in configuration.backends}
        self._traffic.adopt(names)
        self._health.adopt(names, self._adopted)
        self._certificates = _Certificates(configuration, loaded, self._clock)

    def start(
        self, now_open: Callable[[], Mapping[str, int]], draining: Callable[[], bool]
    ) -> None:
        """Begin to keep the history.

        :param now_open: what is open at the moment, by name.
        :param draining: whether the service is about to end.
        """
        self._now_open, self._draining = now_open, draining
        self._history.start()

    def stop(self) -> None:
        """Keep no history any more."""
        self._history.stop()

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
        return StatusPage(frame, lambda request: View(self.board.whole(), whole=True), refuse)

    def _what_runs_out(self) -> Sequence[Mapping[str, Any]]:
        return self._certificates()  # others from `adopt` on

    def _open(self) -> Mapping[str, int]:
        return self._now_open()  # another one from `start` on

    def _view(self, request: Any) -> View:
        if visitor_of(request).identity.kind is Kind.ADMIN:
            return View(self.board.whole(), whole=True)
        return View(self.board.public(), whole=False)

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

    def _gateway(self) -> Mapping[str, Any]:
        now = self._clock.seconds()
        return {
            "state": "draining" if self._draining() else "running",
            "version": __version__,
            "started_at": self._began,
            "uptime_seconds": now - self._began,
            "configuration": str(self._configuration.file) if self._configuration else None,
            "configuration_version": self._configuration.version if self._configuration else None,
            "configuration_loaded_at": self._adopted,
        }


class _Certificates:
    """The section of what runs out."""

    def __init__(self, configuration: Configuration, loaded: Parts, clock: IReactorTime):
        self._sides = [
            (listener.endpoint, side)
            for listener, side in zip(configuration.listen, loaded.listeners, strict=True)
        ]
        self._upstream = () if loaded.upstream is None else validity.of_upstream(loaded.upstream)
        self._clock = clock

    def __call__(self) -> Sequence[Mapping[str, Any]]:
        # Each time anew: revocation lists are replaced while we run.
        found = [each for where, side in self._sides for each in validity.of_listener(where, side)]
        now = self._clock.seconds()
        return [_runs_out(each, now) for each in validity.once_each([*found, *self._upstream])]


def _runs_out(what: validity.Validity, now: float) -> Mapping[str, Any]:
    left = None if what.ends is None else days_left(what.ends, now)
    soon = _LIST_SOON if what.kind == "revocation-list" else SOON
    if left is None:
        state = "missing"
    elif left < 0:
        state = "expired"
    else:
        state = "soon" if left <= soon else "good"
    return {
        "name": what.name,
        "state": state,
        "days_left": left,
        "ends_at": what.ends if what.ends is None or math.isfinite(what.ends) else None,
        "subject": what.subject,
    }
