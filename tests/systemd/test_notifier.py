"""What systemd hears of the service: over a real datagram socket, such as systemd's own."""

from __future__ import annotations

import os
import socket
import tempfile
import time
from pathlib import Path
from uuid import uuid4

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from toolforge_gateway.systemd import AGAIN, LONGEST_STATUS, News, Notifier

QUEUE = int(Path("/proc/sys/net/unix/max_dgram_qlen").read_text())
"""Datagrams, and one, that the kernel keeps for who does not read; 10, or 512 after systemd."""


class Ear:
    """A socket as systemd has it, and what arrived there."""

    def __init__(self, case: SynchronousTestCase, abstract: bool = False):
        self.end = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        case.addCleanup(self.end.close)
        if abstract:
            self.address = f"@toolforge-gateway-test-{uuid4()}"
            self.end.bind(f"\0{self.address[1:]}")
        else:
            folder = tempfile.TemporaryDirectory(prefix="notify-")  # a short path: 108 bytes
            case.addCleanup(folder.cleanup)
            self.address = str(Path(folder.name, "socket"))
            self.end.bind(self.address)
        self.end.setblocking(False)

    def heard(self) -> list[str]:
        """All datagrams since the last call."""
        found = []
        while True:
            try:
                found.append(self.end.recv(65536).decode("utf-8"))
            except BlockingIOError:
                return found


class SayingTests(SynchronousTestCase):
    """Each piece of news is one datagram, of the lines that sd_notify(3) describes."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.ear = Ear(self)
        environ = {"NOTIFY_SOCKET": self.ear.address}
        self.notifier = Notifier.from_environment(environ, self.clock)

    def test_ready(self) -> None:
        """A service that serves says READY=1, with a status if it has one."""
        self.notifier.ready()
        self.notifier.ready("version 7 serves")
        self.assertEqual(self.ear.heard(), ["READY=1", "READY=1\nSTATUS=version 7 serves"])

    def test_reloading(self) -> None:
        """A reload says when it began, by CLOCK_MONOTONIC in microseconds."""
        before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        self.notifier.reloading("reads the configuration")
        after = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        [datagram] = self.ear.heard()
        reloading, moment, status = datagram.split("\n")
        self.assertEqual((reloading, status), ("RELOADING=1", "STATUS=reads the configuration"))
        name, _, microseconds = moment.partition("=")
        self.assertEqual(name, "MONOTONIC_USEC")
        self.assertTrue(before <= int(microseconds) <= after)

    def test_stopping(self) -> None:
        """A drain says STOPPING=1."""
        self.notifier.stopping("3 requests are under way")
        self.assertEqual(self.ear.heard(), ["STOPPING=1\nSTATUS=3 requests are under way"])

    def test_status(self) -> None:
        """A status is one line: what would begin another assignment becomes a space."""
        for text, line in [
            ("a\nREADY=1", "STATUS=a READY=1"),
            ("a\r\n\0b\u2028c", "STATUS=a b c"),
            ("Grüße", "STATUS=Grüße"),
            ("no \udcff text", "STATUS=no ? text"),
        ]:
            self.notifier.status(text)
            self.assertEqual(self.ear.heard(), [line])

    def test_empty_status(self) -> None:
        """Nothing is sent where there is nothing to say."""
        self.notifier.status("")
        self.notifier.status(" \n ")
        self.assertEqual(self.ear.heard(), [])

    def test_long_status(self) -> None:
        """A status of any length fits what systemd reads, 4096 bytes, and says that it is cut."""
        self.notifier.status("€" * 100_000)
        [datagram] = self.ear.heard()
        self.assertEqual(datagram, f"STATUS={'€' * (LONGEST_STATUS - 1)}…")
        self.assertLess(len(datagram.encode()), 4096)

    def test_abstract(self) -> None:
        """An address that begins with @ is a name in the abstract namespace."""
        ear = Ear(self, abstract=True)
        Notifier.from_environment({"NOTIFY_SOCKET": ear.address}, self.clock).ready()
        self.assertEqual(ear.heard(), ["READY=1"])

    def test_full(self) -> None:
        """What systemd has no room for arrives later, in its order, and nobody waited."""
        said = [f"STATUS={number}" for number in range(QUEUE + 30)]
        for number in range(QUEUE + 30):
            self.notifier.status(str(number))
        first = self.ear.heard()
        self.assertLess(len(first), QUEUE + 30, "the queue of the kernel was never full")
        rest = []
        for _ in range(40):
            self.clock.advance(AGAIN)
            rest += self.ear.heard()
        self.assertEqual(first + rest, said)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_stop_while_full(self) -> None:
        """After the stop nothing is tried again."""
        for number in range(QUEUE + 30):
            self.notifier.status(str(number))
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)
        self.notifier.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_no_descriptor_stays(self) -> None:
        """Saying something leaves no descriptor open."""
        before = len(os.listdir("/proc/self/fd"))
        for _ in range(5):
            self.notifier.ready()
        self.assertEqual(len(os.listdir("/proc/self/fd")), before)


class NobodyTests(SynchronousTestCase):
    """Where nobody listens, the service does not notice."""

    def test_not_asked(self) -> None:
        """Without NOTIFY_SOCKET everything does nothing, the watchdog as well."""
        clock = Clock()
        for environ in [{}, {"NOTIFY_SOCKET": ""}]:
            notifier = Notifier.from_environment({**environ, "WATCHDOG_USEC": "1000000"}, clock)
            notifier.ready("x")
            notifier.reloading()
            notifier.stopping()
            notifier.start_watchdog(lambda: True)
            self.assertFalse(notifier.listened_to)
            self.assertEqual(clock.getDelayedCalls(), [])
            notifier.stop()

    def test_odd_address(self) -> None:
        """An address of an unknown kind is logged, and nothing is sent."""
        for address in ["vsock:2:1234", "@", "/", "relative"]:
            notifier = Notifier.from_environment({"NOTIFY_SOCKET": address}, Clock())
            notifier.ready()
            self.assertFalse(notifier.listened_to)
        self.assertEqual(len(self.events), 4)

    def test_gone(self) -> None:
        """A socket that is gone is logged once, until somebody listens again."""
        ear = Ear(self)
        notifier = Notifier.from_environment({"NOTIFY_SOCKET": ear.address}, Clock())
        os.rename(ear.address, ear.address + ".away")
        notifier.ready()
        notifier.status("lost")
        self.assertEqual(len(self.events), 1)
        os.rename(ear.address + ".away", ear.address)
        notifier.status("heard")
        self.assertEqual(ear.heard(), ["STATUS=heard"])
        os.unlink(ear.address)
        notifier.status("lost")
        self.assertEqual(len(self.events), 2)

    def setUp(self) -> None:
        from twisted.logger import globalLogPublisher

        self.events: list[object] = []

        def observe(event: dict) -> None:
            if event.get("log_namespace") == "toolforge_gateway.systemd":
                self.events.append(event)

        globalLogPublisher.addObserver(observe)
        self.addCleanup(globalLogPublisher.removeObserver, observe)


class WatchdogTests(SynchronousTestCase):
    """Signs of life."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.ear = Ear(self)

    def notifier(self, **environ: str) -> Notifier:
        environ = {"NOTIFY_SOCKET": self.ear.address, **environ}
        return Notifier.from_environment(environ, self.clock, pid=77)

    def test_half(self) -> None:
        """A sign is given at once, and then in half of the time that systemd allows."""
        notifier = self.notifier(WATCHDOG_USEC="10000000", WATCHDOG_PID="77")
        notifier.start_watchdog(lambda: True)
        self.assertEqual(self.ear.heard(), ["WATCHDOG=1"])
        self.clock.advance(4.9)
        self.assertEqual(self.ear.heard(), [])
        for _ in range(3):
            self.clock.advance(0.1)
            self.assertEqual(self.ear.heard(), ["WATCHDOG=1"])
            self.clock.advance(4.9)
        notifier.stop()
        self.clock.advance(100)
        self.assertEqual(self.ear.heard(), [])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_dead(self) -> None:
        """No sign is given while the service does not live, and again when it does."""
        alive = False
        notifier = self.notifier(WATCHDOG_USEC="2000000")
        notifier.start_watchdog(lambda: alive)
        self.clock.pump([1, 1, 1])
        self.assertEqual(self.ear.heard(), [])
        alive = True
        self.clock.advance(1)
        self.assertEqual(self.ear.heard(), ["WATCHDOG=1"])

    def test_failing_question(self) -> None:
        """A question that fails is no sign of life; it is logged and asked again."""
        answers = [RuntimeError("broken"), True]

        def alive() -> bool:
            answer = answers.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return answer

        notifier = self.notifier(WATCHDOG_USEC="2000000")
        notifier.start_watchdog(alive)
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        self.assertEqual(self.ear.heard(), [])
        self.clock.advance(1)
        self.assertEqual(self.ear.heard(), ["WATCHDOG=1"])

    def test_started_twice(self) -> None:
        """Starting again changes nothing: signs are not given twice as often."""
        notifier = self.notifier(WATCHDOG_USEC="2000000")
        notifier.start_watchdog(lambda: True)
        notifier.start_watchdog(lambda: True)
        self.clock.advance(1)
        self.assertEqual(self.ear.heard(), ["WATCHDOG=1"] * 2)

    def test_another_process(self) -> None:
        """The watchdog of another process is none of ours."""
        notifier = self.notifier(WATCHDOG_USEC="2000000", WATCHDOG_PID="78")
        notifier.start_watchdog(lambda: True)
        self.assertIsNone(notifier.watchdog)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_odd_times(self) -> None:
        """A time that is none means no watchdog."""
        for text in ["", "0", "-1", "soon", "1e6", "²", "9" * 21]:
            notifier = self.notifier(WATCHDOG_USEC=text)
            notifier.start_watchdog(lambda: True)
            self.assertIsNone(notifier.watchdog, text)
            self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_signs_do_not_pile_up(self) -> None:
        """While systemd reads nothing, one sign of life waits, and none pushes out other news."""
        notifier = self.notifier(WATCHDOG_USEC="2000000")
        for number in range(QUEUE + 30):
            notifier.status(str(number))
        notifier.start_watchdog(lambda: True)
        self.clock.pump([1] * 200)
        heard = []
        for _ in range(20):
            heard += self.ear.heard()
            self.clock.advance(AGAIN)
        said = [datagram for datagram in heard if datagram.startswith("STATUS")]
        self.assertEqual(said, [f"STATUS={number}" for number in range(QUEUE + 30)])
        self.assertLess(heard.count("WATCHDOG=1"), 6)


class StoppingTests(SynchronousTestCase):
    """The end may take longer than the unit says."""

    def test_patience(self) -> None:
        """How long the end may take is said in microseconds, with STOPPING=1."""
        ear = Ear(self)
        notifier = Notifier.from_environment({"NOTIFY_SOCKET": ear.address}, Clock())
        notifier.stopping("drains", within=55.5)
        self.assertEqual(ear.heard(), ["STOPPING=1\nEXTEND_TIMEOUT_USEC=55500000\nSTATUS=drains"])


class Running(Clock):
    """A reactor that runs already."""

    def callWhenRunning(self, call, *arguments) -> None:
        call(*arguments)


class Reloaded:
    """What came of one."""

    def __init__(self, *complaints: str) -> None:
        self.good, self.version, self.complaints = not complaints, "v2", complaints


class NewsTests(SynchronousTestCase):
    """What systemd is told of a reload depends on whether anybody serves."""

    def setUp(self) -> None:
        self.ear = Ear(self)
        clock = Running()
        environ = {"NOTIFY_SOCKET": self.ear.address, "WATCHDOG_USEC": "1000000"}
        self.notifier = Notifier.from_environment(environ, clock)
        self.addCleanup(self.notifier.stop)
        self.serves: Deferred[None] = Deferred()
        self.news = News(self.notifier, clock, "v1", lambda: 5.0, self.serves)
        self.news.startService()

    def reload(self, *complaints: str) -> list[str]:
        self.news.reloading()
        self.news.reloaded(Reloaded(*complaints))
        return self.ear.heard()

    def test_before(self) -> None:
        """A reload before anybody serves does not make it ready, and does not begin the watch that
        would end it for want of a sign of life."""
        self.assertEqual(self.reload("f:1: bad"), [])
        self.assertEqual(self.reload(), [])
        self.serves.callback(None)
        self.assertEqual(
            self.ear.heard(), ["READY=1\nSTATUS=configuration v2 serves", "WATCHDOG=1"]
        )

    def test_while(self) -> None:
        """One while it serves is told from its beginning to its end."""
        self.serves.callback(None)
        self.ear.heard()
        begun, ended = self.reload("f:1: bad")
        self.assertTrue(begun.startswith("RELOADING=1\n"), begun)
        self.assertIn("READY=1\nSTATUS=configuration v2 serves; the last reload", ended)

    def test_after(self) -> None:
        """One that the end overtakes does not take the end back."""
        self.serves.callback(None)
        self.news.reloading()
        self.news.stopService()
        self.ear.heard()
        self.news.reloaded(Reloaded("the gateway is coming to its end"))
        self.assertEqual(self.ear.heard(), [])
