"""Medians, ratios, and who was the bottleneck."""

from __future__ import annotations

import json
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from benchmarks.results import Results


class ResultsTests(SynchronousTestCase):
    """Figures of some rounds of two peers."""

    def setUp(self) -> None:
        self.results = Results({"rounds": 3})

    def test_median_over_rounds(self) -> None:
        """One noisy round does not move a figure."""
        for value in (20.0, 900.0, 22.0):
            self.results.add("get", "nginx", {"cpu_us": value})
        self.assertEqual(self.results.median("get", "nginx", "cpu_us"), 22.0)

    def test_nothing_measured(self) -> None:
        """What was not measured is no zero."""
        self.assertIsNone(self.results.median("get", "nginx", "cpu_us"))
        self.assertIsNone(self.results.ratio("get", "nginx", "cpu_us", "nginx"))

    def test_ratio(self) -> None:
        """A ratio is one median over the other, and below 1 where the first is less."""
        self.results.add("get", "nginx", {"cpu_us": 20.0})
        self.results.add("get", "gateway", {"cpu_us": 15.0})
        self.assertEqual(self.results.ratio("get", "gateway", "cpu_us", "nginx"), 0.75)
        self.assertEqual(self.results.ratio("get", "nginx", "cpu_us", "nginx"), 1.0)

    def test_held_back(self) -> None:
        """The load was the bottleneck where its CPU was full and the proxy's was not."""
        for peer, proxy, client, backend in (
            ("full", 0.99, 0.5, 0.45),
            ("waiting", 0.6, 0.5, 0.45),
            ("calm", 0.1, 0.1, 0.1),
        ):
            self.results.add(
                "get",
                peer,
                {"proxy_busy": proxy, "client_busy": client, "backend_busy": backend},
            )
        held = [peer for peer in self.results.peers() if self.results.held_back("get", peer)]
        self.assertEqual(held, ["waiting"])

    def test_disturbed(self) -> None:
        """The measure that other programs disturbed most is what is said of a peer."""
        self.results.add("get", "nginx", {"proxy_waited": 0.02})
        self.results.add("connect", "nginx", {"proxy_waited": 0.4})
        self.results.add("idle", "nginx", {"kb_each": 24.0})
        self.results.add("get", "gateway", {"proxy_waited": 0.9})
        self.assertEqual(self.results.disturbed("nginx"), 0.4)
        self.assertEqual(self.results.disturbed("envoy"), 0.0)

    def test_memory_has_no_bottleneck(self) -> None:
        """A measure without shares of CPUs is not held back by anything."""
        self.results.add("idle", "nginx", {"kb_each": 24.0})
        self.assertFalse(self.results.held_back("idle", "nginx"))

    def test_file(self) -> None:
        """The file has every round, the medians, and what could not be measured."""
        self.results.add("get", "nginx", {"cpu_us": 20.0})
        self.results.add("get", "nginx", {"cpu_us": 30.0})
        self.results.failed("get", "gateway", "gateway: it did not start")
        path = Path(self.mktemp()) / "latest.json"
        self.results.write(path)
        document = json.loads(path.read_text())
        measured = document["measures"]["get"]["nginx"]
        self.assertEqual(measured["median"], {"cpu_us": 25.0})
        self.assertEqual(len(measured["rounds"]), 2)
        self.assertEqual(document["failures"], ["get: gateway: it did not start"])
