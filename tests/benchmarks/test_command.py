"""The whole benchmark, small."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from benchmarks.processes import tree
from benchmarks.stage import program

ROOT = Path(__file__).resolve().parents[2]


class CommandTests(SynchronousTestCase):
    """`python -m benchmarks`, as `./run bench` starts it."""

    def run_it(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run it to its end."""
        return subprocess.run(
            [sys.executable, "-m", "benchmarks", *words],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=110,
            check=False,
        )

    def test_quick(self) -> None:
        """A quick run measures the gateway beside nginx, and ends with a table, figures, a chart
        and exit code 0."""
        try:
            program("nginx")
        except LookupError as error:
            raise SkipTest(f"{error}: apt-get install nginx") from None
        output = Path(self.mktemp()).resolve()
        only = "keep-alive,connect,upload,idle,streams"
        words = ["--peers", "nginx,gateway", "--only", f"{only},workers", "--output", str(output)]
        done = self.run_it("--quick", *words)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("| this gateway | OpenSSL", done.stdout)
        document = json.loads((output / "latest.json").read_text())
        for measure in only.split(","):
            self.assertEqual(set(document["measures"][measure]), {"nginx", "gateway"})
        self.assertGreater(document["measures"]["workers"]["gateway"]["median"]["least_share"], 0.1)
        cost = document["measures"]["keep-alive"]["gateway"]["median"]["cpu_us"]
        self.assertGreater(cost, 1)
        self.assertIn("<svg", (output / "latest.svg").read_text())
        shutil.rmtree(output)

    def test_told_to_end(self) -> None:
        """A run that is told to end leaves no process and no file behind."""
        try:
            program("nginx")
        except LookupError as error:
            raise SkipTest(f"{error}: apt-get install nginx") from None
        # Not trial's own: a socket of nginx's is in it, and the names of those must be short.
        temporary = Path(tempfile.mkdtemp(prefix="bench-"))
        self.addCleanup(shutil.rmtree, temporary)
        words = ["--quick", "--peers", "nginx", "--only", "keep-alive", "--seconds", "100"]
        running = subprocess.Popen(
            [sys.executable, "-m", "benchmarks", *words],
            cwd=ROOT,
            env={**os.environ, "TMPDIR": str(temporary)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.addCleanup(running.kill)
        with running, running.stderr as said:
            for line in said:
                if "keep-alive" in line:
                    break
            started = list(tree([running.pid]))
            running.terminate()
            self.assertEqual(running.wait(60), 143)
        self.assertGreater(len(started), 3)
        # Those whom it has ended are buried by whoever is their parent by now.
        patience = time.monotonic() + 20
        while left := [pid for pid in started if Path("/proc", str(pid)).exists()]:
            self.assertLess(time.monotonic(), patience, left)
            time.sleep(0.05)
        self.assertEqual(list(temporary.iterdir()), [])

    def test_unknown_peer(self) -> None:
        """A peer that there is not is a mistake, with the names that there are."""
        done = self.run_it("--peers", "apache")
        self.assertEqual(done.returncode, 2)
        self.assertIn("nginx", done.stderr)
