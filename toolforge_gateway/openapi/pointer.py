"""JSON pointers (RFC 6901), alone and as the fragment of a reference (RFC 3986 section 3.5)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from urllib.parse import quote, unquote

Place = tuple[str, ...]
"""The keys and indexes from the root of a document, all as text."""

_FRAGMENT = "/~!$&'()*+,;=:@?"
"""What may stand in a fragment as it is, besides letters, digits and `-._~`."""


class Nowhere(Exception):
    """The document has nothing at a place."""


def pointer(place: Iterable[str]) -> str:
    """The place as a JSON pointer, `/paths/~1v1~1x/get`."""
    return "".join("/" + step.replace("~", "~0").replace("/", "~1") for step in place)


def reference(place: Iterable[str]) -> str:
    """The place as a reference within its document, `#/paths/~1v1~1%7Bx%7D/get`."""
    return "#" + quote(pointer(place), safe=_FRAGMENT)


def place_of(fragment: str) -> Place | None:
    """Where a reference's fragment points, without its `#`; None if it is no JSON pointer."""
    text = unquote(fragment)
    if not text:
        return ()
    if not text.startswith("/"):
        return None
    return tuple(step.replace("~1", "/").replace("~0", "~") for step in text[1:].split("/"))


def look_up(document: Any, place: Iterable[str]) -> Any:
    """What stands at a place.

    :raise Nowhere: nothing does.
    """
    found = document
    for step in place:
        if isinstance(found, dict) and step in found:
            found = found[step]
        elif isinstance(found, list) and step.isdecimal() and step.isascii():
            # RFC 6901 section 4: an index has no leading zero.
            if len(step) > 6 or str(int(step)) != step or int(step) >= len(found):
                raise Nowhere
            found = found[int(step)]
        else:
            raise Nowhere
    return found
