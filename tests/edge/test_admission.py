"""Who is let in, and what is said of those who are not."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

from twisted.internet.task import Clock
from twisted.logger import formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from toolforge_gateway.edge.admission import SILENCE, Addresses, TurnedAway

HERE, THERE = ip_address("192.0.2.1"), ip_address("192.0.2.2")


class AddressesTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.events: list[Any] = []
        globalLogPublisher.addObserver(self.events.append)
        self.addCleanup(globalLogPublisher.removeObserver, self.events.append)
        self.addresses = Addresses(TurnedAway("connections_per_address", self.clock.seconds))

    def test_bound(self) -> None:
        """Each address may have so many, and one more for each that ends; whoever has none, as on
        a Unix socket, has no bound."""
        enter, leave = self.addresses.enter, self.addresses.leave
        self.assertEqual([enter(HERE, 2) for _ in range(3)], [True, True, False])
        self.assertTrue(enter(THERE, 2))
        leave(HERE)
        self.assertEqual([enter(HERE, 2) for _ in range(2)], [True, False])
        self.assertTrue(all(enter(None, 1) for _ in range(3)))

    def test_bound_that_comes_later(self) -> None:
        """Those who came while there was no bound count when there is one, and then go."""
        enter, leave = self.addresses.enter, self.addresses.leave
        for _ in range(3):
            enter(HERE, None)
        self.assertFalse(enter(HERE, 2))
        leave(HERE)
        self.assertFalse(enter(HERE, 2))
        leave(HERE)
        self.assertEqual([enter(HERE, 2) for _ in range(2)], [True, False])

    def test_said(self) -> None:
        """Each that is turned away is counted, and one a minute is said, however many they are."""
        self.addresses.enter(HERE, 1)
        for _ in range(3):
            for _ in range(50):
                self.addresses.enter(HERE, 1)
            self.clock.advance(SILENCE / 2)
        self.assertEqual(self.addresses.turned_away.count, 150)
        lines = [formatEvent(event) for event in self.events]
        self.assertEqual(len(lines), 2)
        self.assertIn("limits.connections_per_address (1) is reached", lines[0])
        self.assertIn("connection of 192.0.2.1 was closed at once, 1 so far", lines[0])
        self.assertIn("101 so far", lines[1])
