"""A course of time as a small drawing, with the same in words."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from twisted.web.template import Tag, tags

WIDTH, HEIGHT = 240, 40
PLACES = 60
"""Minutes from edge to edge: what is missing is at the left, before the start."""
_MARGIN = 2


def sparkline(title: str, values: Sequence[float | None], say: Callable[[float], str]) -> Tag:
    """Draw values from left to right, the newest at the right edge.

    :param title: what they are.
    :param values: one for each minute; None: there was nothing to measure, and the line has a gap.
    :param say: puts one of them into words.
    """
    values = values[-PLACES:]
    known = [value for value in values if value is not None]
    words = _words(title, values, known, say)
    drawing = Tag("svg")(
        Tag("title")(words),
        viewBox=f"0 0 {WIDTH} {HEIGHT}",
        preserveAspectRatio="none",
        role="img",
        class_="spark",
    )
    drawing.attributes["aria-label"] = words
    for run in _runs(values, max(known, default=0.0) or 1.0):
        drawing(Tag("path")(d=run))
    return tags.span(
        drawing,
        tags.span(f"most {say(max(known))}" if known else "nothing yet", class_="quiet spark-most"),
        class_="spark-box",
    )


def _words(
    title: str,
    values: Sequence[float | None],
    known: Sequence[float],
    say: Callable[[float], str],
) -> str:
    if not known:
        return f"{title}: nothing yet"
    latest = values[-1]
    return (
        f"{title}, the last {len(values)} min: least {say(min(known))}, most {say(max(known))}, "
        f"latest {say(latest) if latest is not None else 'none'}"
    )


def _runs(values: Sequence[float | None], most: float) -> list[str]:
    """The path data (SVG 2 section 9.3) of each stretch without a gap; nought is the bottom."""
    step = WIDTH / (PLACES - 1)
    left = WIDTH - step * (len(values) - 1)
    runs: list[list[str]] = [[]]
    for place, value in enumerate(values):
        if value is None:
            runs.append([])
            continue
        high = _MARGIN + (HEIGHT - 2 * _MARGIN) * (1 - min(max(value / most, 0.0), 1.0))
        runs[-1].append(f"{left + place * step:.1f} {high:.1f}")
    # A single point is a line of no length, which round caps show as a dot.
    return [f"M{' L'.join(run if len(run) > 1 else run * 2)}" for run in runs if run]
