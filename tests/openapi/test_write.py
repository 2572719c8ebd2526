"""JSON and YAML say the same."""

from __future__ import annotations

import json

import yaml
from hypothesis import given, settings, strategies
from twisted.trial.unittest import SynchronousTestCase

from toolforge_gateway.openapi.read import read
from toolforge_gateway.openapi.write import as_json, as_yaml

LINES = strategies.lists(strategies.text("a \t#:-|\r\x85é", max_size=4), max_size=4).map("\n".join)
TEXT = (
    LINES
    | strategies.text(max_size=12)
    | strategies.sampled_from(
        [
            "null",
            "YES",
            "1e3",
            "0o10",
            "12:30",
            "=",
            "<<",
            "- a",
            "a: b",
            "a #b",
            "{a",
            "a,",
            "'",
            "?",
        ]
    )
)
TREES = strategies.dictionaries(
    TEXT,
    strategies.recursive(
        TEXT
        | strategies.none()
        | strategies.booleans()
        | strategies.integers(-(10**20), 10**20)
        | strategies.floats(allow_nan=False, allow_infinity=False),
        lambda trees: (
            strategies.lists(trees, max_size=4) | strategies.dictionaries(TEXT, trees, max_size=4)
        ),
        max_leaves=12,
    ),
    max_size=4,
)


class WriteTests(SynchronousTestCase):
    """What is written is what is read again."""

    def test_any_tree(self) -> None:
        """Whatever the tree, YAML gives it back, under the rules of 1.1 and of 1.2."""

        @settings(max_examples=200, deadline=None)
        @given(TREES)
        def check(tree: dict) -> None:
            text = as_yaml(tree)
            self.assertEqual(json.loads(as_json(tree)), tree)
            self.assertEqual(yaml.safe_load(text), tree)
            self.assertEqual(read(text, "application/yaml"), tree)

        check()

    def test_layout(self) -> None:
        """It is laid out for people."""
        tree = {
            "openapi": "3.1.1",
            "paths": {"/a/{b}": {"get": {"tags": ["x", {"w": [], "z": [[1], {}]}], "e": 1e22}}},
            "on": None,
            "words": ["Two\n  lines", {"end": "One\n\nmore\n"}, "no\n\n", " no\nx", "no \nx"],
        }
        self.assertEqual(
            as_yaml(tree).decode(),
            """\
openapi: "3.1.1"
paths:
  /a/{b}:
    get:
      tags:
      - x
      - w: []
        z:
        - - 1
        - {}
      e: 1.0e+22
"on": null
words:
- |-
    Two
      lines
- end: |
    One

    more
- "no\\n\\n"
- " no\\nx"
- "no \\nx"
""",
        )

    def test_long_keys(self) -> None:
        """A key of any length is one."""
        tree = {"a" * 3000: {"b": "c"}, "d" * 2000: [1], "e" * 1500: "f"}
        self.assertEqual(yaml.safe_load(as_yaml(tree)), tree)

    def test_deep(self) -> None:
        """What is too deep for the stack of one is written by the other, if that can."""
        tree: dict = {}
        for _ in range(900):
            tree = {"a": tree}
        self.assertEqual(json.loads(as_json(tree)), tree)
        self.assertTrue(as_yaml(tree))

    def test_not_to_be_said(self) -> None:
        """What JSON cannot say is an error, and not a document."""
        for value in [float("nan"), float("inf"), "\ud800"]:
            with self.assertRaises(ValueError):
                as_json({"a": value})
