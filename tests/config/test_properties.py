"""Whatever is in the file: values, or a ConfigurationError, and nothing else."""

from __future__ import annotations

import contextlib
import tempfile
import warnings
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.config.samples import FILE
from tests.config.test_sample import SAMPLE
from toolforge_gateway.config import load, loads
from toolforge_gateway.errors import ConfigurationError

TOKENS = ["a", "&a ", "*a", "- ", "? ", ": ", "\n", "\n  ", "[", "]", "{", "}", ", ", "'", '"', "|",
          ">", "!!int ", "!x ", "%YAML 1.2", "---", "...", "#", "\\x", '"\\UFFFFFFFF"', "<<: ",
          "\ud800", "\ufeff", "\x85", "\t", "0", "listen: ", "backends:\n- "]  # fmt: skip
VALUES = ["null", "[]", "{}", "[[]]", "[{}]", "''", "x", "-1", "1.5", "true", "[x, 1]", "{x: 1}",
          "/", "https://[", "'{tool'", "'a\\'", "tcp:0:", "'('", "['/{x:(?P<n>a)}']",
          "9" * 30]  # fmt: skip
LINES = SAMPLE.splitlines()


class PropertyTests(SynchronousTestCase):
    """Hypothesis looks for a text that breaks the loader."""

    def tolerate(self, text: str) -> None:
        """Load it; a ConfigurationError is well formed, anything else is a failure."""
        with warnings.catch_warnings():
            # re tells of patterns that a later Python will read differently.
            warnings.simplefilter("ignore")
            try:
                loads(text, FILE)
            except ConfigurationError as error:
                lines = [complaint.line or 0 for complaint in error.complaints]
                self.assertTrue(lines)
                self.assertEqual(lines, sorted(lines))
                breaks = sum(text.count(sign) for sign in "\r\n\x85\u2028\u2029")
                self.assertLessEqual(lines[-1], breaks + 1)
                self.assertTrue(str(error).replace("\n", "").isprintable(), str(error))

    @settings(max_examples=150, deadline=None)
    @given(st.lists(st.sampled_from(TOKENS) | st.text(max_size=5), max_size=30).map("".join))
    def test_any_text(self, text: str) -> None:
        """Any text, in pieces that mean something to YAML."""
        self.tolerate(text)

    @settings(max_examples=150, deadline=None)
    @given(st.data())
    def test_changed_sample(self, data: st.DataObject) -> None:
        """The sample with a value exchanged, a line dropped or a line moved."""
        lines = list(LINES)
        for _ in range(data.draw(st.integers(1, 4))):
            n = data.draw(st.integers(0, len(lines) - 1))
            change = data.draw(st.sampled_from(["drop", "repeat", "value", "indent"]))
            key, colon, _rest = lines[n].partition(":")
            lines[n : n + 1] = {
                "drop": [],
                "repeat": [lines[n]] * 2,
                "value": [f"{key}{colon} {data.draw(st.sampled_from(VALUES))}"],
                "indent": [f"  {lines[n]}"],
            }[change]
        self.tolerate("\n".join(lines))

    @settings(max_examples=50, deadline=None)
    @given(st.binary(max_size=200))
    def test_any_bytes(self, data: bytes) -> None:
        """Any bytes in a file."""
        with tempfile.TemporaryDirectory() as folder, contextlib.suppress(ConfigurationError):
            path = Path(folder) / "g.yaml"
            path.write_bytes(data)
            load(path)
