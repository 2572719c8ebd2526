"""The table that a run ends with."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.measures import Measure
from benchmarks.results import Results

_EXTRAS = {
    "per_second": "{:,.0f}/s",
    "mb_per_second": "{:,.0f} MB/s",
    "p99_us": "p99 {:,.0f}",
    "mb_in_all": "{:,.0f} MB",
    "connections": "{:,.0f} of them",
    "line_p99_ms": "p99 {:,.1f}",
    "least_share": "{:.0%} by one of them",
}


def number(value: float) -> str:
    """Three digits that mean something."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def cell(results: Results, measure: Measure, peer: str, base: str) -> str:
    """One figure with its ratio to the first peer's, and what belongs to it.

    A star says that not the proxy but the load was at its end: then the rate is no limit of the
    proxy's, while its CPU time per request still holds.
    """
    value = results.median(measure.name, peer, measure.key)
    if value is None:
        return "-"
    text = number(value)
    ratio = results.ratio(measure.name, peer, measure.key, base)
    if ratio is not None:
        text += f" ×{ratio:.2f}"
    extra = measure.extra and results.median(measure.name, peer, measure.extra)
    if extra is not None and measure.extra:
        star = "*" if results.held_back(measure.name, peer) else ""
        text += f" ({_EXTRAS[measure.extra].format(extra)}{star})"
    return text


def rows(results: Results, measures: Sequence[Measure], peers: Sequence[str]) -> list[list[str]]:
    """The cells: a line per measure, a column per peer; the first ones are the headings."""
    base = peers[0]
    lines = [["", *(results.about["titles"].get(peer, peer) for peer in peers)]]
    lines.append(["TLS library", *(results.about["tls"].get(peer, "") for peer in peers)])
    for measure in measures:
        cells = [cell(results, measure, peer, base) for peer in peers]
        if any(each != "-" for each in cells):
            lines.append([f"{measure.title}, {measure.unit}", *cells])
    lines.append(["load client, µs a request", *_client_costs(results, peers)])
    return lines


def _client_costs(results: Results, peers: Sequence[str]) -> list[str]:
    costs = (results.median("keep-alive", peer, "client_us") for peer in peers)
    return ["-" if cost is None else number(cost) for cost in costs]


def turned(lines: Sequence[Sequence[str]]) -> list[list[str]]:
    """Lines and columns exchanged: with many peers that is the narrower form."""
    return [list(column) for column in zip(*lines, strict=True)]


def markdown(lines: Sequence[Sequence[str]]) -> str:
    """A table that reads well in a terminal and in Markdown."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    rule = ["-" * width for width in widths]

    def line(cells: Sequence[str]) -> str:
        padded = (text.ljust(width) for text, width in zip(cells, widths, strict=True))
        return f"| {' | '.join(padded)} |"

    return "\n".join(map(line, (lines[0], rule, *lines[1:])))
