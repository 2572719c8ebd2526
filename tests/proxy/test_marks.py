"""When an address is spared, for how long, and what makes it good again."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from toolforge_gateway.proxy.marks import FAILURES, FIRST, LONGEST, SPREAD, Marks


class MarksTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.now = 1000.0
        self.luck = 0.5
        self.marks = Marks(lambda: self.now, lambda: self.luck)

    def test_in_a_row(self) -> None:
        """It takes `FAILURES` failures with no answer in between."""
        for _ in range(5):
            for _ in range(FAILURES - 1):
                self.assertFalse(self.marks.failed("backend-refused"))
            self.marks.answered()
        for _ in range(FAILURES - 1):
            self.marks.failed("backend-refused")
        self.assertTrue(self.marks.failed("backend-tls"))
        self.assertEqual((self.marks.last_error, self.marks.last_error_at), ("backend-tls", 1000.0))
        self.assertEqual(self.marks.all_failures, 5 * (FAILURES - 1) + FAILURES)

    def test_longer_each_time(self) -> None:
        """Each time out in a row is twice as long as the one before, up to `LONGEST`; even the
        thousandth has an end."""
        lengths = [self.marks.eject() for _ in range(1100)]
        self.assertEqual(lengths[:4], [FIRST, 2 * FIRST, 4 * FIRST, 8 * FIRST])
        self.assertEqual(set(lengths[5:]), {LONGEST})
        self.assertEqual(self.marks.ejected_until, self.now + LONGEST)

    def test_chance(self) -> None:
        """Chance makes it shorter or longer by at most `SPREAD`."""
        self.luck = 0.0
        self.assertAlmostEqual(self.marks.eject(), FIRST * (1 - SPREAD))
        self.marks.times = 0
        self.luck = 0.999
        self.assertLess(self.marks.eject(), FIRST * (1 + SPREAD))

    def test_on_probation(self) -> None:
        """Back from a time out one failure is enough for a longer one; an answer forgives all."""
        self.marks.eject()
        self.marks.readmit()
        self.assertIsNone(self.marks.ejected_until)
        self.assertTrue(self.marks.failed("backend-closed"))
        self.assertEqual(self.marks.eject(), 2 * FIRST)
        self.marks.readmit()
        self.marks.answered()
        self.assertEqual((self.marks.failures, self.marks.eject()), (0, FIRST))

    def test_late_answer(self) -> None:
        """An answer during a time out, to what was asked before it, does not end it."""
        self.marks.eject()
        self.marks.answered()
        self.assertIsNotNone(self.marks.ejected_until)
        self.marks.readmit()
        self.assertEqual(self.marks.failures, FAILURES - 1)

    def test_failures_meanwhile(self) -> None:
        """What was asked before it may fail as well, and makes it no longer."""
        self.marks.eject()
        for _ in range(10):
            self.assertFalse(self.marks.failed("backend-closed"))
