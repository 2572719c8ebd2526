"""Alerts, dashboard and documentation name the metrics that there are, and all of them."""

from __future__ import annotations

import re

from twisted.trial.unittest import SynchronousTestCase

from tests.contrib.expressions import (
    ROOT,
    complaints,
    dashboard,
    filled_in,
    panels,
    queries,
    rules,
)
from toolforge_gateway.observe.catalogue import MEASURES

OPERATIONS = (ROOT / "docs" / "operations.md").read_text()


def section(title: str) -> str:
    """A section of the documentation, by its heading of the second level."""
    found: str = OPERATIONS.split(f"\n## {title}\n")[1].split("\n## ")[0]
    return found


class JudgeTests(SynchronousTestCase):
    def test_caught(self) -> None:
        """What is misspelt in an expression is found: a name, a label, a rate of a gauge."""
        for wrong in (
            "toolforge_gateway_request_total",
            "toolforge_gateway_response_head_seconds",
            "toolforge_gateway_connections_count",
            'toolforge_gateway_requests_total{route="x"}',
            "sum by (route) (toolforge_gateway_requests_total)",
            "rate(toolforge_gateway_connections[5m])",
        ):
            self.assertTrue(complaints(wrong), wrong)
        right = "sum by (backend, le) (rate(toolforge_gateway_response_head_seconds_bucket[5m]))"
        self.assertEqual(complaints(right), [])


class AlertTests(SynchronousTestCase):
    def test_names(self) -> None:
        """Every metric and label in an alert is one of ours."""
        for rule in rules():
            self.assertEqual(complaints(rule["expr"]), [], rule["alert"])

    def test_runbook(self) -> None:
        """Every alert has its entry under "Alerts, and what to do", by the same severity, and
        there is no entry without an alert."""
        entries = dict(
            re.findall(r"^### (\w+)\n\n\*(\w+)\.\*", section("Alerts, and what to do"), re.M)
        )
        self.assertEqual(
            {name: severity.lower() for name, severity in entries.items()},
            {rule["alert"]: rule["labels"]["severity"] for rule in rules()},
        )
        for rule in rules():
            anchor = f"docs/operations.md#{rule['alert'].lower()}"
            self.assertEqual(rule["annotations"]["runbook"], anchor)
            self.assertTrue(rule["annotations"]["summary"].endswith("."), rule["alert"])

    def test_mentioned(self) -> None:
        """What the runbook names, metrics and other alerts, is there."""
        text = section("Alerts, and what to do")
        alerts = {rule["alert"] for rule in rules()}
        self.assertEqual(set(re.findall(r"\bGateway[A-Z]\w+", text)) - alerts, set())
        for expression in re.findall(r"`([^`]*toolforge_gateway_[^`]*)`", text):
            self.assertEqual(complaints(expression), [], expression)
        anchors = {
            re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-")
            for heading in re.findall(r"^#+ (.*)$", OPERATIONS, re.M)
        }
        self.assertEqual(set(re.findall(r"\]\(#([^)]*)\)", OPERATIONS)) - anchors, set())


class DashboardTests(SynchronousTestCase):
    def test_names(self) -> None:
        """Every metric and label on the dashboard is one of ours."""
        for title, expression in queries():
            self.assertEqual(complaints(filled_in(expression)), [], title)

    def test_everything_is_seen(self) -> None:
        """Each metric is on the dashboard."""
        shown = " ".join(expression for _, expression in queries())
        missing = [name for name in MEASURES if not re.search(rf"\b{name}(_bucket|\b)", shown)]
        self.assertEqual(missing, [])

    def test_importable(self) -> None:
        """It has what Grafana wants of a file to import: no id of another Grafana, one data source
        that is chosen, panels that do not overlap and have different ids."""
        whole = dashboard()
        self.assertIsNone(whole["id"])
        self.assertEqual(len({panel["id"] for panel in whole["panels"]}), len(whole["panels"]))
        taken: set[tuple[int, int]] = set()
        for panel in whole["panels"]:
            place = panel["gridPos"]
            self.assertLessEqual(place["x"] + place["w"], 24)
            cells = {
                (x, y)
                for x in range(place["x"], place["x"] + place["w"])
                for y in range(place["y"], place["y"] + place["h"])
            }
            self.assertFalse(taken & cells, panel["title"])
            taken |= cells
        for panel in panels():
            self.assertEqual(panel["datasource"]["uid"], "${datasource}")
            for target in panel["targets"]:
                self.assertEqual(target["datasource"]["uid"], "${datasource}")
        names = {each["name"] for each in whole["templating"]["list"]}
        used = set(re.findall(r"\$\{?([a-z_]+)", str(whole["panels"]))) - {"__rate_interval"}
        self.assertEqual(used, names)


class DocumentationTests(SynchronousTestCase):
    def test_every_metric(self) -> None:
        """The table under "Metrics" has every metric with its kind and labels, and no other."""
        rows = re.findall(r"^\| `(\w+)` \| (\w+) \| ([^|]*) \| ", section("Metrics"), re.M)
        self.assertEqual(
            {name: (kind, tuple(re.findall(r"`(\w+)`", labels))) for name, kind, labels in rows},
            {name: (each.kind.value, each.labels) for name, each in MEASURES.items()},
        )
        self.assertEqual(len(rows), len(MEASURES))

    def test_examples(self) -> None:
        """The expressions there are right."""
        for line in section("Metrics").splitlines():
            if line.startswith("    ") and "toolforge_gateway_" in line:
                self.assertEqual(complaints(line), [], line)
