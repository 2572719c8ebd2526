"""What the pages bring along of others is what it is said to be, with its licence."""

from __future__ import annotations

import shutil
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from bootstrap.environment import ROOT
from bootstrap.vendored import FOLDER, LIST, faults
from toolforge_gateway.pages.assets import read_static


class VendoredTests(SynchronousTestCase):
    """`bootstrap.vendored`."""

    def setUp(self) -> None:
        """A copy to change."""
        self.folder = Path(self.mktemp())
        shutil.copytree(FOLDER, self.folder)

    def test_as_listed(self) -> None:
        """No file was changed, and none is there that the list does not have."""
        self.assertEqual(faults(), [])

    def test_changes_are_seen(self) -> None:
        """A changed, a missing and a strange file are each told."""
        (self.folder / "commonmark" / "commonmark.js").write_text("// changed")
        (self.folder / "mdurl" / "LICENSE.txt").unlink()
        (self.folder / "stray.js").touch()
        self.assertEqual(
            faults(self.folder),
            [
                "mdurl/LICENSE.txt is missing",
                "stray.js is not listed",
                "commonmark/commonmark.js was changed",
            ],
        )

    def test_licences(self) -> None:
        """Each has its licence beside it, and is served with it."""
        for folder in FOLDER.iterdir():
            if folder.is_dir():
                self.assertIn(f"vendor/{folder.name}/LICENSE.txt", read_static())

    def test_told(self) -> None:
        """The table for people names what the list has, in its version."""
        text = (FOLDER / "README.md").read_text(encoding="utf-8")
        self.assertIn(LIST, text)
        self.assertIn("| `commonmark` |", text)
        self.assertIn("| 0.31.2 |", text)
        self.assertIn("docs/pages.md", (ROOT / "docs" / "architecture.md").read_text("utf-8"))

    def test_readable(self) -> None:
        """No script or style is minified: what is served can be read and changed."""
        for name, data in read_static().items():
            if name.endswith((".js", ".css")):
                lengths = sorted(map(len, data.splitlines()))
                # A few lines are tables of characters, or patterns.
                self.assertLess(lengths[len(lengths) * 99 // 100], 130, name)
