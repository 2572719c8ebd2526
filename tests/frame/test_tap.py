"""`twistd toolforge-gateway`, called as a program: its exit codes and complaints."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from bootstrap.environment import ROOT
from toolforge_gateway.process import NEW_OBJECTS, look_for_garbage_seldom

TWISTD = "from twisted.scripts.twistd import run; run()"


class CommandLineTests(SynchronousTestCase):
    """Nothing is started here: the command line or the configuration is wrong."""

    def setUp(self) -> None:
        """A folder to run in."""
        self.folder = Path(self.mktemp()).resolve()
        self.folder.mkdir()

    def twistd(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Call twistd in the folder, with the checkout on the path."""
        command = [sys.executable, "-c", TWISTD, *words]
        environ = {**os.environ, "PYTHONPATH": str(ROOT)}
        return subprocess.run(
            command, cwd=self.folder, env=environ, capture_output=True, text=True, check=False
        )

    def test_bad_configuration(self) -> None:
        """All complaints are printed, one a line, and the exit code is 2; no traceback."""
        file = self.folder / "bad.yaml"
        file.write_text("listne: []\nbackends: 7\n")
        done = self.twistd("-n", "toolforge-gateway", "--config", str(file))
        self.assertEqual(done.returncode, 2, done)
        self.assertIn(f"{file}:1: listne:", done.stderr)
        self.assertIn(f"{file}:2: backends:", done.stderr)
        self.assertNotIn("Traceback", done.stdout + done.stderr)

    def test_bad_configuration_in_the_background(self) -> None:
        """Without -n the complaints come before twistd leaves the terminal, and the code is 2."""
        done = self.twistd("toolforge-gateway", "--config", str(self.folder / "none.yaml"))
        self.assertEqual(done.returncode, 2, done)
        self.assertIn("none.yaml: cannot be read", done.stderr)
        self.assertFalse((self.folder / "twistd.pid").exists())

    def test_unreadable_keys(self) -> None:
        """Files that the configuration names are complained about in the same way."""
        text = (ROOT / "etc" / "gateway.yaml").read_text()
        file = self.folder / "gateway.yaml"
        file.write_text(text)
        done = self.twistd("-n", "toolforge-gateway", "--config", str(file))
        self.assertEqual(done.returncode, 2, done)
        self.assertIn("server.key", done.stderr)
        self.assertNotIn("Traceback", done.stdout + done.stderr)

    def test_wrong_command_line(self) -> None:
        """No configuration, an unknown option and a stray word exit 2 on every Twisted."""
        for words in ([], ["--confgi", "x"], ["--config", "x", "stray"], ["--config"]):
            done = self.twistd("-n", "toolforge-gateway", *words)
            self.assertEqual(done.returncode, 2, (words, done))
            self.assertIn("twistd toolforge-gateway: ", done.stderr)


class GarbageTests(SynchronousTestCase):
    def test_seldom(self) -> None:
        """Garbage is looked for less often than Python would by itself, and still found."""
        self.addCleanup(gc.unfreeze)
        self.addCleanup(gc.set_threshold, *gc.get_threshold())
        look_for_garbage_seldom()
        self.assertGreater(gc.get_threshold()[0], 700)
        found: list[dict[str, object]] = []
        gc.callbacks.append(lambda phase, info: found.append(info))
        self.addCleanup(gc.callbacks.pop)
        for _ in range(2 * NEW_OBJECTS):
            circle: list[object] = []
            circle.append(circle)
        self.assertGreater(sum(info["collected"] for info in found), NEW_OBJECTS)
