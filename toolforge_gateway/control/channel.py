"""AMP as our channels want it: it says nothing in the log, and bears a mistake."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.protocols.amp import AMP, ASK, UNKNOWN_ERROR_CODE, BinaryBoxProtocol, RemoteAmpError
from twisted.python.failure import Failure

log = Logger()


class Channel(AMP):
    """One end.

    By itself AMP has a line in the log for each connection that comes and goes, where ours come
    and go with each question; and it hangs up on whoever asked something that could not be
    answered, where a worker would lose its supervisor by that.
    """

    def makeConnection(self, transport: Any) -> None:
        """See `Protocol`."""
        BinaryBoxProtocol.makeConnection(self, transport)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """See `Protocol`."""
        BinaryBoxProtocol.connectionLost(self, reason)
        self.transport: Any = None

    def locateResponder(self, name: bytes) -> Callable[[Any], Any] | None:
        """See `IResponderLocator`."""
        responder = super().locateResponder(name)
        if responder is None:
            return None

        def respond(box: Any) -> Deferred[Any]:
            return maybeDeferred(responder, box).addErrback(_failed, name, ASK in box)

        return respond


def _failed(failure: Failure, name: bytes, awaited: bool) -> Failure | None:
    if failure.check(RemoteAmpError):
        return failure
    log.failure("{what} failed", failure, what=name.decode("ascii", "replace"))
    if not awaited:
        return None
    return Failure(RemoteAmpError(UNKNOWN_ERROR_CODE, name + b" failed there; its log says more"))
