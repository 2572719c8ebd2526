"""The sweep over all deadlines."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from toolforge_gateway.deadlines import RESOLUTION, Deadlines


class Watched:
    """Something with a deadline."""

    def __init__(self, deadline: float | None = None):
        self.deadline = deadline
        self.passed = 0

    def deadline_passed(self) -> None:
        self.passed += 1


class DeadlineTests(SynchronousTestCase):
    def setUp(self) -> None:
        """Deadlines by a clock that stands still."""
        self.clock = Clock()
        self.deadlines = Deadlines(self.clock)

    def advance(self, seconds: float) -> None:
        """Time passes in steps, as it does for a reactor."""
        for _ in range(round(seconds / RESOLUTION)):
            self.clock.advance(RESOLUTION)

    def test_once(self) -> None:
        """A deadline that has passed is told once, and at most `RESOLUTION` late."""
        watched = Watched(3 * RESOLUTION + 0.01)
        self.deadlines.watch(watched)
        self.advance(3 * RESOLUTION)
        self.assertEqual(watched.passed, 0)
        self.advance(RESOLUTION)
        self.assertEqual((watched.passed, watched.deadline), (1, None))
        self.advance(10)
        self.assertEqual(watched.passed, 1)

    def test_moved(self) -> None:
        """A deadline can be moved, taken away and set anew at any time."""
        watched = Watched(1.0)
        self.deadlines.watch(watched)
        self.advance(0.5)
        watched.deadline = 2.0
        self.advance(1)
        watched.deadline = None
        self.advance(10)
        self.assertEqual(watched.passed, 0)
        watched.deadline = self.clock.seconds() + 1
        self.advance(1.5)
        self.assertEqual(watched.passed, 1)

    def test_idle(self) -> None:
        """Nothing is scheduled while nothing is watched."""
        first, second = Watched(), Watched()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.deadlines.watch(first)
        self.deadlines.watch(second)
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)
        self.deadlines.forget(first)
        self.deadlines.forget(first)
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)
        self.deadlines.forget(second)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.deadlines.watch(second)
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)

    def test_forgotten_meanwhile(self) -> None:
        """What one deadline ends is not told of its own in the same sweep."""
        one, other = Watched(1.0), Watched(1.0)

        def end(this: Watched, that: Watched):
            def passed() -> None:
                this.passed += 1
                that.deadline = None
                self.deadlines.forget(that)

            return passed

        one.deadline_passed, other.deadline_passed = end(one, other), end(other, one)
        self.deadlines.watch(one)
        self.deadlines.watch(other)
        self.advance(2)
        self.assertEqual(one.passed + other.passed, 1)

    def test_one_breaks(self) -> None:
        """What one of them breaks is logged, and all others still have their deadlines, in this
        sweep and later ones."""
        broken = [Watched(1.0) for _ in range(3)]
        for watched in broken:
            watched.deadline_passed = lambda: 1 / 0
        now, later = [Watched(1.0) for _ in range(20)], Watched(5.0)
        for watched in (*broken, *now, later):
            self.deadlines.watch(watched)
        self.advance(2)
        self.assertEqual({watched.passed for watched in now}, {1})
        self.advance(4)
        self.assertEqual(later.passed, 1)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 3)
