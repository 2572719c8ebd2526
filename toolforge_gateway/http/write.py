"""Messages written anew from values; no received text is ever relayed."""

from __future__ import annotations

from collections.abc import Iterable

from .message import Field


def _head(start: bytes, fields: Iterable[Field]) -> bytes:
    lines = [start]
    lines += [b"%b: %b" % field for field in fields]
    head = b"\r\n".join(lines) + b"\r\n\r\n"
    ends = len(lines) + 1
    if head.count(b"\r") != ends or head.count(b"\n") != ends or b"\0" in head:
        raise ValueError("a head to be written has a CR, LF or NUL within a line")
    return head


def request_head(method: bytes, target: bytes, fields: Iterable[Field]) -> bytes:
    """The head of an HTTP/1.1 request, blank line included.

    :raise ValueError: CR, LF or NUL in any part.
    """
    return _head(b"%b %b HTTP/1.1" % (method, target), fields)


def response_head(
    status: int, reason: bytes, fields: Iterable[Field], minor: int = 1
) -> bytes:
    """The head of an answer, blank line included.

    :param minor: the digit after `HTTP/1.`.
    :raise ValueError: CR, LF or NUL in any part.
    """
    return _head(b"HTTP/1.%d %d %b" % (minor, status, reason), fields)
