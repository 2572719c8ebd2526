"""The last hour: exact by the minute, of fixed size, honest about gaps."""

from __future__ import annotations

from functools import reduce

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.observe.exchanges import over, total
from toolforge_gateway.observe.history import MINUTES, History, Minute, added, minutes
from toolforge_gateway.observe.total import Total
from toolforge_gateway.observe.traffic import Traffic

NOON = 1_800_000_000.0 - 1_800_000_000.0 % 60


class HistoryTests(SynchronousTestCase):
    def setUp(self) -> None:
        """A history that began at noon and 7 seconds."""
        self.clock = Clock()
        self.clock.advance(NOON + 7)
        self.traffic = Traffic(["jobs-api"])
        self.history = History(lambda: total(self.traffic), self.clock)
        self.history.start()
        self.addCleanup(self.stop)

    def stop(self) -> None:
        self.history.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [], "nothing is left behind")

    def minutes(self) -> tuple[Minute, ...]:
        return minutes(self.history.course())

    def hour(self) -> Total:
        return reduce(Total.plus, self.history.course().values(), Total())

    def pass_seconds(self, seconds: int) -> None:
        for _ in range(seconds):
            self.clock.advance(1)

    def requests(self, number: int, **said: object) -> None:
        for _ in range(number):
            self.traffic.ended(over(**said))

    def test_at_the_start(self) -> None:
        """Nothing is known, and nothing is divided by nought."""
        self.assertEqual(self.minutes(), ())
        length, recent = self.history.recent()
        self.assertEqual((length, recent.requests), (0.0, 0))
        self.assertEqual(self.hour().requests, 0)

    def test_before_the_start(self) -> None:
        """One that was never started answers all the same."""
        history = History(lambda: total(self.traffic), self.clock)
        self.requests(3)
        self.assertEqual(minutes(history.course()), ())
        self.assertEqual(history.recent()[1].requests, 0)
        self.assertEqual(sum(each.requests for each in history.course().values()), 0)
        history.stop()

    def test_minutes(self) -> None:
        """Each minute has its own requests, errors and percentiles."""
        self.requests(10, head_after=0.001)
        self.pass_seconds(60)
        self.requests(99, head_after=0.010)
        self.requests(1, head_after=1.0, status=502, reason="backend-refused")
        self.pass_seconds(60)
        first, second = self.minutes()
        self.assertEqual((first.began, first.requests, first.errors), (NOON, 10, 0))
        self.assertEqual((second.began, second.requests, second.errors), (NOON + 60, 100, 1))
        assert first.p50 and second.p50 and second.p99
        self.assertTrue(0.001 <= first.p50 < 0.00116, first)
        self.assertTrue(0.010 <= second.p50 < 0.0116, second)
        self.assertTrue(0.010 <= second.p99 < 0.0116, second)

    def test_on_the_minute(self) -> None:
        """What comes in a minute's last second is in that minute, in the next one's first
        second in the next."""
        self.pass_seconds(52)
        self.requests(1)
        self.pass_seconds(1)
        self.requests(2)
        self.pass_seconds(60)
        self.assertEqual([each.requests for each in self.minutes()], [1, 2])

    def test_idle(self) -> None:
        """A minute without requests is there, with no percentile."""
        self.pass_seconds(180)
        minutes = self.minutes()
        self.assertEqual([each.requests for each in minutes], [0, 0, 0])
        self.assertEqual({(each.p50, each.p99) for each in minutes}, {(None, None)})

    def test_an_hour(self) -> None:
        """Exactly an hour is kept, however long it runs, and the sum is of that hour."""
        for minute in range(200):
            self.requests(1 if minute < 100 else 2)
            self.pass_seconds(60)
        minutes = self.minutes()
        self.assertEqual(len(minutes), MINUTES)
        self.assertEqual([each.requests for each in minutes], [2] * MINUTES)
        self.assertEqual(minutes[-1].began, NOON + 199 * 60)
        self.assertEqual(self.hour().requests, 2 * MINUTES)
        self.assertEqual(
            [minutes[n + 1].began - minutes[n].began for n in range(MINUTES - 1)],
            [60.0] * (MINUTES - 1),
        )

    def test_hour_is_of_its_minutes(self) -> None:
        """The hour has what the minutes have, and what came since."""
        for minute in range(70):
            self.requests(minute)
            self.pass_seconds(60)
        self.requests(5)
        kept = sum(each.requests for each in self.minutes())
        self.assertEqual(self.hour().requests, kept + 5)

    def test_recent(self) -> None:
        """The last minute moves on every ten seconds."""
        self.requests(60)
        self.pass_seconds(30)
        length, recent = self.history.recent()
        self.assertEqual((length, recent.requests), (30.0, 60))
        self.pass_seconds(90)
        length, recent = self.history.recent()
        self.assertTrue(60 <= length <= 70, length)
        self.assertEqual(recent.requests, 0)

    def test_held_up(self) -> None:
        """A process that was stopped for some minutes shows them as minutes, not as less."""
        self.pass_seconds(60)
        self.requests(4)
        self.clock.advance(5 * 60)
        minutes = self.minutes()
        self.assertEqual([each.requests for each in minutes], [0, 4, 0, 0, 0, 0])
        self.assertEqual(minutes[-1].began, NOON + 5 * 60)
        self.assertEqual(self.hour().requests, 4)

    def test_held_up_for_long(self) -> None:
        """After more than an hour nothing of before is shown."""
        self.requests(4)
        self.pass_seconds(60)
        self.clock.advance(100_000)
        self.assertEqual(self.minutes(), ())
        self.assertEqual(self.history.recent()[1].requests, 0)
        self.pass_seconds(120)
        self.assertEqual(len(self.minutes()), 2)

    def test_clock_set_back(self) -> None:
        """When the clock is set back the history begins anew and goes on."""
        self.requests(4)
        self.pass_seconds(120)
        self.clock.rightNow -= 3600
        self.history.look()
        self.assertEqual(self.minutes(), ())
        self.assertEqual(self.history.recent(), (0.0, self.history.recent()[1]))
        self.requests(3)
        self.history.stop()
        self.history.start()
        self.pass_seconds(120)
        self.assertEqual([each.requests for each in self.minutes()], [3, 0])


class SeveralTests(SynchronousTestCase):
    """The courses of several processes as one."""

    def test_added(self) -> None:
        """Each minute is the sum, and one that only some have seen is there without a gap."""
        course = added([{5: Total(1), 6: Total(2)}, {6: Total(10), 9: Total(20)}])
        self.assertEqual(
            [(number, each.requests) for number, each in course.items()],
            [(5, 1), (6, 12), (7, 0), (8, 0), (9, 20)],
        )
        self.assertEqual([each.requests for each in minutes(course)], [1, 12, 0, 0])

    def test_bound(self) -> None:
        """However long others are gone, an hour is kept."""
        course = added([{0: Total(1)}, {number: Total(1) for number in range(500, 600)}])
        self.assertEqual(list(course), list(range(599 - MINUTES, 600)))

    def test_none(self) -> None:
        """Nobody has seen anything."""
        self.assertEqual(added([]), {})
        self.assertEqual(added([{}, {}]), {})
        self.assertEqual(minutes({}), ())
