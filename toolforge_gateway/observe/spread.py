"""How durations spread: a histogram whose bounds are the same everywhere, so that any two can be
added up and subtracted without loss.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import attrs

_STEPS = (
    *(100, 112, 125, 140, 160, 180, 200, 224, 250, 280),
    *(315, 355, 400, 450, 500, 560, 630, 710, 800, 900),
)
"""Hundredths: a factor of ten in twenty steps, by the preferred numbers of ISO 3 (R20).  Round
numbers are among them, and each is at most 15 % above the one before."""
BOUNDS = tuple(
    round(step * 10**decade / 100)
    for decade in range(1, 9)
    for step in _STEPS
    if 25 <= step * 10**decade / 100 <= 315_000_000
)
"""Upper bounds, in microseconds: from 25 µs to a little over five minutes.  What takes longer is
counted beyond the last one."""
IN_SECONDS = tuple(bound / 1_000_000 for bound in BOUNDS)
_PLACE_OF = {bound: place for place, bound in enumerate(BOUNDS)}
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

    def since(self, before: Spread) -> Spread:
        """Those that came after an earlier moment."""
        return Spread(
            tuple(map(int.__sub__, self.counts, before.counts)), self.seconds - before.seconds
        )

    def within(self, bounds: Iterable[int]) -> Iterator[int]:
        """How many there were within each of some bounds, all those within the smaller ones too.

        :param bounds: rising, each one of `BOUNDS`.
        """
        counted = place = 0
        for bound in bounds:
            end = _PLACE_OF[bound] + 1
            counted += sum(self.counts[place:end])
            place = end
            yield counted

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


def together(spreads: Sequence[Spread]) -> Spread:
    """All of them as one."""
    if not spreads:
        return NOTHING
    counts = zip(*(each.counts for each in spreads), strict=True)
    return Spread(tuple(map(sum, counts)), sum(each.seconds for each in spreads))
