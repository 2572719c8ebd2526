"""The status of one process or of many: a board over figures that may have to be asked for."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import Deferred, maybeDeferred, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from toolforge_gateway.observe import snapshot
from toolforge_gateway.observe.figures import Figures
from toolforge_gateway.observe.sections import sections
from toolforge_gateway.observe.snapshot import Board

log = Logger()

PATIENCE = 2.0
"""Seconds for figures to come from another process; a page that says less is better than none."""


class Outlook:
    """Gets the figures when somebody looks, and no more often than they are shown.

    :param own: tells the figures of this process.
    :param clock: IReactorTime; its `seconds()` are POSIX time.

    :ivar board: the sections of the status, to which others may be added.
    """

    def __init__(self, own: Callable[[], Figures], clock: IReactorTime):
        self._own = own
        self._clock = clock
        self._ask: Callable[[], Deferred[Figures]] | None = None
        self._waiting: list[Deferred[None]] = []
        self._latest: tuple[float, Figures] | None = None
        self.board = Board(clock)
        for section in sections(self._shown, clock.seconds):
            self.board.add(section)

    def show(self, ask: Callable[[], Deferred[Figures]]) -> None:
        """Show from now on what all processes have measured together.

        :param ask: gets their figures, this process's among them.
        """
        self._ask = ask

    def figures(self) -> Figures | Deferred[Figures]:
        """How it is at this moment.

        :return: a Deferred where others have to be asked; if they do not answer it gives the
            figures of this process alone.
        """
        return self._own() if self._ask is None else self._asked()

    def renew(self) -> Deferred[None] | None:
        """See to it that what the board shows is as it is now.

        :return: None when that is so; otherwise wait for it, it never fails.
        """
        if self._ask is None or self._is_fresh():
            return None
        waiting: Deferred[None] = Deferred()
        self._waiting.append(waiting)
        # However many look, one question is under way.
        if len(self._waiting) == 1:
            self._asked().addCallback(self._renewed)
        return waiting

    def _renewed(self, figures: Figures) -> None:
        self._latest = self._clock.seconds(), figures
        waiting, self._waiting = self._waiting, []
        for each in waiting:
            each.callback(None)

    def _shown(self) -> Figures:
        latest = self._latest
        if latest is None or (self._ask is None and not self._is_fresh()):
            latest = self._latest = self._clock.seconds(), self._own()
        return latest[1]

    def _asked(self) -> Deferred[Figures]:
        """What all processes have measured together; it never fails."""
        if self._ask is None:
            return succeed(self._own())
        asked = maybeDeferred(self._ask)
        return asked.addTimeout(PATIENCE, self._clock).addErrback(self._alone)

    def _is_fresh(self) -> bool:
        if self._latest is None:
            return False
        return 0 <= self._clock.seconds() - self._latest[0] < snapshot.FRESH

    def _alone(self, failure: Failure) -> Figures:
        log.warn(
            "the figures of all processes cannot be had ({why}): those of this one are shown",
            why=failure.getErrorMessage() or repr(failure.value),
        )
        return self._own()
