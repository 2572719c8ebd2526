"""What the workers measure is told as one."""

from __future__ import annotations

from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from toolforge_gateway.observe import catalogue
from toolforge_gateway.observe.figures import Figures
from toolforge_gateway.workers.records import Records


class Fake:
    """Whatever it is told to be."""

    def __init__(self, **said: Any):
        self.__dict__.update(said)


def told(requests: int) -> bytes:
    """What a worker says."""
    return Figures({catalogue.SERVED.name: {("1",): requests}}).pack()


class RecordsTests(SynchronousTestCase):
    def setUp(self) -> None:
        """Of two workers in one place, the first of which is gone."""
        self.records = Records(Clock())
        first, second = Fake(serial=1, name="worker 1"), Fake(serial=2, name="worker 1")
        tell: Any = self.records
        tell.told(first, told(100))
        tell.gone(first)
        tell.told(second, told(5))

    def test_sum(self) -> None:
        """What both have counted is there, and the supervisor by its own name."""
        figures = self.records.figures()
        self.assertEqual(figures.number(catalogue.SERVED, "1"), 105)
        self.assertIn(("supervisor",), figures.plain(catalogue.CPU))
        self.assertEqual(Figures.unpack(self.records.whole()).number(catalogue.SERVED, "1"), 105)

    def test_led(self) -> None:
        """How many there are to be, have died, and which generation it is, the supervisor says."""
        leads: Any = Fake(count=2, generation=3, deaths=4)
        self.records.watch(leads)
        figures = self.records.figures()
        self.assertEqual(figures.number(catalogue.WORKERS_WANTED), 2)
        self.assertEqual(figures.number(catalogue.GENERATION), 3)
        self.assertEqual(figures.number(catalogue.WORKER_DEATHS), 4)

    def test_nonsense(self) -> None:
        """A worker that tells nonsense is said to, and what it told before stays."""
        tell: Any = self.records
        tell.told(Fake(serial=2, name="worker 1"), b"nonsense")
        self.assertEqual(self.records.figures().number(catalogue.SERVED, "1"), 105)
