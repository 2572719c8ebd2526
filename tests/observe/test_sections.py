"""What the counters say as sections: true, small, and never divided by nought."""

from __future__ import annotations

import math
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.observe.exchanges import over, total
from toolforge_gateway.observe import catalogue
from toolforge_gateway.observe.figures import Expiry, Figures, Files, LastReload, Recent
from toolforge_gateway.observe.health import Health
from toolforge_gateway.observe.history import History
from toolforge_gateway.observe.sections import MOST_REFUSALS, sections
from toolforge_gateway.observe.traffic import OWN_PAGES, UNROUTED, Traffic

NOON = 1_800_000_000.0
DAY = 86400.0


class SectionTests(SynchronousTestCase):
    def setUp(self) -> None:
        """Two backends, at noon."""
        self.clock = Clock()
        self.clock.advance(NOON)
        names = ["jobs-api", "builds-api"]
        self.traffic = Traffic(names)
        self.health = Health(names, NOON)
        self.history = History(lambda: total(self.traffic), self.clock)
        self.history.start()
        self.addCleanup(self.history.stop)
        self.more: dict[str, Any] = {}

    def figures(self) -> Figures:
        """As a process tells them, with what the test adds."""
        seconds, recent = self.history.recent()
        rate = recent.requests / seconds if seconds else None
        more = {**self.more, "numbers": {**self.traffic.numbers(), **self.more.get("numbers", {})}}
        return Figures(
            health=self.health.states(),
            recent=Recent(rate, recent),
            course=self.history.course(),
            **more,
        )

    def all(self) -> dict[str, Any]:
        """What each section says, by name."""
        return {each.name: each.read() for each in sections(self.figures, self.clock.seconds)}

    def test_at_the_start(self) -> None:
        """Before the first request nothing is known, and each backend is there."""
        said = self.all()
        self.assertEqual([row["state"] for row in said["backends"]], ["unknown", "unknown"])
        self.assertEqual([row["name"] for row in said["routes"]], ["jobs-api", "builds-api"])
        self.assertIsNone(said["last_minute"]["requests_per_second"])
        self.assertIsNone(said["last_minute"]["error_share"])
        self.assertEqual(said["last_hour"]["requests_by_minute"], [])
        self.assertEqual(said["refusals"], [])

    def test_rate(self) -> None:
        """The rate is over the time that there was."""
        for _ in range(60):
            self.traffic.ended(over())
        self.clock.advance(30)
        self.assertEqual(self.all()["last_minute"]["requests_per_second"], 2.0)

    def test_routes(self) -> None:
        """What reached no backend has rows of its own once there is something in them."""
        self.traffic.ended(over(backend="", reason="own-page"))
        self.traffic.ended(over(backend="", reason="no-such-path", status=404))
        rows = {row["name"]: row["requests"] for row in self.all()["routes"]}
        self.assertEqual(rows, {"jobs-api": 0, "builds-api": 0, OWN_PAGES: 1, UNROUTED: 1})

    def test_refusals(self) -> None:
        """The most frequent reasons come first, and there are never many."""
        for number in range(50):
            for _ in range(number + 1):
                self.traffic.ended(over(status=403, reason=f"reason-{number:02}"))
        self.traffic.ended(over())
        rows = self.all()["refusals"]
        self.assertEqual(len(rows), MOST_REFUSALS)
        self.assertEqual(rows[0], {"reason": "reason-49", "requests": 50})
        self.assertEqual(
            [row["requests"] for row in rows],
            sorted((row["requests"] for row in rows), reverse=True),
        )

    def test_open(self) -> None:
        """What is open now is there where somebody has told it."""
        self.more["numbers"] = {
            catalogue.CONNECTIONS.name: {(): 7},
            catalogue.UPSTREAM_QUEUE.name: {("jobs-api",): 3},
        }
        said = self.all()
        self.assertEqual(said["last_minute"]["connections"], 7)
        self.assertIsNone(said["last_minute"]["streams"])
        self.assertEqual([row["waiting_requests"] for row in said["backends"]], [3, None])

    def test_expiries(self) -> None:
        """What ends soon, has ended or is missing says so; a list is not soon to end
        before its last day; what never ends is good."""
        self.more["expiries"] = {
            "a": Expiry("server", "CN=a", NOON + 31 * DAY),
            "b": Expiry("server", "CN=b", NOON + 30 * DAY),
            "c": Expiry("server", "CN=c", NOON - 1),
            "d": Expiry("revocation-list", "CN=d", NOON + 2 * DAY),
            "e": Expiry("revocation-list", "CN=e", NOON + 1.5 * DAY),
            "f": Expiry("revocation-list", "CN=f", None),
            "g": Expiry("client-ca", "CN=g", math.inf),
        }
        rows = {row["name"]: row for row in self.all()["certificates"]}
        self.assertEqual(
            [row["state"] for row in rows.values()],
            [
                "good",
                "soon",
                "expired",
                "good",
                "soon",
                "missing",
                "good",
            ],
        )
        self.assertEqual(
            [row["days_left"] for row in rows.values()], [31, 30, -1, 2, 1, None, None]
        )

    def test_files(self) -> None:
        """Files that are not taken up say why."""
        self.more["files"] = {
            ("listen[0].tls", "key pair"): Files(NOON, None, ""),
            ("upstream_tls", "authorities"): Files(NOON - 9, NOON, "gateway.yaml:3: no PEM"),
        }
        good, bad = self.all()["files"]
        self.assertEqual((good["name"], good["state"]), ("listen[0].tls: key pair", "good"))
        self.assertEqual((bad["state"], bad["complaint"]), ("refused", "gateway.yaml:3: no PEM"))

    def test_reload(self) -> None:
        """A refused configuration is told with all its complaints."""
        self.assertEqual(self.all()["reload"]["state"], "unknown")
        self.more["last_reload"] = LastReload(False, "abc", ("a.yaml:1: x", "a.yaml:2: y"), NOON)
        self.more["numbers"] = {catalogue.RELOADS.name: {("bad",): 2}}
        self.assertEqual(
            self.all()["reload"],
            {
                "state": "refused",
                "last_at": NOON,
                "version": "abc",
                "complaints": "a.yaml:1: x\na.yaml:2: y",
                "reloads_good": 0,
                "reloads_bad": 2,
            },
        )

    def test_gateway(self) -> None:
        """Several processes are told as one: since the first, draining as long as one is, and in
        as many versions as there are."""
        self.more["configuration"] = "/etc/x.yaml"
        self.more["numbers"] = {
            catalogue.STARTED_AT.name: {("0",): NOON - 60, ("1",): NOON - 30},
            catalogue.CONFIGURATION.name: {("abc",): 1, ("def",): 1},
            catalogue.DRAINING.name: {(): 1},
            catalogue.SERVED.name: {("0",): 5},
        }
        said = self.all()
        gateway = said["gateway"]
        self.assertEqual(gateway["state"], "draining")
        self.assertEqual(gateway["uptime_seconds"], 60)
        self.assertEqual(gateway["configuration_version"], "abc, def")
        self.assertEqual(
            [(row["name"], row["uptime_seconds"], row["requests"]) for row in said["processes"]],
            [("0", 60, 5), ("1", 30, None)],
        )

    def test_nobody(self) -> None:
        """Of figures that say nothing every section can be read."""
        for section in sections(Figures, self.clock.seconds):
            section.read()

    def test_public(self) -> None:
        """Of all these everyone may see the backends' names and states, and ours, alone."""
        said = {each.name: each.public for each in sections(self.figures, self.clock.seconds)}
        self.assertEqual(said.pop("backends"), {"name", "state"})
        self.assertEqual(said.pop("gateway"), {"state"})
        self.assertEqual(set(said.values()), {frozenset()})
