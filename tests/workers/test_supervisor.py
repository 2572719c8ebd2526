"""The supervisor leads workers through starts, reloads, restarts and ends."""

from __future__ import annotations

from typing import Any

import attrs
from twisted.internet.defer import Deferred

from tests.workers.crew import CrewCase, Process, configuration
from toolforge_gateway.control.commands import Impossible
from toolforge_gateway.errors import ConfigurationError
from toolforge_gateway.service import CannotListen
from toolforge_gateway.workers.member import (
    BETWEEN_PINGS,
    COMMITTING,
    HUNG,
    LAST_WORDS,
    OVERTIME,
    PREPARING,
    State,
)
from toolforge_gateway.workers.seat import FIRST, LIVED, LONGEST
from toolforge_gateway.workers.together import TOGETHER


def deaf(*names: str) -> Any:
    """Makes a process that does not answer these."""

    def apply(process: Process) -> None:
        process.silent.update(names)

    return apply


def complaining(*complaints: tuple[Any, ...]) -> Any:
    """Makes a process that finds these wrong."""

    def apply(process: Process) -> None:
        process.complaints = [list(each) for each in complaints]

    return apply


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


class Changing(CrewCase):
    def complaints(self, preparing: Deferred) -> list[str]:
        error = self.failureResultOf(preparing, ConfigurationError).value
        return [str(each) for each in error.complaints]

    def forces(self) -> set[Any]:
        """What they go by."""
        return {process.member.configuration for process in self.seated()}


class ReloadTests(Changing):
    def test_all_prepare_then_all_commit(self) -> None:
        """Nobody commits before everybody has prepared."""
        self.processes[1].silent.add("Prepare")
        new = configuration(2, "limits: {requests: 10}")
        preparing = self.supervisor.prepare(new)
        self.assertEqual(self.processes[0].asked[3:], ["Prepare"])
        self.assertNoResult(preparing)
        self.processes[1].answer()
        change = self.successResultOf(preparing)
        self.assertEqual(self.processes[0].asked[3:], ["Prepare"])
        self.successResultOf(change.commit())
        self.assertEqual(self.forces(), {new})
        self.assertIs(self.supervisor.configuration, new)
        for process in self.processes:
            self.assertEqual(process.asked[3:], ["Prepare", "Commit"])

    def test_complaint(self) -> None:
        """What one complains about is said once, with its place; all abandon, the old one stays."""
        old = self.supervisor.configuration
        for process in self.processes:
            process.complaints = [["g.yaml", 7, "listen", "is bad", "mend it"]]
        self.processes[1].complaints.append(["g.yaml", 3, "tls", "is worse", ""])
        preparing = self.supervisor.prepare(configuration(2, port=9443))
        self.assertEqual(
            self.complaints(preparing),
            ["g.yaml:3: tls: is worse", "g.yaml:7: listen: is bad; mend it"],
        )
        self.assertEqual(self.forces(), {old})
        self.assertEqual([place.endpoint for place in self.sockets.opened], ["tcp:8443"])

    def test_one_complains(self) -> None:
        """Who has prepared while another one complained abandons it."""
        self.processes[1].complaints = [["g.yaml", 7, "listen", "is bad", "mend it"]]
        self.complaints(self.supervisor.prepare(configuration(2)))
        self.assertEqual(self.processes[0].asked[3:], ["Prepare", "Abandon"])
        self.assertEqual(self.processes[1].asked[3:], ["Prepare"])

    def test_killed_by_whom(self) -> None:
        """Who killed a worker is told apart: the supervisor itself, or somebody else."""
        former = [process.member for process in self.processes]
        self.processes[0].die("killed by SIGKILL")
        former[1].kill()
        self.assertEqual(
            [each.how for each in former], ["killed by SIGKILL", "killed by its supervisor"]
        )

    def test_dies_preparing(self) -> None:
        """A death in between counts as a complaint; who died is replaced by the old one's rules."""
        self.processes[1].silent.add("Prepare")
        old = self.supervisor.configuration
        preparing = self.supervisor.prepare(configuration(2, "limits: {requests: 10}"))
        self.processes[1].die("killed by SIGSEGV")
        [complaint] = self.complaints(preparing)
        self.assertIn("g.yaml: worker 2 ended before it was ready", complaint)
        self.assertEqual(self.processes[0].asked[-1], "Abandon")
        self.clock.advance(0)
        self.assertEqual(len(self.living()), 2)
        self.assertEqual(self.forces(), {old})

    def test_cannot_take(self) -> None:
        """One that cannot take another socket is a complaint; it forgets the others that it took,
        and serves on."""
        self.processes[0].failing.add("Take")
        preparing = self.supervisor.prepare(configuration(2, port=9443))
        [complaint] = self.complaints(preparing)
        self.assertIn("worker 1 could not get ready", complaint)
        self.assertIn("a restart brings new ones", complaint)
        self.assertEqual(self.living(), self.processes[:2])
        for process in self.processes:
            self.assertEqual(process.asked[-1], "Abandon")

    def test_dying(self) -> None:
        """One that has been killed, and whose end is not known yet, is not asked any more: somebody
        comes in its stead, by what is new, and it counts as a death."""
        dying = self.processes[0]
        dying.immortal = True
        dying.silent.add("Ping")
        self.clock.pump([BETWEEN_PINGS] * int(HUNG / BETWEEN_PINGS + 1))
        self.clock.advance(LAST_WORDS)
        self.assertEqual(dying.signals[-1], "KILL")
        new = configuration(2, "limits: {requests: 10}")
        self.successResultOf(self.successResultOf(self.supervisor.prepare(new)).commit())
        self.assertEqual(self.forces(), {new})
        self.assertNotIn(dying, self.seated())
        dying.die("killed by SIGKILL")
        self.assertEqual((len(self.seated()), self.supervisor.deaths), (2, 1))

    def test_deaf_preparing(self) -> None:
        """So does no answer in time."""
        self.processes[1].silent.add("Prepare")
        preparing = self.supervisor.prepare(configuration(2))
        self.clock.advance(PREPARING + 1)
        [complaint] = self.complaints(preparing)
        self.assertIn(f"worker 2 did not get ready within {PREPARING + 1:g} seconds", complaint)

    def test_dies_committing(self) -> None:
        """Who dies once all have prepared is replaced by the new configuration, and before the
        answer."""
        new = configuration(2, "limits: {requests: 10}")
        change = self.successResultOf(self.supervisor.prepare(new))
        self.processes[0].silent.add("Commit")
        committing = change.commit()
        self.processes[0].die()
        self.successResultOf(committing)
        self.assertEqual(len(self.living()), 2)
        self.assertEqual(self.forces(), {new})

    def test_replaced_meanwhile(self) -> None:
        """Who came by the old rules while the others prepared new ones is replaced."""
        new = configuration(2, "limits: {requests: 10}")
        self.processes[0].silent.add("Prepare")
        preparing = self.supervisor.prepare(new)
        self.processes[1].die()
        self.clock.advance(0)
        self.assertEqual(len(self.living()), 2)
        self.processes[0].answer()
        # It had prepared before it died, so nobody complains.
        self.successResultOf(self.successResultOf(preparing).commit())
        self.assertEqual(len(self.living()), 2)
        self.assertEqual(self.forces(), {new})

    def test_waits_for_starting(self) -> None:
        """A worker that is about to begin is waited for, and then prepares with the others."""
        self.next = [deaf("Prepare")]
        self.processes[1].die()
        self.clock.advance(0)
        preparing = self.supervisor.prepare(configuration(2, "limits: {requests: 10}"))
        self.assertNoResult(preparing)
        self.processes[2].answer()
        self.successResultOf(preparing)
        self.assertEqual(self.processes[2].asked, ["Take", "Prepare", "Commit", "Prepare"])

    def test_mends(self) -> None:
        """With all workers dead and waiting, a reload has new ones come at once."""
        self.next = [complaining(("g.yaml", 1, "x", "is bad", "")) for _ in range(40)]
        for process in tuple(self.living()):
            process.die()
        self.clock.pump([1] * 20)
        self.assertEqual(self.living(), [])
        self.next = []
        new = configuration(2, "limits: {requests: 10}")
        self.successResultOf(self.successResultOf(self.supervisor.prepare(new)).commit())
        self.assertEqual(len(self.living()), 2)
        self.assertEqual(self.forces(), {new})

    def test_checked_without_workers(self) -> None:
        """Where no worker lives who could complain, the supervisor itself looks first."""
        self.next = [complaining(("g.yaml", 1, "x", "is bad", "")) for _ in range(40)]
        for process in tuple(self.living()):
            process.die()
        self.clock.pump([1] * 20)
        self.bad = True
        [complaint] = self.complaints(self.supervisor.prepare(configuration(2, port=9443)))
        self.assertIn("is no good", complaint)
        self.assertEqual([place.endpoint for place in self.sockets.opened], ["tcp:8443"])

    def test_abandon(self) -> None:
        """What all have prepared and nobody wants is abandoned, with its sockets."""
        change = self.successResultOf(self.supervisor.prepare(configuration(2, port=9443)))
        self.assertEqual(len(self.sockets.opened), 2)
        change.abandon()
        self.assertEqual([place.endpoint for place in self.sockets.opened], ["tcp:8443"])
        for process in self.processes:
            self.assertEqual(process.asked[-1], "Abandon")

    def test_sockets(self) -> None:
        """New sockets are handed on, old ones closed; who comes later gets the new ones alone."""
        new = configuration(2, port=9443)
        self.successResultOf(self.successResultOf(self.supervisor.prepare(new)).commit())
        self.assertEqual([place.endpoint for place in self.sockets.opened], ["tcp:9443"])
        for process in self.processes:
            self.assertEqual(process.asked[3:], ["Take", "Prepare", "Commit"])
        self.processes[0].die()
        self.clock.advance(0)
        taken = [arguments["endpoint"] for name, arguments in self.processes[2].calls[:2]
                 if name == "Take"]  # fmt: skip
        self.assertEqual(taken, ["tcp:9443"])

    def test_taken_socket(self) -> None:
        """A socket that is not to be had is a complaint, and no worker hears of it."""
        self.sockets.taken.add("tcp:9443")
        [complaint] = self.complaints(self.supervisor.prepare(configuration(2, port=9443)))
        self.assertIn("g.yaml:3: listen[0]: cannot listen on tcp:9443", complaint)
        self.assertEqual(self.processes[0].asked[3:], [])

    def test_more(self) -> None:
        """More workers come with the reload, and all know how many there are."""
        self.successResultOf(
            self.successResultOf(self.supervisor.prepare(configuration(4))).commit()
        )
        self.assertEqual(len(self.seated()), 4)
        for index, process in enumerate(self.seated()):
            last = [each for name, each in process.calls if name == "Prepare"][-1]
            self.assertEqual((last["index"], last["count"]), (index, 4))

    def test_fewer(self) -> None:
        """Those who are too many drain, relieved by the others, and nobody comes for them."""
        self.successResultOf(
            self.successResultOf(self.supervisor.prepare(configuration(1))).commit()
        )
        self.assertEqual(self.processes[1].calls[-1], ("Drain", {"relieved": True}))
        self.processes[1].die("exit code 0")
        self.clock.pump([1] * 60)
        self.assertEqual(len(self.living()), 1)

    def test_auto(self) -> None:
        """`auto` is counted anew."""
        self.successResultOf(
            self.successResultOf(self.supervisor.prepare(configuration("auto"))).commit()
        )
        self.assertEqual(len(self.seated()), 3)

    def test_workers_go(self) -> None:
        """A supervisor cannot become a process by itself."""
        alone = attrs.evolve(configuration(1), workers=None)
        [complaint] = self.complaints(self.supervisor.prepare(alone))
        self.assertIn("workers: has gone", complaint)


class RestartTests(Changing):
    def test_restart(self) -> None:
        """New ones prepare, all commit, and only then the old ones drain; they are relieved."""
        old = list(self.processes)
        self.next = [deaf("Prepare")]
        new = configuration(2)
        preparing = self.supervisor.restarting(new)
        coming = self.processes[2:]
        self.assertEqual(len(coming), 2)
        self.assertEqual(coming[1].asked, ["Take", "Prepare"])
        coming[0].answer()
        committing = self.successResultOf(preparing).commit()
        self.successResultOf(committing)
        self.assertEqual(self.seated(), coming)
        self.assertEqual(self.forces(), {new})
        for process in old:
            self.assertEqual(process.calls[-1], ("Drain", {"relieved": True}))
            self.assertEqual(process.member.state, State.DRAINING)
        self.assertIn("generation 2", self.supervisor.workers()[0])
        self.assertIn("draining", self.supervisor.workers()[2])
        for process in old:
            process.die("exit code 0")
        self.clock.pump([1] * 60)
        self.assertEqual(self.living(), coming)

    def test_broken(self) -> None:
        """New ones that complain are killed, and the old ones go on."""
        self.next = [complaining(("g.yaml", 1, "x", "is bad", ""))]
        [complaint] = self.complaints(self.supervisor.restarting(configuration(2)))
        self.assertEqual(complaint, "g.yaml:1: x: is bad")
        self.assertEqual(self.living(), self.processes[:2])
        self.assertEqual(self.supervisor.generation, 1)
        for process in self.processes[:2]:
            self.assertEqual(process.asked, ["Take", "Prepare", "Commit"])
        self.clock.pump([1] * 60)
        self.assertEqual(self.living(), self.processes[:2])

    def test_dead_on_arrival(self) -> None:
        """So are those of which one dies."""
        self.next = [deaf("Prepare"), deaf("Prepare")]
        preparing = self.supervisor.restarting(configuration(2))
        self.processes[2].die("exit code 1")
        self.processes[3].answer()
        [complaint] = self.complaints(preparing)
        self.assertIn("worker 1 ended before it was ready", complaint)
        self.assertEqual(self.living(), self.processes[:2])

    def test_dies_committing(self) -> None:
        """One that dies when all are ready has a successor, and the old ones drain."""
        self.next = [deaf("Commit")]
        change = self.successResultOf(self.supervisor.restarting(configuration(2)))
        committing = change.commit()
        self.processes[2].die()
        self.successResultOf(committing)
        self.clock.advance(0)
        self.assertEqual(len(self.seated()), 2)
        self.assertEqual(self.processes[0].calls[-1], ("Drain", {"relieved": True}))

    def test_abandon(self) -> None:
        """New ones whom nobody wants are killed."""
        self.successResultOf(self.supervisor.restarting(configuration(2))).abandon()
        self.assertEqual(self.living(), self.processes[:2])

    def test_other_number(self) -> None:
        """A restart takes up another number of workers."""
        self.successResultOf(
            self.successResultOf(self.supervisor.restarting(configuration(3))).commit()
        )
        self.assertEqual(len(self.seated()), 3)

    def test_again(self) -> None:
        """Another restart while old ones drain leaves them to it."""
        for _ in range(3):
            self.successResultOf(
                self.successResultOf(self.supervisor.restarting(configuration(2))).commit()
            )
        self.assertEqual(len(self.living()), 8)
        self.assertEqual(len(self.supervisor.workers()), 8)

    def test_overdue(self) -> None:
        """Who does not end after all its deadlines is killed."""
        self.successResultOf(
            self.successResultOf(self.supervisor.restarting(configuration(2))).commit()
        )
        drain = self.supervisor.configuration.timeouts.drain
        self.clock.pump([1] * int(drain))
        self.assertEqual(self.processes[0].signals, [])
        self.clock.pump([1] * int(OVERTIME))
        self.assertEqual(self.processes[0].signals, ["KILL"])


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
