"""The Resource tree: the one source of routes.

/            greeting
/healthz     "ok"
/docs        the pages for people: `toolforge_gateway.pages`
/whoami      what we take the caller for: `edge.whoami`
/jobs        ReverseProxyResource
...          one for each backend, at its path
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from twisted.web.resource import Resource

from toolforge_gateway._version import __version__
from toolforge_gateway.config.backends import RESERVED
from toolforge_gateway.edge import refusals
from toolforge_gateway.edge.visitor import note_reason, visitor_of
from toolforge_gateway.errors import Refusal
from toolforge_gateway.pages.answers import READ_ONLY
from toolforge_gateway.proxy.resource import ReverseProxyResource
from toolforge_gateway.routing import RouteTable

NOT_FOUND = Refusal(
    404,
    "no-such-path",
    "there is no API at this path; the path begins with the API's name, like /jobs/v1/...",
)


class Plain(Resource):
    """A page of plain text, the same for everyone.

    :param text: called for each request.
    """

    isLeaf = False

    def __init__(self, text: Callable[[], str]):
        super().__init__()
        self._text = text

    def getChild(self, path: bytes, request: Any) -> Resource:
        return NotFound()

    def render(self, request: Any) -> bytes:
        if request.method not in (b"GET", b"HEAD"):
            request.setHeader(b"allow", b"GET, HEAD")
            return refuse(request, READ_ONLY)
        return _answer(request, b"text/plain; charset=utf-8", self._text().encode())


class Alive(Plain):
    """What load balancers ask: "ok", or 503 when they should ask others.

    :param leaving: whether the gateway is about to end.
    """

    def __init__(self, leaving: Callable[[], bool]):
        super().__init__(lambda: "draining\n" if leaving() else "ok\n")
        self._leaving = leaving

    def render(self, request: Any) -> bytes:
        if self._leaving():
            request.setResponseCode(503)
            note_reason(request, "draining")
        return super().render(request)


class NotFound(Resource):
    """Our 404, in the shape of all our refusals."""

    isLeaf = True

    def getChild(self, path: bytes, request: Any) -> Resource:
        return self

    def render(self, request: Any) -> bytes:
        return refuse(request, NOT_FOUND)


def refuse(request: Any, refusal: Refusal) -> bytes:
    """Answer a request with a refusal; gives what a Resource's `render` is to return."""
    request_id = visitor_of(request).request_id
    note_reason(request, refusal.reason)
    request.setResponseCode(refusal.status)
    for name, value in refusals.telling(refusal.reason, request_id):
        request.setHeader(name, value)
    return _answer(request, b"application/json", refusals.body(refusal, request_id))


def _answer(request: Any, content_type: bytes, body: bytes) -> bytes:
    request.setHeader(b"content-type", content_type)
    request.setHeader(b"cache-control", b"no-store")
    request.setHeader(b"x-content-type-options", b"nosniff")
    if request.method == b"HEAD":
        # A body would be left out by `twisted.web`, but with a line in the log.
        request.setHeader(b"content-length", b"%d" % len(body))
        return b""
    return body


def greeting(paths: Iterable[str]) -> str:
    """What `/` is on a terminal.

    :param paths: of the APIs.
    """
    text = f"This is the Toolforge API gateway, version {__version__}.\n\nAPIs here:\n"
    return text + "".join(f"  {path}/\n" for path in paths)


def build_tree(
    backends: Iterable[ReverseProxyResource],
    pages: Mapping[str, Resource] | None = None,
    leaving: Callable[[], bool] = bool,
) -> Resource:
    """Put the backends and our own pages into one tree.

    :param pages: by their first segment, which `config.backends` reserves; "" is `/`.
    :param leaving: whether the gateway is about to end.
    """
    backends = tuple(backends)
    text = greeting(each.backend.path for each in backends)
    root = Plain(lambda: "")
    root.putChild(b"", Plain(lambda: text))
    root.putChild(b"healthz", Alive(leaving))
    for name, page in (pages or {}).items():
        root.putChild(name.encode("ascii"), page)
    # In this order a backend is in the tree before those below it.
    for backend in sorted(backends, key=lambda each: each.backend.path):
        parent: Resource = root
        rest: Resource = NotFound()
        *above, last = backend.backend.path.encode("ascii").split(b"/")[1:]
        for segment in above:
            child = parent.children.get(segment)
            if child is None:
                child = Below(rest)
                parent.putChild(segment, child)
            elif isinstance(child, ReverseProxyResource):
                rest = child
            parent = child
        parent.putChild(last, backend)
    return root


class Below(Resource):
    """A segment that leads to its children and is nothing itself.

    :param rest: whose everything else is: the backend's further up, if there
        is one, else nobody's.
    """

    def __init__(self, rest: Resource):
        super().__init__()
        self._rest = rest

    def getChild(self, path: bytes, request: Any) -> Resource:
        return self._rest.getChild(path, request)

    def render(self, request: Any) -> Any:
        return self._rest.render(request)


def is_own_page(path: str) -> bool:
    """Whether a path is a page of the gateway itself, open to everyone."""
    name, _, below = path.removeprefix("/").partition("/")
    return (name in RESERVED and (not below or name == "docs")) or path == "/"


def is_personal(path: str) -> bool:
    """Whether a path is a page of ours that is marked `IPersonal`, or below one."""
    return path.split("/", 2)[1] in ("", "status", "whoami")


def compile_routes(root: Resource) -> RouteTable[ReverseProxyResource]:
    """The tree's backends by prefix, for one look-up instead of a traversal."""
    return RouteTable(dict(_walk(root, "")))


def _walk(resource: Resource, path: str) -> Iterator[tuple[str, ReverseProxyResource]]:
    if isinstance(resource, ReverseProxyResource):
        yield path, resource
    for segment, child in resource.children.items():
        yield from _walk(child, f"{path}/{segment.decode('ascii')}")
