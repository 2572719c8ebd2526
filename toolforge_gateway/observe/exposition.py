"""Figures in the words of Prometheus: its text format, or OpenMetrics for who asks for that."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from toolforge_gateway.observe.catalogue import MEASURES, Kind, Measure
from toolforge_gateway.observe.derived import derived
from toolforge_gateway.observe.figures import Figures, Labels, Number
from toolforge_gateway.observe.spread import BOUNDS, Spread

SHOWN = tuple(
    round(seconds * 1_000_000)
    for seconds in (
        *(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5),
        *(1, 2.5, 5, 10, 25, 100, 315),
    )
)
"""Of the fine bounds, those that /metrics has, in microseconds: every bucket is a series for each
backend, method and class of status."""
assert set(SHOWN) <= set(BOUNDS)


def exposition(figures: Figures, accept: str) -> tuple[bytes, str]:
    """What /metrics answers.

    :param accept: the request's Accept field; "" when there is none.
    :return: the body and its media type.
    """
    registry = CollectorRegistry()
    registry.register(_Figures(figures))
    encoder, media_type = choose_encoder(accept)
    return encoder(registry), media_type


class _Figures(Collector):
    """What the library asks."""

    def __init__(self, figures: Figures):
        self._figures = figures

    def collect(self) -> Iterator[Metric]:
        numbers = {**self._figures.numbers, **derived(self._figures)}
        for name, measure in MEASURES.items():
            if found := numbers.get(name):
                yield _family(measure, sorted(found.items()))


def _family(measure: Measure, numbers: Iterable[tuple[Labels, Number]]) -> Metric:
    if measure.kind is Kind.HISTOGRAM:
        histogram = HistogramMetricFamily(measure.name, measure.help, labels=measure.labels)
        for labels, spread in numbers:
            assert isinstance(spread, Spread), measure.name
            histogram.add_metric(_sendable(labels), _buckets(spread), spread.seconds)
        return histogram
    family = CounterMetricFamily if measure.kind is Kind.COUNTER else GaugeMetricFamily
    simple = family(measure.name, measure.help, labels=measure.labels)
    for labels, number in numbers:
        assert not isinstance(number, Spread), measure.name
        simple.add_metric(_sendable(labels), number)
    return simple


def _sendable(labels: Labels) -> list[str]:
    """As UTF-8 has it: a file's name, or a plug-in's word, may hold what is no character."""
    return [each.encode("utf-8", "backslashreplace").decode("utf-8") for each in labels]


def _buckets(spread: Spread) -> list[tuple[str, float]]:
    within: list[tuple[str, float]] = [
        (repr(bound / 1_000_000), count)
        for bound, count in zip(SHOWN, spread.within(SHOWN), strict=True)
    ]
    return [*within, ("+Inf", sum(spread.counts))]
