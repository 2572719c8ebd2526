"""The supervisor leads workers through starts, reloads, restarts and ends."""

from __future__ import annotations

from tests.workers.crew import CrewCase, complaining, configuration, deaf
from toolforge_gateway.control.commands import Impossible
from toolforge_gateway.errors import ConfigurationError
from toolforge_gateway.service import CannotListen
from toolforge_gateway.workers.member import (
    BETWEEN_PINGS,
    COMMITTING,
    HUNG,
    LAST_WORDS,
    PREPARING,
)
from toolforge_gateway.workers.seat import FIRST, LIVED, LONGEST
from toolforge_gateway.workers.together import TOGETHER


class StartTests(CrewCase):
    def test_start(self) -> None:
        """Each worker gets the sockets, prepares, commits; all together are ready then."""
        self.assertEqual(len(self.processes), 2)
        for number, process in enumerate(self.processes):
            self.assertEqual(process.asked, ["Take", "Prepare", "Commit"])
            arguments = dict(process.calls)["Prepare"]
            self.assertEqual((arguments["index"], arguments["count"]), (number, 2))
            self.assertEqual(arguments["text"], self.supervisor.configuration.text)
        self.successResultOf(self.supervisor.ready)
        numbers = {process.number for process in self.processes}
        self.assertEqual(len(numbers), 2)

    def test_hindrance(self) -> None:
        """Requests are taken while any worker is ready, and not any more once it is to end."""
        self.assertIsNone(self.supervisor.hindrance())
        self.processes[0].die()
        self.assertIsNone(self.supervisor.hindrance())
        self.supervisor.stopService()
        self.assertEqual(self.supervisor.hindrance(), "draining")

    def test_said(self) -> None:
        """Each worker is told of in a line."""
        self.clock.advance(5)
        first, second = self.supervisor.workers()
        version = self.supervisor.configuration.version
        self.assertEqual(
            first, f"worker 1: pid 1000, ready for 5 s, configuration {version}, generation 1"
        )
        self.assertIn("worker 2: pid 1001, ready", second)

    def test_explain(self) -> None:
        """A worker that is ready is asked; without one it is impossible."""
        self.processes[0].die()
        self.assertEqual(
            self.successResultOf(self.supervisor.explain({"method": "GET"}))["lines"][0][1], "1001"
        )
        self.supervisor.stopService()
        self.assertRaises(Impossible, self.supervisor.explain, {})

    def test_figures(self) -> None:
        """What a worker tells is kept, and so is that it has ended; it can ask for the whole."""
        self.processes[1].member.told(b"x")
        self.assertEqual(self.records.heard, [("worker 2", b"x")])
        self.assertEqual(self.processes[0].member.whole(), b"x")
        self.processes[1].die()
        self.assertEqual(self.records.ended, ["worker 2"])


class BadStartTests(CrewCase):
    def start(self) -> None:
        """A test starts it."""

    def test_taken(self) -> None:
        """An address that is not to be had keeps it from starting, and nothing stays open."""
        self.sockets.taken.add("tcp:8443")
        error = self.assertRaises(CannotListen, self.supervisor.privilegedStartService)
        self.assertIn("cannot listen on tcp:8443: Address already in use; stop what", str(error))
        self.assertEqual(self.processes, [])

    def test_complaint(self) -> None:
        """A worker that finds something wrong is replaced, later each time; it is ready when the
        last one is."""
        self.next = [complaining(("g.yaml", 1, "x", "is bad", "")) for _ in range(3)]
        self.supervisor.startService()
        self.assertNoResult(self.supervisor.ready)
        self.assertEqual(self.supervisor.hindrance(), "starting")
        self.clock.advance(0)
        self.clock.advance(FIRST)
        self.assertEqual(len(self.living()), 2)
        self.successResultOf(self.supervisor.ready)

    def test_slow(self) -> None:
        """So is one that does not get ready in time."""
        self.next = [deaf("Prepare")]
        self.supervisor.startService()
        self.clock.advance(PREPARING)
        self.assertEqual(len(self.living()), 2)
        self.clock.advance(1)  # a second more for each of the others
        self.assertEqual(self.processes[0].signals, ["KILL"])
        self.clock.advance(0)
        self.assertEqual(len(self.living()), 2)
        self.successResultOf(self.supervisor.ready)


class DeathTests(CrewCase):
    workers = 1

    def test_replaced_at_once(self) -> None:
        """The first death is made good at once, with the same share and another number's place."""
        self.processes[0].die()
        self.clock.advance(0)
        self.assertEqual(len(self.living()), 1)
        self.assertEqual(self.processes[1].asked, ["Take", "Prepare", "Commit"])
        self.assertEqual(self.supervisor.deaths, 1)

    def test_how(self) -> None:
        """How one ended that did so before it was ready is told as it was, whatever killed it."""
        for how in ("exit code 1", "killed by SIGKILL", "it could not be spawned: no room"):
            self.next = [deaf("Prepare"), deaf("Prepare")]
            self.living()[0].die()
            self.clock.advance(LIVED)
            starting = self.living()[0]
            starting.immortal = True
            starting.lose()
            starting.die(how)
            self.assertEqual(starting.member.how, how)
            self.next = []
            self.clock.advance(LIVED)

    def test_backoff(self) -> None:
        """Those who die again and again are replaced later each time, and no later than that."""
        delays = []
        for _ in range(12):
            before = self.clock.seconds()
            self.living()[0].die()
            while not self.living():
                self.clock.advance(0.25)
            delays.append(self.clock.seconds() - before)
        self.assertEqual(delays[1:7], [FIRST * 2**power for power in range(6)])
        self.assertLess(delays[0], FIRST)
        self.assertEqual(delays[-1], LONGEST)

    def test_for_days(self) -> None:
        """However long they have been dying, another one is tried."""
        self.next = [complaining(("g.yaml", 1, "x", "is bad", "")) for _ in range(1100)]
        self.processes[0].die()
        self.clock.pump([LONGEST] * 1100)
        self.assertEqual(self.next, [])
        self.clock.advance(LONGEST)
        self.assertEqual(len(self.living()), 1)

    def test_reset(self) -> None:
        """Who has lived a while is replaced at once, whatever was before."""
        for _ in range(3):
            self.living()[0].die()
            self.clock.pump([0.25] * 8)
        self.clock.pump([1] * int(LIVED))
        self.living()[0].die()
        self.clock.advance(0)
        self.assertEqual(len(self.living()), 1)

    def test_hung(self) -> None:
        """Who gives no sign of life is asked where it hangs, killed, and replaced."""
        hung = self.processes[0]
        hung.silent.add("Ping")
        self.clock.pump([BETWEEN_PINGS] * int(HUNG / BETWEEN_PINGS))
        self.assertEqual(hung.signals, [])
        self.clock.advance(BETWEEN_PINGS)
        self.assertEqual(hung.signals, ["USR2"])
        self.clock.advance(LAST_WORDS)
        self.assertEqual(hung.signals, ["USR2", "KILL"])
        self.clock.advance(0)
        self.assertEqual(len(self.living()), 1)

    def test_hung_draining(self) -> None:
        """So is who hangs while draining, and nothing is said of it after its end."""
        hung = self.processes[0]
        self.supervisor.stopService()
        hung.silent.add("Ping")
        self.clock.pump([BETWEEN_PINGS] * int(HUNG / BETWEEN_PINGS + 1))
        self.clock.advance(LAST_WORDS)
        self.assertEqual(hung.signals, ["USR2", "KILL"])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_slow_but_alive(self) -> None:
        """Who answers late, but answers, stays."""
        slow = self.processes[0]
        for _ in range(5):
            slow.silent.add("Ping")
            self.clock.pump([BETWEEN_PINGS] * 5)
            slow.answer()
        self.clock.pump([BETWEEN_PINGS] * 5)
        self.assertEqual(slow.signals, [])

    def test_numbers(self) -> None:
        """A number on the board is given again only when who had it is gone."""
        numbers = set()
        for _ in range(600):
            self.clock.pump([1] * int(LIVED))
            self.living()[0].die()
            self.clock.advance(0)
            numbers.add(self.living()[0].number)
        self.assertEqual(numbers, {1})

    def test_cannot_begin(self) -> None:
        """Who cannot begin for a reason of the supervisor's own keeps no seat: it is killed, and
        somebody comes when that is over."""
        sockets, self.sockets.opened = self.sockets.opened, {}
        self.processes[0].die()
        self.clock.advance(0)
        self.assertEqual(len(self.flushLoggedErrors(KeyError)), 1)
        self.assertEqual(self.processes[1].signals, ["KILL"])
        self.sockets.opened = sockets
        self.clock.advance(FIRST)
        self.assertEqual(len(self.living()), 1)
        self.assertIn("ready", self.supervisor.workers()[0])

    def test_not_committed(self) -> None:
        """Who does not commit in time is killed and replaced."""
        self.next = [deaf("Commit")]
        self.processes[0].die()
        self.clock.advance(0)
        self.clock.advance(COMMITTING)
        self.assertEqual(self.processes[1].signals, ["KILL"])
        self.clock.advance(FIRST)
        self.assertEqual(len(self.living()), 1)


class EndTests(CrewCase):
    def test_drain(self) -> None:
        """The end comes when the last worker has ended; they warn load balancers, and nobody is
        replaced."""
        ended = self.supervisor.stopService()
        for process in self.processes:
            self.assertEqual(process.calls[-1], ("Drain", {"relieved": False}))
        self.assertTrue(self.supervisor.leaving)
        self.processes[0].die("exit code 0")
        self.clock.advance(1)
        self.assertNoResult(ended)
        self.processes[1].die("exit code 0")
        self.successResultOf(ended)
        self.assertEqual(self.sockets.opened, {})
        self.assertEqual(len(self.processes), 2)

    def test_relieved(self) -> None:
        """Who drains already, relieved by others, hears that these end as well."""
        self.successResultOf(
            self.successResultOf(self.supervisor.restarting(configuration(2))).commit()
        )
        self.supervisor.stopService()
        for process in self.processes:
            self.assertEqual(process.calls[-1], ("Drain", {"relieved": False}))

    def test_starting(self) -> None:
        """Who has not begun yet is killed, and who waits to come does not."""
        self.next = [deaf("Prepare")]
        self.processes[0].die()
        self.clock.advance(0)
        ended = self.supervisor.stopService()
        self.assertEqual(self.processes[2].signals, ["KILL"])
        self.processes[1].die("exit code 0")
        self.successResultOf(ended)
        self.clock.pump([1] * 60)
        self.assertEqual(len(self.processes), 3)

    def test_nobody(self) -> None:
        """With nobody there the end is at once."""
        for process in tuple(self.processes):
            process.die()
        self.successResultOf(self.supervisor.stopService())
        self.clock.pump([1] * 60)
        self.assertEqual(self.living(), [])

    def test_while_reloading(self) -> None:
        """An end in the middle of a reload is an end, and the reload has an answer."""
        self.processes[0].silent.add("Prepare")
        preparing = self.supervisor.prepare(configuration(2, "limits: {requests: 10}"))
        ended = self.supervisor.stopService()
        for process in tuple(self.living()):
            process.die("exit code 0")
        self.failureResultOf(preparing, ConfigurationError)
        self.successResultOf(ended)
        self.clock.pump([1] * 60)
        self.assertEqual(self.living(), [])

    def test_while_restarting(self) -> None:
        """So is one in the middle of a restart."""
        self.next = [deaf("Prepare"), deaf("Prepare")]
        preparing = self.supervisor.restarting(configuration(2))
        ended = self.supervisor.stopService()
        self.failureResultOf(preparing, ConfigurationError)
        for process in tuple(self.living()):
            process.die("exit code 0")
        self.successResultOf(ended)
        self.assertEqual(self.living(), [])


class TogetherTests(CrewCase):
    def start(self) -> None:
        """A test starts it."""

    def test_together(self) -> None:
        """At the start nobody accepts before all can: who is first would get everybody."""
        self.next = [deaf("Prepare")]
        self.supervisor.startService()
        self.assertEqual(self.processes[1].asked, ["Take", "Prepare"])
        self.processes[0].answer()
        for process in self.processes:
            self.assertEqual(process.asked, ["Take", "Prepare", "Commit"])

    def test_not_for_ever(self) -> None:
        """One that does not get ready is waited for no longer than that."""
        self.next = [deaf("Prepare")]
        self.supervisor.startService()
        self.clock.advance(TOGETHER)
        self.assertEqual(self.processes[1].asked, ["Take", "Prepare", "Commit"])
        self.processes[0].answer()
        self.assertEqual(self.processes[0].asked, ["Take", "Prepare", "Commit"])
        self.successResultOf(self.supervisor.ready)
