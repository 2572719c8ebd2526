"""Resources that render for themselves, on the gateway's own connections.

An ordinary `twisted.web` Site answers, unchanged and by its public interface
alone: it stands at the other end of a pipe in memory, as one more backend.
So its answers pass the same grammar, framing and back-pressure as any other,
and only a request for one of its pages costs a `twisted.web` Request.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.address import IPv4Address
from twisted.web.server import Site

from toolforge_gateway import headers
from toolforge_gateway.config.values import Timeouts
from toolforge_gateway.deadlines import Deadlines
from toolforge_gateway.edge.pipe import join
from toolforge_gateway.edge.visitor import IPersonal, Visitor, VisitorAddress
from toolforge_gateway.http import write
from toolforge_gateway.http.head import HeadLimits
from toolforge_gateway.http.known import KnownAnswers
from toolforge_gateway.http.message import Framing, RequestHead, ResponseHead
from toolforge_gateway.interfaces import IAnswer
from toolforge_gateway.proxy.connection import UpstreamConnection
from toolforge_gateway.proxy.forwarding import Forwarding
from toolforge_gateway.proxy.outgoing import Outgoing
from toolforge_gateway.proxy.resource import framing_line

_ADDRESS = IPv4Address("TCP", "127.0.0.1", 0)
# What the Site would tell of itself is of no use to anyone but an attacker.
_NOT_FOR_CLIENTS = frozenset([b"server"])


class LocalSite:
    """Forwards requests to a Site in this process.

    :param site: its Resource tree is the gateway's.
    :param clock: IReactorTime.
    """

    def __init__(self, site: Site, clock: Any, deadlines: Deadlines, timeouts: Timeouts):
        self._site = site
        self._clock = clock
        self._deadlines = deadlines
        self._timeouts = timeouts
        self._answers = KnownAnswers(HeadLimits())

    def serves(self, path: str) -> bool:
        """Whether the path's first segment is known at all."""
        first = path.split("/", 2)[1].encode("ascii")
        return self._site.resource.getStaticEntity(first) is not None

    def is_personal(self, path: str) -> bool:
        """Whether the page of that first segment wants to know who asks."""
        first = path.split("/", 2)[1].encode("ascii")
        return bool(IPersonal.providedBy(self._site.resource.getStaticEntity(first)))

    def forward(
        self, head: RequestHead, added: bytes, visitor: Visitor, answer: IAnswer
    ) -> Forwarding:
        """Begin to answer a request; its body follows by `IForward`.

        :param visitor: what `visitor_of` is to tell the page.
        """
        lines = write.lines([(b"Host", head.host or b"localhost"), (b"Connection", b"close")])
        lines += headers.request_lines(head, forward_credentials=False)
        lines += added + framing_line(head)
        outgoing = Outgoing(
            backend="the gateway",
            pool=_Door(self._clock, self._site, visitor),
            deadlines=self._deadlines,
            timeouts=self._timeouts,
            method=head.method,
            head=write.request_so_far(head.method, head.target, lines),
            body=head.framing if head.has_body else Framing.NONE,
            answers=self._answers,
            answer_lines=_answer_lines,
        )
        return Forwarding(outgoing, visitor.request_id, answer).start()


class _Door:
    """What `Forwarding` expects of a pool; nothing is kept here."""

    def __init__(self, clock: Any, site: Site, visitor: Visitor):
        self._clock = clock
        self._site = site
        self._guest = VisitorAddress(visitor)

    def take(self) -> None:
        """There is never a kept connection."""

    def dial(self, customer: Forwarding, timeouts: Timeouts) -> None:
        """Join a new channel of the Site to the customer."""
        connection = UpstreamConnection(self, customer)
        channel = self._site.buildProtocol(self._guest)
        join(self._clock, _ADDRESS, connection, channel, self._guest)
        self._clock.callLater(0, connection.handshakeCompleted)

    def put(self, connection: UpstreamConnection) -> None:
        """Nothing is kept."""
        connection.close()

    def answered(self, connection: UpstreamConnection) -> None:
        """Nothing is counted."""

    def unanswered(
        self,
        connection: UpstreamConnection,
        reason: str,
        detail: object,
        since: float | None = None,
    ) -> None:
        """Nothing is counted."""

    def cut(self, connection: UpstreamConnection, detail: object) -> None:
        """Nothing is said: what breaks a page is in the log by itself."""

    def lost(self, connection: UpstreamConnection) -> None:
        """Nothing is counted."""


def _answer_lines(head: ResponseHead) -> bytes:
    return write.lines(
        field for field in headers.response_fields(head) if field[0].lower() not in _NOT_FOR_CLIENTS
    )
