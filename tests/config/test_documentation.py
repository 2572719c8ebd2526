"""`docs/configuration.md` says what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import attrs
from twisted.trial.unittest import SynchronousTestCase

from toolforge_gateway.config.backends import RESERVED
from toolforge_gateway.config.deadlines import LIMIT_RANGES, LONGEST
from toolforge_gateway.config.loader import MAXIMUM_SIZE
from toolforge_gateway.config.values import Limits, OpenAPIDocs, Timeouts

TEXT = (Path(__file__).parents[2] / "docs" / "configuration.md").read_text("utf-8")


def rows(heading: str) -> dict[str, list[str]]:
    """The table below a heading: first cell, without backquotes, to the others."""
    section = TEXT.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    found = {}
    for line in re.findall(r"^\| `(.*) \|$", section, re.MULTILINE):
        key, *cells = line.split(" | ")
        found[key.rstrip("`")] = cells
    return found


class DocumentationTests(SynchronousTestCase):
    """Keys, defaults and ranges."""

    def test_timeouts(self) -> None:
        """Every deadline is listed with its default, and the longest is named."""
        self.assertEqual(
            {key: float(cells[0]) for key, cells in rows("timeouts").items()},
            attrs.asdict(Timeouts()),
        )
        self.assertIn(f"at most {LONGEST} ", TEXT)

    def test_limits(self) -> None:
        """Every limit is listed with its default and range."""
        defaults = attrs.asdict(Limits())
        documented = rows("limits")
        self.assertEqual(set(documented), set(defaults))
        for key, (default, span, _meaning) in documented.items():
            expected = "absent: no bound" if defaults[key] is None else str(defaults[key])
            low, high = LIMIT_RANGES[key]
            self.assertEqual(default, expected)
            self.assertEqual(span, f"{low} to {'2⁵⁰' if high == 2**50 else high}")

    def test_reserved(self) -> None:
        """The gateway's own paths are listed."""
        for segment in RESERVED:
            self.assertIn(f"`/{segment}`", TEXT)

    def test_openapi_docs(self) -> None:
        """Every key of the section is listed with its default."""
        documented = rows("openapi_docs")
        defaults = attrs.asdict(OpenAPIDocs())
        self.assertEqual(set(documented), set(defaults))
        self.assertEqual(documented["title"][1], f"`{defaults['title']}`")
        self.assertEqual(documented["refresh"][:2], [f"1 to {LONGEST}", str(defaults["refresh"])])

    def test_size(self) -> None:
        """The largest file is what it says."""
        self.assertIn("at most 1 MiB", TEXT)
        self.assertEqual(MAXIMUM_SIZE, 1024 * 1024)
