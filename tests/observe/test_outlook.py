"""The status of many processes: asked for when somebody looks, once, and never for long."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from toolforge_gateway.observe.catalogue import CONNECTIONS
from toolforge_gateway.observe.figures import Figures
from toolforge_gateway.observe.outlook import PATIENCE, Outlook


def figures(connections: int) -> Figures:
    return Figures({CONNECTIONS.name: {(): connections}})


class OutlookTests(SynchronousTestCase):
    def setUp(self) -> None:
        """A process with one connection."""
        self.clock = Clock()
        self.clock.advance(1_800_000_000)
        self.own = 0
        self.outlook = Outlook(self.tell, self.clock)
        self.asked: list[Deferred[Figures]] = []

    def tell(self) -> Figures:
        self.own += 1
        return figures(1)

    def ask(self) -> Deferred[Figures]:
        self.asked.append(Deferred())
        return self.asked[-1]

    def shown(self) -> Any:
        """The connections on the page."""
        sections = {each.name: each.value for each in self.outlook.board.whole().sections}
        minute: Any = sections["last_minute"]
        return minute["connections"]

    def test_alone(self) -> None:
        """One process asks nobody, and works its figures out once for a whole page."""
        self.assertIsNone(self.outlook.renew())
        self.assertEqual(self.shown(), 1)
        self.assertEqual(self.own, 1)
        self.clock.advance(5)
        self.shown()
        self.assertEqual(self.own, 2)
        self.assertEqual(self.outlook.figures(), figures(1))

    def test_together(self) -> None:
        """The page shows what all have measured, and for a second nobody is asked again."""
        self.outlook.show(self.ask)
        waiting = self.outlook.renew()
        assert waiting is not None
        self.assertNoResult(waiting)
        self.asked[0].callback(figures(12))
        self.successResultOf(waiting)
        self.assertEqual(self.shown(), 12)
        self.assertIsNone(self.outlook.renew())
        self.clock.advance(5)
        again = self.outlook.renew()
        assert again is not None
        self.asked[1].callback(figures(13))
        self.successResultOf(again)
        self.assertEqual(self.shown(), 13)
        self.assertEqual(len(self.asked), 2)

    def test_a_crowd(self) -> None:
        """However many look at once, one question is asked, and all are answered."""
        self.outlook.show(self.ask)
        waiting = [self.outlook.renew() for _ in range(50)]
        self.assertEqual(len(self.asked), 1)
        self.asked[0].callback(figures(12))
        for each in waiting:
            assert each is not None
            self.successResultOf(each)

    def test_no_answer(self) -> None:
        """Who is not answered in time shows what it knows of itself; the next look asks again."""
        self.outlook.show(self.ask)
        waiting = self.outlook.renew()
        assert waiting is not None
        self.clock.advance(PATIENCE)
        self.successResultOf(waiting)
        self.assertEqual(self.shown(), 1)
        self.clock.advance(5)
        again = self.outlook.renew()
        assert again is not None
        self.asked[1].errback(ConnectionError("gone"))
        self.successResultOf(again)
        self.assertEqual(self.shown(), 1)

    def test_cannot_ask(self) -> None:
        """One that cannot even ask shows what it knows of itself."""

        def broken() -> Deferred[Figures]:
            raise ConnectionError("no channel")

        self.outlook.show(broken)
        waiting = self.outlook.renew()
        assert waiting is not None
        self.successResultOf(waiting)
        self.assertEqual(self.shown(), 1)
        found = self.outlook.figures()
        assert isinstance(found, Deferred)
        self.assertEqual(self.successResultOf(found), figures(1))
