"""Which of several forms of a page a client wants."""

from __future__ import annotations

from collections.abc import Sequence


def preferred(header: bytes | None, offers: Sequence[str]) -> str:
    """Choose by Accept (RFC 9110 section 12.5.1).

    Nobody is sent away with a 406: who wants none of them gets the first.

    :param header: the field's value; None when there is none.
    :param offers: media types without parameters, ours first: of those that are wanted
        equally the first one is it.
    """
    if header is None:
        return offers[0]
    ranges = [_parse(item) for item in header.decode("latin-1").lower().split(",")[:_MOST]]
    return max(offers, key=lambda offer: (_weight(offer, ranges), -offers.index(offer)))


_MOST = 50
"""Of the ranges of one field, so many are looked at."""


def _parse(item: str) -> tuple[str, float]:
    name, *parameters = (part.strip() for part in item.split(";"))
    weight = 1.0
    for parameter in parameters:
        key, _, value = parameter.partition("=")
        if key.strip() == "q":
            try:
                weight = float(value)
            except ValueError:
                weight = 0.0
            if not 0 <= weight <= 1:
                weight = 0.0
            return name, weight
        # text/html;level=1 is narrower than what we have; good enough all the same.
    return name, weight


def _weight(offer: str, ranges: Sequence[tuple[str, float]]) -> float:
    """What the narrowest range that has the offer says."""
    for wanted in (offer, offer.partition("/")[0] + "/*", "*/*"):
        weights = [weight for name, weight in ranges if name == wanted]
        if weights:
            return max(weights)
    return 0.0
