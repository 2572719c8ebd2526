"""Requests: any split reads the same, what is accepted has one reading, and
what goes to a backend is a request again that claims nothing of the client's."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from fuzz import judges, words
from fuzz.phrase import Draw, Outcome, same_in_any_split
from toolforge_gateway import forwarded, headers
from toolforge_gateway.edge.gatekeeper import identity_lines
from toolforge_gateway.errors import BadMessage
from toolforge_gateway.http import write
from toolforge_gateway.http.head import HeadLimits, HeadReader, parse_request_head
from toolforge_gateway.http.known import KnownRequests
from toolforge_gateway.http.message import Framing, RequestHead
from toolforge_gateway.model import Decision
from toolforge_gateway.proxy.resource import framing_line

SMALL = HeadLimits(request_line=40, header_block=90, headers=4)
USUAL = HeadLimits()
ROOMY = HeadLimits(request_line=100_000, header_block=200_000, headers=1000)
STATUSES = frozenset([400, 414, 417, 431])
MARK = b"said-by-the-gateway"
LINES = (
    b"GET /other?x HTTP/1.1",
    b"GET / HTTP/1.0",
    b"CONNECT a:1 HTTP/1.1",
    b"GET  / HTTP/1.1",
    b"get / HTTP/1.1",
    b"",
    b"GET /" + b"x" * 40 + b" HTTP/1.1",
)
"""Request lines, good and bad, under which header lines may come again."""


def check(data: bytes) -> None:
    """A stream of heads, without bodies between them."""
    draw = Draw.of(data, words.REQUEST)
    limits = SMALL if draw.flag(1) else USUAL
    outcome = same_in_any_split(draw, lambda pieces: _read(pieces, limits))
    _judge_remembered([draw.message, *(raw for raw, _ in outcome[0])], limits)
    for raw, head in outcome[0]:
        _judge(raw, head, limits)
        _judge_written(head)
        for forward_credentials in (False, True):
            _judge_forwarded(head, forward_credentials, trusted=draw.flag(2))


def _read(pieces: Sequence[bytes], limits: HeadLimits) -> Outcome:
    reader = HeadReader(limits)
    heads: list[tuple[bytes, RequestHead]] = []
    for each in pieces:
        piece = each
        while piece:
            try:
                raw = reader.feed(piece)
                if raw is None:
                    break
                heads.append((raw, parse_request_head(raw, limits)))
            except BadMessage as refusal:
                assert refusal.status in STATUSES and refusal.close, repr(refusal)
                return heads, refusal.status, refusal.reason
            piece = reader.rest
    return heads, reader.started


def _judge_remembered(raws: Sequence[bytes], limits: HeadLimits) -> None:
    """A reader with a memory reads the same as one without, whatever it has read before."""
    known = KnownRequests(limits)
    for raw in raws * 2:
        for line in (raw.partition(b"\r\n")[0], *LINES):
            data = line + raw[raw.find(b"\r\n") :]
            assert _outcome(known.parse, data) == _outcome(parse_request_head, data, limits)


def _outcome(read: Callable[..., RequestHead], *arguments: object) -> object:
    try:
        return read(*arguments)
    except BadMessage as refusal:
        return refusal.status, refusal.reason


def _judge(raw: bytes, head: RequestHead, limits: HeadLimits) -> None:
    raw = raw.removeprefix(b"\r\n")
    start, fields = judges.lines_of(raw)
    assert start == b"%b %b HTTP/1.%d" % (head.method, head.target, head.minor), start
    assert len(start) <= limits.request_line
    assert len(raw) - len(start) - 4 <= limits.header_block
    assert len(fields) <= limits.headers
    assert list(head.fields) == fields
    assert set(head.method) <= judges.NAME_CHARACTERS and head.method.upper() == head.method
    assert head.method not in (b"CONNECT", b"TRACE")
    assert all(0x21 <= byte <= 0x7E for byte in head.target)
    hosts = judges.named(fields, b"host")
    assert len(hosts) == 1 or not hosts and head.minor == 0, hosts
    assert [value for _, value in hosts] == ([] if head.host is None else [head.host])
    chunked, length = judges.framing_of(fields, head.minor)
    assert head.length == length
    expected = Framing.CHUNKED if chunked else Framing.NONE if length is None else Framing.LENGTH
    assert head.framing is expected
    options = b",".join(value for name, value in fields if name.lower() == b"connection")
    assert head.connection == {o.strip(b" \t") for o in options.lower().split(b",")} - {b""}
    assert head.persistent == (head.minor == 1 and b"close" not in head.connection)
    assert not head.expects_continue or (head.minor == 1 and (chunked or length))


def _judge_written(head: RequestHead) -> None:
    if head.minor == 1:
        written = write.request_head(head.method, head.target, head.fields)
        assert parse_request_head(written, ROOMY) == head


def _judge_forwarded(head: RequestHead, forward_credentials: bool, *, trusted: bool) -> None:
    """The same steps as `ReverseProxyResource.outgoing`."""
    passed = headers.request_fields(head, forward_credentials=forward_credentials)
    for name in judges.NEVER_FROM_A_CLIENT:
        assert not judges.named(passed, name), (name, passed)
    if not forward_credentials:
        for name in judges.CREDENTIALS:
            assert not judges.named(passed, name), passed
    ours = [field for field in passed if field != (b"Expect", b"100-continue")]
    assert set(ours) <= set(head.fields)
    said = forwarded.resolve(
        head.fields,
        peer="192.0.2.1",
        trusted=trusted,
        host=head.host,
        new_request_id=lambda: "id",
    )
    for _ in range(2):  # the second time they are remembered
        lines = headers.request_lines(head, forward_credentials=forward_credentials)
        assert lines == write.lines(passed)
    assert said.lines == write.lines(said.fields)
    lines = write.lines([(b"Host", b"backend:1")]) + lines + said.lines
    lines += identity_lines(Decision("own-tool", MARK.decode(), MARK.decode()))
    lines += framing_line(head) + write.lines([(b"X-Request-ID", said.request_id.encode())])
    again = parse_request_head(write.request(head.method, b"/x", lines), ROOMY)
    assert (again.framing, again.length) == (head.framing, head.length)
    assert again.expects_continue == head.expects_continue and again.persistent
    for name in (b"x-toolforge-tool", b"x-toolforge-user"):
        assert [value for _, value in judges.named(again.fields, name)] == [MARK]
    for name in (b"x-forwarded-for", b"x-forwarded-proto", b"x-request-id"):
        assert len(judges.named(again.fields, name)) == 1
    if not trusted:
        assert said.client == "192.0.2.1" and said.request_id == "id"
        assert judges.named(again.fields, b"x-forwarded-for")[0][1] == b"192.0.2.1"
