"""How late timers are."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from toolforge_gateway.observe.catalogue import LAG
from toolforge_gateway.observe.figures import Figures
from toolforge_gateway.observe.lag import STEP, Lag
from toolforge_gateway.observe.spread import Spread


class LagTests(SynchronousTestCase):
    def setUp(self) -> None:
        """A clock that the reactor goes by, and another that tells what has really passed."""
        self.clock = Clock()
        self.real = 1000.0
        self.lag = Lag(self.clock, lambda: self.real)
        self.lag.start()
        self.addCleanup(self.lag.stop)

    def pass_seconds(self, seconds: float, really: float | None = None) -> None:
        self.real += seconds if really is None else really
        self.clock.advance(seconds)

    def spread(self) -> Spread:
        (spread,) = Figures(self.lag.numbers()).spreads(LAG).values()
        return spread

    def test_in_time(self) -> None:
        """While nothing holds the reactor up there is no lag, and it is looked at all the time."""
        for _ in range(40):
            self.pass_seconds(STEP)
        self.assertEqual((sum(self.spread().counts), self.spread().counts[0]), (40, 40))
        self.assertAlmostEqual(self.spread().seconds, 0.0)

    def test_late(self) -> None:
        """Something that takes 0.8 s is one lag of about that, and then it is in time again."""
        self.pass_seconds(STEP)
        self.pass_seconds(STEP + 0.8)
        self.assertAlmostEqual(self.spread().seconds, 0.8)
        for _ in range(4):
            self.pass_seconds(STEP)
        self.assertAlmostEqual(self.spread().seconds, 0.8)
        half, whole = self.spread().within((500_000, 1_000_000))
        self.assertEqual(whole - half, 1)

    def test_clock_set(self) -> None:
        """When the time of day is set forward nothing was late."""
        self.pass_seconds(3600, really=STEP)
        self.assertAlmostEqual(self.spread().seconds, 0.0)

    def test_stop(self) -> None:
        """Stopped, it sets no timers; it can be stopped twice, and begun again."""
        self.lag.stop()
        self.lag.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.real += 50
        self.lag.start()
        self.pass_seconds(STEP)
        self.assertAlmostEqual(self.spread().seconds, 0.0)
