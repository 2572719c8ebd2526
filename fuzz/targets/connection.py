"""A client's whole connection, with everything between its bytes and the backend's.

However the bytes are cut, the client gets the same answers and the backend the
same whole requests; each of those has one reading and says who calls, in the
gateway's words alone.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import attrs
from twisted.internet.address import IPv4Address
from twisted.internet.protocol import Protocol
from twisted.internet.task import Clock
from twisted.web.resource import Resource
from twisted.web.server import Site

from fuzz import judges, words
from fuzz.phrase import Draw, Outcome, same_in_any_split
from toolforge_gateway.auth.chain import AuthenticatorChain
from toolforge_gateway.config import loads
from toolforge_gateway.deadlines import Deadlines
from toolforge_gateway.edge.admission import Addresses, TurnedAway, Turnstile
from toolforge_gateway.edge.caller import Caller
from toolforge_gateway.edge.gatekeeper import Gatekeeper
from toolforge_gateway.edge.local import LocalSite
from toolforge_gateway.edge.pipe import join
from toolforge_gateway.edge.server import Server, Shared
from toolforge_gateway.model import DependsOn, Evidence, Exchange, Identity, Kind
from toolforge_gateway.policy import ToolforgeAuthorizer
from toolforge_gateway.proxy.connection import UpstreamConnection
from toolforge_gateway.proxy.forwarding import Forwarding
from toolforge_gateway.proxy.resource import ReverseProxyResource
from toolforge_gateway.routing import RouteTable

CONFIGURATION = loads(
    """\
listen:
- endpoint: tcp:8443
  tls: {certificate: c, private_key: k, client_cas: [{name: a, ca: a, identifies: [tool]}]}
upstream_tls: {ca: c, certificate: c, private_key: k}
backends: [{name: jobs, path: /jobs, url: 'https://jobs:1'}]
authenticators: [{kind: x}]
limits: {request_body: 1000, header_block: 1024}
""",
    Path("/etc/gw/g.yaml"),
)
ADDRESS = IPv4Address("TCP", "192.0.2.1", 4711)
PREFIX = b"/jobs/v1/tool/tf-test/"
_own = re.compile(rb"/v[0-9]+/tool/tf-test(?:/|\Z)").match
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
WORDS = [
    b"GET " + PREFIX + b" HTTP/1.1\r\nHost: gw\r\n\r\n",
    b"POST " + PREFIX + b" HTTP/1.1\r\nHost: gw\r\nContent-Length: 5\r\n\r\nhello",
    b"PUT " + PREFIX + b" HTTP/1.1\r\nHost: gw\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"GET /healthz HTTP/1.1\r\nHost: gw\r\n\r\n",
    b"GET /jobs/v1/tool/victim/ HTTP/1.1\r\nHost: gw\r\n\r\n",
    b"GET " + PREFIX + b" HTTP/1.1\r\nHost: gw\r\n",
    b"5\r\nhello\r\n0\r\n\r\n",
    b"X-Toolforge-Tool: victim\r\n",
    *words.REQUEST,
]


def check(data: bytes) -> None:
    """Everything a client sends on one connection."""
    draw = Draw.of(data, WORDS)
    answers, requests = same_in_any_split(draw, _converse)
    assert isinstance(answers, bytes) and isinstance(requests, tuple)
    assert answers.count(b"HTTP/1.1 200 OK\r\n") == len(requests), "an answer was lost, or made up"
    for request in requests:
        path = request.target.partition(b"?")[0]
        assert _own(path) or b"tool" not in path, request
        fields = request.fields
        for name in (b"x-toolforge-tool", b"x-toolforge-user"):
            assert [value for _, value in judges.named(fields, name)] == [b"tf-test"], fields
        for name in (b"x-forwarded-for", b"x-forwarded-proto", b"host"):
            assert len(judges.named(fields, name)) == 1, fields
        for name in (b"authorization", b"cookie", b"connection", b"te", b"forwarded", b"x-ssl-*"):
            assert not judges.named(fields, name), fields


@attrs.frozen
class Request:
    """A whole request at the backend."""

    start: bytes
    fields: tuple[judges.Field, ...]
    body: bytes

    @property
    def target(self) -> bytes:
        """As the backend is asked for it."""
        return self.start.split(b" ")[1]


class _End(Protocol):
    """Keeps what it is told."""

    received = b""

    def dataReceived(self, data: bytes) -> None:
        self.received += data


class _Backend(_End):
    """Answers each whole request, read in the plainest way."""

    def __init__(self, requests: list[Request]):
        self._requests = requests

    def dataReceived(self, data: bytes) -> None:
        super().dataReceived(data)
        while (taken := _request(self.received)) is not None:
            request, self.received = taken
            self._requests.append(request)
            self.transport.write(ANSWER[:-2] if request.start.startswith(b"HEAD ") else ANSWER)


def _request(data: bytes) -> tuple[Request, bytes] | None:
    head, end, rest = data.partition(b"\r\n\r\n")
    if not end:
        return None
    start, fields = judges.lines_of(head + end)
    chunked, length = judges.framing_of(fields, 1)
    said = [field for field in fields if field[0] != b"X-Request-ID"]
    body = rest[: length or 0]
    rest = rest[length or 0 :]
    if len(body) < (length or 0):
        return None
    while chunked:
        line, end, rest = rest.partition(b"\r\n")
        size = int(line, 16) if end else 0
        if not end or len(rest) < size + 2:
            return None
        piece, end, rest = rest[:size], rest[size : size + 2], rest[size + 2 :]
        assert end == b"\r\n", "the backend got a chunk of another size"
        body += piece
        chunked = bool(size)
    return Request(start, tuple(said), body), rest


class _Pool:
    """Joins each borrower to the backend in memory."""

    def __init__(self, clock: Clock):
        self.requests: list[Request] = []
        self._clock = clock

    def take(self) -> None:
        """There is never a kept connection."""

    def dial(self, customer: Forwarding, timeouts: object) -> None:
        connection = UpstreamConnection(self, customer)
        join(self._clock, ADDRESS, connection, _Backend(self.requests))
        self._clock.callLater(0, connection.handshakeCompleted)

    def put(self, connection: UpstreamConnection) -> None:
        """Nothing is kept."""
        connection.close()

    def answered(self, connection: UpstreamConnection) -> None:
        """Nothing is counted."""

    def unanswered(
        self,
        connection: UpstreamConnection,
        reason: str,
        detail: object,
        since: float | None = None,
    ) -> None:
        """Nothing is counted."""

    def lost(self, connection: UpstreamConnection) -> None:
        """Nothing is counted."""


class _Known:
    """Takes everybody for one tool."""

    name = "fuzz"
    depends_on = DependsOn.CONNECTION
    headers: frozenset[str] = frozenset()

    def authenticate(self, evidence: Evidence) -> Identity:
        return Identity("tf-test", Kind.TOOL, self.name)


class _Observer:
    def ended(self, exchange: Exchange) -> None:
        """An access log line would be written here."""


class _Verifier:
    """Knows no authority."""

    anchors: tuple[bytes, ...] = ()


class _Server(Server):
    """Without TLS there is nobody to verify."""

    def identify(self, transport: object, caller: Caller) -> Caller:
        standing = self._shared.gatekeeper.introduce(caller.address, None)
        return attrs.evolve(caller, standing=standing)


def _converse(pieces: Sequence[bytes]) -> Outcome:
    clock = Clock()
    deadlines = Deadlines(clock)
    pool = _Pool(clock)
    [backend] = CONFIGURATION.backends
    timeouts, limits = CONFIGURATION.timeouts, CONFIGURATION.limits
    resource = ReverseProxyResource(backend, pool, deadlines, lambda *_: 0)  # type: ignore[arg-type]
    site = Site(Resource(), reactor=clock, timeout=None)
    shared = Shared(
        gatekeeper=Gatekeeper(AuthenticatorChain([_Known()]), ToolforgeAuthorizer()),
        routes=RouteTable({backend.path: resource}),
        local=LocalSite(site, clock, deadlines, timeouts),
        deadlines=deadlines,
        timeouts=timeouts,
        limits=limits,
        observer=_Observer(),
        running=Turnstile(limits.requests),
        addresses=Addresses(TurnedAway("connections_per_address", clock.seconds)),
        new_request_id=lambda: "id",
    )
    server = _Server(shared, CONFIGURATION.listen[0], _Verifier(), lambda host: False)  # type: ignore[arg-type]
    connection = server.buildProtocol(ADDRESS)
    client = _End()
    join(clock, ADDRESS, client, connection)
    connection.handshakeCompleted()
    for piece in pieces:
        client.transport.write(piece)
        _settle(clock)
    _settle(clock)
    assert clock.seconds() < 0.25, "it took longer than the shortest deadline"
    return client.received, tuple(pool.requests)


def _settle(clock: Clock) -> None:
    """Let everything happen that needs no time; nothing here may go on for ever."""
    for _ in range(2000):
        if not any(call.getTime() <= clock.seconds() for call in clock.getDelayedCalls()):
            return
        clock.advance(0)
    raise AssertionError("it never comes to rest")
