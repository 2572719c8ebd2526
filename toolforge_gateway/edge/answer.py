"""The answer to one request, on its way to the client."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zope.interface import implementer

from toolforge_gateway import headers
from toolforge_gateway.edge import refusals
from toolforge_gateway.errors import BadEvidence, Refusal
from toolforge_gateway.http import write
from toolforge_gateway.http.body import LAST_CHUNK, encode_chunk
from toolforge_gateway.http.message import Framing, RequestHead, ResponseHead
from toolforge_gateway.interfaces import IAnswer
from toolforge_gateway.model import ANONYMOUS, Exchange

if TYPE_CHECKING:
    from toolforge_gateway.edge.connection import ServerConnection
    from toolforge_gateway.transport.interfaces import ISecureTransport

_CLOSE = b"Connection: close\r\n"
_CHUNKED = b"Transfer-Encoding: chunked\r\n"
_OF_UNKNOWN_LENGTH = frozenset([Framing.CHUNKED, Framing.UNTIL_CLOSE])


@implementer(IAnswer)
class ClientAnswer:
    """Frames an answer for the client and keeps the exchange's account.

    :param request: the head it answers; None when no head could be read.
    :ivar begun: whether a final head has been handed out.
    """

    begun = False
    _chunked = False

    def __init__(
        self, connection: ServerConnection, exchange: Exchange, request: RequestHead | None
    ):
        self._connection = connection
        self._exchange = exchange
        self._request = request
        self._out: list[bytes] = []
        self._close = request is None or not request.persistent

    def informational(self, head: ResponseHead) -> None:
        # A client of HTTP/1.0 does not know them (RFC 9110 section 15.2).
        if self._request is not None and self._request.minor >= 1:
            # The same rules as for a final head: a framing passed on from here
            # would be for a body that is not there.
            fields = headers.response_fields(head)
            self._connection.write(write.response_head(head.status, head.reason, fields))

    def begin(self, head: ResponseHead, lines: bytes) -> None:
        if head.framing in _OF_UNKNOWN_LENGTH:
            if self._request is not None and self._request.minor >= 1:
                self._chunked = True
                lines += _CHUNKED
            else:
                self._close = True
        self._begin(head.status, head.reason, lines)

    def whole(self, head: ResponseHead, lines: bytes, body: bytes) -> None:
        connection, exchange = self._connection, self._exchange
        self._close = self._close or connection.must_close()
        if self._close:
            start = write.response(head.status, head.reason, lines + _CLOSE)
        else:
            # The same head has the same lines, but for a Location among them.
            known = head.derived.get(ClientAnswer)
            if known is None or known[0] is not lines:
                known = lines, write.response(head.status, head.reason, lines)
                head.derived[ClientAnswer] = known
            start = known[1]
        self.begun = True
        exchange.status = head.status
        exchange.head_after = connection.seconds() - exchange.started
        exchange.bytes_out = len(body)
        exchange.complete = True
        connection.write(start + body)
        connection.answered(self._close)

    def data(self, payload: bytes) -> None:
        self._exchange.bytes_out += len(payload)
        self._out.append(encode_chunk(payload) if self._chunked else payload)

    def flush(self) -> None:
        if self._out:
            out, self._out = self._out, []
            self._connection.write(b"".join(out) if len(out) > 1 else out[0])

    def pour(self, transport: ISecureTransport, most: int) -> int:
        if self._chunked or self._out:
            return 0
        poured = self._connection.pour(transport, most)
        self._exchange.bytes_out += poured
        return poured

    def end(self) -> None:
        if self._chunked:
            self._out.append(LAST_CHUNK)
        self.flush()
        self._exchange.complete = True
        self._connection.answered(self._close)

    def cut(self, by_caller: bool = False) -> None:
        self.flush()
        self._exchange.reason = "client-left" if by_caller else "backend-cut"
        self._connection.cut_off()

    def fail(self, refusal: Refusal) -> None:
        exchange, standing = self._exchange, self._connection.caller.standing
        exchange.reason = refusal.reason
        # The log shall know whose request it was, also where it was refused before anybody asked.
        unasked = exchange.identity is ANONYMOUS and not exchange.asked_by
        if unasked and standing is not None and not isinstance(refusal, BadEvidence):
            exchange.identity = standing.known
        body = refusals.body(refusal, self._exchange.request_id)
        fields = refusals.fields(
            refusal, len(body), self._exchange.request_id, self._connection.http_date()
        )
        self._close = self._close or refusal.close
        self._begin(refusal.status, refusals.phrase(refusal.status), write.lines(fields))
        if self._request is None or self._request.method != b"HEAD":
            self.data(body)
        self.end()

    def pause(self) -> None:
        self._connection.hold("backend", True)

    def resume(self) -> None:
        self._connection.hold("backend", False)

    def _begin(self, status: int, reason: bytes, lines: bytes) -> None:
        self.begun = True
        self._exchange.status = status
        self._exchange.head_after = self._connection.seconds() - self._exchange.started
        # An early answer leaves a request body in the way of the next
        # request, so that this one must be the last (RFC 9112 section 9.3).
        self._close = self._close or self._connection.must_close()
        if self._close:
            lines += _CLOSE
        self._out.append(write.response(status, reason, lines))
