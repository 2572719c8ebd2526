"""The supervisor takes up configurations and restarts: all workers, or none."""

from __future__ import annotations

from typing import Any

import attrs
from twisted.internet.defer import Deferred

from tests.workers.crew import CrewCase, complaining, configuration, deaf
from toolforge_gateway.errors import ConfigurationError
from toolforge_gateway.workers.member import (
    BETWEEN_PINGS,
    HUNG,
    LAST_WORDS,
    OVERTIME,
    PREPARING,
    State,
)


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
