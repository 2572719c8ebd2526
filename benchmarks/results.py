"""Collecting figures over rounds, medians, ratios, and the file they are kept in."""

from __future__ import annotations

import json
import os
import platform
import statistics
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from benchmarks.measures import Figures

FULL = 0.9
"""The share of a CPU from which on it counts as full."""


class Results:
    """All figures of a run.

    :ivar about: what was run where, for the file.
    """

    def __init__(self, about: Mapping[str, Any]):
        self.about = dict(about)
        self._rounds: dict[tuple[str, str], list[Figures]] = {}
        self._failures: dict[tuple[str, str], str] = {}

    def add(self, measure: str, peer: str, figures: Figures) -> None:
        """Take the figures of one round."""
        self._rounds.setdefault((measure, peer), []).append(figures)

    def failed(self, measure: str, peer: str, why: str) -> None:
        """Remember that a measurement could not be made."""
        self._failures.setdefault((measure, peer), why)

    @property
    def failures(self) -> list[str]:
        """One sentence for each measurement that could not be made."""
        return [f"{measure}: {why}" for (measure, _), why in self._failures.items()]

    def median(self, measure: str, peer: str, figure: str) -> float | None:
        """The median over the rounds; None when there is none."""
        values = [each[figure] for each in self._rounds.get((measure, peer), [])]
        return statistics.median(values) if values else None

    def ratio(self, measure: str, peer: str, figure: str, base: str) -> float | None:
        """A median over another peer's: below 1 is better than it."""
        own, other = (self.median(measure, each, figure) for each in (peer, base))
        return own / other if own is not None and other else None

    def held_back(self, measure: str, peer: str) -> bool:
        """Whether the other CPU, with load client and backend, was full and the proxy's not."""
        shares = [
            self.median(measure, peer, name) if self._has(measure, peer, name) else None
            for name in ("proxy_busy", "client_busy", "backend_busy")
        ]
        proxy, client, backend = (share or 0.0 for share in shares)
        return proxy < FULL <= client + backend

    def disturbed(self, peer: str) -> float:
        """The largest share of a measure's time in which other programs had this peer's CPU."""
        measures = (measure for measure, name in self._rounds if name == peer)
        return max(
            (
                self.median(measure, peer, "proxy_waited") or 0.0
                for measure in measures
                if self._has(measure, peer, "proxy_waited")
            ),
            default=0.0,
        )

    def _has(self, measure: str, peer: str, figure: str) -> bool:
        return any(figure in each for each in self._rounds.get((measure, peer), []))

    def peers(self) -> list[str]:
        """Names of the peers with figures, in the order in which they came."""
        return list(dict.fromkeys(peer for _, peer in self._rounds))

    def document(self) -> dict[str, Any]:
        """All of it, for a file: every round, and the medians."""
        measures: dict[str, dict[str, Any]] = {}
        for (measure, peer), rounds in self._rounds.items():
            figures = {name: self.median(measure, peer, name) for name in rounds[0]}
            measures.setdefault(measure, {})[peer] = {"median": figures, "rounds": rounds}
        return {"about": self.about, "measures": measures, "failures": self.failures}

    def write(self, path: Path) -> None:
        """Write the file."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(self.document(), indent=1) + "\n", encoding="utf-8")


def machine() -> dict[str, Any]:
    """What these figures were measured on."""
    return {
        "cpu": _processor(Path("/proc/cpuinfo").read_text().splitlines()),
        "cpus": len(os.sched_getaffinity(0)),
        "kernel": platform.release(),
        "python": platform.python_version(),
    }


def _processor(lines: Iterable[str]) -> str:
    for line in lines:
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
