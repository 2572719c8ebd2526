"""The alert rules and the dashboard, and the expressions that are in them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from toolforge_gateway.observe.catalogue import MEASURES, Kind, Measure

ROOT = Path(__file__).resolve().parent.parent.parent
PROMETHEUS = ROOT / "contrib" / "prometheus"
ALERTS = PROMETHEUS / "alerts.yaml"
DASHBOARD = ROOT / "contrib" / "grafana" / "toolforge-gateway.json"

_NAME = re.compile(r"\b(?:toolforge_gateway|process)_[a-z0-9_]+\b")
_SELECTION = re.compile(r"\b((?:toolforge_gateway|process)_[a-z0-9_]+)\{([^}]*)\}")
_GROUPING = re.compile(r"\b(?:by|on|without) \(([^)]*)\)")
OF_PROMETHEUS = {"job", "instance", "le"}
"""Labels that every sample has, or every bucket."""


def rules() -> list[dict[str, Any]]:
    """Each alert rule."""
    document = yaml.safe_load(ALERTS.read_text())
    return [rule for group in document["groups"] for rule in group["rules"]]


def dashboard() -> dict[str, Any]:
    """The dashboard."""
    document: dict[str, Any] = json.loads(DASHBOARD.read_text())
    return document


def panels() -> list[dict[str, Any]]:
    """All but the rows."""
    return [panel for panel in dashboard()["panels"] if panel["type"] != "row"]


def queries() -> Iterator[tuple[str, str]]:
    """Each panel's and annotation's title, with an expression of it."""
    for panel in panels():
        for target in panel["targets"]:
            yield panel["title"], target["expr"]
    for annotation in dashboard()["annotations"]["list"]:
        yield annotation["name"], annotation["expr"]


def filled_in(expression: str) -> str:
    """With the dashboard's variables replaced as Grafana does it."""
    for name, value in {
        "$__rate_interval": "30s",
        "$job": ".+",
        "$instance": ".*",
        "$backend": ".*",
    }.items():
        expression = expression.replace(name, value)
    return expression


def measured(name: str) -> Measure | None:
    """The measure that a sample of this name is of."""
    if name in MEASURES:
        return None if MEASURES[name].kind is Kind.HISTOGRAM else MEASURES[name]
    for ending in ("_bucket", "_sum", "_count"):
        measure = MEASURES.get(name.removesuffix(ending))
        if name.endswith(ending) and measure is not None and measure.kind is Kind.HISTOGRAM:
            return measure
    return None


def complaints(expression: str) -> list[str]:
    """What is wrong with the names in an expression."""
    wrong = [f"no metric {name}" for name in _NAME.findall(expression) if measured(name) is None]
    known = set(OF_PROMETHEUS)
    for name in _NAME.findall(expression):
        measure = measured(name)
        known |= set(() if measure is None else measure.labels)
    for name, selection in _SELECTION.findall(expression):
        measure = measured(name)
        labels = OF_PROMETHEUS | set(() if measure is None else measure.labels)
        for label in re.findall(r"([a-z_]+) *(?:=~|!~|!=|=)", selection):
            if label not in labels:
                wrong.append(f"{name} has no label {label}")
    for grouping in _GROUPING.findall(expression):
        for label in re.findall(r"[a-z_]+", grouping):
            if label not in known:
                wrong.append(f"nothing here has the label {label}")
    # Only what grows has a rate.
    for name in re.findall(r"(?:rate|increase)\(([a-z_]+)", expression):
        measure = measured(name)
        if measure is not None and measure.kind is Kind.GAUGE:
            wrong.append(f"{name} is a gauge and has no rate")
    return wrong
