"""`/metrics` of the operations port, for Prometheus."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import maybeDeferred
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET

from toolforge_gateway.edge.tree import refuse
from toolforge_gateway.errors import Refusal
from toolforge_gateway.observe.exposition import exposition
from toolforge_gateway.observe.figures import Figures
from toolforge_gateway.pages.answers import NO_STORE, content, finish, refuse_to_change, send

log = Logger()

NO_FIGURES = Refusal(
    503,
    "no-metrics",
    "what this gateway measures cannot be told just now; its log says why",
)


class Metrics(Resource):
    """Tells the figures.

    :param figures: gives a `Figures`, or a Deferred of one, of this moment.
    """

    isLeaf = True

    def __init__(self, figures: Callable[[], Any]):
        super().__init__()
        self._figures = figures

    def render(self, request: Any) -> Any:
        """See `Resource`."""
        if request.method not in (b"GET", b"HEAD"):
            return refuse_to_change(request, refuse)
        left: list[Failure] = []
        request.notifyFinish().addErrback(left.append)

        def tell(figures: Figures) -> bytes:
            accept = b", ".join(request.requestHeaders.getRawHeaders(b"accept") or [])
            body, media_type = exposition(figures, accept.decode("latin-1"))
            return send(request, content(body, media_type), NO_STORE, negotiated=True)

        def give_up(failure: Failure) -> bytes:
            log.failure("the metrics could not be told", failure)
            answer: bytes = refuse(request, NO_FIGURES)
            return answer

        def end(body: bytes) -> None:
            if not left:
                finish(request, body)

        maybeDeferred(self._figures).addCallback(tell).addErrback(give_up).addCallback(end)
        return NOT_DONE_YET
