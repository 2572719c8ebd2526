"""Bodies: out of their framing, and into it (RFC 9112 sections 6 and 7)."""

from __future__ import annotations

import re
from typing import Protocol

from ..errors import BadMessage
from .grammar import FORBIDDEN, LARGEST, TEXT, TOKEN, HeadLimits, field_fault, forbidden
from .message import Framing

LONGEST_LINE = 4096
"""Bytes of a chunk's size line or of a trailer line, without CRLF."""
LAST_CHUNK = b"0\r\n\r\n"

# Section 7.1.1.  White space is taken nowhere but around ";" and "=" of an
# extension, and never straight after the size: receivers differ about that.
_QUOTED = rb'"(?>(?:[\t \x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t \x21-\x7e\x80-\xff])*)"'
_EXTENSION = rb";[ \t]*+%b(?>(?:[ \t]*+=[ \t]*+(?:%b|%b))?)" % (TOKEN, TOKEN, _QUOTED)
_match_size = re.compile(
    rb"([0-9A-Fa-f]{1,16}+)((?:%b(?>(?:[ \t]*+%b)*))?)\r\n" % (_EXTENSION, _EXTENSION)
).match
_may_be_size = re.compile(rb"[0-9A-Fa-f]{1,16}(?:;%b)?\r?" % TEXT).fullmatch
_match_trailers = re.compile(rb"%b:%b\r\n" % (TOKEN, TEXT)).fullmatch


class BodyDecoder(Protocol):
    """Takes a body out of its framing, in the pieces in which it arrives."""

    finished: bool
    """Whether the whole body has been seen."""
    left: int
    """Bytes of payload that are sure to come; whoever takes them out of the
    stream before they are fed takes them off here."""
    rest: bytes
    """What came after the body, not looked at."""

    def feed(self, data: bytes) -> list[bytes]:
        """Take bytes; give back the payload in them.

        :raise BadMessage: 400 or 431; only a chunked body can be bad.
        """

    def eof(self) -> None:
        """The connection has ended.

        :raise BadMessage: the body was cut.
        """


def encode_chunk(payload: bytes) -> bytes:
    """One chunk.  An empty payload would end the body, so it gives nothing."""
    return b"%x\r\n%b\r\n" % (len(payload), payload) if payload else b""


def decoder_for(framing: Framing, length: int | None, limits: HeadLimits) -> BodyDecoder:
    """The decoder for a body framed like that."""
    if framing is Framing.CHUNKED:
        return ChunkedDecoder(limits)
    if framing is Framing.UNTIL_CLOSE:
        return UntilCloseDecoder()
    return LengthDecoder(length if framing is Framing.LENGTH and length else 0)


def _cut() -> BadMessage:
    return BadMessage(400, "body-cut", "The body ended before it was complete; send all of it.")


class LengthDecoder:
    """A body of so many bytes, perhaps none."""

    def __init__(self, length: int):
        self.left = length
        self.finished = not length
        self.rest = b""

    def feed(self, data: bytes) -> list[bytes]:
        size = len(data)
        if size < self.left:
            self.left -= size
            return [data] if size else []
        payload, rest = data[: self.left], data[self.left :]
        self.left = 0
        self.finished = True
        self.rest += rest
        return [payload] if payload else []

    def eof(self) -> None:
        if not self.finished:
            raise _cut()


class UntilCloseDecoder:
    """A body that ends with the connection."""

    left = 0

    def __init__(self) -> None:
        self.finished = False
        self.rest = b""

    def feed(self, data: bytes) -> list[bytes]:
        return [data] if data else []

    def eof(self) -> None:
        self.finished = True


class ChunkedDecoder:
    """A chunked body.  Extensions and trailers are checked, bounded and dropped.

    Holds at most one unfinished line; linear in the number of bytes however
    small the chunks are.
    """

    left = 0

    def __init__(self, limits: HeadLimits):
        self._limits = limits
        self._line = b""
        self._left = 0
        self._step = self._size
        self._extensions = 0
        self._trailers = 0
        self._trailer_size = 0
        # How much of an unfinished trailer line has been looked at.
        self._seen = 0
        self.finished = False
        self.rest = b""

    def feed(self, data: bytes) -> list[bytes]:
        if self.finished:
            self.rest += data
            return []
        if self._line:
            data = self._line + data
            self._line = b""
        payload: list[bytes] = []
        at = 0
        size = len(data)
        while at < size and not self.finished:
            after = self._step(data, at, payload)
            if after < 0:
                self._line = data[at:]
                return payload
            at = after
        if self.finished:
            self.rest = data[at:]
        return payload

    def eof(self) -> None:
        if not self.finished:
            raise _cut()

    # Each step takes what it can at `at` and says where it stopped, or -1 when
    # the line there is not complete.

    def _size(self, data: bytes, at: int, payload: list[bytes]) -> int:
        match = _match_size(data, at)
        if match is None or match.end() - at > LONGEST_LINE + 2:
            window = data[at : at + LONGEST_LINE + 2]
            if b"\r\n" in window or not _may_be_size(window):
                raise BadMessage(
                    400,
                    "bad-chunk",
                    "The chunked body has a bad chunk size line; begin it with the size in hex.",
                )
            if len(window) == LONGEST_LINE + 2:
                raise self._too_large()
            return -1
        digits, extensions = match.groups()
        if extensions:
            self._extensions += len(extensions)
            if self._extensions > self._limits.header_block:
                raise self._too_large()
        left = int(digits, 16)
        if left > LARGEST:
            raise BadMessage(
                400,
                "bad-chunk",
                "The chunked body has a chunk that is too large; use smaller ones.",
            )
        at = match.end()
        if not left:
            self._step = self._trailer
            return at
        # The usual case at once: the chunk is here as a whole.
        end = at + left
        if data[end : end + 2] == b"\r\n":
            payload.append(data[at:end])
            return end + 2
        self._left = left
        self._step = self._payload
        return at

    def _too_large(self) -> BadMessage:
        return BadMessage(
            400,
            "chunk-extensions-too-large",
            "The chunked body has too long chunk extensions; leave them out.",
        )

    def _payload(self, data: bytes, at: int, payload: list[bytes]) -> int:
        piece = data[at : at + self._left]
        payload.append(piece)
        self._left -= len(piece)
        if not self._left:
            self._step = self._end
        return at + len(piece)

    def _end(self, data: bytes, at: int, payload: list[bytes]) -> int:
        end = data[at : at + 2]
        if end == b"\r\n":
            self._step = self._size
            return at + 2
        if end == b"\r":
            return -1
        raise BadMessage(
            400, "bad-chunk", "A chunk is longer or shorter than it says; correct its size."
        )

    def _trailer(self, data: bytes, at: int, payload: list[bytes]) -> int:
        window = data[at : at + LONGEST_LINE + 2]
        end = window.find(b"\r\n")
        if end == 0:
            self.finished = True
            return at + 2
        bad = FORBIDDEN.search(window, self._seen)
        if bad is not None and not 0 <= end < bad.start():
            raise forbidden(window, bad)
        if end < 0:
            if len(window) == LONGEST_LINE + 2:
                raise self._trailers_too_large()
            self._seen = len(window) - 1
            return -1
        self._seen = 0
        line = window[: end + 2]
        if not _match_trailers(line):
            raise field_fault(line)
        self._trailers += 1
        self._trailer_size += len(line)
        if self._trailers > self._limits.headers or self._trailer_size > self._limits.header_block:
            raise self._trailers_too_large()
        return at + end + 2

    def _trailers_too_large(self) -> BadMessage:
        return BadMessage(
            431, "trailers-too-large", "The trailers of your body are too large; send less."
        )
