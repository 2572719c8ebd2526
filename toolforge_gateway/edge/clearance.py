"""The yes to a request for a backend, and why it can be remembered.

What the line finds out about a request follows from the caller, the head and the
configuration.  Where the connection alone says who calls, the same bytes from
the same connection therefore have the same answer: polls, and whatever else is
asked again and again, are looked up instead of read.  Nothing is remembered
beyond its connection, and a refusal never.
"""

from __future__ import annotations

import attrs

from toolforge_gateway.http.message import RequestHead
from toolforge_gateway.interfaces import IAnswer
from toolforge_gateway.model import Exchange, Identity
from toolforge_gateway.proxy.forwarding import Forwarding
from toolforge_gateway.proxy.outgoing import Outgoing

LONGEST = 1024
"""Bytes of a request that is worth remembering."""
ROOM = 4
"""Requests that are remembered of a connection."""


@attrs.frozen(slots=False, eq=False)
class Clearance:
    """A request may be forwarded, and how."""

    head: RequestHead
    outgoing: Outgoing
    identity: Identity
    client: str
    """See `Exchange.client`."""
    path: str
    reason: str
    repeatable: bool
    """Whether it holds for each request with this head on the same connection,
    as long as that says the same about who calls."""
    remarks: dict[object, str] = attrs.field(factory=dict)
    """See `Exchange.remarks`."""

    def again(self, request_id: str, started: float, tls_version: str) -> Exchange:
        """The account of another request that is the same."""
        exchange = Exchange(request_id, self.client, started)
        exchange.tls_version = tls_version
        exchange.method = self.head.method.decode("ascii")
        exchange.path = self.path
        exchange.identity = self.identity
        exchange.backend = self.outgoing.backend
        exchange.reason = self.reason
        exchange.remarks = self.remarks
        return exchange

    def __call__(self, exchange: Exchange, answer: IAnswer) -> Forwarding:
        """Begin to forward."""
        return Forwarding(self.outgoing, exchange.request_id, answer).start()
