"""What pools know of themselves is measured, and nothing that was counted is ever lost."""

from __future__ import annotations

from typing import Any

import attrs
from twisted.trial.unittest import SynchronousTestCase

from toolforge_gateway.measured import PoolBook
from toolforge_gateway.observe import catalogue
from toolforge_gateway.observe.catalogue import Measure
from toolforge_gateway.observe.figures import Figures
from toolforge_gateway.proxy.figures import AddressFigures, PoolFigures

ADDRESS = AddressFigures("192.0.2.1", 443, "up", None, 0, "", None, None, 1, 2, 10, 3, 1)
POOL = PoolFigures("jobs-api", (ADDRESS,), 100, 3, 0, 50, 0, 0, None, 0)


class FakePool:
    """Says what it is told to say."""

    def __init__(self, said: PoolFigures):
        self.said = said

    def figures(self) -> PoolFigures:
        return self.said


class PoolBookTests(SynchronousTestCase):
    def setUp(self) -> None:
        """One pool with one address."""
        self.pool = FakePool(POOL)
        self.book = PoolBook()
        self.adopt(self.pool)

    def adopt(self, *pools: FakePool) -> None:
        anything: Any = pools
        self.book.adopt(anything)

    def number(self, measure: Measure, *labels: str) -> float | None:
        return Figures(self.book.numbers()).number(measure, "jobs-api", *labels)

    def test_numbers(self) -> None:
        """All that a pool tells is in the figures."""
        self.pool.said = attrs.evolve(POOL, queued=7, turned_away=5, waited_in_vain=4)
        self.assertEqual(self.number(catalogue.UPSTREAM_CONNECTIONS, "busy"), 1)
        self.assertEqual(self.number(catalogue.UPSTREAM_CONNECTIONS, "idle"), 2)
        self.assertEqual(self.number(catalogue.UPSTREAM_LIMIT), 100)
        self.assertEqual(self.number(catalogue.UPSTREAM_QUEUE), 7)
        self.assertEqual(self.number(catalogue.UPSTREAM_QUEUE_LIMIT), 50)
        self.assertEqual(self.number(catalogue.UPSTREAM_TURNED_AWAY, "queue-full"), 5)
        self.assertEqual(self.number(catalogue.UPSTREAM_TURNED_AWAY, "waited-too-long"), 4)
        self.assertEqual(self.number(catalogue.UPSTREAM_ADDRESSES, "up"), 1)
        self.assertEqual(self.number(catalogue.UPSTREAM_ADDRESSES, "ejected"), 0)
        self.assertEqual(self.number(catalogue.UPSTREAM_DIALS), 10)
        self.assertEqual(self.number(catalogue.UPSTREAM_FAILURES), 3)
        self.assertEqual(self.number(catalogue.UPSTREAM_EJECTIONS), 1)

    def test_addresses(self) -> None:
        """Each address is told by its name, an IPv6 one in brackets."""
        other = attrs.evolve(ADDRESS, host="2001:db8::1", state="ejected", ejected_until=5.0)
        self.pool.said = attrs.evolve(POOL, addresses=(ADDRESS, other))
        self.assertEqual(
            [(where, each.state) for (_, where), each in self.book.addresses().items()],
            [("192.0.2.1:443", "up"), ("[2001:db8::1]:443", "ejected")],
        )

    def test_before_the_look_up(self) -> None:
        """A backend whose name was not looked up yet has no addresses, and counts from nought."""
        self.adopt(FakePool(attrs.evolve(POOL, backend="x", addresses=())))
        numbers = Figures(self.book.numbers())
        self.assertEqual(numbers.number(catalogue.UPSTREAM_DIALS, "x"), 0)
        self.assertEqual(numbers.number(catalogue.UPSTREAM_ADDRESSES, "x", "up"), 0)

    def test_another_address(self) -> None:
        """When a name leads elsewhere, what was counted of the old address stays."""
        self.number(catalogue.UPSTREAM_DIALS)
        other = attrs.evolve(ADDRESS, host="192.0.2.2", dials=1, all_failures=0, all_ejections=0)
        self.pool.said = attrs.evolve(POOL, addresses=(other,))
        self.assertEqual(self.number(catalogue.UPSTREAM_DIALS), 11)
        self.assertEqual(self.number(catalogue.UPSTREAM_FAILURES), 3)
        self.assertEqual(self.number(catalogue.UPSTREAM_CONNECTIONS, "idle"), 2)
        self.assertEqual(len(self.book.addresses()), 1)

    def test_another_pool(self) -> None:
        """The next configuration's pool counts dials anew and inherits failures and places:
        nothing falls, and nothing is counted twice."""
        self.pool.said = attrs.evolve(POOL, turned_away=5)
        heir = FakePool(attrs.evolve(self.pool.said, addresses=(attrs.evolve(ADDRESS, dials=2),)))
        self.adopt(heir)
        self.assertEqual(self.number(catalogue.UPSTREAM_DIALS), 12)
        self.assertEqual(self.number(catalogue.UPSTREAM_FAILURES), 3)
        self.assertEqual(self.number(catalogue.UPSTREAM_TURNED_AWAY, "queue-full"), 5)
        self.assertEqual(self.number(catalogue.UPSTREAM_LIMIT), 100)

    def test_no_pools(self) -> None:
        """A backend that is no more leaves what it has counted, and no gauges."""
        self.adopt()
        self.assertEqual(self.number(catalogue.UPSTREAM_DIALS), 10)
        self.assertIsNone(self.number(catalogue.UPSTREAM_LIMIT))
        self.assertEqual(self.book.addresses(), {})
