"""How durations spread: a histogram whose bounds are the same everywhere, so that any two can be
added up and subtracted without loss.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs

PER_DECADE = 16
"""Bounds in a factor of ten: each is 15 % above the one before."""
BOUNDS = tuple(round(10 ** (step / PER_DECADE)) for step in range(20, 8 * PER_DECADE + 8))
"""Upper bounds, in microseconds: from 18 µs to five minutes.  What takes longer is counted beyond
the last one."""
IN_SECONDS = tuple(bound / 1_000_000 for bound in BOUNDS)
PLACES = len(BOUNDS) + 1
"""Numbers in a list of counts: one within each bound and not within the one before, and the last
for what is beyond all of them."""


@attrs.frozen
class Spread:
    """How many durations there were within each bound, and how long they were together."""

    counts: tuple[int, ...]
    """`PLACES` of them."""
    seconds: float

    def plus(self, other: Spread) -> Spread:
        """Both together."""
        return Spread(
            tuple(map(int.__add__, self.counts, other.counts)), self.seconds + other.seconds
        )

    def to_json(self) -> list[float]:
        """The seconds, and then place and count in turns where there are any."""
        found: list[float] = [self.seconds]
        for place, count in enumerate(self.counts):
            if count:
                found += place, count
        return found

    @classmethod
    def from_json(cls, said: Any) -> Spread:
        """The value of which `to_json` made this.

        :raise ValueError: it is something else.
        """
        counts = [0] * PLACES
        try:
            seconds = float(said[0])
            for place, count in zip(said[1::2], said[2::2], strict=True):
                counts[_index(place)] += count
        except (IndexError, KeyError, OverflowError, TypeError) as error:
            raise ValueError(f"this is no histogram: {error!r}") from None
        return cls(tuple(counts), seconds)


def _index(place: Any) -> int:
    if place < 0:
        raise IndexError(place)
    return int(place)


NOTHING = Spread((0,) * PLACES, 0.0)
"""Of no durations."""


def percentile(counts: Sequence[int], share: float) -> float | None:
    """How long the quickest `share` (0 to 1) took, at most.

    :param counts: see `PLACES`.
    :return: seconds, at most 15 % too much; the last of `BOUNDS` when it was longer than that;
        None when there were none.
    """
    wanted = share * sum(counts)
    if not wanted:
        return None
    seen = 0
    for bound, count in zip(IN_SECONDS, counts, strict=False):
        seen += count
        if seen >= wanted:
            return bound
    return IN_SECONDS[-1]
