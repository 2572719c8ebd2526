"""The access log: a line for each exchange, handed on to where `observe.sinks` leads."""

from __future__ import annotations

from collections.abc import Callable

from zope.interface import implementer

from toolforge_gateway.interfaces import IObserver
from toolforge_gateway.model import Exchange
from toolforge_gateway.observe.lines import Form
from toolforge_gateway.observe.sinks import Sink


def at_once(call: Callable[[], None]) -> None:
    """Wait for nothing."""
    call()


@implementer(IObserver)
class AccessLog:
    """Writes the lines.

    Those that were said in one turn of the reactor are handed on together: one write is enough
    for them, and a busy gateway has several in each turn.

    :param sink: where they go.
    :param after: calls back when the turn is over; at once if there is none.
    """

    def __init__(self, sink: Sink, after: Callable[[Callable[[], None]], object] = at_once):
        self._sink = sink
        self._after = after
        self._lines: list[str] = []
        self._lost_before = 0
        self._form: Form = self._first

    def ended(self, exchange: Exchange) -> None:
        """See `IObserver`."""
        lines = self._lines
        lines.append(self._form(exchange))
        if len(lines) == 1:
            self._after(self.flush)

    def flush(self) -> None:
        """Hand on what there is, now."""
        if self._lines:
            lines, self._lines = self._lines, []
            self._sink.write(lines)

    def take(self, sink: Sink) -> None:
        """Lead the lines elsewhere from now on; those of before go to where they were to go, and
        that is closed."""
        self.flush()
        before, self._sink = self._sink, sink
        self._form = self._first
        before.close()
        self._lost_before += before.lost

    def reopen(self) -> None:
        """Open the file anew under its name, or connect anew; what was said before goes to where it
        was to go.  What cannot be opened is said in the log, and the lines go on as before."""
        self.flush()
        self._sink.reopen()

    def close(self) -> None:
        """Nothing is left to be told."""
        self.flush()
        self._sink.close()

    @property
    def lost(self) -> int:
        """Lines that could not be written, since the process began."""
        return self._lost_before + self._sink.lost

    def _first(self, exchange: Exchange) -> str:
        """What lines look like may be known only when there is one."""
        self._form = self._sink.form()
        return self._form(exchange)
