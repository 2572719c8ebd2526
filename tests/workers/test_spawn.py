"""What a worker's process is given, and what becomes of what it says."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessTerminated
from twisted.internet.protocol import ProcessProtocol
from twisted.internet.task import Clock
from twisted.logger import LogLevel, globalLogPublisher
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

import toolforge_gateway
from tests.clients.stage import ROOT
from tests.coroutines import CoroutineCase
from toolforge_gateway.transport.turns import Board
from toolforge_gateway.workers import spawn
from toolforge_gateway.workers.spawn import Spawner, _environment, _Log
from toolforge_gateway.workers.wire import Ping

HERE = str(Path(toolforge_gateway.__file__).resolve().parents[1])


class EnvironmentTests(SynchronousTestCase):
    def test_not_for_workers(self) -> None:
        """What systemd says to the supervisor alone is not handed on; the rest is."""
        given = {"NOTIFY_SOCKET": "/x", "WATCHDOG_USEC": "1", "LISTEN_FDS": "1", "LANG": "C"}
        theirs = _environment(given)
        self.assertEqual(theirs.get("LANG"), "C")
        self.assertFalse(theirs.keys() & (given.keys() - {"LANG"}))

    def test_path(self) -> None:
        """Relative folders stay what they are when twistd goes to another one, and a checkout is
        found."""
        path = _environment({"PYTHONPATH": "x:/y:"})["PYTHONPATH"].split(os.pathsep)
        self.assertEqual(path[:2], [os.path.abspath("x"), "/y"])
        self.assertTrue(HERE in path or HERE in sys.path)


class LogTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.events: list[dict] = []
        globalLogPublisher.addObserver(self.events.append)
        self.addCleanup(globalLogPublisher.removeObserver, self.events.append)
        self.log = _Log("worker 7")

    def said(self) -> list[tuple[LogLevel, str]]:
        return [(each["log_level"], each["line"]) for each in self.events if "line" in each]

    def test_levels(self) -> None:
        """A line keeps its level, and what belongs to it has the same; in any pieces."""
        data = b"info\tone\ncritical\ttwo\n\tmore of two\ninfo\tthree\n"
        for size in (1, 7, len(data)):
            self.events.clear()
            for start in range(0, len(data), size):
                self.log.take(data[start : start + size])
            self.assertEqual(
                self.said(),
                [
                    (LogLevel.info, "one"),
                    (LogLevel.critical, "two"),
                    (LogLevel.critical, "more of two"),
                    (LogLevel.info, "three"),
                ],
            )

    def test_others(self) -> None:
        """What Python itself says at its end is a warning, and so is anything strange."""
        self.log.take(b"Traceback:\n  File\nno level\tx\n\xff\n")
        self.log.take(b"no end")
        self.log.end()
        self.assertEqual(
            [text for _, text in self.said()],
            ["Traceback:", "  File", "no level\tx", "\N{REPLACEMENT CHARACTER}", "no end"],
        )
        self.assertEqual({level for level, _ in self.said()}, {LogLevel.warn})

    def test_endless(self) -> None:
        """A line without an end is not kept for ever."""
        # `trial -j` carries what is logged in AMP, which has no room for the real one.
        self.patch(spawn, "LONGEST_LINE", 1024)
        self.log.take(b"x" * 1024)
        self.assertEqual(self.said(), [])
        self.log.take(b"x")
        self.assertEqual(len(self.said()), 1)


class Full(Clock):
    """A reactor on a machine without room for another process."""

    def spawnProcess(self, *arguments: object, **more: object) -> None:
        raise BlockingIOError(11, "Resource temporarily unavailable")


class Told:
    name = "worker 1"

    def __init__(self) -> None:
        self.how: list[str] = []
        self.over: Deferred[None] = Deferred()

    def told(self, figures: bytes) -> None:
        """Nothing is."""

    def whole(self) -> bytes:
        return b""

    def ended(self, how: str) -> None:
        self.how.append(how)
        if not self.over.called:
            self.over.callback(None)


class LeavingTests(CoroutineCase):
    timeout = 30

    async def test_left_behind(self) -> None:
        """A worker that has ended has ended, even if somebody whom it has started lives on and has
        its log."""
        stay = Path(self.mktemp())
        stay.touch()
        self.addCleanup(stay.unlink)
        self.patch(spawn, "MODULE", "tests.workers.leaving")
        path = os.pathsep.join([str(ROOT), HERE])
        environment = {**os.environ, "STAY": str(stay.absolute()), "PYTHONPATH": path}
        board, told = Board(), Told()
        self.addCleanup(board.close)
        Spawner(reactor, board.descriptor, environment)(told, 1)
        await told.over
        self.assertEqual(told.how, ["exit code 0"])


class FullTests(SynchronousTestCase):
    def test_no_room(self) -> None:
        """A process that cannot be is one that has ended, a moment later."""
        clock, told = Full(), Told()
        process = Spawner(clock, 0)(told, 1)
        asked: Deferred = process.call(Ping)
        self.failureResultOf(asked)
        process.signal("KILL")
        self.assertEqual((process.pid, told.how), (None, []))
        clock.advance(0)
        self.assertEqual(len(told.how), 1)
        self.assertIn("could not be spawned", told.how[0])

    def test_no_room_for_the_channel(self) -> None:
        """A process that cannot be led is ended, and it is told only once that it never was."""
        signals: list[int] = []

        class Transport:
            pid = 7

            def signalProcess(self, number: int) -> None:
                signals.append(number)

        class NearlyFull(Clock):
            spawned: ProcessProtocol

            def spawnProcess(self, process: ProcessProtocol, *rest: object, **more: object) -> None:
                process.transport, self.spawned = Transport(), process

            def adoptStreamConnection(self, *arguments: object) -> None:
                raise OSError(24, "Too many open files")

        clock, told = NearlyFull(), Told()
        Spawner(clock, 0)(told, 1)
        self.assertEqual(signals, [signal.SIGKILL])
        clock.spawned.processEnded(Failure(ProcessTerminated(signal=signal.SIGKILL)))
        clock.pump([1] * 3)
        self.assertEqual(len(told.how), 1)
        self.assertIn("Too many open files", told.how[0])
