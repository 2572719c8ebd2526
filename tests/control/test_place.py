"""The socket's file: made safely, removed at the end."""

from __future__ import annotations

import fcntl
import os
import socket
import stat
import tempfile
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from toolforge_gateway.control.place import LONGEST, MODE, Place


def folder(test: SynchronousTestCase) -> Path:
    """A folder with a name that is short enough for a Unix socket."""
    temporary = tempfile.TemporaryDirectory(prefix="tg-")
    test.addCleanup(temporary.cleanup)
    return Path(temporary.name)


class PlaceTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = folder(self)
        self.path = self.folder / "control"

    def place(self) -> Place:
        made = Place(self.path)
        self.addCleanup(made.close)
        return made

    def connect(self) -> socket.socket:
        caller = socket.socket(socket.AF_UNIX)
        self.addCleanup(caller.close)
        caller.connect(str(self.path))
        return caller

    def test_listens(self) -> None:
        """Somebody can connect, and nothing else has been left in the folder."""
        self.place()
        self.connect()
        self.assertEqual(os.listdir(self.folder), ["control"])

    def test_mode(self) -> None:
        """Only its owner may open it, whatever the umask."""
        for mask in (0, 0o777):
            before = os.umask(mask)
            try:
                made = Place(self.path)
            finally:
                os.umask(before)
            self.assertEqual(stat.S_IMODE(self.path.stat().st_mode), MODE)
            made.close()

    def test_removed(self) -> None:
        """At the end its file is gone."""
        self.place().close()
        self.assertEqual(os.listdir(self.folder), [])

    def test_locked_folder(self) -> None:
        """Somebody who has locked the folder, as whoever may read it can, holds nobody up."""
        held = os.open(self.folder, os.O_RDONLY)
        self.addCleanup(os.close, held)
        fcntl.flock(held, fcntl.LOCK_EX)
        made = self.place()
        self.connect()
        made.close()
        self.assertEqual(os.listdir(self.folder), [])

    def test_stale(self) -> None:
        """What a dead process has left is replaced."""
        left = socket.socket(socket.AF_UNIX)
        left.bind(str(self.path))
        left.close()
        self.place()
        self.connect()

    def test_stale_beside(self) -> None:
        """So is what one has left that died in the middle of making it."""
        left = socket.socket(socket.AF_UNIX)
        left.bind(f"{self.path}.new")
        left.close()
        self.place()
        self.assertEqual(os.listdir(self.folder), ["control"])

    def test_living(self) -> None:
        """A socket on which another one listens is an error, and stays as it is."""
        self.place()
        error = self.assertRaises(OSError, Place, self.path)
        self.assertIn("another process listens there", str(error))
        self.connect()
        self.assertEqual(os.listdir(self.folder), ["control"])

    def test_living_and_busy(self) -> None:
        """Also one whose queue is full."""
        living = socket.socket(socket.AF_UNIX)
        self.addCleanup(living.close)
        living.bind(str(self.path))
        living.listen(0)
        self.connect()
        self.assertRaises(OSError, Place, self.path)
        self.assertTrue(self.path.is_socket())

    def test_no_socket(self) -> None:
        """A file that is no socket, or a link to one, is never removed."""
        self.path.write_text("dear")
        error = self.assertRaises(OSError, Place, self.path)
        self.assertIn("no socket", str(error))
        self.assertEqual(self.path.read_text(), "dear")
        self.path.unlink()
        self.path.symlink_to(self.folder / "elsewhere")
        self.assertRaises(OSError, Place, self.path)
        self.assertTrue(self.path.is_symlink())

    def test_not_ours_any_more(self) -> None:
        """What somebody else has put there since is not removed at the end."""
        made = self.place()
        self.path.unlink()
        self.path.write_text("dear")
        made.close()
        self.assertEqual(self.path.read_text(), "dear")

    def test_gone_already(self) -> None:
        """An end after its file or its folder has gone is an end."""
        made = self.place()
        self.path.unlink()
        made.close()

    def test_no_folder(self) -> None:
        """Without the folder it says so."""
        self.assertRaises(FileNotFoundError, Place, self.folder / "none" / "control")

    def test_longest(self) -> None:
        """The longest path that is allowed works."""
        self.path = self.folder / ("x" * (LONGEST - len(str(self.folder)) - 1))
        self.place()
        self.connect()
