"""The measures that are worked out of what processes tell."""

from __future__ import annotations

from toolforge_gateway.observe.catalogue import (
    BACKEND_ANSWERED_AT,
    BACKEND_FAILING,
    CPU,
    DESCRIPTORS,
    DESCRIPTORS_LIMIT,
    EXPIRY,
    FILES_REFUSED,
    FILES_SINCE,
    MEMORY,
    PROCESS_CPU,
    PROCESS_DESCRIPTORS,
    PROCESS_DESCRIPTORS_LIMIT,
    PROCESS_MEMORY,
    PROCESS_STARTED_AT,
    RELOAD_AT,
    RELOAD_GOOD,
    STARTED_AT,
    Measure,
)
from toolforge_gateway.observe.figures import Figures, Labels, Number, Numbers
from toolforge_gateway.observe.health import State


def derived(figures: Figures) -> Numbers:
    """What follows from figures, of one process or of all together."""
    found: dict[str, dict[Labels, Number]] = {}

    def add(measure: Measure, number: float, *labels: str) -> None:
        found.setdefault(measure.name, {})[labels] = number

    for backend, state in figures.health.items():
        add(BACKEND_FAILING, int(state.state is State.FAILING), backend)
        if state.last_answer_at is not None:
            add(BACKEND_ANSWERED_AT, state.last_answer_at, backend)
    for name, expiry in figures.expiries.items():
        ends = 0 if expiry.ends is None else expiry.ends
        add(EXPIRY, ends, name, expiry.kind, expiry.group or name)
    for (place, what), files in figures.files.items():
        add(FILES_REFUSED, int(files.failing_since is not None), place, what)
        add(FILES_SINCE, files.since, place, what)
    if figures.last_reload is not None:
        add(RELOAD_GOOD, int(figures.last_reload.good))
        add(RELOAD_AT, figures.last_reload.at)
    for measure, whole in [
        (CPU, PROCESS_CPU),
        (MEMORY, PROCESS_MEMORY),
        (DESCRIPTORS, PROCESS_DESCRIPTORS),
        (DESCRIPTORS_LIMIT, PROCESS_DESCRIPTORS_LIMIT),
    ]:
        if numbers := figures.plain(measure):
            add(whole, sum(numbers.values()))
    if began := figures.plain(STARTED_AT):
        add(PROCESS_STARTED_AT, min(began.values()))
    return found
