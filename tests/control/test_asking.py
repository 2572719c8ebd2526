"""Both ends of the control socket, over a real one."""

from __future__ import annotations

from pathlib import Path

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.protocols.amp import Command
from zope.interface import implementer
from zope.interface.verify import verifyObject

from tests.control.test_place import folder
from tests.coroutines import CoroutineCase
from toolforge_gateway.control import commands
from toolforge_gateway.control.ask import Unanswered, Unasked, ask
from toolforge_gateway.control.commands import Explain, Impossible, Reload, Report, Restart, State
from toolforge_gateway.control.serve import ControlPort, IControlled

LONG = "x" * 200_000


@implementer(IControlled)
class Controlled:
    """Does what a test says."""

    def __init__(self) -> None:
        self.report: object = Report(True, "abc")
        self.asked: list[object] = []

    def reload(self):
        self.asked.append("reload")
        if isinstance(self.report, Exception):
            raise self.report
        return self.report

    def restart(self):
        raise Impossible("there is one process alone; add workers: 1")

    def explain(self, question):
        self.asked.append(question)
        return {"lines": [["route", LONG]], "allowed": True}

    def state(self):
        return {"pid": 1}


class Unknown(Command):
    arguments: list = []
    response: list = []


class AskingTests(CoroutineCase):
    timeout = 30

    def setUp(self) -> None:
        self.path: Path = folder(self) / "control"
        self.controlled = Controlled()
        self.port = ControlPort(self.path, self.controlled, reactor)
        self.port.start()
        self.stopped = False
        self.addCleanup(self.stop)

    def stop(self) -> None:
        if not self.stopped:
            self.port.stop()
            self.stopped = True

    def ask(self, command, patience: float = 20, **arguments) -> Deferred:
        return ask(reactor, self.path, patience, command, **arguments)

    async def failing(self, expected, *arguments, **more) -> str:
        """What is said when nobody answers as they should."""
        try:
            answer = await self.ask(*arguments, **more)
        except expected as error:
            return str(error)
        raise AssertionError(f"answered: {answer}")

    async def test_report(self):
        """A report comes through as it is, complaints of any length too."""
        verifyObject(IControlled, self.controlled)
        self.controlled.report = Report(False, "abc", (LONG, "g.yaml:3: x"), ("worker 1: ready",))
        answer = await self.ask(Reload)
        self.assertEqual(Report.heard(answer["report"]), self.controlled.report)

    async def test_waits(self):
        """The answer comes when the gateway has done it; others are answered meanwhile."""
        self.controlled.report = done = Deferred()
        answer = self.ask(Reload)
        state = await self.ask(State)
        self.assertEqual(state, {"state": {"pid": 1}})
        self.assertNoResult(answer)
        done.callback(Report(True, "def"))
        self.assertEqual(Report.heard((await answer)["report"]).version, "def")

    async def test_question(self):
        """A question of any length is heard as it was said."""
        question = {"certificates": [LONG], "address": None}
        answer = await self.ask(Explain, question=question)
        self.assertEqual(self.controlled.asked, [question])
        self.assertEqual(answer["explanation"]["lines"], [["route", LONG]])

    async def test_impossible(self):
        """What cannot be done is said in the gateway's words."""
        words = await self.failing(Unanswered, Restart)
        self.assertEqual(words, "there is one process alone; add workers: 1")

    async def test_failure(self):
        """What breaks is logged there, and said here without its inside; the next is answered."""
        self.controlled.report = ZeroDivisionError("secret")
        words = await self.failing(Unanswered, Reload)
        self.assertIn("failed to reload", words)
        self.assertNotIn("secret", words)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        await self.ask(State)

    async def test_unknown(self):
        """A command of a later version is said to be unknown."""
        self.assertIn("another version", await self.failing(Unanswered, Unknown))

    async def test_impatient(self):
        """Who waits no longer says that the gateway may still be at it."""
        self.controlled.report = Deferred()
        words = await self.failing(Unanswered, Reload, patience=0.01)
        self.assertIn("may still be at it", words)
        self.controlled.report.callback(Report(True, "late"))
        await self.ask(State)  # an answer that nobody waits for does no harm

    async def test_nobody(self):
        """Without a gateway it says so, and what that may mean."""
        self.stop()
        self.assertIn("no such socket", await self.failing(Unasked, State))

    async def test_dead(self):
        """Where a dead gateway has left its socket it says that."""
        import socket

        self.stop()
        left = socket.socket(socket.AF_UNIX)
        left.bind(str(self.path))
        left.close()
        self.assertIn("has died", await self.failing(Unasked, State))

    async def test_end_waits_for_answers(self):
        """A socket that closes still answers what it was asked, and then closes."""
        self.controlled.report = done = Deferred()
        answer = self.ask(Reload)
        while not self.controlled.asked:
            await deferLater(reactor, 0.001, lambda: None)
        self.stop()
        self.assertFalse(self.path.exists())
        done.callback(Report(True, "def"))
        self.assertTrue((await answer)["report"]["good"])

    async def test_end_cuts_the_idle(self):
        """Who is connected and asks nothing is not waited for."""
        import socket

        caller = socket.socket(socket.AF_UNIX)
        self.addCleanup(caller.close)
        caller.connect(str(self.path))
        await self.ask(State)
        self.stop()
        caller.setblocking(False)
        while True:
            try:
                self.assertEqual(caller.recv(1), b"")
                return
            except BlockingIOError:
                await deferLater(reactor, 0.001, lambda: None)

    async def test_garbage(self):
        """Bytes that are no AMP end that connection and no other."""
        import socket

        caller = socket.socket(socket.AF_UNIX)
        self.addCleanup(caller.close)
        caller.connect(str(self.path))
        caller.sendall(b"GET / HTTP/1.1\r\n\r\n")
        await self.ask(State)
        caller.setblocking(False)
        while True:
            try:
                self.assertEqual(caller.recv(100), b"")
                break
            except BlockingIOError:
                await deferLater(reactor, 0.001, lambda: None)
        self.flushLoggedErrors()

    def test_commands(self):
        """Each thing that can be controlled has its command."""
        for name in ("Reload", "Restart", "Explain", "State"):
            self.assertIn(name.lower(), IControlled.names())
            self.assertTrue(hasattr(commands, name))
