"""Where the lines of the access log go, and what becomes of them when they cannot."""

from __future__ import annotations

import io
import os
from pathlib import Path

from twisted.internet import reactor
from twisted.internet.task import Clock, deferLater

from tests.observe.exchanges import over
from tests.observe.sinking import LINE, SinkCase, eventually
from toolforge_gateway.config.values import Origin
from toolforge_gateway.errors import ConfigurationError
from toolforge_gateway.observe import accesslog
from toolforge_gateway.observe.outbox import Losses
from toolforge_gateway.observe.sinks import LineFile


class LossesTests(SinkCase):
    def setUp(self) -> None:
        super().setUp()
        self.clock = Clock()
        self.clock.advance(1000)

    def test_said(self) -> None:
        """The beginning of a failure is said with its cause, its end with what was lost."""
        losses = Losses("the file", self.clock)
        losses.well()
        losses.lose(1, "full")
        losses.lose(2, "full")
        losses.well()
        losses.well()
        self.assertEqual(
            self.logged,
            [
                "the access log cannot be written to the file: full; lines lost so far: 1",
                "the access log can be written again to the file; lines lost meanwhile: 2",
            ],
        )
        self.assertEqual(losses.lost, 3)

    def test_lasting(self) -> None:
        """While it lasts it is said once a minute, and the numbers add up to all that was lost."""
        losses = Losses("the file", self.clock)
        for _ in range(150):
            losses.lose(1, "full")
            self.clock.advance(1)
        losses.well()
        counts = [int(line.rpartition(" ")[2]) for line in self.logged]
        self.assertEqual(counts, [1, 60, 60, 29])

    def test_now_and_then(self) -> None:
        """What fails every other time does not fill the log, and is not forgotten."""
        losses = Losses("the file", self.clock)
        for _ in range(1000):
            losses.lose(1, "full")
            losses.well()
        losses.end()
        self.assertEqual(len(self.logged), 3, self.logged)
        counts = [int(line.rpartition(" ")[2]) for line in self.logged]
        self.assertEqual((sum(counts), losses.lost), (1000, 1000))

    def test_quiet(self) -> None:
        """Where what we say goes the same way it is said only once that is open again."""
        losses = Losses("the file", self.clock, quiet=True)
        losses.lose(5, "nobody reads")
        losses.end()
        self.assertEqual(self.logged, [])
        losses.well()
        self.assertEqual(len(self.logged), 1)
        self.assertIn("meanwhile: 5", self.logged[0])


class LineFileTests(SinkCase):
    def test_no_room(self) -> None:
        """A full disk costs lines and nothing else; it is said once, and so is its end."""
        sink = self.sink(file=Path("/dev/full"))
        sink.write(["1\n"])
        sink.write(["2\n", "3\n"])
        self.assertEqual(sink.lost, 3)
        self.assertEqual(len(self.logged), 1, self.logged)
        self.assertIn("No space left on device", self.logged[0])
        sink.close()

    def test_room_for_a_part(self) -> None:
        """Of lines that the disk has room for in part, the one that is torn is completed before
        any other, so that each line there is whole."""
        room = [0]
        written = io.BytesIO()

        def write(descriptor: int, data: bytes) -> int:
            if not room[0]:
                raise OSError(28, "No space left on device")
            taken = written.write(data[: room[0]])
            room[0] -= taken
            return taken

        self.patch(os, "write", write)
        self.patch(os, "close", lambda descriptor: None)
        losses = Losses("the file", Clock())
        file = LineFile(99, losses)
        room[0] = 7
        file.write(["aaaa\n", "bbbb\n", "cccc\n"])
        self.assertEqual((written.getvalue(), losses.lost), (b"aaaa\nbb", 1))
        file.write(["dddd\n"])
        self.assertEqual(losses.lost, 2)
        room[0] = 8
        file.write(["eeee\n"])
        self.assertEqual((written.getvalue(), losses.lost), (b"aaaa\nbbbb\neeee\n", 2))
        room[0] = 5
        file.write(["ffff\n", "gggg\n"])
        self.assertEqual((written.getvalue()[-5:], losses.lost), (b"ffff\n", 3))
        said = len(self.logged)
        room[0] = 2
        file.write(["hhhh\n"])
        self.assertEqual((losses.lost, len(self.logged)), (3, said))
        file.close()
        self.assertEqual(losses.lost, 4)

    def test_torn(self) -> None:
        """A line that waits for its end is not lost, and none is said to be."""
        self.patch(os, "write", lambda descriptor, data: 2)
        self.patch(os, "close", lambda descriptor: None)
        file = LineFile(99, Losses("the file", Clock()))
        file.write(["aaaa\n"])
        self.assertEqual(self.logged, [])


class AccessLogTests(SinkCase):
    """Lines that are handed on together, and led elsewhere."""

    class Recorder:
        def __init__(self, form=None) -> None:
            self.lost = 0
            self.written: list[list[str]] = []
            self.told: list[str] = []
            self._form = form or (lambda exchange: exchange.request_id)

        def form(self):
            return self._form

        def write(self, lines: list[str]) -> None:
            self.written.append(lines)

        def reopen(self) -> None:
            self.told.append("reopen")

        def close(self) -> None:
            self.told.append("close")

    def setUp(self) -> None:
        super().setUp()
        self.later: list = []
        self.recorder = self.Recorder()
        self.log = accesslog.AccessLog(self.recorder, self.later.append)

    def test_one_turn(self) -> None:
        """Lines of one turn are one write at its end, in their order; the next turn's another."""
        self.log.ended(over())
        self.log.ended(over())
        self.assertEqual((self.recorder.written, len(self.later)), ([], 1))
        self.later.pop()()
        self.assertEqual(self.recorder.written, [["1", "1"]])
        self.log.ended(over())
        self.later.pop()()
        self.assertEqual(self.recorder.written, [["1", "1"], ["1"]])

    def test_no_turn(self) -> None:
        """Where nothing else is going on a line is written at once."""
        log = accesslog.AccessLog(self.recorder)
        log.ended(over())
        log.ended(over())
        self.assertEqual(self.recorder.written, [["1"], ["1"]])

    def test_end(self) -> None:
        """What is there at the end is written once, before the sink is closed."""
        self.log.ended(over())
        self.log.close()
        self.later.pop()()
        self.assertEqual((self.recorder.written, self.recorder.told), ([["1"]], ["close"]))

    def test_taken_elsewhere(self) -> None:
        """Lines of before go where they were to go, later ones elsewhere and in its form; what was
        lost is counted on."""
        other = self.Recorder(lambda exchange: "other")
        self.recorder.lost, other.lost = 2, 1
        self.log.ended(over())
        self.log.take(other)
        self.log.ended(over())
        self.log.flush()
        self.assertEqual((self.recorder.written, self.recorder.told), ([["1"]], ["close"]))
        self.assertEqual(other.written, [["other"]])
        self.assertEqual(self.log.lost, 3)

    def test_reopen(self) -> None:
        """What was said before a reopening is written before it."""
        self.log.ended(over())
        self.log.reopen()
        self.assertEqual((self.recorder.written, self.recorder.told), ([["1"]], ["reopen"]))


class FileTests(SinkCase):
    def setUp(self) -> None:
        super().setUp()
        self.path = self.folder / "access.log"

    def test_appended(self) -> None:
        """Lines are appended, and each is there as soon as it is written."""
        self.path.write_text("before\n")
        sink = self.sink(file=self.path)
        sink.write([LINE, LINE])
        self.assertEqual(self.path.read_text(), f"before\n{LINE}{LINE}")
        sink.close()

    def test_not_for_everybody(self) -> None:
        """A new file is not for everybody to read."""
        self.sink(file=self.path).close()
        self.assertEqual(self.path.stat().st_mode & 0o137, 0)

    def test_cannot_be_opened(self) -> None:
        """A file that cannot be opened is a complaint that names it, and where it is from."""
        path = self.folder / "none" / "access.log"
        error = self.assertRaises(ConfigurationError, self.sink, file=path)
        self.assertIn(f"gateway.yaml: access_log: {path} cannot be opened: No such", str(error))
        origin = Origin("gateway.yaml", 7, "access_log.file")
        error = self.assertRaises(ConfigurationError, self.sink, file=self.folder, origin=origin)
        self.assertIn(f"gateway.yaml:7: access_log.file: {self.folder} cannot be op", str(error))

    def test_fifo_without_reader(self) -> None:
        """A FIFO that nobody reads is a complaint, not a gateway that waits for ever."""
        os.mkfifo(self.path)
        error = self.assertRaises(ConfigurationError, self.sink, file=self.path)
        self.assertIn("No such device or address", str(error))

    async def test_fifo(self) -> None:
        """A FIFO is written to; when it is not read lines wait, then they are lost and counted, and
        the gateway goes on."""
        os.mkfifo(self.path)
        reader = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK)
        self.addCleanup(os.close, reader)
        sink = self.sink(file=self.path)
        self.addCleanup(sink.close)
        lines = [f"{number:0100d}\n" for number in range(20_000)]
        sink.write(lines)
        self.assertTrue(5_000 < sink.lost < 12_000, sink.lost)
        self.assertEqual(len(self.logged), 1, self.logged)
        kept = 20_000 - sink.lost
        found = b""
        while found.count(b"\n") < kept:
            try:
                found += os.read(reader, 65536)
            except BlockingIOError:
                await deferLater(reactor, 0)
        self.assertEqual(found.decode(), "".join(lines[:kept]))
        await eventually(lambda: len(self.logged) == 2)
        sink.write(["more\n"])
        await eventually(lambda: os.read(reader, 100) == b"more\n")

    def test_renamed(self) -> None:
        """After a rename lines go to the renamed file until it is reopened, then to the new one:
        none is lost, none is there twice."""
        sink = self.sink(file=self.path)
        moved = self.folder / "access.log.1"
        sink.write(["1\n"])
        self.path.rename(moved)
        sink.write(["2\n"])
        sink.reopen()
        sink.write(["3\n"])
        sink.reopen()
        sink.write(["4\n"])
        sink.close()
        self.assertEqual((moved.read_text(), self.path.read_text()), ("1\n2\n", "3\n4\n"))
        self.assertIn("is opened anew", self.logged[0])

    def test_descriptors(self) -> None:
        """Reopening keeps no descriptor open."""
        sink = self.sink(file=self.path)
        before = len(os.listdir("/proc/self/fd"))
        for _ in range(50):
            self.path.unlink()
            sink.reopen()
        self.assertEqual(len(os.listdir("/proc/self/fd")), before)
        sink.close()

    def test_cannot_be_reopened(self) -> None:
        """If it cannot be reopened the lines go on to where they went, and that is said."""
        sink = self.sink(file=self.path)
        moved = self.folder / "moved"
        self.path.rename(moved)
        self.path.mkdir()
        sink.reopen()
        sink.write([LINE])
        self.assertEqual(moved.read_text(), LINE)
        self.assertEqual(len(self.logged), 1)
        self.assertIn(f"{self.path} cannot be opened anew: Is a directory", self.logged[0])
        self.path.rmdir()
        sink.reopen()
        sink.write([LINE])
        self.assertEqual((moved.read_text(), self.path.read_text()), (LINE, LINE))
        sink.close()
