"""A backend reached by ordinary traversal, in anybody's Site.

`twisted.web` has then parsed the request and collected its body; here it is
written down again and read by the strict grammar, so that no request is
forwarded that the gateway's own server side would have refused.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IPushProducer
from twisted.python.failure import Failure
from twisted.web.server import NOT_DONE_YET
from zope.interface import implementer

from toolforge_gateway import forwarded, tracecontext
from toolforge_gateway.edge import refusals
from toolforge_gateway.edge.caller import Caller
from toolforge_gateway.edge.crosssite import CROSS_SITE, SiteRule
from toolforge_gateway.edge.gatekeeper import Gatekeeper, identity_lines
from toolforge_gateway.edge.proxy_protocol import address_of
from toolforge_gateway.edge.tree import NOT_FOUND
from toolforge_gateway.errors import Refusal
from toolforge_gateway.http import write
from toolforge_gateway.http.head import HeadLimits, parse_request_head
from toolforge_gateway.http.message import Field, RequestHead, ResponseHead
from toolforge_gateway.http.target import check_target
from toolforge_gateway.interfaces import IAnswer, IClientVerifier, IForward
from toolforge_gateway.model import Decision, Exchange
from toolforge_gateway.proxy.forwarding import Forwarding
from toolforge_gateway.proxy.resource import ReverseProxyResource
from toolforge_gateway.routing import is_below

_FRAMING = frozenset([b"content-length", b"transfer-encoding", b"connection", b"expect"])
_LIMITS = HeadLimits()

PIECE = 65536
"""Bytes of the collected body that are sent at a time."""


class Traversal:
    """Renders `ReverseProxyResource`s for ordinary Requests.

    :param verifier: judges the certificate of the connection, where there is
        one; without TLS the caller is anonymous.
    :param sites: whose pages may use a browser's certificate.
    """

    def __init__(
        self,
        gatekeeper: Gatekeeper,
        verifier: IClientVerifier,
        sites: SiteRule,
        seconds: Callable[[], float],
        new_request_id: Callable[[], str],
    ):
        self._gatekeeper = gatekeeper
        self._verifier = verifier
        self._sites = sites
        self._seconds = seconds
        self._new_request_id = new_request_id

    def __call__(self, resource: ReverseProxyResource, request: Any) -> int:
        """Identify, authorize, forward; see `ReverseProxyResource.render`."""
        exchange = Exchange(self._new_request_id(), "", self._seconds())
        answer = RequestAnswer(request, exchange)
        try:
            decided = self._decide(resource, request, exchange, answer)
        except Refusal as refusal:
            answer.fail(refusal)
            return NOT_DONE_YET
        if isinstance(decided, Deferred):
            answer.wait_for(decided)
        return NOT_DONE_YET

    def _decide(
        self,
        resource: ReverseProxyResource,
        request: Any,
        exchange: Exchange,
        answer: RequestAnswer,
    ) -> Deferred[None] | None:
        head = _head_of(request)
        target = check_target(head.target)
        if not is_below(target.path, resource.route.prefix):
            raise NOT_FOUND.with_traceback(None)  # The tree is not at the root of this Site.
        caller = self._caller(request)
        if caller.certificate is not None and self._sites.refuses(head):
            raise CROSS_SITE.with_traceback(None)
        resolved = forwarded.resolve(
            head.fields,
            peer=caller.peer,
            trusted=False,
            host=head.host,
            new_request_id=lambda: exchange.request_id,
        )
        exchange.method, exchange.path = head.method.decode("ascii"), target.path
        assert caller.standing is not None, "set by _caller"
        identity = caller.standing.settled(self._seconds())

        def admitted(decision: Decision) -> None:
            if answer.gone:
                return
            trace = tracecontext.sent(head)
            added = resolved.lines + identity_lines(decision) + (trace.lines if trace else b"")
            outgoing = resource.outgoing(
                head, target, added, lambda: None, begins_trace=trace is None
            )
            forward = Forwarding(outgoing, exchange.request_id, answer).start()
            answer.follow(forward, has_body=head.has_body)

        decision = self._gatekeeper.admit(caller, identity, exchange, resource.route, head, target)
        if isinstance(decision, Deferred):
            answer.when_left = caller.standing.lost
            return decision.addCallback(admitted)
        return admitted(decision)

    def _caller(self, request: Any) -> Caller:
        address = address_of(request.getClientAddress())
        get_handle = getattr(request.channel.transport, "getHandle", None)
        handle = get_handle() if get_handle is not None and request.isSecure() else None
        certificate = self._verifier.examine(handle) if handle is not None else None
        return Caller(
            address=address,
            certificate=certificate,
            standing=self._gatekeeper.introduce(address, certificate),
        )


def _head_of(request: Any) -> RequestHead:
    """The head as the client could have sent it, the body being known.

    :raise BadMessage: the grammar refuses what `twisted.web` let pass.
    """
    fields: list[Field] = [
        (name, value)
        for name, values in request.requestHeaders.getAllRawHeaders()
        for value in values
        if name.lower() not in _FRAMING
    ]
    request.content.seek(0, 2)
    length = request.content.tell()
    if length or request.requestHeaders.hasHeader(b"content-length"):
        fields.append((b"Content-Length", b"%d" % length))
    return parse_request_head(write.request_head(request.method, request.uri, fields), _LIMITS)


@implementer(IAnswer, IPushProducer)
class RequestAnswer:
    """The answer to a `twisted.web` Request.

    :ivar gone: whether the client has left.
    :ivar when_left: called when it leaves before its request is forwarded.
    """

    def __init__(self, request: Any, exchange: Exchange):
        self._request = request
        self._exchange = exchange
        self._forward: IForward | None = None
        self.gone = False
        self.when_left: Callable[[], None] | None = None
        self._deciding: Deferred[None] | None = None
        self._over = False
        self._body_held = False
        self._body_left = False
        request.notifyFinish().addErrback(self._left)

    def wait_for(self, deciding: Deferred[None]) -> None:
        """It is not decided yet: a no may still come, or the client leave."""
        self._deciding = deciding
        deciding.addErrback(self._failed)

    def follow(self, forward: IForward, has_body: bool) -> None:
        """Send the body there, and tell it when the client leaves."""
        self._deciding = None
        if self.gone or self._over:
            return
        self._forward = forward
        self._request.registerProducer(self, True)
        self._request.content.seek(0)
        self._body_left = has_body
        self._send_body()

    def _send_body(self) -> None:
        while self._body_left and not self._body_held and self._forward is not None:
            piece = self._request.content.read(PIECE)
            if piece:
                self._forward.data(piece)
                self._forward.flush()
            else:
                self._body_left = False
                self._forward.end()

    def _left(self, reason: Failure) -> None:
        self.gone = True
        forward, self._forward = self._forward, None
        if forward is not None:
            forward.abort()
        elif self._deciding is not None:
            self._deciding.cancel()
            if self.when_left is not None:
                self.when_left()

    def informational(self, head: ResponseHead) -> None:
        """`twisted.web` cannot pass these on, and its client has long sent
        the body they are about."""

    def begin(self, head: ResponseHead, lines: bytes) -> None:
        self._request.setResponseCode(head.status, head.reason)
        # What the backend says replaces what the Site would say for it.
        self._request.defaultContentType = None
        headers = self._request.responseHeaders
        fields = [line.split(b": ", 1) for line in lines.split(b"\r\n")[:-1]]
        for name, _ in fields:
            headers.removeHeader(name)
        for name, value in fields:
            headers.addRawHeader(name, value)

    def whole(self, head: ResponseHead, lines: bytes, body: bytes) -> None:
        self.begin(head, lines)
        self.data(body)
        self.end()

    def data(self, payload: bytes) -> None:
        self._request.write(payload)

    def pour(self, transport: object, most: int) -> int:
        return 0

    def flush(self) -> None:
        """Whatever was written is on its way, but for a head alone."""
        if not self.gone:
            self._request.write(b"")

    def end(self) -> None:
        self._finish()

    def cut(self, by_caller: bool = False) -> None:
        self._forward = None
        self._request.unregisterProducer()
        self._request.channel.transport.abortConnection()

    def fail(self, refusal: Refusal) -> None:
        body = refusals.body(refusal, self._exchange.request_id)
        self._request.setResponseCode(refusal.status)
        date = self._request.responseHeaders.getRawHeaders(b"date", [b""])[0]
        for name, value in refusals.fields(refusal, len(body), self._exchange.request_id, date):
            self._request.responseHeaders.setRawHeaders(name, [value])
        self._request.write(body)
        self._finish()

    def _failed(self, failure: Failure) -> None:
        self._deciding = None
        if not self.gone:
            failure.trap(Refusal)
            self.fail(failure.value)

    def _finish(self) -> None:
        self._over = True
        if self._forward is not None:
            self._forward = None
            self._request.unregisterProducer()
        if not self.gone:
            self._request.finish()

    def pause(self) -> None:
        self._body_held = True

    def resume(self) -> None:
        self._body_held = False
        self._send_body()

    def pauseProducing(self) -> None:
        if self._forward is not None:
            self._forward.pause()

    def resumeProducing(self) -> None:
        if self._forward is not None:
            self._forward.resume()

    def stopProducing(self) -> None:
        """`notifyFinish` tells the rest."""
