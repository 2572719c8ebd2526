"""`docs/operations.md` explains every reason word that the program can give, and no other."""

from __future__ import annotations

import functools
import re
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.frame.reasons import Unreadable, Word, words
from toolforge_gateway.policy import ALLOWED

TEXT = (Path(__file__).parents[2] / "docs" / "operations.md").read_text("utf-8")


@functools.cache
def given() -> list[Word]:
    """The words of the source, which is read once."""
    return words()


def documented() -> dict[str, str]:
    """The words of the tables, and the status beside each."""
    section = TEXT.partition("\n## Reason words\n")[2].partition("\n## ")[0]
    found: dict[str, str] = {}
    for word, status in re.findall(r"(?m)^\| `([^`]*)` \| ([^|]*) \|", section):
        assert word not in found, f"{word} is there twice"
        found[word] = status
    return found


class ReasonTests(SynchronousTestCase):
    def test_all(self) -> None:
        """Each word of the source has a row in "Reason words", and each row a word: who adds one
        says what it means, and what the caller and the operators are to do."""
        there = {each.word: each.place for each in given()}
        missing = {word: place for word, place in there.items() if word not in documented()}
        self.assertEqual(missing, {}, "add a row to docs/operations.md, Reason words")
        self.assertEqual(set(documented()) - set(there), set(), "no part of the source says these")

    def test_statuses(self) -> None:
        """The status beside a word is the one that comes with it."""
        statuses: dict[str, set[str]] = {}
        for each in given():
            if each.status is not None:
                statuses.setdefault(each.word, set()).add(str(each.status))
        for word, expected in statuses.items():
            self.assertEqual({documented()[word]}, expected, word)

    def test_rows_say_something(self) -> None:
        """No row has an empty cell."""
        for row in re.findall(r"(?m)^\| `[a-z0-9-]+` \|.*$", TEXT.partition("Reason words\n")[2]):
            cells = [cell.strip() for cell in row.strip("|").split("|")]
            if len(cells) == 5:
                self.assertTrue(all(cells), row)

    def test_decisions(self) -> None:
        """The words of allowed requests are found as well."""
        self.assertEqual(ALLOWED - {each.word for each in given()}, set())

    def test_forms(self) -> None:
        """A word is plain: lower case, with hyphens."""
        for each in given():
            self.assertRegex(each.word, "^[a-z][a-z0-9]*(-[a-z0-9]+)*$", each.place)

    def test_hidden(self) -> None:
        """A word that is put together while the program runs is complained about, not missed."""
        package = Path(self.mktemp()) / "toolforge_gateway"
        package.mkdir(parents=True)
        (package / "here.py").write_text(
            "def refused(reason, text):\n    return Refusal(403, reason, text)\n"
            "class Here:\n"
            "    def no(self, reason):\n        raise errors.BadEvidence(401, reason, '')\n"
            "    def all(self):\n        self.no('of-a-method')\n"
            "WORD = 'a-constant'\nrefused('by-a-maker', '')\nRefusal(400, WORD, '')\n"
            "Decision('x' if y else 'z')\nexchange.reason = 'given'\n"
        )
        (package / "there.py").write_text(
            "from toolforge_gateway.here import refused as no\nno('from-elsewhere', '')\n"
        )
        found = {(each.word, each.status) for each in words(package, package)}
        self.assertEqual(
            found,
            {("of-a-method", 401), ("a-constant", 400), ("by-a-maker", 403)}
            | {("x", None), ("z", None), ("given", None), ("from-elsewhere", 403)},
        )
        for hidden in ("Refusal(400, f'no-{x}', '')", "Refusal(400, word, '')", "Decision(f())"):
            (package / "here.py").write_text(f"{hidden}\n")
            (package / "there.py").write_text("")
            self.assertRaises(Unreadable, words, package, package)
