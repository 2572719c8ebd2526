"""The lines of a head: how they must look, and what is wrong when they do not.

The compiled expressions are the fast path: a head that matches is right.  The
functions are asked only about heads that do not match, or that are not there
as a whole yet; they find the first fault in the order of the bytes, so that
the answer does not depend on how the bytes were cut into pieces.
"""

from __future__ import annotations

import re

import attrs

from ..errors import BadMessage

# RFC 9110 sections 5.6.2 (token) and 5.5 (field-value, obs-text included);
# RFC 9112 sections 3 and 4.  Possessive quantifiers: no backtracking, ever.  A group
# is repeated as `(?>(?:...)*)` instead of `(?:...)*+`: before Python 3.11.5 (Debian 12 has
# 3.11.2) the latter also takes the beginning of a repetition that does not match to its end.
TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]++"
TEXT = rb"[\t\x20-\x7e\x80-\xff]*+"
# Methods are case-sensitive, but some receivers fold them: `get` has two readings.
METHOD = rb"[!#$%&'*+\-.^_`|~0-9A-Z]++"
# Neither white space nor control nor 8-bit; `check_target` does the rest.
TARGET = rb"[\x21-\x7e]++"
FIELD_LINES = rb"(?>(?:%b:%b\r\n)*)" % (TOKEN, TEXT)
REQUEST_LINE = rb"(%b) (%b) HTTP/1\.([01])" % (METHOD, TARGET)
STATUS_LINE = rb"HTTP/1\.([01]) ([1-5][0-9]{2}) (%b)" % TEXT

_START_LINE = re.compile(rb"%b|%b" % (REQUEST_LINE, STATUS_LINE))
_METHOD_ONLY = re.compile(METHOD)
_VERSION = re.compile(rb"HTTP/1\.[01]")
_FIELD_LINE = re.compile(rb"%b:%b" % (TOKEN, TEXT))
_SPACE_BEFORE_COLON = re.compile(rb"%b[ \t]+:" % TOKEN)

FORBIDDEN = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|\r(?!\n|\Z)|(?<!\r)\n")
"""Controls, and a CR or LF that is not part of a CRLF: wrong in any line.  A CR
at the very end of what is there may yet be the first half of one."""


LARGEST = 2**63 - 1
"""Bytes; a length or chunk size beyond it wraps around in some receivers."""


@attrs.frozen
class HeadLimits:
    """How large a head may be."""

    request_line: int = 8192
    """Bytes of the request or status line, without its CRLF."""
    header_block: int = 32768
    """Bytes of all field lines with their CRLFs."""
    headers: int = 100
    """Number of field lines."""


def forbidden(data: bytes, match: re.Match[bytes]) -> BadMessage:
    """The refusal for what `FORBIDDEN` found."""
    if match.group() in (b"\r", b"\n"):
        return BadMessage(
            400, "bad-line-end", "A line of your message does not end in CR LF; send both."
        )
    return BadMessage(
        400, "control-character", "Your message has a control character; take it out."
    )


def first_fault(data: bytes, limits: HeadLimits) -> BadMessage | None:
    """What is wrong with the beginning of a head, if anything yet.

    Judges limits, line ends, controls and the start line.  For any split of
    the same bytes the first fault found is the same one.
    """
    start = 2 if data.startswith(b"\r\n") else 0
    if data.startswith(b"\r\n", start) and start:
        return BadMessage(
            400, "bad-request-line", "Your request begins with empty lines; leave them out."
        )
    window = data[start : start + limits.request_line + 2]
    match = FORBIDDEN.search(window)
    end = window.find(b"\r\n")
    if match is not None and not 0 <= end < match.start():
        return forbidden(window, match)
    if end < 0:
        if len(window) < limits.request_line + 2:
            return None
        return BadMessage(
            414,
            "request-line-too-long",
            f"Your request line is longer than {limits.request_line} bytes; shorten the URL.",
        )
    if _START_LINE.fullmatch(window, 0, end) is None:
        return start_line_fault(window[:end])
    return _block_fault(data, start + end + 2, limits)


def _block_fault(data: bytes, start: int, limits: HeadLimits) -> BadMessage | None:
    window = data[start : start + limits.header_block + 2]
    blank = window.find(b"\r\n\r\n")
    end = 0 if window.startswith(b"\r\n") else blank + 2 if blank >= 0 else len(window)
    match = FORBIDDEN.search(window, 0, end)
    lines = window.count(b"\r\n", 0, match.start() if match else end)
    if lines > limits.headers:
        return BadMessage(
            431,
            "too-many-headers",
            f"Your message has more than {limits.headers} headers; send fewer.",
        )
    if match is not None:
        return forbidden(window, match)
    if end >= limits.header_block + 2:
        return BadMessage(
            431,
            "headers-too-large",
            f"Your headers are larger than {limits.header_block} bytes; send less.",
        )
    return None


def start_line_fault(line: bytes) -> BadMessage:
    """Why a whole start line is refused."""
    parts = line.split(b" ")
    if line.startswith(b"HTTP/"):
        return BadMessage(400, "bad-status-line", "The answer has no valid HTTP/1.1 status line.")
    if not _METHOD_ONLY.fullmatch(parts[0]):
        return BadMessage(400, "bad-method", "Your request has no valid method; use upper case.")
    if len(parts) == 3 and not _VERSION.fullmatch(parts[2]):
        return BadMessage(
            400, "bad-version", "Only HTTP/1.1 and HTTP/1.0 are spoken here; use HTTP/1.1."
        )
    return BadMessage(
        400,
        "bad-request-line",
        "Your request line is not a method, a target and HTTP/1.1, with one space between them.",
    )


def field_fault(block: bytes) -> BadMessage:
    """Why the field lines of a whole head are refused.

    :param block: all of them, each with its CRLF, and none has a forbidden
        character (`first_fault` comes before).
    """
    for line in block.split(b"\r\n"):
        if line[:1] in (b" ", b"\t"):
            return BadMessage(400, "folded-header", "A header goes over two lines; use one.")
        if _SPACE_BEFORE_COLON.match(line):
            return BadMessage(
                400, "space-before-colon", "A header has white space before its colon; take it out."
            )
        if not _FIELD_LINE.fullmatch(line):
            break
    return BadMessage(
        400, "bad-header", "A header line is not a valid name, a colon and a value; correct it."
    )
