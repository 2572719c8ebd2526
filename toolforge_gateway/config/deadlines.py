"""The keys `timeouts` and `limits`."""

from __future__ import annotations

import attrs

from toolforge_gateway.config.options import Options
from toolforge_gateway.config.values import Limits, Timeouts

LONGEST = 604_800
"""Seconds; a week.  A longer deadline is a slip of the unit."""

ALL_TIMEOUTS = tuple(field.name for field in attrs.fields(Timeouts))
MAY_BE_NONE = frozenset(["lame_duck"])
"""Those that can be 0."""
BACKEND_TIMEOUTS = ("request_idle", "queue", "connect", "response_head", "response_idle")
"""Those that still count once the backend is known."""

LIMIT_RANGES = {
    "request_line": (64, 1024 * 1024),
    "header_block": (256, 1024 * 1024),
    "headers": (8, 10_000),
    "request_body": (1, 2**50),
    "connections": (1, 1_000_000),
    "requests": (1, 1_000_000),
    "connections_per_address": (1, 1_000_000),
}
"""Smallest and largest: enough for any real request, and bounded memory."""


def read_timeouts(options: Options, general: Timeouts, allowed: tuple[str, ...]) -> Timeouts:
    """The key `timeouts` laid over more general ones.

    :param allowed: the deadlines that may be set here.
    """
    section = options.section("timeouts")
    if section is None:
        return general
    changes = {}
    for key in allowed:
        if key in MAY_BE_NONE:
            value = section.number(key, minimum=0, maximum=LONGEST)
        else:
            value = section.number(key, above=0, maximum=LONGEST)
        if value is not None:
            changes[key] = value
    for key in ALL_TIMEOUTS:
        if key not in allowed and section.has(key):
            section.complain(
                key,
                "has no effect here: it runs before a backend is known, or for all of them",
                "set it in the timeouts at the top",
            )
    return attrs.evolve(general, **changes)


def read_limits(options: Options) -> Limits:
    """The key `limits`."""
    section = options.section("limits")
    if section is None:
        return Limits()
    changes = {}
    for key, (minimum, maximum) in LIMIT_RANGES.items():
        value = section.whole(key, minimum=minimum, maximum=maximum)
        if value is not None:
            changes[key] = value
    return attrs.evolve(Limits(), **changes)
