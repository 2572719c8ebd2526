"""Texts and values of any length in AMP, where one value has at most 65,535 bytes."""

from __future__ import annotations

import json
from typing import Any

from twisted.protocols.amp import Argument

PIECE = 65_000
"""Bytes of one piece."""
LONGEST = 64 * 1024 * 1024
"""Bytes of a text: more is a mistake of ours, and would only fill the memory."""


class Long(Argument):
    """A str, sent in as many pieces as it takes: `name`, `name.1`, `name.2`, ..."""

    def toBox(self, name: bytes, strings: Any, objects: dict[str, Any], proto: Any) -> None:
        """See `Argument`.

        :raise ValueError: it is longer than `LONGEST`.
        """
        data = self._written(self.retrieve(objects, name.decode("ascii"), proto))
        if len(data) > LONGEST:
            raise ValueError(f"a text of {len(data)} bytes is too long to send")
        strings[name] = data[:PIECE]
        for number, start in enumerate(range(PIECE, len(data), PIECE), 1):
            strings[b"%s.%d" % (name, number)] = data[start : start + PIECE]

    def fromBox(self, name: bytes, strings: Any, objects: dict[str, Any], proto: Any) -> None:
        """See `Argument`."""
        pieces = [self.retrieve(strings, name, proto)]
        while (piece := strings.pop(b"%s.%d" % (name, len(pieces)), None)) is not None:
            pieces.append(piece)
        objects[name.decode("ascii")] = self._read(b"".join(pieces))

    def _written(self, value: Any) -> bytes:
        # A file's name may have bytes that are no UTF-8.
        data: bytes = value.encode("utf-8", "surrogatepass")
        return data

    def _read(self, data: bytes) -> Any:
        return data.decode("utf-8", "surrogatepass")


class Bytes(Long):
    """The same for bytes."""

    def _written(self, value: Any) -> bytes:
        return bytes(value)

    def _read(self, data: bytes) -> Any:
        return data


class Json(Long):
    """What JSON can say: lists, dicts with text for keys, text, numbers, None."""

    def _written(self, value: Any) -> bytes:
        return json.dumps(value, separators=(",", ":")).encode("ascii")

    def _read(self, data: bytes) -> Any:
        return json.loads(data)
