"""The load clients, in C and in Python, with a real nginx before the backends."""

from __future__ import annotations

import atexit
import functools
import shutil
import sys
import tempfile
from pathlib import Path

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from benchmarks.load import client
from benchmarks.load.client import Load, Report
from benchmarks.peers.nginx import Nginx
from benchmarks.stage import BIG, FOLLOW, SMALL, UPLOAD, Stage, make_keys

SIZE = 1_000_000


@functools.cache
def room() -> Path:
    """A folder for what all tests share."""
    folder = Path(tempfile.mkdtemp(prefix="gateway-bench-")).resolve()
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    folder.chmod(0o755)
    return folder


@functools.cache
def keys() -> Path:
    """A PKI: the keys of a size that takes its time are made once."""
    return make_keys(room() / "pki")


@functools.cache
def compiled() -> tuple[list[str], str]:
    """The client in C, or what there is in its place."""
    return client.build(room())


class LoadTests:
    """What both clients must do; `command` says how this one is started."""

    def command(self) -> list[str]:
        """How the client is started."""
        raise NotImplementedError

    def setUp(self) -> None:
        folder = Path(tempfile.mkdtemp(prefix="gateway-bench-")).resolve()
        self.addCleanup(shutil.rmtree, folder, ignore_errors=True)
        self.stage = Stage(folder, SIZE, keys())
        try:
            self.peer = Nginx(self.stage)
        except LookupError as error:
            raise SkipTest(f"{error}: apt-get install nginx") from None
        self.addCleanup(self.stage.end)
        self.addCleanup(self.peer.end)
        self.stage.start()
        self.peer.start()
        self.load = Load(self.command(), self.stage.load_cpu, self.stage.pki, folder / "load.log")

    def report(self, mode: str, path: str, **options: float) -> Report:
        """What the client says after a run."""
        with self.load.client(mode, self.peer.port, path, **options) as running:
            return running.go()

    def timed(
        self, mode: str, path: str, seconds: float, least: float, **options: float
    ) -> tuple[Report, float]:
        """The same of a run that is over when its time is, for which it is given more where a
        busy machine let it do next to nothing.

        :param least: so many requests in a second are enough.
        :return: with the seconds that it had in the end.
        """
        while True:
            report = self.report(mode, path, seconds=seconds, **options)
            if report.errors or report.requests > least * seconds or seconds > 5:
                return report, seconds
            seconds *= 3

    def check(self, report: Report) -> None:
        """No error, and time was taken."""
        self.assertEqual((report.errors, report.error), (0, ""))
        self.assertGreater(report.requests, 0)
        self.assertGreater(report.cpu_seconds, 0)
        self.assertTrue(report.tls.startswith("TLSv1.3 "), report.tls)

    def test_kept_connections(self) -> None:
        """Many requests share few connections."""
        report, _ = self.timed("get", f"/jobs{SMALL}", 0.2, 25, connections=4)
        self.check(report)
        self.assertGreater(report.requests, 5)
        self.assertEqual(report.bytes, 280 * report.requests)
        self.assertEqual(report.handshakes, 0)

    def test_new_connections(self) -> None:
        """Each request has a handshake of its own."""
        report, _ = self.timed("connect", f"/jobs{SMALL}", 0.2, 1, connections=2)
        self.check(report)
        self.assertGreaterEqual(report.handshakes, report.requests)
        self.assertLessEqual(report.handshakes, report.requests + 2)

    def test_download(self) -> None:
        """Bodies come whole."""
        report = self.report("transfer", f"/jobs{BIG}", count=2)
        self.check(report)
        self.assertEqual(report.bytes, 2 * SIZE)

    def test_upload(self) -> None:
        """Bodies go out whole."""
        report = self.report("transfer", f"/jobs{UPLOAD}", count=2, upload=SIZE)
        self.check(report)
        self.assertEqual(report.bytes, 2 * SIZE)

    def test_rate(self) -> None:
        """As many requests go out as were asked for, and their latencies are in order."""
        report, seconds = self.timed("rate", f"/jobs{SMALL}", 0.5, 100, connections=4, rate=200)
        self.check(report)
        self.assertTrue(100 * seconds <= report.requests <= 200 * seconds + 1, report.requests)
        self.assertLessEqual(report.p50_us, report.p99_us)

    def test_idle(self) -> None:
        """Connections are held, each used once."""
        with self.load.client("idle", self.peer.port, f"/jobs{SMALL}", connections=80) as running:
            self.assertEqual((running.ready.requests, running.ready.errors), (80, 0))
            running.go()

    def test_slow(self) -> None:
        """Connections are held whose answers have begun and are not read."""
        with self.load.client("slow", self.peer.port, f"/jobs{BIG}", connections=3) as running:
            self.assertEqual((running.ready.requests, running.ready.errors), (0, 0))
            running.go()

    def test_streams(self) -> None:
        """Each line is counted with its age."""
        report, seconds = self.timed("streams", f"/logs{FOLLOW}", 1.2, 4, connections=5)
        self.check(report)
        self.assertTrue(5 <= report.requests <= 5 * (int(seconds) + 1), report.requests)
        self.assertLess(report.p50_us, 500_000)

    def test_wrong_answer(self) -> None:
        """An answer other than 200 is an error with its status line."""
        with self.load.client(
            "transfer", self.peer.port, "/nowhere", connections=1, count=1
        ) as running:
            report = running.go()
        self.assertEqual(report.errors, 1)
        self.assertIn("404", report.error)


class CompiledTests(LoadTests, SynchronousTestCase):
    """The client in C."""

    def command(self) -> list[str]:
        """Compile it."""
        command, language = compiled()
        if language != "C":
            raise SkipTest("no C compiler with OpenSSL's headers: apt-get install gcc libssl-dev")
        return command


class FallbackTests(LoadTests, SynchronousTestCase):
    """The client in Python."""

    def command(self) -> list[str]:
        """As it is."""
        return [sys.executable, str(client.HERE / "fallback.py")]
