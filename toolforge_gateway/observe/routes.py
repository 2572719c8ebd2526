"""What went where: the totals of figures."""

from __future__ import annotations

from collections.abc import Collection

from toolforge_gateway.observe.catalogue import (
    BYTES_IN,
    BYTES_OUT,
    ERRORS,
    HEAD_SECONDS,
    INCOMPLETE,
    REQUESTS,
    Measure,
)
from toolforge_gateway.observe.figures import Figures
from toolforge_gateway.observe.spread import together
from toolforge_gateway.observe.total import Total
from toolforge_gateway.observe.traffic import APART


def apis(figures: Figures) -> Total:
    """The sum over routes, but for our own pages and what was only asked: what load balancers and
    monitoring ask of those all day long says nothing of the APIs.
    """
    return _total(figures, [route for route in _routes(figures) if route not in APART])


def by_route(figures: Figures) -> dict[str, Total]:
    """The sum of each route, our own pages too."""
    return {route: _total(figures, [route]) for route in _routes(figures)}


def _routes(figures: Figures) -> list[str]:
    return [route for (route,) in figures.plain(BYTES_OUT)]


def _total(figures: Figures, routes: Collection[str]) -> Total:
    def count(measure: Measure) -> int:
        numbers = figures.plain(measure).items()
        return sum(int(number) for labels, number in numbers if labels[0] in routes)

    heads = [
        spread for labels, spread in figures.spreads(HEAD_SECONDS).items() if labels[0] in routes
    ]
    return Total(
        count(REQUESTS),
        count(ERRORS),
        count(INCOMPLETE),
        count(BYTES_IN),
        count(BYTES_OUT),
        together(heads),
    )
