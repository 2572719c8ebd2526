"""Reading heads: requests and answers up to their blank line (RFC 9112)."""

from __future__ import annotations

import re
from collections.abc import Callable

from ..errors import BadMessage
from .grammar import (
    FIELD_LINES,
    FORBIDDEN,
    LARGEST,
    REQUEST_LINE,
    STATUS_LINE,
    TOKEN,
    HeadLimits,
    field_fault,
    first_fault,
    start_line_fault,
)
from .host import is_host
from .message import Field, Framing, RequestHead, ResponseHead
from .names import Remembered, fold

__all__ = ["HeadLimits", "HeadReader", "parse_request_head", "parse_response_head"]

_REQUEST_LINE = re.compile(REQUEST_LINE)
_STATUS_LINE = re.compile(STATUS_LINE)
# One empty line before a request is tolerated (RFC 9112 section 2.2).
_match_request = re.compile(rb"(?>(?:\r\n)?)%b\r\n(%b)\r\n" % (REQUEST_LINE, FIELD_LINES)).fullmatch
_match_response = re.compile(rb"%b\r\n(%b)\r\n" % (STATUS_LINE, FIELD_LINES)).fullmatch
_find_fields = re.compile(rb"([^:]++):[ \t]*+([^\r]*+)\r\n").findall
_is_token = re.compile(TOKEN).fullmatch
_is_length = re.compile(rb"0|[1-9][0-9]{0,18}").fullmatch

REFUSED_METHODS = frozenset([b"CONNECT", b"TRACE"])
"""They are not for a gateway."""


def _options(value: bytes) -> frozenset[bytes]:
    """The options of one Connection field; empty list elements are skipped
    (RFC 9110 section 5.6.1.2)."""
    options = frozenset(option.strip(b" \t") for option in value.lower().split(b",")) - {b""}
    if not all(map(_is_token, options)):
        raise BadMessage(
            400, "bad-connection", "The Connection header is no list of names; correct it."
        )
    return options


_OPTIONS = Remembered(_options)
_IS_HOST = Remembered(is_host)


class _Specials:
    """The fields that say where the message ends and what the connection does."""

    __slots__ = ("chunked", "connection", "expect", "host", "length")

    def __init__(self) -> None:
        self.connection: frozenset[bytes] = frozenset()
        self.expect = False
        self.host: bytes | None = None
        self.length: int | None = None
        self.chunked = False

    def take_host(self, value: bytes) -> None:
        if self.host is not None or not _IS_HOST[value]:
            raise _bad_host()
        self.host = value

    def take_connection(self, value: bytes) -> None:
        options = _OPTIONS[value]
        self.connection = self.connection | options if self.connection else options

    def take_length(self, value: bytes) -> None:
        if self.length is not None or self.chunked:
            raise _two_framings()
        if not _is_length(value) or (length := int(value)) > LARGEST:
            raise BadMessage(
                400, "bad-content-length", "Content-Length is not one decimal number; correct it."
            )
        self.length = length

    def take_transfer_encoding(self, value: bytes) -> None:
        if self.length is not None or self.chunked:
            raise _two_framings()
        if value.lower() != b"chunked":
            raise _bad_transfer_encoding()
        self.chunked = True

    def take_expect(self, value: bytes) -> None:
        if self.expect or value.lower() != b"100-continue":
            raise BadMessage(
                417,
                "bad-expectation",
                "The only expectation known is one 100-continue; send that, or none.",
            )
        self.expect = True

    def take_misspelt(self, value: bytes) -> None:
        raise BadMessage(
            400,
            "misspelt-header",
            "A header that others could take for one about the message's end is misspelt;"
            " correct it.",
        )


_Taker = Callable[[_Specials, bytes], None]
_OF_ANSWERS: dict[bytes, _Taker] = {
    b"connection": _Specials.take_connection,
    b"content-length": _Specials.take_length,
    b"transfer-encoding": _Specials.take_transfer_encoding,
}
_OF_REQUESTS: dict[bytes, _Taker] = {
    **_OF_ANSWERS,
    b"expect": _Specials.take_expect,
    b"host": _Specials.take_host,
}


def _takers(table: dict[bytes, _Taker]) -> Remembered[_Taker | None]:
    """Who takes a field of a name as received; None for nearly all names."""

    def rule(name: bytes) -> _Taker | None:
        folded = fold(name)
        take = table.get(folded)
        return take if take is None or name.lower() == folded else _Specials.take_misspelt

    return Remembered(rule)


_REQUEST_TAKERS = _takers(_OF_REQUESTS)
_ANSWER_TAKERS = _takers(_OF_ANSWERS)


def _specials(fields: list[Field], takers: Remembered[_Taker | None]) -> _Specials:
    special = _Specials()
    for name, value in fields:
        take = takers[name]
        if take is not None:
            take(special, value)
    return special


def _bad_host() -> BadMessage:
    return BadMessage(400, "bad-host", "Send exactly one valid Host header.")


def _two_framings() -> BadMessage:
    return BadMessage(
        400,
        "ambiguous-length",
        "Send either one Content-Length or one Transfer-Encoding, not both and none twice.",
    )


def _bad_transfer_encoding() -> BadMessage:
    return BadMessage(
        400,
        "bad-transfer-encoding",
        "The only transfer encoding is one chunked, and only in HTTP/1.1; send that, or none.",
    )


def _fields(match: re.Match[bytes], limits: HeadLimits) -> list[Field]:
    """The fields of a head that matches.

    :raise BadMessage: 414 or 431, it is larger than allowed.
    """
    block = match[4]
    fields: list[Field] = _find_fields(block)
    if (
        match.end(3) > limits.request_line
        or len(block) > limits.header_block
        or len(fields) > limits.headers
    ) and (fault := first_fault(match.string, limits)) is not None:
        raise fault
    if b" \r" in block or b"\t" in block:
        fields = [(name, value.rstrip(b" \t")) for name, value in fields]
    return fields


def _fault(data: bytes, start_line: re.Pattern[bytes], limits: HeadLimits) -> BadMessage:
    """The first fault of a head that does not match."""
    fault = first_fault(data, limits)
    if fault is not None:
        return fault
    if start_line is _REQUEST_LINE:
        data = data.removeprefix(b"\r\n")
    line, _, block = data.partition(b"\r\n")
    if not start_line.fullmatch(line):
        return start_line_fault(line)
    return field_fault(block[:-2])


def method_fault(method: bytes) -> BadMessage | None:
    """Why a well-formed method is refused, if it is."""
    if method in REFUSED_METHODS:
        return BadMessage(
            400, "method-refused", "CONNECT and TRACE are not for a gateway; use another method."
        )
    return None


def parse_request_head(data: bytes, limits: HeadLimits) -> RequestHead:
    """Read a request's head.

    :param data: from its first byte up to and including the blank line.
    :raise BadMessage: 400, 414, 417 or 431; see `docs/http.md`.
    """
    match = _match_request(data)
    if match is None:
        raise _fault(data, _REQUEST_LINE, limits)
    method, target, digit, _ = match.groups()
    fields = _fields(match, limits)
    refused = method_fault(method)
    if refused is not None:
        raise refused
    special = _specials(fields, _REQUEST_TAKERS)
    modern = digit == b"1"
    if special.host is None and modern:
        raise _bad_host()
    length = special.length
    if special.chunked:
        if not modern:
            raise _bad_transfer_encoding()
        framing = Framing.CHUNKED
    else:
        framing = Framing.NONE if length is None else Framing.LENGTH
    connection = special.connection
    return RequestHead(
        method,
        target,
        1 if modern else 0,
        tuple(fields),
        special.host,
        framing,
        length,
        modern and b"close" not in connection,
        modern and special.expect and (special.chunked or bool(length)),
        connection,
    )


def parse_response_head(data: bytes, request_method: bytes, limits: HeadLimits) -> ResponseHead:
    """Read an answer's head.

    :param data: from its first byte up to and including the blank line.
    :param request_method: what was asked; an answer to HEAD has no body.
    :raise BadMessage: the status is of no use here, a bad answer is a 502.
    """
    match = _match_response(data)
    if match is None:
        raise _fault(data, _STATUS_LINE, limits)
    digit, code, reason, _ = match.groups()
    fields = _fields(match, limits)
    special = _specials(fields, _ANSWER_TAKERS)
    modern = digit == b"1"
    if special.chunked and not modern:
        raise _bad_transfer_encoding()
    status = int(code)
    length = special.length
    persistent = modern and b"close" not in special.connection
    if request_method == b"HEAD" or status == 304:
        framing = Framing.NONE
    elif status < 200 or status == 204:
        # Must not announce a body (RFC 9110 section 8.6); what may follow is not read.
        framing = Framing.NONE
        persistent = persistent and not special.chunked and not length
        length = None
    elif special.chunked:
        framing = Framing.CHUNKED
    elif length is not None:
        framing = Framing.LENGTH
    else:
        framing = Framing.UNTIL_CLOSE
        persistent = False
    return ResponseHead(
        status,
        reason,
        1 if modern else 0,
        tuple(fields),
        framing,
        length,
        persistent,
        special.connection,
    )


class HeadReader:
    """Collects heads from the pieces in which they arrive, requests or answers.

    Memory is bounded by the limits and one piece.  Refuses as soon as no
    further byte could make a head of it; `parse_request_head` and
    `parse_response_head` are still the judges of a complete one.
    """

    def __init__(self, limits: HeadLimits):
        self._limits = limits
        self._begin()
        self.rest = b""
        """What came after the last head, not looked at."""

    def _begin(self) -> None:
        self._buffer = bytearray()
        # The size from which on a limit may have been passed.
        self._judge_at = self._limits.request_line + 2

    @property
    def started(self) -> bool:
        """Whether anything of a head is there; a tolerated empty line is not."""
        return len(self._buffer) > 2 or self._buffer not in (b"", b"\r", b"\r\n")

    def feed(self, data: bytes) -> bytes | None:
        """Take bytes; give back a head once it is complete.

        The reader is then ready for the next head, and `rest` is what was left.

        :return: the head up to and including its blank line, or None.
        :raise BadMessage: 400, 414 or 431.
        """
        buffer = self._buffer
        before = len(buffer)
        if before:
            buffer += data
            # From 2 on: one empty line before a head is no end.
            end = buffer.find(b"\r\n\r\n", max(before - 3, 2))
            everything: bytes | bytearray = buffer
        else:
            end = data.find(b"\r\n\r\n", 2)
            everything = data
        if end >= 0:
            head = bytes(everything[: end + 4])
            self.rest = bytes(everything[end + 4 :])
            if len(head) > self._limits.request_line + self._limits.header_block + 6:
                fault = first_fault(head, self._limits)
                if fault is not None:
                    raise fault
            if before:
                self._begin()
            return head
        if not before:
            buffer += data
        self.rest = b""
        if (
            b"\n" in data
            or len(buffer) >= self._judge_at
            or FORBIDDEN.search(buffer, max(before - 1, 0))
        ):
            self._judge()
        return None

    def _judge(self) -> None:
        fault = first_fault(bytes(self._buffer), self._limits)
        if fault is not None:
            raise fault
        start = 2 if self._buffer.startswith(b"\r\n") else 0
        end = self._buffer.find(b"\r\n", start)
        if end < 0:
            self._judge_at = start + self._limits.request_line + 2
        else:
            self._judge_at = end + 2 + self._limits.header_block + 2
