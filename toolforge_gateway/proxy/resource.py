"""A backend in the Resource tree."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.web.resource import Resource

from toolforge_gateway import headers, location
from toolforge_gateway.config.backend import Backend
from toolforge_gateway.deadlines import Deadlines
from toolforge_gateway.http import write
from toolforge_gateway.http.head import HeadLimits
from toolforge_gateway.http.known import KnownAnswers
from toolforge_gateway.http.message import Framing, RequestHead, ResponseHead
from toolforge_gateway.http.target import Target
from toolforge_gateway.proxy.outgoing import Outgoing
from toolforge_gateway.proxy.pool import Pool

_LOCATIONS = (b"location", b"content-location")


class ReverseProxyResource(Resource):
    """Forwards whatever is below its path to one backend.

    Unlike the class of this name in `twisted.web.proxy` it streams both
    bodies, verifies the backend and keeps connections.  The gateway's own
    server side forwards what `outgoing` makes of a request as soon as its head has
    come; `render` serves ordinary traversal in anybody's `Site`, where the body has
    come as well.

    :param traversal: what `render` hands the Request to; it must identify and
        authorize the caller, and then forward.
    """

    isLeaf = False

    def __init__(
        self,
        backend: Backend,
        pool: Pool,
        deadlines: Deadlines,
        traversal: Callable[[ReverseProxyResource, Any], int],
    ):
        super().__init__()
        self.backend = backend
        self.pool = pool
        self.route = backend.route
        self._deadlines = deadlines
        self._traversal = traversal
        self._authority = backend.url.authority.encode("ascii")
        self._host = write.lines([(b"Host", self._authority)])
        self._answers = KnownAnswers(HeadLimits())

    def getChild(self, path: bytes, request: Any) -> Resource:
        """All that is below is the backend's, but for backends put there."""
        return _Below(self)

    def render(self, request: Any) -> int:
        """Serve a `twisted.web` Request (always NOT_DONE_YET)."""
        return self._traversal(self, request)

    def outgoing(
        self,
        head: RequestHead,
        target: Target,
        added: bytes,
        external: Callable[[], bytes | None],
        begins_trace: bool,
    ) -> Outgoing:
        """What the backend is to see of a request.

        :param head: as the client sent it; its fields are filtered here.
        :param target: of the same request, external and checked.
        :param added: the header lines that say who calls and from where.
        :param external: `https://authority` under which the client knows us,
            or None when nothing trustworthy says so; asked only if an answer
            carries a Location to rewrite.
        :param begins_trace: whether `added` tells of no trace, so that one begins here.
        """
        backend = self.backend
        below = target.path[len(backend.path) :] or "/"
        upstream_target = backend.url.base_path + below
        if target.query is not None:
            upstream_target += "?" + target.query
        passed = headers.request_lines(head, forward_credentials=backend.forward_credentials)
        lines = self._host + passed + added + framing_line(head)

        def answer_lines(answered: ResponseHead) -> bytes:
            return self._answer_lines(answered, target.path, external)

        return Outgoing(
            backend=backend.name,
            pool=self.pool,
            deadlines=self._deadlines,
            timeouts=backend.timeouts_for(below),
            method=head.method,
            head=write.request_so_far(head.method, upstream_target.encode("ascii"), lines),
            body=head.framing if head.has_body else Framing.NONE,
            answers=self._answers,
            answer_lines=answer_lines,
            begins_trace=begins_trace,
        )

    def _answer_lines(
        self, head: ResponseHead, request_path: str, external: Callable[[], bytes | None]
    ) -> bytes:
        known = head.derived.get(ReverseProxyResource)
        if known is not None:
            return known
        fields = headers.response_fields(head)
        locations = False
        for at, (name, value) in enumerate(fields):
            if name.lower() in _LOCATIONS:
                locations = True
                fields[at] = (
                    name,
                    location.rewrite(
                        value,
                        prefix=self.backend.path,
                        base_path=self.backend.url.base_path,
                        upstream_authority=self._authority,
                        request_path=request_path,
                        external=external(),
                    ),
                )
        lines = write.lines(fields)
        if not locations:  # else they depend on more than the head
            head.derived[ReverseProxyResource] = lines
        return lines


def framing_line(head: RequestHead) -> bytes:
    """How a request's body is framed towards whom it is forwarded to."""
    if head.framing is Framing.LENGTH:
        return b"Content-Length: %d\r\n" % head.length
    if head.framing is Framing.CHUNKED:
        return b"Transfer-Encoding: chunked\r\n"
    return b""


class _Below(Resource):
    """Some path below a backend's: ends traversal."""

    isLeaf = True

    def __init__(self, proxy: ReverseProxyResource):
        super().__init__()
        self._proxy = proxy

    def render(self, request: Any) -> int:
        return self._proxy.render(request)
