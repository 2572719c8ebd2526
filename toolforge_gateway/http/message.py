"""What a message says once it has been read: frozen values."""

from __future__ import annotations

import enum
from typing import Any

import attrs

Field = tuple[bytes, bytes]
"""A field's name as received (case kept), and its value without the optional
white space around it."""


class Framing(enum.Enum):
    """How the end of a body is found (RFC 9112 section 6.3)."""

    NONE = "none"
    """There is no body, whatever the fields say."""
    LENGTH = "length"
    CHUNKED = "chunked"
    UNTIL_CLOSE = "until-close"
    """Answers only: the body ends with the connection."""


# An enumeration's members are slow to look up on their class.
_NO_BODY = Framing.NONE


def _values(fields: tuple[Field, ...], lower_name: bytes) -> tuple[bytes, ...]:
    return tuple(value for name, value in fields if name.lower() == lower_name)


@attrs.frozen(slots=False)  # twice as quick to make
class RequestHead:
    """A request up to its blank line."""

    method: bytes
    target: bytes
    """As received; `target.check_target` judges it."""
    minor: int
    """0 or 1: the digit after `HTTP/1.`."""
    fields: tuple[Field, ...]
    """All of them, in order, those named below included."""
    host: bytes | None
    """The one valid Host; None only in HTTP/1.0."""
    framing: Framing
    length: int | None
    """Bytes of body; None unless `framing` is LENGTH."""
    persistent: bool
    """Whether the client lets the connection go on after the answer."""
    expects_continue: bool
    """Whether a body is to come that waits for a 100 (RFC 9110 10.1.1)."""
    connection: frozenset[bytes]
    """Lower-case options of all Connection fields."""
    derived: dict[object, Any] = attrs.field(factory=dict, eq=False, repr=False)
    """What others have worked out of the header lines alone; heads with the
    same lines share it."""

    def with_line(self, method: bytes, target: bytes) -> RequestHead:
        """The same header lines under another request line."""
        head = object.__new__(RequestHead)
        values = head.__dict__
        values.update(self.__dict__)
        values["method"] = method
        values["target"] = target
        return head

    @property
    def has_body(self) -> bool:
        """Whether any byte of a body is to follow."""
        return self.framing is not _NO_BODY and self.length != 0

    def values(self, lower_name: bytes) -> tuple[bytes, ...]:
        """The values of all fields of that (lower-case) name, in order."""
        return _values(self.fields, lower_name)


@attrs.frozen(slots=False)
class ResponseHead:
    """An answer up to its blank line."""

    status: int
    """100 to 599."""
    reason: bytes
    """The reason phrase, possibly empty."""
    minor: int
    """0 or 1: the digit after `HTTP/1.`."""
    fields: tuple[Field, ...]
    """All of them, in order."""
    framing: Framing
    length: int | None
    """Content-Length where there is one.  Where `framing` is NONE (HEAD, 304) it
    is what the body would have been."""
    persistent: bool
    """Whether the connection can carry another request after this answer."""
    connection: frozenset[bytes]
    """Lower-case options of all Connection fields."""
    derived: dict[object, Any] = attrs.field(factory=dict, eq=False, repr=False)
    """What others have worked out of this head alone."""

    def values(self, lower_name: bytes) -> tuple[bytes, ...]:
        """The values of all fields of that (lower-case) name, in order."""
        return _values(self.fields, lower_name)
