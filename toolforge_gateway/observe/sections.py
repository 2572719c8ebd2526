"""What the counters, the history and the backends' health say, as sections of the status."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from toolforge_gateway.observe.health import Health
from toolforge_gateway.observe.history import History
from toolforge_gateway.observe.snapshot import Section
from toolforge_gateway.observe.traffic import ASKED, OTHER, OWN_PAGES, UNROUTED, Total, Traffic
from toolforge_gateway.policy import ALLOWED

MOST_REFUSALS = 20
"""Reasons that are shown, the most frequent ones."""


def backends(health: Callable[[], Health]) -> Section:
    """How each backend does; everyone may see which there are and their state.

    :param health: called for each reading.
    """

    def read() -> Sequence[Mapping[str, Any]]:
        return [
            {
                "name": name,
                "state": each.state.value,
                "since_at": each.since,
                "failures_in_a_row": each.failures,
                "last_failure_reason": each.last_failure or None,
                "last_failure_at": each.last_failure_at,
                "last_answer_at": each.last_answer_at,
            }
            for name, each in health().states().items()
        ]

    return Section("backends", "APIs", read, frozenset(["name", "state"]))


def last_minute(history: History, now_open: Callable[[], Mapping[str, int]]) -> Section:
    """Traffic to the APIs as it is now.

    :param now_open: what is open at the moment, by name: connections and the like.
    """

    def read() -> Mapping[str, Any]:
        seconds, total = history.recent()
        return {
            "requests_per_second": total.requests / seconds if seconds else None,
            **_shares(total),
            **now_open(),
        }

    return Section("last_minute", "Last minute", read)


def last_hour(history: History) -> Section:
    """The same of the last hour, with its course."""

    def read() -> Mapping[str, Any]:
        total, minutes = history.hour(), history.minutes()
        return {
            "requests": total.requests,
            **_shares(total),
            "requests_by_minute": [each.requests for each in minutes],
            "errors_by_minute": [each.errors for each in minutes],
            "latency_p50_seconds_by_minute": [each.p50 for each in minutes],
            "latency_p99_seconds_by_minute": [each.p99 for each in minutes],
        }

    return Section("last_hour", "Last hour", read)


def routes(traffic: Traffic) -> Section:
    """What went where since the start."""

    def read() -> Sequence[Mapping[str, Any]]:
        rows = []
        for route, total in traffic.by_route().items():
            # The routes that the configuration does not name are there when they are used.
            if total.requests or route not in (OWN_PAGES, ASKED, UNROUTED, OTHER):
                rows.append(
                    {
                        "name": route,
                        "requests": total.requests,
                        **_shares(total),
                        "cut_off": total.incomplete,
                        "received_bytes": total.bytes_in,
                        "sent_bytes": total.bytes_out,
                    }
                )
        return rows

    return Section("routes", "By route, since the start", read)


def refusals(traffic: Traffic) -> Section:
    """Why requests were refused or broke off since the start, the most frequent first."""

    def read() -> Sequence[Mapping[str, Any]]:
        reasons: dict[str, int] = {}
        for label, count in traffic.counts():
            if label.reason not in ALLOWED and label.reason != "own-page":
                reasons[label.reason] = reasons.get(label.reason, 0) + count.requests
        most = sorted(reasons.items(), key=lambda each: (-each[1], each[0]))[:MOST_REFUSALS]
        return [{"reason": reason, "requests": requests} for reason, requests in most]

    return Section("refusals", "Refused or broken off, since the start", read)


def _shares(total: Total) -> Mapping[str, Any]:
    return {
        "error_share": total.errors / total.requests if total.requests else None,
        "latency_p50_seconds": total.percentile(0.5),
        "latency_p99_seconds": total.percentile(0.99),
    }
