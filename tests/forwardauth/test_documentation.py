"""docs/forward-auth.md says what the code knows."""

from __future__ import annotations

import re
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from toolforge_gateway.forwardauth.dialects import DIALECTS

DOCS = Path(__file__).resolve().parents[2] / "docs"


class DocumentationTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.text = (DOCS / "forward-auth.md").read_text(encoding="utf-8")

    def test_dialects(self) -> None:
        """The table has each dialect with each of its headers."""
        for dialect in DIALECTS.values():
            row = re.search(rf"(?m)^\| `{dialect.name}` \|(.*)$", self.text)
            assert row is not None, dialect.name
            named = {name.lower().encode() for name in re.findall(r"`([A-Z][A-Za-z-]+)`", row[1])}
            self.assertEqual(named, dialect.fields)

    def test_files(self) -> None:
        """Each file of the folder is linked, and no other."""
        linked = set(re.findall(r"\(forward-auth/([^)]+)\)", self.text))
        self.assertEqual(linked, {path.name for path in (DOCS / "forward-auth").iterdir()})
