"""One attempt to connect to one address: from TCP to the end of the TLS handshake."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectingCancelledError
from twisted.internet.protocol import Factory
from twisted.python.failure import Failure
from zope.interface import implementer

from toolforge_gateway.errors import BackendFailure
from toolforge_gateway.proxy import failures
from toolforge_gateway.proxy.connection import UpstreamConnection
from toolforge_gateway.proxy.interfaces import IBorrower

if TYPE_CHECKING:
    from toolforge_gateway.proxy.pool import Pool
    from toolforge_gateway.proxy.upstream import Upstream


@implementer(IBorrower)
class Attempt:
    """Ends in exactly one of `done`, `failed` and `cancel`; nothing of a request is written.

    :param done: called with the connection, which is nobody's then.
    :param failed: called with a `BackendFailure` and, for the log, what went wrong.
    """

    def __init__(
        self,
        pool: Pool,
        upstream: Upstream,
        done: Callable[[UpstreamConnection], None],
        failed: Callable[[BackendFailure, object], None],
    ):
        self._pool = pool
        self._upstream = upstream
        self._done = done
        self._failed = failed
        self._connection: UpstreamConnection | None = None
        self._dialling: Deferred[object] | None = None
        self._over = False

    def start(self, timeout: float) -> None:
        """Begin.

        :param timeout: seconds for TCP, lest a hidden default be shorter or longer.
        """
        self._upstream.open += 1
        dialling = self._upstream.connect(_Building(self._pool, self._upstream, self), timeout)
        self._dialling = dialling
        dialling.addErrback(self._not_dialled)

    def cancel(self) -> None:
        """Nobody wants it any more."""
        if self._over:
            return
        self._over = True
        if self._connection is not None:
            self._connection.abort()
        elif self._dialling is not None:
            self._dialling.cancel()

    # What `UpstreamConnection` and the dial report.

    def dialled(self, connection: UpstreamConnection) -> None:
        """See `IBorrower`."""
        if self._over:
            connection.abort()
        else:
            self._connection = connection

    def connected(self, connection: UpstreamConnection) -> None:
        """See `IBorrower`."""
        if not self._over:
            self._over = True
            connection.current = None
            self._done(connection)

    def received(self, data: bytes) -> None:
        """See `IBorrower`; nothing comes before the handshake is over."""

    def lost(self, reason: Failure) -> None:
        """See `IBorrower`."""
        if not self._over:
            self._over = True
            self._failed(failures.handshake_failed(self._pool.name), reason.value)

    def backend_full(self) -> None:
        """See `IBorrower`; nothing is written here."""

    def backend_ready(self) -> None:
        """See `IBorrower`."""

    def _not_dialled(self, reason: Failure) -> None:
        self._upstream.open -= 1
        if not self._over and not reason.check(CancelledError, ConnectingCancelledError):
            self._over = True
            self._failed(failures.dial_failed(self._pool.name, reason), reason.value)


class _Building(Factory):
    noisy = False

    def __init__(self, pool: Pool, upstream: Upstream, attempt: Attempt):
        self._pool = pool
        self._upstream = upstream
        self._attempt = attempt

    def buildProtocol(self, addr: object) -> UpstreamConnection:
        return UpstreamConnection(self._pool, self._attempt, self._upstream)
