"""The access log on its way to those who may be slow or gone: pipes, terminals, sockets."""

from __future__ import annotations

import fcntl
import io
import os
import socket
import sys
import termios
from pathlib import Path

from twisted.internet import reactor
from twisted.internet.task import Clock, deferLater

from tests.observe.exchanges import over
from tests.observe.sinking import LINE, SinkCase, eventually
from toolforge_gateway.errors import ConfigurationError
from toolforge_gateway.observe import accesslog, outbox
from toolforge_gateway.observe.carriers import Polled, Written, carrier_of
from toolforge_gateway.observe.lines import HumanLine, JsonLine
from toolforge_gateway.observe.outbox import AGAIN, MOST, Losses, Outbox
from toolforge_gateway.observe.sinks import Sink


class StandardOutputTests(SinkCase):
    def standard_output(self, descriptor: int) -> None:
        """Have this for it."""
        stream = os.fdopen(descriptor, "w")
        self.addCleanup(stream.close)
        self.patch(sys, "__stdout__", stream)

    def test_file(self) -> None:
        """`-` is what was standard output at first, whatever has been put in its place."""
        path = self.folder / "out"
        self.standard_output(os.open(path, os.O_WRONLY | os.O_CREAT))
        self.patch(sys, "stdout", io.StringIO())
        sink = self.sink()
        sink.write([LINE])
        sink.write([LINE])
        sink.reopen()
        sink.close()
        self.assertEqual(path.read_text(), LINE * 2)
        self.assertEqual(sys.stdout.getvalue(), "")
        self.assertFalse(sys.__stdout__.closed)
        os.fstat(sys.__stdout__.fileno())

    def test_taken_away_later(self) -> None:
        """Where standard output is taken away before the first line, as twistd does when it goes
        into the background, lines go to the log as they are."""
        sink = self.sink()
        self.standard_output(os.open(os.devnull, os.O_WRONLY))
        self.assertIsInstance(sink.form(), JsonLine)
        sink.write([LINE] * 2)
        sink.close()
        self.assertEqual(self.logged, [LINE.rstrip()] * 2)

    def test_none(self) -> None:
        """So they do where there never was one."""
        self.patch(sys, "__stdout__", None)
        sink = self.sink()
        self.assertIsInstance(sink.form(), JsonLine)
        sink.write([LINE])
        self.assertEqual(self.logged, [LINE.rstrip()])

    def test_terminal(self) -> None:
        """On a terminal lines are for people, unless the configuration says otherwise."""
        ours, theirs = os.openpty()
        self.addCleanup(os.close, ours)
        self.standard_output(theirs)
        log = accesslog.AccessLog(self.sink())
        log.ended(over())
        self.assertEqual(os.read(ours, 10_000).decode().replace("\r\n", "\n"), HumanLine()(over()))
        log.close()
        self.assertIsInstance(self.sink(format="json").form(), JsonLine)

    def test_no_terminal(self) -> None:
        """Elsewhere they are JSON, unless it says otherwise."""
        reader, writer = os.pipe()
        self.addCleanup(os.close, reader)
        self.standard_output(writer)
        self.assertIsInstance(self.sink().form(), JsonLine)
        self.assertIsInstance(self.sink(format="human").form(), HumanLine)

    async def test_stopped_terminal(self) -> None:
        """Who stops his terminal (Ctrl-S) does not stop the gateway; what was written meanwhile
        comes when he goes on."""
        ours, theirs = os.openpty()
        self.addCleanup(os.close, ours)
        self.standard_output(theirs)
        sink = self.sink()
        termios.tcflow(theirs, termios.TCOOFF)
        for _ in range(1000):
            sink.write([LINE] * 10)
        termios.tcflow(theirs, termios.TCOON)
        found = b""
        os.set_blocking(ours, False)
        while found.count(b"\n") < 10_000 - sink.lost:
            try:
                found += os.read(ours, 65536)
            except BlockingIOError:
                await deferLater(reactor, 0)
        self.assertEqual(found.replace(b"\r\n", b"\n"), LINE.encode() * (10_000 - sink.lost))
        sink.close()

    async def slow_reader(self, reader: int) -> None:
        """Nobody reads for a while, and then somebody does."""
        flags = fcntl.fcntl(sys.__stdout__.fileno(), fcntl.F_GETFL)
        sink = self.sink()
        lines = [f"{number:099d}\n" for number in range(20_000)]
        sink.write(lines)
        self.assertGreater(sink.lost, 0)
        self.assertEqual(self.logged, [])  # It might wait for the same reader.
        kept, found = 20_000 - sink.lost, b""
        os.set_blocking(reader, False)
        while found.count(b"\n") < kept:
            try:
                found += os.read(reader, 65536)
            except BlockingIOError:
                await deferLater(reactor, 0)
        self.assertEqual(found.decode(), "".join(lines[:kept]))
        await eventually(lambda: len(self.logged) == 1)
        self.assertIn(f"meanwhile: {sink.lost}", self.logged[0])
        self.assertEqual(fcntl.fcntl(sys.__stdout__.fileno(), fcntl.F_GETFL), flags)
        sink.close()

    async def test_slow_pipe(self) -> None:
        """A pipe that is not read makes nobody wait; the flags that others share stay."""
        reader, writer = os.pipe()
        self.addCleanup(os.close, reader)
        self.standard_output(writer)
        await self.slow_reader(reader)

    async def test_slow_pipe_of_somebody_else(self) -> None:
        """Nor does one that we may not open anew."""
        reader, writer = os.pipe()
        self.addCleanup(os.close, reader)
        self.standard_output(writer)
        self.patch(os, "open", lambda *_: (_ for _ in ()).throw(PermissionError(13, "no")))
        self.assertIsInstance(carrier_of(writer), Polled)
        await self.slow_reader(reader)

    async def test_slow_socket(self) -> None:
        """Nor does a stream socket, as a service of systemd has it."""
        reader, writer = socket.socketpair()
        self.addCleanup(reader.close)
        self.standard_output(writer.detach())
        await self.slow_reader(reader.fileno())

    async def test_reader_gone(self) -> None:
        """When the reader is gone, before or while lines wait, they are lost and counted."""
        for waiting in (0, 3_000):
            reader, writer = os.pipe()
            self.standard_output(writer)
            sink = self.sink()
            sink.write(["x" * 99 + "\n"] * waiting)
            os.close(reader)
            if waiting:
                await eventually(lambda sink=sink: sink.lost)
            sink.write([LINE])
            self.assertTrue(waiting - 700 < sink.lost - 1 <= waiting, sink.lost)
            sink.close()


class SocketTests(SinkCase):
    """A real datagram socket in the place of syslog's and journald's."""

    def setUp(self) -> None:
        super().setUp()
        self.path = Path(os.path.relpath(self.folder / "socket"))
        self.daemon = self.listen()

    def listen(self) -> socket.socket:
        daemon = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        daemon.bind(str(self.path))
        daemon.setblocking(False)
        self.addCleanup(daemon.close)
        return daemon

    def received(self) -> list[bytes]:
        found = []
        try:
            while True:
                found.append(self.daemon.recv(1 << 20))
        except BlockingIOError:
            return found

    def opened(self, to: str = "syslog", clock=reactor) -> Sink:
        sink = self.sink(clock, to=to, socket=self.path)
        self.addCleanup(sink.close)
        return sink

    def test_syslog(self) -> None:
        """Each line is a datagram."""
        log = accesslog.AccessLog(self.opened())
        log.ended(over())
        log.ended(over())
        first, second = self.received()
        self.assertEqual(first, second)
        self.assertRegex(
            first, rb'^<30>Jan 15 \d\d:\d\d:\d\d toolforge-gateway\[\d+\]: \{"time".*\}$'
        )

    def test_journald(self) -> None:
        """Each entry is a datagram."""
        log = accesslog.AccessLog(self.opened("journald"))
        log.ended(over())
        (entry,) = self.received()
        self.assertTrue(entry.startswith(b'MESSAGE={"time"'), entry)
        self.assertIn(b"\nTOOLFORGE_REQUEST_ID=1\n", entry)

    def test_human(self) -> None:
        """The message is for people where the configuration says so."""
        sink = self.sink(to="journald", socket=self.path, format="human")
        self.addCleanup(sink.close)
        log = accesslog.AccessLog(sink)
        log.ended(over())
        self.assertIn(b"MESSAGE=2027-01-15 08:00:00.000Z 200 ", self.received()[0])

    def test_nobody_there(self) -> None:
        """A socket at which nobody is, is a complaint that says what to do."""
        for to, daemon in (("syslog", "syslog daemon"), ("journald", "systemd-journald")):
            error = self.assertRaises(
                ConfigurationError, self.sink, to=to, socket=self.folder / "none"
            )
            self.assertRegex(str(error), f"nobody takes lines at .*/none: No such.*start.*{daemon}")
        self.daemon.close()
        error = self.assertRaises(ConfigurationError, self.opened)
        self.assertIn("Connection refused", str(error))

    async def test_slow(self) -> None:
        """A daemon that is slow gets all lines in their order, and nobody waits for it."""
        sink = self.opened()
        lines = [f"{number}" for number in range(1000)]
        sink.write(lines)
        found: list[bytes] = []

        def all_there() -> bool:
            found.extend(self.received())
            return len(found) == 1000

        await eventually(all_there)
        self.assertEqual(found, [line.encode() for line in lines])
        self.assertEqual((sink.lost, self.logged), (0, []))

    async def test_too_slow(self) -> None:
        """What is more than waits is lost, counted and said; then it goes on."""
        sink = self.opened()
        for _ in range(2 * MOST // 1000):
            sink.write(["x" * 1000])
        self.assertGreater(sink.lost, MOST // 1000 - 600)
        self.assertIn("it is not read fast enough", self.logged[0])
        found: list[bytes] = []
        kept = 2 * MOST // 1000 - sink.lost

        def all_there() -> bool:
            found.extend(self.received())
            return len(found) == kept

        await eventually(all_there)
        await eventually(lambda: len(self.logged) == 2)
        sink.write(["more"])
        self.assertEqual(self.received(), [b"more"])

    def test_restart(self) -> None:
        """A daemon that is restarted gets what was said meanwhile, in its order."""
        clock = Clock()
        sink = self.opened(clock=clock)
        sink.write(["1"])
        self.assertEqual(self.received(), [b"1"])
        self.daemon.close()
        sink.write(["2"])
        self.path.unlink()
        sink.write(["3", "4"])
        self.assertEqual(len(self.logged), 1, self.logged)
        clock.advance(AGAIN)
        self.daemon = self.listen()
        self.assertEqual(self.received(), [])
        clock.advance(AGAIN)
        self.assertEqual(self.received(), [b"2", b"3", b"4"])
        self.assertEqual((sink.lost, len(self.logged)), (0, 2))

    def test_restarted_between_lines(self) -> None:
        """If it is back before the next line nobody notices."""
        sink = self.opened()
        self.daemon.close()
        self.path.unlink()
        self.daemon = self.listen()
        sink.write(["1"])
        self.assertEqual(self.received(), [b"1"])
        self.assertEqual(self.logged, [])

    def test_too_long(self) -> None:
        """A line that is longer than a datagram can be is lost alone."""
        sink = self.opened()
        sink.write(["1", "x" * 500_000, "2"])
        self.assertEqual(self.received(), [b"1", b"2"])
        self.assertEqual(sink.lost, 1)
        self.assertIn("500000 bytes are more than it takes at once", self.logged[0])

    def test_longest(self) -> None:
        """The longest line that a request can make is not too long."""
        for to in ("syslog", "journald"):
            sink = self.opened(to)
            log = accesslog.AccessLog(sink)
            log.ended(over(method="\u2028" * 10**6, path="\u2028" * 10**6))
            self.assertEqual((len(self.received()), sink.lost), (1, 0))

    def test_reopen(self) -> None:
        """Reopening connects anew, and says it if nobody is there."""
        sink = self.opened()
        sink.reopen()
        self.path.unlink()
        sink.reopen()
        self.assertIn("cannot connect anew", self.logged[0])
        sink.write(["1"])
        self.assertEqual(self.received(), [b"1"])

    def test_end(self) -> None:
        """What nobody has taken at the end is counted and said."""
        sink = self.sink(Clock(), to="syslog", socket=self.path)
        self.daemon.close()
        sink.write(["1", "2"])
        sink.close()
        self.assertEqual(sink.lost, 2)
        self.assertIn("lines lost: 2", self.logged[-1])


class OutboxTests(SinkCase):
    def test_no_memory(self) -> None:
        """A kernel without memory for it is asked again later, not over and over."""
        clock, lost = Clock(), []
        answers = [OSError(105, "No buffer space available"), 3]

        class Carrier(Written):
            def send(self, data: bytes) -> int:
                answer = answers.pop(0)
                if isinstance(answer, OSError):
                    raise answer
                return answer

        box = Outbox(Carrier(99), clock, Losses("x", clock))
        box.put(b"abc", 1)
        self.assertEqual(len(clock.getDelayedCalls()), 1)
        clock.advance(outbox.AGAIN)
        self.assertEqual((answers, clock.getDelayedCalls(), lost), ([], [], []))
