"""Messages written anew from values; no received text is ever relayed."""

from __future__ import annotations

from collections.abc import Iterable

from .message import Field


def lines(fields: Iterable[Field]) -> bytes:
    """Header lines, each with its line end.

    :raise ValueError: CR, LF or NUL in any part.
    """
    written = [b"%b: %b\r\n" % field for field in fields]
    text = b"".join(written)
    ends = len(written)
    if text.count(b"\r") != ends or text.count(b"\n") != ends or b"\0" in text:
        raise ValueError("a field to be written has a CR, LF or NUL within its line")
    return text


def request(method: bytes, target: bytes, header_lines: bytes) -> bytes:
    """The head of an HTTP/1.1 request, blank line included.

    :param header_lines: from `lines`.
    :raise ValueError: CR, LF or NUL in method or target.
    """
    return _head(b"%b %b HTTP/1.1" % (method, target), header_lines)


def request_so_far(method: bytes, target: bytes, header_lines: bytes) -> bytes:
    """`request`, for more header lines and the blank line to follow."""
    return request(method, target, header_lines)[:-2]


def response(status: int, reason: bytes, header_lines: bytes, minor: int = 1) -> bytes:
    """The head of an answer, blank line included.

    :param header_lines: from `lines`.
    :param minor: the digit after `HTTP/1.`.
    :raise ValueError: CR, LF or NUL in the reason phrase.
    """
    return _head(b"HTTP/1.%d %d %b" % (minor, status, reason), header_lines)


def request_head(method: bytes, target: bytes, fields: Iterable[Field]) -> bytes:
    """`request` of fields."""
    return request(method, target, lines(fields))


def response_head(status: int, reason: bytes, fields: Iterable[Field], minor: int = 1) -> bytes:
    """`response` of fields."""
    return response(status, reason, lines(fields), minor)


def _head(start: bytes, header_lines: bytes) -> bytes:
    if b"\r" in start or b"\n" in start or b"\0" in start:
        raise ValueError("a first line to be written has a CR, LF or NUL")
    return b"%b\r\n%b\r\n" % (start, header_lines)
