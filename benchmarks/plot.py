"""A bar chart in SVG, without a library: per measure a bar per peer, as ratio to the first."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from benchmarks.measures import Measure
from benchmarks.results import Results

WIDTH, LABEL, BAR, GAP, HEADING = 760, 210, 15, 18, 24
"""Pixels; LABEL is left of the bars."""
LONGEST = 4.0
"""The ratio at which bars are cut off, so that the others can still be told apart."""
_COLOURS = ("#72777d", "#a2a9b1", "#c8ccd1", "#b32424", "#ac6600", "#6b4ba1", "#3366cc", "#88a3e8")


def svg(results: Results, measures: Sequence[Measure], peers: Sequence[str]) -> str:
    """The chart of all measures that have figures."""
    parts: list[str] = []
    top = 8
    for measure in measures:
        bars = [(peer, results.ratio(measure.name, peer, measure.key, peers[0])) for peer in peers]
        known = [(peer, ratio) for peer, ratio in bars if ratio is not None]
        if not known:
            continue
        parts.append(_text(8, top + 14, f"{measure.title}, {measure.unit}", bold=True))
        top += HEADING
        for peer, ratio in known:
            value = results.median(measure.name, peer, measure.key) or 0.0
            title = results.about["titles"].get(peer, peer)
            colour = _COLOURS[peers.index(peer) % len(_COLOURS)]
            parts += _bar(top, title, ratio, f"{value:,.4g} (×{ratio:.2f})", colour)
            top += BAR + 3
        top += GAP
    line = LABEL + _length(1.0)
    parts.append(
        f'<line x1="{line}" y1="0" x2="{line}" y2="{top}" stroke="#202122" stroke-dasharray="3 3"/>'
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{top}" '
        f'viewBox="0 0 {WIDTH} {top}" font-family="sans-serif" font-size="12">\n'
        f'<rect width="{WIDTH}" height="{top}" fill="#ffffff"/>\n' + "\n".join(parts) + "\n</svg>\n"
    )


def _bar(top: int, title: str, ratio: float, words: str, colour: str) -> list[str]:
    length = _length(ratio)
    cut = " …" if ratio > LONGEST else ""
    return [
        _text(LABEL - 6, top + 12, title, end=True),
        f'<rect x="{LABEL}" y="{top}" width="{length}" height="{BAR}" fill="{colour}"/>',
        _text(LABEL + length + 5, top + 12, words + cut),
    ]


def _length(ratio: float) -> int:
    """Pixels of a bar; the words behind the longest one still fit."""
    return round(min(ratio, LONGEST) / LONGEST * (WIDTH - LABEL - 150))


def _text(x: int, y: int, words: str, *, bold: bool = False, end: bool = False) -> str:
    style = (' font-weight="bold"' if bold else "") + (' text-anchor="end"' if end else "")
    return f'<text x="{x}" y="{y}" fill="#202122"{style}>{escape(words)}</text>'
