"""The operations port: plain HTTP, read-only, for probes, for Prometheus, and for operators."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_address
from typing import Any

from twisted.internet.address import UNIXAddress
from twisted.internet.interfaces import IProtocolFactory
from twisted.protocols.policies import WrappingFactory
from twisted.web.resource import Resource
from twisted.web.server import Site

from toolforge_gateway.edge.metrics import Metrics
from toolforge_gateway.edge.tree import Below, NotFound, refuse
from toolforge_gateway.errors import Refusal

NOT_FROM_HERE = Refusal(
    403,
    "not-this-machine",
    "this page is for those on the gateway's own machine: ask for it at localhost, or at "
    "127.0.0.1 or [::1], for example through kubectl port-forward",
)

_LOCAL_NAMES = frozenset([b"localhost", b"127.0.0.1", b"[::1]"])


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


class OnThisMachine(Resource):
    """Leads on only who connects from this machine and has named it so.

    A page of a foreign site can have a browser here ask for `http://its.own.name:9090/` and
    point that name at 127.0.0.1; it would then read the answer as its own (DNS rebinding).  The
    Host field is what gives it away.

    :param page: the Resource for those.
    """

    isLeaf = False

    def __init__(self, page: Resource):
        super().__init__()
        self._page = page

    def getChild(self, path: bytes, request: Any) -> Resource:
        return self._page.getChildWithDefault(path, request) if _is_from_here(request) else self

    def render(self, request: Any) -> Any:
        return (
            self._page.render(request) if _is_from_here(request) else refuse(request, NOT_FROM_HERE)
        )


def _is_from_here(request: Any) -> bool:
    """Whether the peer, and each Host field, is this machine's own."""
    peer = request.getClientAddress()
    if not isinstance(peer, UNIXAddress) and not _is_loopback(getattr(peer, "host", "")):
        return False
    hosts = request.requestHeaders.getRawHeaders(b"host") or []
    return len(hosts) == 1 and _without_port(hosts[0]) in _LOCAL_NAMES


def _is_loopback(host: str) -> bool:
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback


def _without_port(host: bytes) -> bytes:
    name, colon, port = host.strip().lower().rpartition(b":")
    return name if colon and port.isdigit() else host.strip().lower()


class _QuietSite(Site):
    """Logs no requests."""

    def logPrefix(self) -> str:
        """What twistd's log says is "starting on" the port."""
        return "toolforge-gateway operations"

    def log(self, request: Any) -> None:
        """A probe every few seconds is no news."""


class _ClosedAtOnce(WrappingFactory):
    """Closes with its port the connections that are kept."""

    noisy = False

    def logPrefix(self) -> str:
        return self.wrappedFactory.logPrefix()

    def stopFactory(self) -> None:
        """The port is closed."""
        for connection in tuple(self.protocols):
            connection.loseConnection()
        super().stopFactory()


def operations_site(
    hindrance: Callable[[], str | None],
    clock: Any,
    status: Resource,
    assets: Resource,
    figures: Callable[[], Any],
) -> IProtocolFactory:
    """`/healthz` (the process lives), `/readyz` (it takes requests) and `/metrics`, for whoever
    asks, and `/status` for those on this machine.

    :param hindrance: why it takes no requests, in a word; None: it does.
    :param status: the page, with everything.
    :param assets: the files of pages, which name them below `/docs/assets`.
    :param figures: what `/metrics` tells: a `Figures`, or a Deferred of one.
    """
    root = Below(NotFound())
    root.putChild(b"metrics", Metrics(figures))
    root.putChild(b"status", OnThisMachine(status))
    docs = Below(NotFound())
    docs.putChild(b"assets", assets)
    root.putChild(b"docs", docs)
    root.putChild(b"healthz", State(lambda: None))
    root.putChild(b"readyz", State(hindrance))
    site = _QuietSite(root, reactor=clock, timeout=30)
    site.displayTracebacks = False
    site.noisy = False
    return _ClosedAtOnce(site)
