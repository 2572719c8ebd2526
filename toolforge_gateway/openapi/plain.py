"""Trees of what JSON can say, and nothing else, within bounds."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from toolforge_gateway.openapi.pointer import pointer

DEPTH = 100
"""How deep a document may be nested."""
NODES = 500_000
"""How many values it may have."""


class NotPlain(Exception):
    """The tree has something in it that JSON cannot say, or is too large."""

    def __init__(self, location: str, what: str):
        super().__init__(what)
        self.location = location
        self.what = what


def plain(tree: Any) -> Any:
    """A deep copy made of dict, list, str, int, float, bool and None.

    :raise NotPlain: it cannot be made.
    """
    return _Copy().of(tree, ())


class _Copy:
    def __init__(self) -> None:
        self._nodes = 0

    def of(self, value: Any, place: tuple[str, ...]) -> Any:
        self._nodes += 1
        if self._nodes > NODES:
            raise NotPlain("", f"has more than {NODES} values")
        kind = type(value)
        if kind is str:
            if not value.isascii():
                self._text(value, place)
            return value
        if kind is int or kind is bool or value is None:
            return value
        if kind is float:
            if not math.isfinite(value):
                raise NotPlain(pointer(place), "has a number that JSON does not have")
            return value
        if len(place) >= DEPTH and isinstance(value, Mapping | list):
            raise NotPlain(pointer(place[:8]), f"is nested more than {DEPTH} deep")
        if kind is list:
            return [self.of(item, (*place, str(n))) for n, item in enumerate(value)]
        if isinstance(value, Mapping):
            return {self._key(key, place): self.of(value[key], (*place, key)) for key in value}
        raise NotPlain(pointer(place), f"has a {kind.__name__}, which JSON does not have")

    def _key(self, key: Any, place: tuple[str, ...]) -> str:
        if type(key) is not str:
            raise NotPlain(pointer(place), "has a key that is no text")
        if not key.isascii():
            self._text(key, place)
        return key

    @staticmethod
    def _text(text: str, place: tuple[str, ...]) -> None:
        try:
            text.encode("utf-8")
        except UnicodeEncodeError:
            raise NotPlain(pointer(place), "has half a surrogate pair in a text") from None
