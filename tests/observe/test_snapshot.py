"""The board that sections put themselves on, and what is read from it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from toolforge_gateway.observe.snapshot import FRESH, Board, Section, Snapshot


def said(snapshot: Snapshot) -> dict[str, Any]:
    """As plain values, to compare."""
    return {
        each.name: dict(each.value)
        if hasattr(each.value, "keys")
        else [dict(row) for row in each.value]
        for each in snapshot.sections
    }


class BoardTests(SynchronousTestCase):
    def setUp(self) -> None:
        """An empty board."""
        self.clock = Clock()
        self.clock.advance(1_800_000_000)
        self.board = Board(self.clock)

    def add(self, name: str, read: Callable[[], Any], *public: str) -> None:
        self.board.add(Section(name, name.title(), read, frozenset(public)))

    def test_empty(self) -> None:
        """Nothing to say is an empty snapshot."""
        self.assertEqual(self.board.whole(), Snapshot(1_800_000_000, ()))
        self.assertEqual(self.board.public(), Snapshot(1_800_000_000, ()))

    def test_order(self) -> None:
        """Sections come in the order in which they were added, later ones too."""
        self.add("one", lambda: {"a": 1})
        self.board.whole()
        self.add("two", lambda: [{"b": 2}])
        self.assertEqual(said(self.board.whole()), {"one": {"a": 1}, "two": [{"b": 2}]})
        self.assertEqual([each.title for each in self.board.whole().sections], ["One", "Two"])

    def test_twice(self) -> None:
        """Two sections of one name would hide each other."""
        self.add("one", dict)
        with self.assertRaises(ValueError):
            self.add("one", dict)

    def test_public(self) -> None:
        """Everyone sees the values that are named public; a section without any is not there."""
        self.add("backends", lambda: [{"name": "a", "state": "up", "why": "x"}], "name", "state")
        self.add("gateway", lambda: {"state": "running", "version": "1"}, "state")
        self.add("certificates", lambda: [{"name": "secret"}])
        self.assertEqual(
            said(self.board.public()),
            {"backends": [{"name": "a", "state": "up"}], "gateway": {"state": "running"}},
        )
        self.assertEqual(len(self.board.whole().sections), 3)

    def test_broken(self) -> None:
        """A section that breaks says so, and the others are there; nobody else learns why."""

        def broken() -> Any:
            raise RuntimeError("/etc/secret")

        self.add("one", broken, "a")
        self.add("two", lambda: {"b": 2})
        self.assertEqual(
            said(self.board.whole()), {"one": {"trouble": "cannot be read"}, "two": {"b": 2}}
        )
        self.assertEqual(said(self.board.public()), {"one": {}})
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    def test_seldom(self) -> None:
        """However many ask, the sections are asked once a second."""
        asked: list[int] = []
        self.add("one", lambda: {"a": asked.append(1)}, "a")
        for _ in range(100):
            self.board.whole()
            self.board.public()
        self.assertEqual(len(asked), 1)
        self.clock.advance(FRESH)
        self.board.public()
        self.board.whole()
        self.assertEqual(len(asked), 2)

    def test_clock_set_back(self) -> None:
        """A clock that is set back does not freeze the board."""
        asked: list[int] = []
        self.add("one", lambda: {"a": asked.append(1)})
        self.board.whole()
        self.clock.rightNow -= 3600
        self.board.whole()
        self.assertEqual(len(asked), 2)

    def test_frozen(self) -> None:
        """What was said stays as it was said, whatever the section does with its values."""
        value = {"a": 1}
        self.add("one", lambda: value)
        snapshot = self.board.whole()
        value["a"] = 2
        self.assertEqual(said(snapshot), {"one": {"a": 1}})
        with self.assertRaises(TypeError):
            snapshot.sections[0].value["a"] = 3  # type: ignore[index]
