"""Which trace a request belongs to: W3C Trace Context (www.w3.org/TR/trace-context).

Whoever sends a good `traceparent` is believed, as the standard wants it: a trace names no
caller and opens nothing, it only ties log lines together.  It is passed on as it came.  What
is no good, or is said twice, counts as not said; then the gateway begins a trace, which is
named like the request, so that nothing more has to be made up or remembered for it.
"""

from __future__ import annotations

import re

import attrs

from .http.message import RequestHead
from .http.write import lines

_TRACEPARENT = re.compile(
    rb"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?"
)
"""Section 3.2.2, and 3.2.4 for versions to come: they begin as version 00 does.  Version ff, and
ids that are all zeros, are none."""
_NAME = re.compile("[0-9a-f]{16}(?!0{16})[0-9a-f]{16}")
_SAMPLED = 0x01
"""The one flag of version 00 (section 3.2.2.5)."""

BEGUN = b"traceparent: 00-%b-%b-01\r\n"
"""How a backend is told of a trace that begins here: with the request's id, and with the second
half of that, a number that no other request of this process has, for our part of the trace.
It is flagged as sampled: the access log has it."""


@attrs.frozen
class Trace:
    """A trace that somebody else began, or that is not named like the request."""

    trace_id: str
    """32 hex digits."""
    lines: bytes
    """`traceparent`, and `tracestate` where there is one, for the backend."""


def sent(head: RequestHead) -> Trace | None:
    """The trace that a client says its request belongs to; None: it says none that is any good.

    Worked out once for all heads with the same lines.
    """
    if sent in head.derived:
        known: Trace | None = head.derived[sent]
    else:
        known = head.derived[sent] = _sent(head)
    return known


def _sent(head: RequestHead) -> Trace | None:
    parents = head.values(b"traceparent")
    if len(parents) != 1 or b"traceparent" in head.connection:
        return None
    match = _TRACEPARENT.fullmatch(parents[0])
    if match is None:
        return None
    version, trace_id, parent_id, flags, more = match.groups()
    parent = parents[0]
    if version != b"00":
        # Known of a later version is only this much, and only so much is said again.
        sampled = int(flags, 16) & _SAMPLED
        parent = b"00-%b-%b-%02x" % (trace_id, parent_id, sampled)
    elif more is not None:
        return None
    states: tuple[bytes, ...] = ()
    if b"tracestate" not in head.connection:
        states = head.values(b"tracestate")
    fields = [(b"traceparent", parent), *((b"tracestate", state) for state in states)]
    return Trace(trace_id.decode("ascii"), lines(fields))


def is_name(request_id: str) -> bool:
    """Whether a trace can be `begun` by this name: those that the gateway makes
    (`edge.request_ids`) can."""
    return _NAME.fullmatch(request_id) is not None


def begun(request_id: str) -> Trace:
    """A trace that begins here and is named so.

    :param request_id: of 32 hex digits that are not all zeros, nor are the last 16.
    """
    name = request_id.encode("ascii")
    return Trace(request_id, BEGUN % (name, name[16:]))
