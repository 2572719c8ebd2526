"""What the sample backends have in common: one Resource with a table of calls.

They stand in for the Toolforge APIs behind the gateway, so they behave as
those do where a gateway could be led astray: they decode the path before they
look at it, trust `X-Toolforge-Tool` whenever it is there, answer its absence
in their own words, and send a wrong trailing slash away with a 307 to the host
they were called by.  State is in memory, one per tool.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib.resources import files
from typing import Any, ClassVar
from urllib.parse import parse_qs, unquote

import attrs
import yaml
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.web.http import Request
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET

from toolforge_gateway.routing import PathTemplate

TOOL_HEADER = "x-toolforge-tool"

JSON = dict[str, Any]


@attrs.frozen
class Call:
    """One request as a handler sees it."""

    method: str
    places: Mapping[str, str]
    """What the placeholders of the path stand for, decoded."""
    query: Mapping[str, str]
    """The last value of each name, as FastAPI takes it."""
    header_tools: tuple[str, ...]
    """Every value of X-Toolforge-Tool."""
    body: bytes

    @property
    def tool(self) -> str:
        """The tool that the path names."""
        return self.places["toolname"]

    def json(self) -> JSON:
        """:raise Refused: the body is no JSON object."""
        try:
            value = json.loads(self.body)
        except ValueError as error:
            raise Refused(400, f"Invalid JSON in the request body: {error}") from None
        if not isinstance(value, dict):
            raise Refused(400, "Invalid request body: a JSON object is expected")
        return value

    def flag(self, name: str) -> bool:
        """A query parameter as a boolean: `True` and `true` are both in use."""
        return self.query.get(name, "").lower() in ("true", "1", "yes", "on")


class Refused(Exception):
    """A handler says no; the API puts the sentence into its own error shape."""

    def __init__(self, status: int, message: str):
        super().__init__(message)
        self.status = status
        self.message = message


@attrs.frozen
class Answer:
    """A whole answer, sent with its length."""

    value: JSON | str
    status: int = 200
    kind: str | None = None
    """The media type; by default that of the value."""


@attrs.frozen
class Stream:
    """Lines of `text/plain`, sent as they come, in chunks.

    :param lines: without their line ends; may be endless.
    :param interval: seconds between two lines; 0: all of them at once.
    :param silence: seconds before the first line.
    :param early_head: send the response head before the first line, as builds
        does and jobs does not.
    """

    lines: Iterator[JSON]
    interval: float = 1.0
    silence: float = 0.0
    early_head: bool = True


Handler = Callable[[Call], Answer | Stream]


@attrs.frozen
class Endpoint:
    """A method, a path and what answers there."""

    method: str
    template: PathTemplate
    handler: Handler
    open: bool = False
    """Whether it answers callers without identity."""


class SampleAPI(Resource):
    """A backend; each API fills in `endpoints` and its own shapes.

    :param clock: for log lines and time stamps; its `seconds` are POSIX time.
    """

    isLeaf = True
    name: ClassVar[str]
    """The API's name, which is its path at the gateway too."""
    redirects_slashes: ClassVar[bool] = True
    """Whether a wrong trailing slash is a 307 (FastAPI) or a 404 (echo)."""

    document_kind: ClassVar[str] = "application/json"
    """The media type in which it publishes its OpenAPI document."""

    def __init__(self, clock: IReactorTime):
        super().__init__()
        self.clock = clock
        self._document = _document(self.name, self.document_kind)
        self.streams: set[Request] = set()
        """Requests whose answer is being streamed just now."""
        self._endpoints = [
            Endpoint("GET", PathTemplate("/openapi.json"), self._openapi, open=True),
            Endpoint("GET", PathTemplate("/v1/healthz"), self.healthz, open=True),
            Endpoint("GET", PathTemplate("/v1/metrics"), self._metrics, open=True),
            *self.endpoints(),
        ]

    def endpoints(self) -> Iterable[Endpoint]:
        """The calls of this API beside the three that all of them have."""
        raise NotImplementedError

    def error(self, status: int, message: str) -> JSON:
        """The body of an error: jobs, builds, envvars and logs have one shape."""
        return {"error": [message], "info": [], "warning": []}

    def authenticate(self, call: Call) -> None:
        """Refuse a call without identity, in this API's own words.

        That the path's tool is the caller's is the gateway's to check: like
        the real ones, this only looks whether the header is there.

        :raise Refused: 401 or 403.
        """
        if not any(call.header_tools):
            raise Refused(403, f"missing '{TOOL_HEADER}' header")

    def healthz(self, call: Call) -> Answer:
        """Healthy as long as it answers."""
        return Answer({"status": "OK", "messages": {}})

    def render(self, request: Request) -> bytes | int:
        """Find the endpoint, ask it, send what it says."""
        # Decoded first, as Starlette and echo do: a gateway that compares the
        # raw bytes only must have refused what would change here.
        path = unquote(request.path.decode("latin-1"))
        places, endpoint = self._find(request.method.decode("latin-1"), path)
        if endpoint is None:
            return self._nothing_there(request, path)
        call = _call(request, places)
        try:
            if not endpoint.open:
                self.authenticate(call)
            answer = endpoint.handler(call)
        except Refused as refused:
            answer = Answer(self.error(refused.status, refused.message), refused.status)
        if isinstance(answer, Stream):
            self._stream(request, answer)
            return NOT_DONE_YET
        return _write(request, answer)

    def _find(self, method: str, path: str) -> tuple[dict[str, str], Endpoint | None]:
        for endpoint in self._endpoints:
            places = endpoint.template.fullmatch(path)
            if places is not None and endpoint.method == method:
                return places, endpoint
        return {}, None

    def _nothing_there(self, request: Request, path: str) -> bytes:
        method = request.method.decode("latin-1")
        other = path[:-1] if path.endswith("/") else path + "/"
        if self.redirects_slashes and self._find(method, other)[1] is not None:
            host = (request.getHeader(b"host") or b"").decode("latin-1")
            _, mark, query = request.uri.decode("latin-1").partition("?")
            # http, since the sidecar ends TLS; no prefix, since the backend
            # knows of none; the query, token and all, once more.
            request.setResponseCode(307)
            request.setHeader(b"location", f"http://{host}{other}{mark}{query}".encode("latin-1"))
            request.setHeader(b"content-length", b"0")
            return b""
        known = any(each.template.fullmatch(path) is not None for each in self._endpoints)
        status, message = (405, "Method Not Allowed") if known else (404, "Not Found")
        return _write(request, Answer(self.error(status, message), status))

    def _stream(self, request: Request, stream: Stream) -> None:
        request.setHeader(b"content-type", b"text/plain; charset=utf-8")
        request.setHeader(b"x-accel-buffering", b"no")
        self.streams.add(request)
        if stream.early_head:
            request.write(b"")

        def line() -> None:
            try:
                value = next(stream.lines)
            except StopIteration:
                loop.stop()
                request.finish()
            else:
                request.write(json.dumps(value).encode() + b"\n")

        loop = LoopingCall(line)
        loop.clock = self.clock
        first = self.clock.callLater(stream.silence, lambda: loop.start(stream.interval))

        def over(_result: object) -> None:
            self.streams.discard(request)
            if first.active():
                first.cancel()
            if loop.running:
                loop.stop()

        request.notifyFinish().addBoth(over)

    def _metrics(self, call: Call) -> Answer:
        name = f"{self.name}_streams"
        return Answer(
            f"# HELP {name} Log streams that are open.\n# TYPE {name} gauge\n"
            f"{name} {len(self.streams)}\n"
        )

    def _openapi(self, call: Call) -> Answer:
        return Answer(self._document, kind=self.document_kind)


def _document(name: str, kind: str) -> str:
    """The OpenAPI document of a sample, as it is sent."""
    text = (files(__package__) / "documents" / f"{name}.yaml").read_text("utf-8")
    return text if kind == "application/yaml" else json.dumps(yaml.safe_load(text))


def _call(request: Request, places: Mapping[str, str]) -> Call:
    query = parse_qs(request.uri.partition(b"?")[2].decode("latin-1"), keep_blank_values=True)
    tools = request.requestHeaders.getRawHeaders(TOOL_HEADER.encode(), [])
    return Call(
        method=request.method.decode("latin-1"),
        places=places,
        query={name: values[-1] for name, values in query.items()},
        header_tools=tuple(value.decode("latin-1") for value in tools),
        body=request.content.read(),
    )


def _write(request: Request, answer: Answer) -> bytes:
    if isinstance(answer.value, str):
        kind, body = "text/plain; charset=utf-8", answer.value.encode()
    else:
        kind, body = "application/json", json.dumps(answer.value).encode()
    request.setResponseCode(answer.status)
    request.setHeader(b"content-type", (answer.kind or kind).encode())
    request.setHeader(b"content-length", str(len(body)).encode())
    return body
