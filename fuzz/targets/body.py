"""Bodies: any split gives the same payload and rest, a plain decoder finds the
same in what was accepted, and what is encoded is what is decoded."""

from __future__ import annotations

from collections.abc import Sequence

from fuzz import words
from fuzz.phrase import Draw, Outcome, same_in_any_split
from toolforge_gateway.errors import BadMessage
from toolforge_gateway.http.body import LAST_CHUNK, BodyDecoder, decoder_for, encode_chunk
from toolforge_gateway.http.head import HeadLimits
from toolforge_gateway.http.message import Framing

SMALL = HeadLimits(request_line=40, header_block=60, headers=3)
USUAL = HeadLimits()


def check(data: bytes) -> None:
    """A body, framed as a knob says."""
    draw = Draw.of(data, words.BODY)
    framing = list(Framing)[draw.knobs[0] >> 2 & 3] if draw.flag(4) else Framing.CHUNKED
    length = draw.knobs[3] if framing is Framing.LENGTH else None
    limits = SMALL if draw.flag(1) else USUAL
    outcome = same_in_any_split(draw, lambda pieces: _read(pieces, framing, length, limits))
    if framing is Framing.CHUNKED:
        if isinstance(outcome[0], bytes):
            assert outcome == _plainly(draw.message), outcome
    elif framing is Framing.UNTIL_CLOSE:
        assert outcome == (draw.message, b"", True)
    elif framing in (Framing.LENGTH, Framing.NONE):
        cut = length or 0
        expected = draw.message[:cut], draw.message[cut:], len(draw.message) >= cut
        assert outcome == expected, outcome
    _judge_encoded(draw)


def _read(
    pieces: Sequence[bytes], framing: Framing, length: int | None, limits: HeadLimits
) -> Outcome:
    decoder: BodyDecoder = decoder_for(framing, length, limits)
    payload: list[bytes] = []
    try:
        for piece in pieces:
            payload += decoder.feed(piece)
    except BadMessage as refusal:
        assert refusal.status in (400, 431) and refusal.close
        # How much of the payload came out before is a matter of the pieces.
        return refusal.status, refusal.reason, False
    assert all(payload), "an empty piece would end a chunked body"
    before = decoder.finished
    try:
        decoder.eof()
    except BadMessage as refusal:
        assert not before and (refusal.status, refusal.reason) == (400, "body-cut")
    return b"".join(payload), decoder.rest, decoder.finished


def _plainly(data: bytes) -> tuple[bytes, bytes, bool]:
    """Payload, rest and whether it is whole, of a chunked body that was not refused."""
    payload = b""
    while True:
        line, end, data = data.partition(b"\r\n")
        if not end:
            return payload, b"", False
        size = int(line.split(b";")[0], 16)
        assert size < 2**63, "a size passed that wraps around elsewhere"
        if not size:
            break
        payload, end, data = payload + data[:size], data[size : size + 2], data[size + 2 :]
        assert b"\r\n".startswith(end), "a chunk of another size passed"
        if end != b"\r\n":
            return payload, b"", False
    while True:
        line, end, data = data.partition(b"\r\n")
        if not end:
            return payload, b"", False
        if not line:
            return payload, data, True


def _judge_encoded(draw: Draw) -> None:
    encoded = b"".join(map(encode_chunk, draw.pieces())) + LAST_CHUNK
    for rest in (b"", draw.message):
        outcome = _read([encoded + rest], Framing.CHUNKED, None, USUAL)
        assert outcome == (draw.message, rest, True), outcome
