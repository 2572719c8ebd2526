"""Heads that were read before.

One client sends the same header lines with every request, and so do all
clients of one kind; a backend answers a poll with the same head until its Date
changes.  What such lines mean need not be worked out anew: the strict reading
of the same bytes is the same.

Only short heads without credentials are remembered, and only so many, so that
strangers can make it neither grow nor hold secrets.
"""

from __future__ import annotations

import re

from .grammar import REQUEST_LINE, HeadLimits
from .head import REFUSED_METHODS, parse_request_head, parse_response_head
from .message import RequestHead, ResponseHead
from .names import fold

ROOM = 512
"""Heads that are remembered; then it starts afresh."""
LONGEST = 1024
"""Bytes of header lines that are worth remembering."""

_SECRET = frozenset([b"authorization", b"cookie", b"proxy-authorization", b"set-cookie"])
_match_line = re.compile(REQUEST_LINE).fullmatch


def has_secrets(head: RequestHead | ResponseHead) -> bool:
    """Whether any of a head's fields is a credential; looked up once for the same lines."""
    known = head.derived.get(has_secrets)
    if known is None:
        known = any(fold(name) in _SECRET for name, _ in head.fields)
        head.derived[has_secrets] = known
    return bool(known)


class KnownRequests:
    """`parse_request_head` with a memory for header lines."""

    def __init__(self, limits: HeadLimits):
        self._limits = limits
        self._known: dict[bytes, RequestHead] = {}

    def parse(self, data: bytes) -> RequestHead:
        """See `parse_request_head`."""
        end = data.find(b"\r\n")
        lines = data[end:]
        known = self._known.get(lines)
        if known is not None and end <= self._limits.request_line:
            match = _match_line(data, 0, end)
            if match is not None:
                method, target, minor = match.groups()
                if minor == b"1" and method not in REFUSED_METHODS:
                    return known.with_line(method, target)
        head = parse_request_head(data, self._limits)
        # A head that begins with an empty line was cut in the wrong place.
        if end and head.minor == 1 and len(lines) <= LONGEST and not has_secrets(head):
            if len(self._known) >= ROOM:
                self._known.clear()
            self._known[lines] = head
        return head


class KnownAnswers:
    """`parse_response_head` with a memory for whole heads."""

    def __init__(self, limits: HeadLimits):
        self._limits = limits
        self._known: dict[bytes, ResponseHead] = {}
        # The same bytes mean something else when HEAD was asked.
        self._known_to_head: dict[bytes, ResponseHead] = {}
        self.find = self._known.get
        """A head that was read before, in answer to anything but HEAD, or None."""

    def parse(self, data: bytes, request_method: bytes) -> ResponseHead:
        """See `parse_response_head`."""
        known = self._known if request_method != b"HEAD" else self._known_to_head
        head = known.get(data)
        if head is None:
            head = parse_response_head(data, request_method, self._limits)
            if len(data) <= LONGEST and not has_secrets(head):
                if len(known) >= ROOM:
                    known.clear()
                known[data] = head
        return head
