"""What the counters say as sections: true, small, and never divided by nought."""

from __future__ import annotations

from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.observe.exchanges import over
from toolforge_gateway.observe import sections
from toolforge_gateway.observe.health import Health
from toolforge_gateway.observe.history import History
from toolforge_gateway.observe.sections import MOST_REFUSALS
from toolforge_gateway.observe.traffic import OWN_PAGES, UNROUTED, Traffic

NOON = 1_800_000_000.0


class SectionTests(SynchronousTestCase):
    def setUp(self) -> None:
        """Two backends, at noon."""
        self.clock = Clock()
        self.clock.advance(NOON)
        names = ["jobs-api", "builds-api"]
        self.traffic = Traffic(names)
        self.health = Health(names, NOON)
        self.history = History(self.traffic, self.clock)
        self.history.start()
        self.addCleanup(self.history.stop)

    def all(self) -> dict[str, Any]:
        """What each section says, by name."""
        return {
            each.name: each.read()
            for each in (
                sections.backends(lambda: self.health),
                sections.last_minute(self.history, lambda: {"connections": 7}),
                sections.last_hour(self.history),
                sections.routes(self.traffic),
                sections.refusals(self.traffic),
            )
        }

    def test_at_the_start(self) -> None:
        """Before the first request nothing is known, and each backend is there."""
        said = self.all()
        self.assertEqual([row["state"] for row in said["backends"]], ["unknown", "unknown"])
        self.assertEqual([row["name"] for row in said["routes"]], ["jobs-api", "builds-api"])
        self.assertIsNone(said["last_minute"]["requests_per_second"])
        self.assertIsNone(said["last_minute"]["error_share"])
        self.assertEqual(said["last_minute"]["connections"], 7)
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

    def test_public(self) -> None:
        """Of all these everyone may see the backends' names and states alone."""
        said = {
            each.name: each.public
            for each in (
                sections.backends(lambda: self.health),
                sections.last_minute(self.history, dict),
                sections.last_hour(self.history),
                sections.routes(self.traffic),
                sections.refusals(self.traffic),
            )
        }
        self.assertEqual(said.pop("backends"), {"name", "state"})
        self.assertEqual(set(said.values()), {frozenset()})
