"""Whom a supervisor tells what, and who need not be real in its tests."""

from __future__ import annotations

from typing import Any, Protocol

from twisted.internet.defer import Deferred

from toolforge_gateway.listen.sockets import Place, Sockets
from toolforge_gateway.workers.member import Member


class IsToldOfAll(Protocol):
    """Who keeps what the workers measure."""

    def told(self, member: Member, figures: bytes) -> None:
        """One has measured this, see `observe.figures`."""

    def whole(self) -> bytes:
        """What all have measured together."""
        ...

    def gone(self, member: Member) -> None:
        """One has ended."""


class Operators(Protocol):
    """Who serves the operations port."""

    def serve(self, place: Place | None, sockets: Sockets) -> None:
        """Serve there from now on, and nowhere else; None: nowhere."""

    def stop(self) -> Deferred[Any]:
        """Serve no more; fires when the port is closed."""
        ...
