"""Judging a request target: origin-form with one reading, or refused.

Whoever receives a target may decode it once or twice, remove dot segments,
merge slashes, cut parameters off or normalise Unicode before routing by it.
A target passes when all of these leave it the same path, and then it passes
byte for byte (RFC 9112 section 3.2.1, RFC 3986 sections 2, 3.3 and 6).
"""

from __future__ import annotations

import re
import unicodedata
from urllib.parse import unquote_to_bytes

import attrs

from ..errors import BadMessage

# RFC 3986 section 3.3, a pchar without escapes.
_PCHAR = r"A-Za-z0-9\-._~!$&'()*+,;=:@"
# Any visible ASCII but "#" and "%": clients send "[" and "|" in queries as they are.
_QUERY = r"[!-\"$&-~]*+(?>(?:%[0-9A-Fa-f]{2}[!-\"$&-~]*+)*)"

# What nearly all targets look like; none of it needs a second look.  No segment
# is empty or begins with a dot, and there is neither "%" nor ";".
_match_plain = re.compile(
    r"((?>(?:/[A-Za-z0-9\-_~!$&'()*+,=:@][A-Za-z0-9\-._~!$&'()*+,=:@]*+)*)/?)"
    rf"(?:\?({_QUERY}))?"
).fullmatch
_match_any = re.compile(rf"(/(?>(?:[{_PCHAR}/]|%[0-9A-Fa-f]{{2}})*))(?:\?({_QUERY}))?").fullmatch

_bad_escape = re.compile(r"%(?![0-9A-Fa-f]{2})").search
_unreserved = re.compile(  # "-", ".", "_", "~", digits and letters, escaped
    r"%(?:2[DdEe]|5[Ff]|7[Ee]|3[0-9]|[46][1-9A-Fa-f]|[57][0-9Aa])"
).search
_separator = re.compile(r"%(?:2[Ff]|5[Cc])").search
# "%u002e" was never a standard, and is decoded nevertheless.
_escape = re.compile(r"%(?:[0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4})").search
# Where a receiver might see the end of a segment's proper part.
_proper = re.compile(r"[;?#]")


@attrs.frozen(slots=False)  # twice as quick to make
class Target:
    """A target that passed, in two parts, as received."""

    path: str
    """ASCII, escapes kept."""
    query: str | None
    """What follows the first `?`; None when there is none."""


def check_target(target: bytes) -> Target:
    """Judge a target.

    :raise BadMessage: 400, with a word for the rule it breaks.
    """
    try:
        text = target.decode("ascii")
    except UnicodeDecodeError:
        raise _refused("bad-target", "has raw 8-bit characters; percent-encode them") from None
    match = _match_plain(text)
    if match is not None:
        path, query = match.groups()
        if path:
            return Target(path, query)
    match = _match_any(text)
    if match is None:
        raise _malformed(text)
    path, query = match.groups()
    _check_path(path)
    return Target(path, query)


def _refused(reason: str, what: str) -> BadMessage:
    return BadMessage(400, reason, f"The URL of your request {what}.")


def _malformed(text: str) -> BadMessage:
    if not text.startswith("/"):
        return _refused(
            "not-origin-form", "is not a path that begins with a slash; write /name/..."
        )
    if _bad_escape(text):
        return _refused("bad-escape", "has a % that is not followed by two hex digits; write %25")
    return _refused("bad-target", "has a character that must be percent-encoded; encode it")


def _check_path(path: str) -> None:
    if _unreserved(path):
        raise _refused(
            "escaped-unreserved",
            "percent-encodes a letter, a digit or one of -._~; write it as it is",
        )
    if _separator(path):
        raise _refused("encoded-separator", "has an encoded slash or backslash; leave it out")
    try:
        decoded = unquote_to_bytes(path).decode("utf-8")
    except UnicodeDecodeError:
        raise _refused("bad-utf8", "has escapes that are not UTF-8; encode UTF-8") from None
    if _escape(decoded):
        raise _refused("encoded-twice", "is percent-encoded twice; encode it once")
    for character in decoded:
        if not "\x20" <= character <= "\x7e":
            _check_character(character)
    segments = decoded.split("/")[1:]
    last = len(segments) - 1
    for index, segment in enumerate(segments):
        _check_segment(segment, index == last)


def _check_character(character: str) -> None:
    if unicodedata.category(character) in ("Cc", "Cf", "Zl", "Zp"):
        raise _refused(
            "control-character", "has an encoded control or invisible character; leave it out"
        )
    if any(part < "\x80" for part in unicodedata.normalize("NFKC", character)):
        raise _refused(
            "look-alike", "has a character that can be taken for an ASCII one; write the ASCII one"
        )


def _check_segment(segment: str, is_last: bool) -> None:
    proper = _proper.split(segment, maxsplit=1)[0]
    if proper.strip(" ") in (".", ".."):
        raise _refused("dot-segment", "has a . or .. segment; write the path that is meant")
    if segment.startswith(";") or not segment and not is_last:
        raise _refused("empty-segment", "has an empty segment; write one slash")
