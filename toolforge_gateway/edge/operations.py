"""The operations port: plain HTTP, read-only, for probes of this machine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.web.resource import Resource
from twisted.web.server import Site

from toolforge_gateway.edge.tree import Below, NotFound


class State(Resource):
    """ "ok" with 200, or why not with 503.

    :param trouble: None, or a few words.
    """

    isLeaf = True

    def __init__(self, trouble: Callable[[], str | None]):
        super().__init__()
        self._trouble = trouble

    def render_GET(self, request: Any) -> bytes:
        request.setHeader(b"content-type", b"text/plain; charset=utf-8")
        request.setHeader(b"cache-control", b"no-store")
        trouble = self._trouble()
        if trouble is None:
            return b"ok\n"
        request.setResponseCode(503)
        return trouble.encode() + b"\n"


class _QuietSite(Site):
    def logPrefix(self) -> str:
        """What twistd's log says is "starting on" the port."""
        return "toolforge-gateway operations"

    def log(self, request: Any) -> None:
        """A probe every few seconds is no news."""


def operations_site(draining: Callable[[], bool], clock: Any) -> Site:
    """`/healthz` (the process lives) and `/readyz` (it takes requests)."""
    root = Below(NotFound())
    root.putChild(b"healthz", State(lambda: None))
    root.putChild(b"readyz", State(lambda: "draining" if draining() else None))
    site = _QuietSite(root, reactor=clock, timeout=30)
    site.displayTracebacks = False
    site.noisy = False
    return site
