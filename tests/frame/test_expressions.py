"""Regular expressions mean the same on every Python that the gateway runs on."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

import toolforge_gateway

PACKAGE = Path(toolforge_gateway.__file__).parent

_POSSESSIVE_GROUP = re.compile(r"(?<![\\(])\)(?:[*+?]|\{[0-9,]+\})\+")
_CLASS = re.compile(r"(?<!\\)\[(?:\\.|[^\]\\])+\]", re.DOTALL)


def texts(source: str) -> Iterator[tuple[int, str]]:
    """The line and the value of each literal, text or bytes, with what is put into it left out."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str | bytes):
            value = node.value
            yield node.lineno, value if isinstance(value, str) else value.decode("latin-1")


def possessive_groups(source: str) -> list[tuple[int, str]]:
    """Where a group is repeated possessively."""
    return [
        (line, text)
        for line, text in texts(source)
        if _POSSESSIVE_GROUP.search(_CLASS.sub("x", text))
    ]


class ExpressionTests(SynchronousTestCase):
    """Python before 3.11.5, and so Debian 12's, is wrong about possessive repetitions of groups:
    `re.fullmatch('(?:ab?c)*+', 'a')` matches there."""

    def test_no_possessive_groups(self) -> None:
        """No expression of the gateway repeats a group possessively; `(?>(?:...)*)` does it."""
        found = {
            f"{path.relative_to(PACKAGE)}:{line}": text
            for path in sorted(PACKAGE.rglob("*.py"))
            for line, text in possessive_groups(path.read_text(encoding="utf-8"))
            if "\n" not in text  # no expression but a docstring
        }
        self.assertEqual(found, {})

    def test_finds_them(self) -> None:
        """The search finds what it is for, and nothing else."""
        for expression, wanted in [
            ("(?:ab?c)*+", True),
            ("(?:ab?c)++d", True),
            ("(a|b)?+", True),
            ("(a|b){1,3}+", True),
            ("(?>(?:ab?c)*)", False),
            ("[()*+]", False),
            ("a*+b++", False),
            (r"\(a\)*+", False),
        ]:
            found = possessive_groups(f"x = {expression!r}")
            self.assertEqual(bool(found), wanted, expression)
