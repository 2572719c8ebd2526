"""Imports only go down: which room of the project may use which other."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

import toolforge_gateway

PACKAGE = Path(toolforge_gateway.__file__).resolve().parent
NAME = "toolforge_gateway"

LAYERS: dict[str, int] = {
    "_version": 0,
    "errors": 0,
    "interfaces": 0,
    "model": 0,
    "deadlines": 1,
    "dn": 1,
    "forwardauth": 1,
    "forwarded": 1,
    "headers": 1,
    "http": 1,
    "location": 1,
    "policy": 1,
    "reach": 1,
    "routing": 1,
    "tracecontext": 1,
    "listen": 2,
    "control": 2,
    "lookup": 2,
    "transport": 2,
    "config": 2,
    "systemd": 2,
    "auth": 3,
    "observe": 3,
    "pages": 3,
    "openapi": 3,
    "proxy": 3,
    "tls": 3,
    "edge": 4,
    "aggregate": 5,
    "openings": 5,
    "operators": 5,
    "parts": 5,
    "prepared": 5,
    "process": 5,
    "reload": 5,
    "explain": 5,
    "leading": 5,
    "measured": 5,
    "overview": 5,
    "service": 5,
    "cli": 6,
    "workers": 6,
    "demo": 6,
    "tap": 6,
    "testing": 7,
}
"""Each room of the package, and how high it is.  A new room needs a place here."""

STRANGERS = 3
"""The layer whose rooms never import one another; they meet through interfaces."""

OF_TESTING = {"demo", "testing"}
"""The rooms that may import `testing`; tests may as well."""

WITH_REACTOR = {"cli", "demo", "tap", "workers"}
"""The rooms that may import the reactor; everywhere else it is an argument."""

PURE = {0: {"attrs", "zope"}, 1: {"attrs", "zope"}}
"""All that the lowest layers may import besides the standard library and the project."""

PURE_BUT = {("deadlines", "twisted")}
"""Time is Twisted's, as an interface; the room takes it as an argument."""


def modules() -> Iterator[tuple[str, Path]]:
    """Every module of the package with its dotted name below it."""
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        if name:
            yield name, path


def imports(name: str, path: Path) -> Iterator[str]:
    """The full names of all that a module imports, wherever in it, for whatever reason."""
    package = [NAME, *name.split(".")]
    if path.name != "__init__.py":
        package.pop()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package[: len(package) - node.level + 1]
                base = ".".join([*above, base] if base else above)
            yield from (f"{base}.{alias.name}" for alias in node.names)


def rooms_imported(name: str, path: Path) -> set[str]:
    """The project's other rooms that a module imports."""
    own = name.partition(".")[0]
    found = set()
    for imported in imports(name, path):
        if imported.startswith(NAME + "."):
            found.add(imported.split(".")[1])
    return found - {own, "__version__"}


class LayerTests(SynchronousTestCase):
    """Every import statement of the package is looked at."""

    def test_every_room_has_a_place(self) -> None:
        """The table has every room there is."""
        there = {name.partition(".")[0] for name, _ in modules()}
        self.assertEqual(there - set(LAYERS), set())

    def test_only_down(self) -> None:
        """No module imports from a layer above its own."""
        wrong = [
            f"{name} (layer {LAYERS[own]}) imports {other} (layer {LAYERS[other]})"
            for name, path in modules()
            for own in [name.partition(".")[0]]
            for other in sorted(rooms_imported(name, path))
            if LAYERS[other] > LAYERS[own] and not (other == "testing" and own in OF_TESTING)
        ]
        self.assertEqual(wrong, [])

    def test_strangers(self) -> None:
        """proxy, auth, tls and observe do not know one another."""
        wrong = [
            f"{name} imports {other}"
            for name, path in modules()
            for other in sorted(rooms_imported(name, path))
            if LAYERS[name.partition(".")[0]] == LAYERS[other] == STRANGERS
        ]
        self.assertEqual(wrong, [])

    def test_no_circle(self) -> None:
        """Rooms of one layer that use each other do so in one direction."""
        uses: dict[str, set[str]] = {room: set() for room in LAYERS}
        for name, path in modules():
            own = name.partition(".")[0]
            uses[own] |= {
                other for other in rooms_imported(name, path) if LAYERS[other] == LAYERS[own]
            }
        while free := {room for room, others in uses.items() if not others}:
            uses = {room: others - free for room, others in uses.items() if room not in free}
        self.assertEqual(uses, {})

    def test_testing(self) -> None:
        """What is there for tests is used by tests and the demonstration only."""
        users = {
            name.partition(".")[0]
            for name, path in modules()
            if "testing" in rooms_imported(name, path)
        }
        self.assertEqual(users - OF_TESTING, set())

    def test_reactor(self) -> None:
        """Only where programs begin is the reactor imported."""
        users = {
            name
            for name, path in modules()
            if "twisted.internet.reactor" in imports(name, path)
            and name.partition(".")[0] not in WITH_REACTOR
        }
        self.assertEqual(users, set())

    def test_pure(self) -> None:
        """The lowest layers import attrs and zope.interface, and nothing else of others."""
        wrong = []
        for name, path in modules():
            own = name.partition(".")[0]
            allowed = PURE.get(LAYERS[own])
            if allowed is None:
                continue
            for imported in imports(name, path):
                top = imported.partition(".")[0]
                known = top == NAME or top in sys.stdlib_module_names or top in allowed
                if not known and (own, top) not in PURE_BUT:
                    wrong.append(f"{name} imports {imported}")
        self.assertEqual(wrong, [])
