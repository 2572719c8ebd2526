"""Every way in which the gateway says no.

An exception of this module carries what its reader needs in order to act:
`Refusal` becomes an HTTP answer, `ConfigurationError` becomes lines on an
operator's terminal.  Layer 0: imports nothing of the project.
"""

from __future__ import annotations

from collections.abc import Iterable

import attrs


class GatewayError(Exception):
    """The root of this project's exceptions."""


class Refusal(GatewayError):
    """A request ends here, with an answer of our own.

    :param status: HTTP status code (RFC 9110 section 15).
    :param reason: a stable word, lower case with hyphens, for programs and
        for `docs/`; never changed once released.
    :param message: one sentence for a person, which says what to do.
    :param close: whether the connection ends after the answer, because its
        framing or its certificate can no longer be trusted.
    """

    def __init__(self, status: int, reason: str, message: str, close: bool = False):
        super().__init__(message)
        self.status = status
        self.reason = reason
        self.message = message
        self.close = close

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.status} {self.reason}>"


class BadMessage(Refusal):
    """Bytes that are not one HTTP message with one meaning (RFC 9112).

    After it the framing is lost, so the connection always closes.
    """

    def __init__(self, status: int, reason: str, message: str):
        super().__init__(status, reason, message, close=True)


class BadEvidence(Refusal):
    """Evidence was shown and is not good.  It is never "no evidence"."""


class BackendFailure(Refusal):
    """The backend gave no usable answer: 502, 503 or 504."""


@attrs.frozen
class Complaint:
    """One thing wrong in a configuration file, with its remedy."""

    file: str
    line: int | None
    """1-based; None when the complaint is about the file as a whole."""
    path: str
    """The key in dotted form, `backends[2].timeouts.connect`."""
    what: str
    remedy: str

    def __str__(self) -> str:
        where = self.file if self.line is None else f"{self.file}:{self.line}"
        path = f" {self.path}:" if self.path else ""
        remedy = f"; {self.remedy}" if self.remedy else ""
        return f"{where}:{path} {self.what}{remedy}"


class ConfigurationError(GatewayError):
    """All complaints about a configuration at once."""

    def __init__(self, complaints: Iterable[Complaint]):
        self.complaints = tuple(complaints)
        super().__init__("\n".join(map(str, self.complaints)))
