"""What reading some bytes came to, in a form that two readings can be compared by."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from hypothesis import settings
from hypothesis import strategies as st

from toolforge_gateway.errors import BadMessage

PROPERTY = settings(deadline=None, max_examples=150, database=None, derandomize=True)


def outcome(read: Callable[..., object], *arguments: object) -> object:
    """The result, or `(status, reason word)` of the refusal."""
    try:
        return read(*arguments)
    except BadMessage as refusal:
        return refusal.status, refusal.reason


def differences(
    table: Iterable[tuple[bytes, object]], read: Callable[[bytes], object]
) -> dict[bytes, object]:
    """The rows of a table that came out otherwise, with what came out."""
    results = [(data, expected, outcome(read, data)) for data, expected in table]
    return {data: result for data, expected, result in results if result != expected}


def cut(data: bytes, places: Iterable[int]) -> list[bytes]:
    """The bytes in pieces, cut at these places (taken modulo the length)."""
    at = sorted({place % (len(data) + 1) for place in places} | {0, len(data)})
    return [data[start:end] for start, end in zip(at, at[1:], strict=False)]


places = st.lists(st.integers(0, 10_000), max_size=8)
