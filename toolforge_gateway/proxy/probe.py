"""Asks one address whether it is there, apart from all requests.

Without a path it is enough that TCP and mutual TLS come about.  With one a GET is sent, read by
the same strict grammar as every answer, and the status decides.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from zope.interface import implementer

from toolforge_gateway._version import __version__
from toolforge_gateway.config.values import Timeouts
from toolforge_gateway.errors import BackendFailure, Refusal
from toolforge_gateway.http import write
from toolforge_gateway.http.head import HeadLimits
from toolforge_gateway.http.known import KnownAnswers
from toolforge_gateway.http.message import Framing, ResponseHead
from toolforge_gateway.interfaces import IAnswer
from toolforge_gateway.proxy.attempt import Attempt
from toolforge_gateway.proxy.forwarding import Forwarding
from toolforge_gateway.proxy.outgoing import Outgoing

if TYPE_CHECKING:
    from toolforge_gateway.proxy.connection import UpstreamConnection
    from toolforge_gateway.proxy.pool import Pool
    from toolforge_gateway.proxy.upstream import Upstream

MOST = 64 * 1024
"""Bytes of an answer's body that are listened to; the status has come long before."""


@implementer(IAnswer)
class Probe:
    """One question, over a connection of its own that takes no place.

    :param path: what to GET, base path included; None: only connect.
    :param timeout: seconds for all of it.
    :param done: called once with "" when it went well, else with a reason word.
    """

    def __init__(
        self,
        pool: Pool,
        upstream: Upstream,
        path: str | None,
        timeout: float,
        done: Callable[[str], None],
    ):
        self._pool = pool
        self._path = path
        self._done = done
        self._deadlines = pool.deadlines
        self._forwarding: Forwarding | None = None
        self._status = 0
        self._size = 0
        self._over = False
        self.deadline: float | None = self._deadlines.seconds() + timeout
        self._timeout = timeout
        self._attempt = Attempt(pool, upstream, self._connected, self._not_connected)

    def start(self) -> None:
        """Ask."""
        self._deadlines.watch(self)
        self._attempt.start(self._timeout + 1)

    def stop(self) -> None:
        """Nobody wants to know any more."""
        self._finish()
        self._attempt.cancel()
        if self._forwarding is not None:
            self._forwarding.abort()

    def deadline_passed(self) -> None:
        """Called by `Deadlines`."""
        self.stop()
        self._done("backend-connect-timeout" if self._forwarding is None else "backend-timeout")

    def _connected(self, connection: UpstreamConnection) -> None:
        if self._path is None:
            connection.close()
            self._tell("")
            return
        backend = self._pool.backend
        lines = write.lines(
            [
                (b"Host", backend.url.authority.encode("ascii")),
                (b"User-Agent", f"toolforge-gateway/{__version__} (check)".encode("ascii")),
                (b"Accept", b"*/*"),
                (b"Connection", b"close"),
            ]
        )
        outgoing = Outgoing(
            backend=self._pool.name,
            pool=_Lent(connection),
            deadlines=self._deadlines,
            # Ours is the only deadline.
            timeouts=Timeouts(response_head=2 * self._timeout, response_idle=2 * self._timeout),
            method=b"GET",
            head=write.request_so_far(b"GET", self._path.encode("ascii"), lines),
            body=Framing.NONE,
            answers=KnownAnswers(HeadLimits()),
            answer_lines=lambda head: b"",
        )
        self._forwarding = Forwarding(outgoing, f"check-{self._pool.name}", self)
        self._forwarding.start()

    def _not_connected(self, failure: BackendFailure, detail: object) -> None:
        self._tell(failure.reason)

    def _tell(self, reason: str) -> None:
        if not self._over:
            self._finish()
            self._done(reason)

    def _judge(self) -> None:
        self._tell("" if 200 <= self._status < 400 else f"status-{self._status}")

    def _finish(self) -> None:
        self._over = True
        self.deadline = None
        self._deadlines.forget(self)

    # `IAnswer`.

    def informational(self, head: ResponseHead) -> None:
        """See `IAnswer`."""

    def begin(self, head: ResponseHead, lines: bytes) -> None:
        """See `IAnswer`."""
        self._status = head.status

    def whole(self, head: ResponseHead, lines: bytes, body: bytes) -> None:
        """See `IAnswer`."""
        self._status = head.status
        self._judge()

    def data(self, payload: bytes) -> None:
        """See `IAnswer`."""
        self._size += len(payload)

    def flush(self) -> None:
        """See `IAnswer`."""
        if self._size > MOST and not self._over:
            self._judge()
            if self._forwarding is not None:
                self._forwarding.abort()

    def pour(self, transport: Any, most: int) -> int:
        """See `IAnswer`."""
        return 0

    def end(self) -> None:
        """See `IAnswer`."""
        self._judge()

    def cut(self, by_caller: bool = False) -> None:
        """See `IAnswer`."""
        self._tell("backend-cut")

    def fail(self, refusal: Refusal) -> None:
        """See `IAnswer`."""
        self._tell(refusal.reason)

    def pause(self) -> None:
        """See `IAnswer`; there is no body to hold back."""

    def resume(self) -> None:
        """See `IAnswer`."""


class _Lent:
    """What `Forwarding` expects of a pool, with the one connection."""

    def __init__(self, connection: UpstreamConnection):
        self._connection = connection

    def take(self) -> UpstreamConnection:
        return self._connection

    def put(self, connection: UpstreamConnection) -> None:
        connection.close()

    def answered(self, connection: UpstreamConnection) -> None:
        """Checks are counted apart: an answer to one is none to a request."""

    def unanswered(
        self,
        connection: UpstreamConnection,
        reason: str,
        detail: object,
        since: float | None = None,
    ) -> None:
        """See `answered`."""

    def cut(self, connection: UpstreamConnection, detail: object) -> None:
        """See `answered`."""
