"""A client's connection below HTTP: why it is not read from, how long it may take, how it ends."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from twisted.internet.protocol import Protocol

if TYPE_CHECKING:
    from toolforge_gateway.transport.interfaces import ISecureTransport

LINGER = 5.0
"""Seconds in which a client may still read, and send in vain, after the last
answer; closing at once could destroy the answer on its way (RFC 9112
section 9.6)."""

_NO_HOLDS: frozenset[str] = frozenset()


class Wire(Protocol):
    """What there is to a connection whatever is said on it.

    It is closed in steps, each of which has its time: what was written goes out; the client closes
    its side; then it is cut.

    :param seconds: POSIX seconds, by the gateway's clock.
    :ivar deadline: see `deadlines.Watched`.
    """

    def __init__(self, seconds: Callable[[], float]):
        self.seconds = seconds
        self.deadline: float | None = None
        self._holds = _NO_HOLDS
        self._output_full = False
        self._ends_when_out = False
        self._wire_closed = False

    def write(self, data: bytes) -> None:
        """Send bytes."""
        self.transport.write(data)

    def pour(self, transport: ISecureTransport, most: int) -> int:
        """Send bytes, straight from where they come.

        :return: how many.
        """
        poured: int = transport.pour(self.transport, most)
        return poured

    def hold(self, why: str, wanted: bool) -> bool:
        """Stop reading from the client for a reason, or end that reason.

        :return: whether it made a difference: there may be other reasons.
        """
        held = bool(self._holds)
        if wanted:
            self._holds |= {why}
        else:
            self._holds -= {why}
        if bool(self._holds) == held:
            return False
        if self._holds:
            self.transport.pauseProducing()
        else:
            self.transport.resumeProducing()
        return True

    def abort(self) -> None:
        """Close at once."""
        self.transport.abortConnection()

    def _end(self, patience: float) -> None:
        """Close in good order: what was written goes out, then close_notify,
        and the client is given `LINGER` to close its side.

        :param patience: seconds for the first; then it is to be asked again.
        """
        self._ends_when_out = self._output_full
        if self._output_full:
            self._due_in(patience)
            return
        if self._holds:
            self._holds = _NO_HOLDS
            self.transport.resumeProducing()
        self.transport.unregisterProducer()
        self.transport.loseConnection()
        self._due_in(LINGER)

    def _end_wire(self) -> None:
        """Close without close_notify, once what was written is out."""
        self._ends_when_out = False
        self._wire_closed = True
        self.transport.close_wire()
        self._due_in(LINGER)

    def _end_harder(self) -> None:
        """The time for a step of the end is over: take the next."""
        if self._wire_closed:
            self.abort()
        else:
            self._end_wire()

    def _due_in(self, seconds: float) -> None:
        self.deadline = self.seconds() + seconds
