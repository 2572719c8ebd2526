"""Environments are whole or are made anew."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import sys
import zipfile
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from bootstrap.environment import MARKER, ROOT, Environment, SetupFailed


def write_wheel(folder: Path) -> str:
    """Write the wheel of a package `sample`, with one module.

    :return: a lock file that names it.
    """
    path = folder / "sample-1.0-py3-none-any.whl"
    info = "sample-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr("sample.py", "")
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: sample\nVersion: 1.0\n")
        wheel.writestr(
            f"{info}/WHEEL",
            "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        )
        wheel.writestr(f"{info}/RECORD", f"sample.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n")
    return f"sample==1.0 --hash=sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}\n"


class EnvironmentTests(SynchronousTestCase):
    """A small environment, made from a folder of wheels by this Python's own pip."""

    def setUp(self) -> None:
        """A checkout with two lock files."""
        self.root = Path(self.mktemp()).resolve()
        (self.root / "requirements").mkdir(parents=True)
        wheels = self.root / "wheels"
        wheels.mkdir()
        self.lock("sample", write_wheel(wheels))
        self.lock("bootstrap", f"pip==1.0 --hash=sha256:{'0' * 64}\n")
        self.environment = Environment(".venv", ("sample",), root=self.root)
        self.patch(os, "environ", os.environ | self.pip(wheels))
        self.patch(sys, "stderr", io.StringIO())

    def pip(self, wheels: Path) -> dict[str, str]:
        """What makes pip look into one folder only."""
        return {
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": str(wheels),
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_USER": "1",  # which must not lead packages astray
        }

    def lock(self, name: str, text: str) -> None:
        """Write a lock file."""
        (self.root / "requirements" / f"{name}.txt").write_text(text)

    def imports(self) -> int:
        """The exit code of importing the package in the environment."""
        command = [str(self.environment.program("python")), "-c", "import sample"]
        return subprocess.run(command, capture_output=True, check=False).returncode

    def test_made_once(self) -> None:
        """It is made, and then left alone."""
        self.environment.ensure()
        self.assertTrue(self.environment.complete())
        self.assertEqual(self.imports(), 0)
        made = self.environment.folder.stat().st_ino
        self.environment.ensure()
        self.assertEqual(self.environment.folder.stat().st_ino, made)

    def test_half_made(self) -> None:
        """A folder that was left in the middle, with a Python but no marker, is made anew."""
        self.environment.ensure()
        (self.environment.folder / MARKER).unlink()
        stray = self.environment.folder / "stray"
        stray.touch()
        self.assertFalse(self.environment.complete())
        self.environment.ensure()
        self.assertTrue(self.environment.complete())
        self.assertFalse(stray.exists())

    def test_other_lock(self) -> None:
        """A changed lock file asks for another environment, and so does a moved checkout."""
        self.environment.ensure()
        moved = self.root.with_name(self.root.name + "-moved")
        self.root.rename(moved)
        self.assertFalse(Environment(".venv", ("sample",), root=moved).complete())
        moved.rename(self.root)
        self.assertTrue(self.environment.complete())
        self.lock("sample", "# changed\n")
        self.assertFalse(self.environment.complete())

    def test_python_gone(self) -> None:
        """An environment whose Python is no longer there is not complete."""
        self.environment.ensure()
        self.environment.program("python").unlink()
        self.assertFalse(self.environment.complete())

    def test_failure_is_not_complete(self) -> None:
        """Where pip fails there is an error and no marker, so that the next run starts over."""
        self.lock("sample", f"sample==1.0 --hash=sha256:{'0' * 64}\n")
        error = self.assertRaises(SetupFailed, self.environment.ensure)
        self.assertIn("sample==1.0", str(error))
        self.assertFalse(self.environment.complete())

    def test_two_at_once(self) -> None:
        """Of two that start together one makes it, the other waits and uses it."""
        script = (
            "import sys; from pathlib import Path; from bootstrap.environment import Environment;"
            "Environment('.venv', ('sample',), root=Path(sys.argv[1])).ensure()"
        )
        both = [
            subprocess.Popen(
                [sys.executable, "-c", script, str(self.root)],
                cwd=ROOT,
                env=dict(os.environ),
                stderr=subprocess.PIPE,
                text=True,
            )
            for _ in range(2)
        ]
        said = [process.communicate()[1] for process in both]
        self.assertEqual([process.returncode for process in both], [0, 0], said)
        self.assertEqual("".join(said).count("making .venv"), 1, said)
        self.assertEqual(self.imports(), 0)


class CommandLineTests(SynchronousTestCase):
    """./run itself."""

    def run_it(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Call it as a person does."""
        command = [sys.executable, str(ROOT / "run"), *words]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    def test_help(self) -> None:
        """Help names every command and exits 0; so does no command at all, and a command's
        `--help` begins nothing."""
        asked = (["help"], ["--help"], [], ["chart", "--help"], ["lint", "-h"], ["release", "-h"])
        for words in asked:
            done = self.run_it(*words)
            self.assertEqual(done.returncode, 0, done.stderr)
            for name in ("demo", "test", "lint", "tox"):
                self.assertIn(f"./run {name}", done.stdout)

    def test_unknown(self) -> None:
        """A command that is none exits 2 and shows which there are."""
        done = self.run_it("tset")
        self.assertEqual(done.returncode, 2)
        self.assertIn("'tset'", done.stderr)
        self.assertIn("./run test", done.stderr)
