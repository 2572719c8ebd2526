"""Where the lines of the access log go, and what becomes of them when they cannot."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable
from pathlib import Path

from twisted.logger import formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from toolforge_gateway.config.values import AccessLog
from toolforge_gateway.errors import ConfigurationError
from toolforge_gateway.observe.sinks import LineFile, Together, open_sink

FILE = Path("gateway.yaml")
LINE = '{"path":"/{x}","n":1}\n'


class SinkCase(SynchronousTestCase):
    def setUp(self) -> None:
        """Collect what is logged."""
        self.logged: list[str] = []
        globalLogPublisher.addObserver(self.observe)
        self.addCleanup(globalLogPublisher.removeObserver, self.observe)

    def observe(self, event) -> None:
        if event.get("log_namespace") == "toolforge_gateway.observe.sinks":
            self.logged.append(formatEvent(event))


class Full(io.BytesIO):
    """A disk that is full for a while."""

    full = False

    def write(self, data: bytes) -> int:
        if self.full:
            raise OSError(28, "No space left on device")
        return super().write(data)


class LineFileTests(SinkCase):
    def test_full(self) -> None:
        """A full disk costs lines and nothing else; it is said once, and so is its end."""
        stream = Full()
        write = LineFile(stream)
        write("1\n")
        stream.full = True
        write("2\n")
        write("3\n")
        stream.full = False
        write("4\n")
        write("5\n")
        self.assertEqual(stream.getvalue(), b"1\n4\n5\n")
        self.assertEqual(len(self.logged), 2, self.logged)
        self.assertIn("No space left on device", self.logged[0])


class TogetherTests(SinkCase):
    def setUp(self) -> None:
        super().setUp()
        self.written: list[str] = []
        self.later: list[Callable[[], None]] = []
        self.lines = Together(self.written.append, self.later.append)

    def test_one_turn(self) -> None:
        """Lines of one turn are one write at its end, in their order; the next turn's another."""
        for line in ("1\n", "2\n"):
            self.lines(line)
        self.assertEqual((self.written, len(self.later)), ([], 1))
        self.later.pop()()
        self.assertEqual(self.written, ["1\n2\n"])
        self.lines("3\n")
        self.later.pop()()
        self.assertEqual(self.written, ["1\n2\n", "3\n"])

    def test_no_turn(self) -> None:
        """Where nothing else is going on a line is written at once."""
        self.lines = Together(self.written.append, lambda call: call())
        self.lines("1\n")
        self.lines("2\n")
        self.assertEqual(self.written, ["1\n", "2\n"])

    def test_end(self) -> None:
        """What is flushed before the turn is over is not written twice, and nothing is no write."""
        self.lines("1\n")
        self.lines.flush()
        self.later.pop()()
        self.assertEqual(self.written, ["1\n"])


class OpenTests(SinkCase):
    def test_file(self) -> None:
        """Lines are appended, and each is there as soon as it is written."""
        path = Path(self.mktemp())
        path.write_text("before\n")
        open_sink(AccessLog(file=path), FILE)(LINE)
        self.assertEqual(path.read_text(), f"before\n{LINE}")

    def test_no_folder(self) -> None:
        """A file that cannot be opened is a complaint that names it."""
        path = Path(self.mktemp()) / "access.log"
        error = self.assertRaises(ConfigurationError, open_sink, AccessLog(file=path), FILE)
        self.assertIn(f"access_log.file: {path} cannot be opened", str(error))

    def test_standard_output(self) -> None:
        """`-` is what was standard output at first, whatever has been put in its place."""
        path = Path(self.mktemp())
        with path.open("w") as stream:
            self.patch(sys, "__stdout__", stream)
            self.patch(sys, "stdout", io.StringIO())
            open_sink(AccessLog(file="-"), FILE)(LINE)
            self.assertEqual(path.read_text(), LINE)
            self.assertEqual(sys.stdout.getvalue(), "")

    def test_taken_away_later(self) -> None:
        """Where standard output is taken away before the first line, as twistd does when it goes
        into the background, lines go to the log as they are."""
        with open(os.devnull, "w") as null:
            write = open_sink(AccessLog(file="-"), FILE)
            self.patch(sys, "__stdout__", null)
            write(LINE * 2)
        self.assertEqual(self.logged, [LINE.rstrip()] * 2)

    def test_none(self) -> None:
        """So they do where there never was one."""
        self.patch(sys, "__stdout__", None)
        open_sink(AccessLog(file="-"), FILE)(LINE)
        self.assertEqual(self.logged, [LINE.rstrip()])
