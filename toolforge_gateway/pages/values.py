"""How a value is shown, to people and to programs.  Its name says what it is:

==================  =====================================================================
name                value
==================  =====================================================================
`state`             a word; good, bad or neither by `TONES`
`..._at`            a moment, POSIX seconds
`..._seconds`       a duration
`..._share`         0 to 1
`..._bytes`         a size
`..._per_second`    a rate
`..._by_minute`     a course of time, one number for each minute, oldest first
anything else       itself
==================  =====================================================================

None is "not known".
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from twisted.web.template import Tag, tags

NOTHING = "\u2013"

BY_MINUTE = "_by_minute"

TONES = {
    "up": "good",
    "running": "good",
    "good": "good",
    "fresh": "good",
    "unknown": "calm",
    "draining": "warn",
    "soon": "warn",
    "stale": "warn",
    "failing": "bad",
    "expired": "bad",
    "missing": "bad",
    "refused": "bad",
    "ejected": "bad",
    "failing-checks": "bad",
}
"""The class of a state's badge; a state that is not here has none."""

_NOW = 10
"""Seconds around a moment that are not told apart."""
_MINUTE, _HOUR, _DAY = 60, 3600, 86400

_UNITS = ("_at", "_seconds", "_bytes")
"""The ends that a value's own words make superfluous."""


def name_of(key: str) -> str:
    """A value's name in words: `last_answer_at` is "Last answer"."""
    words = key.removesuffix(BY_MINUTE)
    for unit in _UNITS:
        words = words.removesuffix(unit)
    words = words.replace("_", " ").strip() or key.strip("_")
    return words[:1].upper() + words[1:] + (" by minute" if key.endswith(BY_MINUTE) else "")


def is_number(key: str, value: Any) -> bool:
    """Whether a column of such values is aligned to the right."""
    if key.endswith("_at") or isinstance(value, bool):
        return False
    return isinstance(value, int | float)


def shown(key: str, value: Any, now: float) -> Tag | str:
    """A value for people.

    :param now: POSIX seconds, for "3 minutes ago".
    """
    if value is None or value == "":
        return NOTHING
    if key == "state":
        word = str(value)
        return tags.span(word, class_=f"badge {TONES.get(word, '')}".strip())
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        if key.endswith("_at"):
            return moment(value, now)
        if key.endswith("_seconds"):
            return duration(value)
        if key.endswith("_share"):
            return share(value)
        if key.endswith("_bytes"):
            return size(value)
        return number(value)
    return str(value)


def told(key: str, value: Any) -> Any:
    """A value for programs: as JSON has it, moments as RFC 3339 text in UTC."""
    if isinstance(value, float) and math.isfinite(value):
        return iso(value) if key.endswith("_at") else round(value, 6)
    if isinstance(value, int) and not isinstance(value, bool) and key.endswith("_at"):
        return iso(value)
    if isinstance(value, Mapping):
        return {name: told(name, each) for name, each in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [told(key, each) for each in value]
    if value is None or isinstance(value, str | int):
        return value
    return str(value)


def iso(when: float) -> str:
    """A moment by RFC 3339, to the second, in UTC."""
    try:
        return datetime.fromtimestamp(when, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (OverflowError, ValueError, OSError):
        return "?"


def moment(when: float, now: float) -> Tag:
    """A moment, and how long ago or ahead that is."""
    distance = now - when
    if abs(distance) < _NOW:
        how_far = "just now"
    else:
        how_far = f"{duration(distance)} ago" if distance > 0 else f"in {duration(-distance)}"
    return tags.span(clock(when), " ", tags.span(f"({how_far})", class_="quiet"))


def clock(when: float, seconds: bool = False) -> Tag:
    """A moment alone.

    :param seconds: whether they are wanted too.
    """
    text = iso(when)
    day, _, time = text.rstrip("Z").partition("T")
    return tags.time(f"{day} {time if seconds else time[:5]} UTC", datetime=text)


def duration(seconds: float) -> str:
    """A duration, with two figures or two units."""
    if seconds < 0:
        return f"\u2212{duration(-seconds)}"
    if seconds < 0.0001:
        return "0 s" if seconds == 0 else f"{seconds * 1e6:.0f} \u00b5s"
    if seconds < 0.01:
        return f"{seconds * 1e3:.2g} ms"
    if seconds < 1:
        return f"{seconds * 1e3:.0f} ms"
    if seconds < 10:
        return f"{seconds:.2g} s"
    if seconds < 2 * _MINUTE:
        return f"{seconds:.0f} s"
    if seconds == float("inf"):
        return "for ever"
    whole = int(seconds)
    if whole < 2 * _HOUR:
        return f"{whole // _MINUTE} min"
    if whole < 2 * _DAY:
        return _two(whole // _HOUR, "h", whole % _HOUR // _MINUTE, "min")
    return _two(whole // _DAY, "d", whole % _DAY // _HOUR, "h")


def _two(large: int, large_unit: str, small: int, small_unit: str) -> str:
    return f"{large} {large_unit}" + (f" {small} {small_unit}" if small else "")


def share(part: float) -> str:
    """A share, in per cent; what is not nothing never looks like nothing."""
    percent = part * 100
    if percent == 0 or percent == 100:
        return f"{percent:.0f} %"
    if percent < 0.01:
        return "< 0.01 %"
    if percent > 99.99:
        return "> 99.99 %"
    return f"{percent:.1f} %" if 10 <= percent <= 99 else f"{percent:.2f} %"


def size(number_of_bytes: float) -> str:
    """A size, in decimal units."""
    if abs(number_of_bytes) < 1000:
        return f"{number_of_bytes:.0f} B"
    for unit in ("kB", "MB", "GB"):
        number_of_bytes /= 1000
        if abs(number_of_bytes) < 999.5:
            return f"{number_of_bytes:.3g} {unit}"
    return f"{number_of_bytes / 1000:,.1f} TB"


def number(value: float) -> str:
    """A number, with thousands apart."""
    if isinstance(value, int) or value == int(value):
        return f"{int(value):,}".replace(",", "\u202f")
    return f"{value:.2f}" if abs(value) < 100 else f"{value:,.0f}".replace(",", "\u202f")
