"""The heads of the requests of one connection."""

from __future__ import annotations

from toolforge_gateway.edge.clearance import LONGEST, ROOM, Clearance
from toolforge_gateway.http.head import HeadLimits, HeadReader
from toolforge_gateway.http.known import has_secrets


class Heads:
    """Collects heads from the pieces in which they come, and remembers what
    became of those that may come again.

    :param limits: of heads.
    :ivar rest: what came after the last complete head, not looked at.
    """

    __slots__ = ("_limits", "_reader", "_repeats", "rest")

    def __init__(self, limits: HeadLimits):
        self.rest = b""
        self._limits = limits
        self._reader: HeadReader | None = None  # while a head comes in pieces
        self._repeats: dict[bytes, Clearance] | None = None

    @property
    def begun(self) -> bool:
        """Whether anything of a head has come that is not complete."""
        return self._reader is not None and self._reader.started

    def feed(self, data: bytes) -> bytes | None:
        """The head that these bytes complete, if they do.

        :raise BadMessage: no further byte could make a head of them.
        """
        self.rest = b""
        if self._reader is None:
            # Nearly all heads come by themselves and in one piece.
            if (
                len(data) <= self._limits.request_line
                and data.find(b"\r\n\r\n", 2) == len(data) - 4 > 0
            ):
                return data
            self._reader = HeadReader(self._limits)
        raw = self._reader.feed(data)
        if raw is not None:
            self.rest = self._reader.rest
            self._reader = None
        return raw

    def find(self, data: bytes) -> Clearance | None:
        """What became of a request with this very head, if it may be used again."""
        if not self._repeats or self._reader is not None:
            return None
        return self._repeats.get(data)

    def remember(self, raw: bytes, started: object) -> None:
        """Keep what is known of a request, in case it is sent again.

        :param started: a `Clearance`, or something that holds for this request alone.
        """
        if self._repeats is None:
            self._repeats = {}  # Most clients ask once: begin with the second.
        elif (
            isinstance(started, Clearance)
            and started.repeatable
            and len(raw) <= LONGEST
            and not has_secrets(started.head)
        ):
            if len(self._repeats) >= ROOM:
                self._repeats.clear()
            self._repeats[raw] = started

    def forget(self) -> None:
        """The rules have changed: each request is to be looked at anew."""
        self._repeats = None
