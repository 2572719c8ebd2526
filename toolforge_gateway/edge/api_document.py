"""`/openapi.json` and `/openapi.yaml`: bytes that are ready, for anybody."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.web.resource import Resource

from toolforge_gateway.edge.tree import NotFound, refuse
from toolforge_gateway.errors import Refusal
from toolforge_gateway.pages.answers import REVALIDATE, Content, refuse_to_change, send

RETRY_AFTER = 5
"""Seconds; less than the first round can take, more than it usually does."""

NOT_YET = Refusal(
    503,
    "openapi-not-ready",
    "the gateway has just started and is still asking the APIs for their documents:"
    " please retry in a few seconds",
)


class ApiDocument(Resource):
    """One form of the document of all APIs.

    :param what: gives it, or None as long as there is none.  An empty document in that time would
        be a valid one, and a client generated from it would have lost all its calls.
    """

    def __init__(self, what: Callable[[], Content | None]):
        super().__init__()
        self._what = what

    def getChild(self, path: bytes, request: Any) -> Resource:
        return NotFound()

    def render(self, request: Any) -> Any:
        """See `Resource`."""
        if request.method not in (b"GET", b"HEAD"):
            return refuse_to_change(request, refuse)
        content = self._what()
        if content is None:
            request.setHeader(b"retry-after", b"%d" % RETRY_AFTER)
            return refuse(request, NOT_YET)
        return send(request, content, REVALIDATE)
