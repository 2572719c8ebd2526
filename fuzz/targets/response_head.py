"""Answers of backends: as requests, and the length of what follows is the one
that RFC 9112 section 6.3 says."""

from __future__ import annotations

from collections.abc import Sequence

from fuzz import judges, words
from fuzz.phrase import Draw, Outcome, same_in_any_split
from fuzz.targets.request_head import ROOMY, SMALL, USUAL
from toolforge_gateway import headers
from toolforge_gateway.errors import BadMessage
from toolforge_gateway.http import write
from toolforge_gateway.http.head import HeadLimits, HeadReader, parse_response_head
from toolforge_gateway.http.known import KnownAnswers
from toolforge_gateway.http.message import Framing, ResponseHead


def check(data: bytes) -> None:
    """A stream of answer heads to GET or HEAD."""
    draw = Draw.of(data, words.RESPONSE)
    limits = SMALL if draw.flag(1) else USUAL
    method = b"HEAD" if draw.flag(2) else b"GET"
    outcome = same_in_any_split(draw, lambda pieces: _read(pieces, method, limits))
    for raw, head in outcome[0]:
        _judge(raw, head, method, limits)
        _judge_passed_on(head, method)


def _read(pieces: Sequence[bytes], method: bytes, limits: HeadLimits) -> Outcome:
    reader = HeadReader(limits)
    known = KnownAnswers(limits)
    heads: list[tuple[bytes, ResponseHead]] = []
    for each in pieces:
        piece = each
        while piece:
            try:
                raw = reader.feed(piece)
                if raw is None:
                    break
                heads.append((raw, parse_response_head(raw, method, limits)))
                for asked in (b"GET", b"HEAD", method):
                    known.parse(raw, asked)
                assert known.parse(raw, method) == heads[-1][1]
            except BadMessage as refusal:
                return heads, refusal.status, refusal.reason
            piece = reader.rest
    return heads, reader.started


def _judge(raw: bytes, head: ResponseHead, method: bytes, limits: HeadLimits) -> None:
    start, fields = judges.lines_of(raw)
    assert start == b"HTTP/1.%d %d %b" % (head.minor, head.status, head.reason), start
    assert 100 <= head.status <= 599
    assert len(start) <= limits.request_line and len(fields) <= limits.headers
    assert list(head.fields) == fields
    chunked, length = judges.framing_of(fields, head.minor)
    bodiless = method == b"HEAD" or head.status < 200 or head.status in (204, 304)
    if bodiless:
        assert head.framing is Framing.NONE
    elif chunked:
        assert head.framing is Framing.CHUNKED and head.length is None
    elif length is not None:
        assert head.framing is Framing.LENGTH and head.length == length
    else:
        assert head.framing is Framing.UNTIL_CLOSE and not head.persistent
    if head.persistent:
        assert head.minor == 1 and b"close" not in head.connection


def _judge_passed_on(head: ResponseHead, method: bytes) -> None:
    again = parse_response_head(
        write.response_head(head.status, head.reason, head.fields, head.minor), method, ROOMY
    )
    assert again == head
    passed = headers.response_fields(head)
    for name in (b"connection", b"keep-alive", b"proxy-*", b"te", b"trailer", b"upgrade"):
        assert not judges.named(passed, name), passed
    if head.framing is Framing.CHUNKED:
        passed.append((b"Transfer-Encoding", b"chunked"))
    relayed = parse_response_head(
        write.response_head(head.status, head.reason, passed), method, ROOMY
    )
    assert (relayed.framing, relayed.length) == (head.framing, head.length)
