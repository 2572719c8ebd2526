"""What figures say, as sections of the status: those of one process or of all together."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from typing import Any

from toolforge_gateway._version import __version__
from toolforge_gateway.observe.catalogue import (
    CONFIGURATION,
    CONNECTIONS,
    CPU,
    DECISIONS,
    DESCRIPTORS,
    DRAINING,
    LOADED_AT,
    MEMORY,
    RELOADS,
    SERVED,
    STARTED_AT,
    STREAMS,
    UNDER_WAY,
    UPSTREAM_QUEUE,
    WORKER_CONNECTIONS,
)
from toolforge_gateway.observe.figures import Expiry, Figures
from toolforge_gateway.observe.health import BackendState
from toolforge_gateway.observe.history import minutes
from toolforge_gateway.observe.routes import by_route
from toolforge_gateway.observe.snapshot import Section
from toolforge_gateway.observe.total import Total

MOST_REFUSALS = 20
"""Reasons that are shown, the most frequent ones."""
SOON = 30
"""Days before its end from which something that runs out is shown as such."""
LIST_SOON = 1
"""The same for revocation lists, which are short-lived and made anew every few days."""
_DAY = 86400

Facts = Mapping[str, Any]


def sections(figures: Callable[[], Figures], now: Callable[[], float]) -> Sequence[Section]:
    """All that figures say.

    :param figures: called for each reading.
    :param now: POSIX seconds.
    """

    def section(
        name: str,
        title: str,
        read: Callable[[Figures], Facts | Sequence[Facts]],
        *public: str,
    ) -> Section:
        return Section(name, title, lambda: read(figures()), frozenset(public))

    return [
        section("backends", "APIs", _backends, "name", "state"),
        section("addresses", "Addresses of APIs", _addresses),
        section("last_minute", "Last minute", _last_minute),
        section("last_hour", "Last hour", _last_hour),
        section("routes", "By route, since the start", _routes),
        section("refusals", "Refused or broken off, since the start", _refusals),
        section("certificates", "Certificates", lambda each: _expiries(each, now())),
        section("files", "Files of certificates, keys and lists", _files),
        section("reload", "Last reload", _reload),
        section("processes", "Processes", lambda each: _processes(each, now())),
        section("gateway", "Gateway", lambda each: _gateway(each, now()), "state"),
    ]


def _backends(figures: Figures) -> Sequence[Facts]:
    """How each backend does; everyone may see which there are and their state."""
    return [_backend(figures, name, each) for name, each in figures.health.items()]


def _backend(figures: Figures, name: str, state: BackendState) -> Facts:
    return {
        "name": name,
        "state": state.state.value,
        "since_at": state.since,
        "failures_in_a_row": state.failures,
        "last_failure_reason": state.last_failure or None,
        "last_failure_at": state.last_failure_at,
        "last_answer_at": state.last_answer_at,
        "waiting_requests": figures.number(UPSTREAM_QUEUE, name),
    }


def _addresses(figures: Figures) -> Sequence[Facts]:
    """Where the backends are reached."""
    return [
        {
            "name": f"{backend} {where}",
            "state": each.state,
            "connections_busy": each.busy,
            "connections_idle": each.idle,
            "failures_in_a_row": each.failures,
            "last_failure_reason": each.last_failure or None,
            "last_failure_at": each.last_failure_at,
            "ejected_until_at": each.ejected_until,
        }
        for (backend, where), each in figures.addresses.items()
    ]


def _last_minute(figures: Figures) -> Facts:
    """Traffic to the APIs as it is now."""
    recent = figures.recent
    return {
        "requests_per_second": None if recent is None else recent.per_second,
        **_shares(Total() if recent is None else recent.total),
        "connections": figures.number(CONNECTIONS),
        "requests_under_way": figures.number(UNDER_WAY),
        "streams": figures.number(STREAMS),
    }


def _last_hour(figures: Figures) -> Facts:
    """The same of the last hour, with its course."""
    total, over = reduce(Total.plus, figures.course.values(), Total()), minutes(figures.course)
    return {
        "requests": total.requests,
        **_shares(total),
        "requests_by_minute": [each.requests for each in over],
        "errors_by_minute": [each.errors for each in over],
        "latency_p50_seconds_by_minute": [each.p50 for each in over],
        "latency_p99_seconds_by_minute": [each.p99 for each in over],
    }


def _routes(figures: Figures) -> Sequence[Facts]:
    """What went where since the start."""
    return [
        {
            "name": route,
            "requests": total.requests,
            **_shares(total),
            "cut_off": total.incomplete,
            "received_bytes": total.bytes_in,
            "sent_bytes": total.bytes_out,
        }
        for route, total in by_route(figures).items()
    ]


def _refusals(figures: Figures) -> Sequence[Facts]:
    """Why requests were refused or broke off since the start, the most frequent first."""
    reasons: dict[str, int] = {}
    for (_, reason, result), number in figures.plain(DECISIONS).items():
        if result != "allowed":
            reasons[reason] = reasons.get(reason, 0) + int(number)
    most = sorted(reasons.items(), key=lambda each: (-each[1], each[0]))[:MOST_REFUSALS]
    return [{"reason": reason, "requests": requests} for reason, requests in most]


def _expiries(figures: Figures, now: float) -> Sequence[Facts]:
    """What runs out."""
    return [_expiry(name, each, now) for name, each in figures.expiries.items()]


def _expiry(name: str, what: Expiry, now: float) -> Facts:
    left = None
    if what.ends is not None:
        left = math.floor((what.ends - now) / _DAY) if math.isfinite(what.ends) else math.inf
    if left is None:
        state = "missing"
    elif left < 0:
        state = "expired"
    else:
        soon = LIST_SOON if what.kind == "revocation-list" else SOON
        state = "soon" if left <= soon else "good"
    return {
        "name": name,
        "state": state,
        "days_left": left if left is None or math.isfinite(left) else None,
        "ends_at": what.ends if what.ends is None or math.isfinite(what.ends) else None,
        "subject": what.subject,
    }


def _files(figures: Figures) -> Sequence[Facts]:
    """Whether what lies in the files is what is in force."""
    return [
        {
            "name": f"{place}: {name}",
            "state": "good" if each.failing_since is None else "refused",
            "in_force_since_at": each.since,
            "refused_since_at": each.failing_since,
            "complaint": each.failure or None,
        }
        for (place, name), each in figures.files.items()
    ]


def _reload(figures: Figures) -> Facts:
    """Whether what was loaded last is what runs."""
    last = figures.last_reload
    return {
        "state": "unknown" if last is None else "good" if last.good else "refused",
        "last_at": None if last is None else last.at,
        "version": None if last is None else last.version,
        "complaints": None if last is None else "\n".join(last.complaints) or None,
        "reloads_good": figures.number(RELOADS, "good") or 0,
        "reloads_bad": figures.number(RELOADS, "bad") or 0,
    }


def _processes(figures: Figures, now: float) -> Sequence[Facts]:
    """Each process by itself; what those have counted that were in its place before is in it."""
    return [
        {
            "name": name,
            "uptime_seconds": max(now - began, 0.0),
            "requests": figures.number(SERVED, name),
            "connections": figures.number(WORKER_CONNECTIONS, name),
            "processor_seconds": figures.number(CPU, name),
            "memory_bytes": figures.number(MEMORY, name),
            "open_files": figures.number(DESCRIPTORS, name),
        }
        for (name,), began in sorted(figures.plain(STARTED_AT).items())
    ]


def _gateway(figures: Figures, now: float) -> Facts:
    began = min(figures.plain(STARTED_AT).values(), default=None)
    versions = [version for (version,) in figures.plain(CONFIGURATION)]
    return {
        "state": "draining" if figures.number(DRAINING) else "running",
        "version": __version__,
        "started_at": began,
        "uptime_seconds": None if began is None else max(now - began, 0.0),
        "configuration": figures.configuration or None,
        # More than one while a change goes through the workers.
        "configuration_version": ", ".join(versions) or None,
        "configuration_loaded_at": figures.number(LOADED_AT),
    }


def _shares(total: Total) -> Facts:
    return {
        "error_share": total.errors / total.requests if total.requests else None,
        "latency_p50_seconds": total.percentile(0.5),
        "latency_p99_seconds": total.percentile(0.99),
    }
