"""A request as a backend is to see it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import attrs

from toolforge_gateway.config.values import Timeouts
from toolforge_gateway.http.known import KnownAnswers
from toolforge_gateway.http.message import Framing, ResponseHead
from toolforge_gateway.tracecontext import BEGUN

if TYPE_CHECKING:
    from toolforge_gateway.deadlines import Deadlines

_WITH_ITS_ID = b"%bX-Request-ID: %b\r\n\r\n"
_WITH_A_TRACE = b"%bX-Request-ID: %b\r\n" + BEGUN + b"\r\n"


@attrs.frozen(slots=False)  # twice as quick to make
class Outgoing:
    """All that is known of a request before it is sent, but for its id.

    Requests of one caller that are alike have one of these in common.
    """

    backend: str
    """Its name, for error sentences."""
    pool: Any
    """`IPool`."""
    deadlines: Deadlines
    timeouts: Timeouts
    method: bytes
    """Decides the answer's framing."""
    head: bytes
    """Ready to be written, but for the line of the id and the blank line."""
    body: Framing
    """How the request body is framed towards the backend."""
    answers: KnownAnswers
    """Reads answers' heads."""
    answer_lines: Callable[[ResponseHead], bytes]
    """The header lines to pass on of an answer's head."""

    begins_trace: bool = False
    """Whether a trace begins here, named like the request (`tracecontext.begun`); else
    `head` tells of one, or the other end has no use for it."""

    def head_with(self, request_id: str) -> bytes:
        """The whole head."""
        name = request_id.encode("ascii")
        if self.begins_trace:
            return _WITH_A_TRACE % (self.head, name, name, name[16:])
        return _WITH_ITS_ID % (self.head, name)
