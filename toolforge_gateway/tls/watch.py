"""Looks again and again at all files of the configuration in force that have to do with TLS.

What is new and good is taken up as a whole; what is bad is said, and leaves what is in force.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import attrs
from twisted.internet.defer import Deferred, ensureDeferred
from twisted.logger import Logger

from toolforge_gateway.deadlines import Deadlines
from toolforge_gateway.errors import Complaint
from toolforge_gateway.tls import validity
from toolforge_gateway.tls.client import UpstreamSide
from toolforge_gateway.tls.expiry import ExpiryWarnings
from toolforge_gateway.tls.held import Held, State
from toolforge_gateway.tls.server import ServerSide
from toolforge_gateway.tls.validity import Validity

log = Logger()
Offload = Callable[[Callable[[], Any]], Deferred[Any]]

INTERVAL = 3.0
"""Seconds between two looks at the files."""
_LOOK_AT_ENDS = 60.0
"""Seconds between two looks at what runs out."""
_BROKEN = 60.0
"""Seconds until files are looked at again whose reading broke in a way that nobody thought of."""


@attrs.frozen
class Watched:
    """One end of TLS, and who wants to know when it has changed."""

    where: str
    """What a listener is called; not used for the side towards backends."""
    side: ServerSide | UpstreamSide
    changed: Callable[[], object]
    """Called on the reactor's thread when `take_up` says so."""


class RotationWatch:
    """Has files taken up that were replaced.  It lasts as long as the process.

    :param deadlines: its clock shows POSIX time.
    :param offload: runs a function elsewhere than on the reactor's thread: a revocation list of a
        hundred thousand entries is a second's work.
    :ivar looked_at: POSIX seconds of the last look that came to its end; None before the first.
    """

    def __init__(self, deadlines: Deadlines, offload: Offload):
        self.deadline: float | None = None
        self.looked_at: float | None = None
        self._deadlines = deadlines
        self._offload = offload
        self._watched: tuple[Watched, ...] = ()
        self._looking: Deferred[None] | None = None
        self._expiry = ExpiryWarnings()
        self._ends_looked_at: float | None = None

    def adopt(self, watched: Iterable[Watched]) -> None:
        """Watch these from now on, and no others."""
        self._watched = tuple(watched)
        self._ends_looked_at = None
        self.deadline = self._deadlines.seconds() + INTERVAL
        self._deadlines.watch(self)
        self._look_at_ends()

    def stop(self) -> None:
        """Look no more; what is being read is not taken up."""
        self._watched = ()
        self._deadlines.forget(self)

    def states(self) -> Sequence[tuple[str, State]]:
        """How it stands with all files, and which end of TLS they belong to: what a listener is
        called, or "upstream"."""
        return [
            ("upstream" if isinstance(each.side, UpstreamSide) else each.where, held.state())
            for each in self._watched
            for held in each.side.parts
        ]

    def what_runs_out(self) -> Sequence[Validity]:
        """All certificates and lists that are in force, each once."""
        found: list[Validity] = []
        for each in self._watched:
            if isinstance(each.side, UpstreamSide):
                found += validity.of_upstream(each.side)
            else:
                found += validity.of_listener(each.where, each.side)
        return validity.once_each(found)

    def deadline_passed(self) -> None:
        """Called by `Deadlines`."""
        self.deadline = self._deadlines.seconds() + INTERVAL
        if self._looking is None:
            self._looking = looking = ensureDeferred(self._look())
            looking.addErrback(self._broke).addCallback(self._looked)

    async def _look(self) -> None:
        """One round; only `stat` is asked as long as nothing has changed."""
        now = self._deadlines.seconds()
        watched = self._watched
        due = [each for each in watched if any(part.is_due(now) for part in each.side.parts)]
        if due:
            changes = await self._offload(lambda: [each.side.prepare() for each in due])
            if self._watched is not watched:
                return  # There was a reload meanwhile: it has read the same files.
            taken_up = set()
            for each, change in zip(due, changes, strict=True):
                before = {part: part.since for part in each.side.parts}
                if each.side.take_up(change):
                    each.changed()
                taken_up |= {_news(part) for part, at in before.items() if part.since != at}
            for line in sorted(taken_up):
                log.info("{line}", line=line)
            if taken_up:
                self._ends_looked_at = None
        self._complain()
        self._look_at_ends()
        self.looked_at = self._deadlines.seconds()

    def _complain(self) -> None:
        """Say what is wrong, once where listeners share a line of the configuration."""
        now = self._deadlines.seconds()
        complaints: dict[Complaint, None] = {}
        recovered: dict[str, None] = {}
        for each in self._watched:
            for part in each.side.parts:
                complaints.update(dict.fromkeys(part.complaints_due(now)))
                if part.recovery_due():
                    recovered[_line(part, f"{part.name} is good again")] = None
        for line in recovered:
            log.info("{line}", line=line)
        for complaint in complaints:
            log.error(
                "{complaint} (until then what was read before stays in force)", complaint=complaint
            )

    def _look_at_ends(self) -> None:
        now = self._deadlines.seconds()
        last = self._ends_looked_at
        if last is None or not 0 <= now - last < _LOOK_AT_ENDS:
            self._ends_looked_at = now
            self._expiry.look(self.what_runs_out(), now)

    def _broke(self, failure: Any) -> None:
        log.failure("certificates, keys and lists could not be looked at", failure)
        self.deadline = self._deadlines.seconds() + _BROKEN

    def _looked(self, _: object) -> None:
        self._looking = None


def _news(part: Held[Any]) -> str:
    ends = datetime.fromtimestamp(part.ends, UTC)
    return _line(part, f"new {part.name} in force, until {ends:%Y-%m-%d %H:%M} UTC")


def _line(part: Held[Any], what: str) -> str:
    files = ", ".join(str(setting.path) for setting in part.settings)
    return f"{part.settings[0].origin.path}: {what}, from {files}"
