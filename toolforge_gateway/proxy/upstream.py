"""One address of a backend: its kept connections, and how it has fared."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from twisted.internet.abstract import isIPv6Address
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP6ClientEndpoint
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator, IProtocolFactory
from zope.interface import implementer

from toolforge_gateway.config.backend import UpstreamAddress
from toolforge_gateway.proxy.figures import AddressFigures
from toolforge_gateway.proxy.interfaces import IUpstream
from toolforge_gateway.proxy.marks import Marks
from toolforge_gateway.proxy.reports import Reports
from toolforge_gateway.transport.choice import Transports

if TYPE_CHECKING:
    from toolforge_gateway.deadlines import Deadlines
    from toolforge_gateway.proxy.connection import UpstreamConnection

IDLE_SECONDS = 50.0
"""How long a connection is kept; the backends' sidecars close theirs after 65
to 75 seconds, and who closes first must be us."""


@implementer(IUpstream)
class Upstream:
    """See `IUpstream`.

    :param address: with an IP address as its host.
    :param reactor: IReactorTime and IReactorTCP.
    :param creator: mutual TLS with the name to verify built in.
    :param transports: puts TLS under the connections.
    :param deadlines: tells when what is kept has been idle for too long.
    :ivar checked_bad: whether active checks say that it is not to be used.
    :ivar dials: connections that were begun since the start.
    """

    def __init__(
        self,
        address: UpstreamAddress,
        reactor: Any,
        creator: IOpenSSLClientConnectionCreator,
        transports: Transports,
        deadlines: Deadlines,
        marks: Marks,
        reports: Reports,
    ):
        self.address = address
        self.marks = marks
        self.reports = reports
        self.idle: deque[UpstreamConnection] = deque()
        self.open = 0
        self.room = 0
        self.dials = 0
        self.checked_bad = False
        self.checked_at: float | None = None
        self.deadline: float | None = None
        self._reactor = reactor
        self._creator = creator
        self._transports = transports
        self._deadlines = deadlines

    def __repr__(self) -> str:
        return f"<Upstream {self.address} idle={len(self.idle)} open={self.open}>"

    @property
    def busy(self) -> int:
        """See `IUpstream`."""
        return self.open - len(self.idle)

    @property
    def is_spared(self) -> bool:
        """Whether it is better not used just now."""
        return self.checked_bad or self.marks.ejected_until is not None

    def has_answered_since(self, when: float) -> bool:
        """Whether an answer has come to its end after that moment, as far as what is kept can
        tell, which costs nothing while all is well.

        :param when: POSIX seconds.
        """
        return bool(self.idle) and self.idle[-1].idle_since > when

    def connect(self, factory: IProtocolFactory, timeout: float) -> Deferred[object]:
        """See `IUpstream`."""
        self.dials += 1
        kind = TCP6ClientEndpoint if isIPv6Address(self.address.host) else TCP4ClientEndpoint
        endpoint = kind(self._reactor, self.address.host, self.address.port, timeout)
        return endpoint.connect(self._transports.client(self._creator, factory))

    def watch(self) -> None:
        """Something has begun to be idle."""
        self.deadline = self.idle[0].idle_since + IDLE_SECONDS
        self._deadlines.watch(self)

    def deadline_passed(self) -> None:
        """Close what has been idle for too long."""
        limit = self._reactor.seconds() - IDLE_SECONDS
        while self.idle and self.idle[0].idle_since <= limit:
            self.idle.popleft().close()
        if self.idle:
            self.deadline = self.idle[0].idle_since + IDLE_SECONDS
        else:
            self._deadlines.forget(self)

    def drop_idle(self) -> None:
        """Close all that is kept."""
        self.deadline = None
        self._deadlines.forget(self)
        while self.idle:
            self.idle.pop().close()

    def figures(self) -> AddressFigures:
        """How it is just now."""
        marks = self.marks
        state = "up"
        if self.checked_bad:
            state = "failing-checks"
        elif marks.ejected_until is not None:
            state = "ejected"
        return AddressFigures(
            host=self.address.host,
            port=self.address.port,
            state=state,
            ejected_until=marks.ejected_until,
            failures=marks.failures,
            last_error=marks.last_error,
            last_error_at=marks.last_error_at,
            checked_at=self.checked_at,
            busy=self.busy,
            idle=len(self.idle),
            dials=self.dials,
            all_failures=marks.all_failures,
            all_ejections=marks.all_ejections,
        )
