"""Every reason word that the program can give, found in its source.

A word is the second argument of a `Refusal` (or of a class made from it), the argument of a
function that hands it on to one, the first of a `Decision`, or is given to an exchange.  What
cannot be read from the source is an error, so that no word can hide.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import attrs

from toolforge_gateway import errors

PACKAGE = Path(errors.__file__).parent
PLUGINS = PACKAGE.parent / "twisted" / "plugins"

REFUSALS = {
    name
    for name, found in vars(errors).items()
    if isinstance(found, type) and issubclass(found, errors.Refusal)
}
NOT_OF_EXCHANGES = ("/errors.py", "/observe/health.py")
"""Modules whose attributes called `reason` belong to something else, or are the word itself."""


@attrs.frozen
class Word:
    """One place where a word is given."""

    word: str
    status: int | None
    """None: not an answer of our own."""
    place: str


class Unreadable(AssertionError):
    """A reason that is no plain text: write it out."""


def words(package: Path = PACKAGE, plugins: Path = PLUGINS) -> list[Word]:
    """All of them.

    :raise Unreadable: a word is put together while the program runs.
    """
    modules = {
        path.relative_to(package.parent).as_posix(): ast.parse(path.read_text("utf-8"))
        for path in [*sorted(package.rglob("*.py")), *sorted(plugins.glob("*.py"))]
    }
    makers = {name: dict(_makers(tree)) for name, tree in modules.items()}
    found: list[Word] = []
    for name, tree in modules.items():
        if name.startswith((f"{package.name}/testing/", f"{package.name}/demo/")):
            continue
        known = makers[name] | _imported_makers(tree, makers, package.name)
        found += _words(name, tree, known)
    return found


def _makers(tree: ast.Module) -> Iterator[tuple[str, tuple[int, int | None]]]:
    """Functions that make a refusal of a word that they are given: which of their arguments that
    is, and with which status."""
    for function in ast.walk(tree):
        if not isinstance(function, ast.FunctionDef):
            continue
        names = [argument.arg for argument in function.args.args]
        for call in ast.walk(function):
            if isinstance(call, ast.Call) and _name(call.func) in REFUSALS and len(call.args) > 1:
                word = call.args[1]
                if isinstance(word, ast.Name) and word.id in names:
                    yield function.name, (names.index(word.id), _status(call.args[0]))
        if function.name == "note_reason":
            yield function.name, (names.index("reason"), None)


def _handed_on(tree: ast.Module) -> set[str]:
    """What makers call the word that they are given."""
    makers = dict(_makers(tree))
    return {
        node.args.args[makers[node.name][0]].arg
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and node.name in makers
    }


def _imported_makers(
    tree: ast.Module, makers: dict[str, dict[str, tuple[int, int | None]]], package: str
) -> dict[str, tuple[int, int | None]]:
    found = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(package):
            there = makers.get(f"{(node.module or '').replace('.', '/')}.py", {})
            for alias in node.names:
                if alias.name in there:
                    found[alias.asname or alias.name] = there[alias.name]
    return found


def _words(
    name: str, tree: ast.Module, makers: dict[str, tuple[int, int | None]]
) -> Iterator[Word]:
    for node in ast.walk(tree):
        place = f"{name}:{getattr(node, 'lineno', 0)}"
        if isinstance(node, ast.Call):
            called = _name(node.func)
            if called in REFUSALS and len(node.args) > 1:
                status = _status(node.args[0])
                yield from _read(node.args[1], status, place, tree)
            elif called == "Decision" and node.args:
                yield from _read(node.args[0], None, place, tree)
            elif called in makers:
                position, status = makers[called]
                # `self` is no argument of the call.
                position -= isinstance(node.func, ast.Attribute)
                yield from _read(node.args[position], status, place, tree)
        elif (
            isinstance(node, ast.Assign)
            and not name.endswith(NOT_OF_EXCHANGES)
            and any(isinstance(to, ast.Attribute) and to.attr == "reason" for to in node.targets)
        ):
            yield from _read(node.value, None, place, tree)


def _read(node: ast.expr, status: int | None, place: str, tree: ast.Module) -> Iterator[Word]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield Word(node.value, status, place)
    elif isinstance(node, ast.IfExp):
        yield from _read(node.body, status, place, tree)
        yield from _read(node.orelse, status, place, tree)
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        yield from _returned(node.func.id, status, place, tree)
    elif isinstance(node, ast.Name) and (constant := _constant(node.id, tree)) is not None:
        yield Word(constant, status, place)
    elif isinstance(node, ast.Attribute) and node.attr == "reason":
        pass  # It was given where that was made.
    elif not (isinstance(node, ast.Name) and node.id in _handed_on(tree)):
        raise Unreadable(f"{place}: the reason word {ast.unparse(node)!r}: write it out")


def _returned(name: str, status: int | None, place: str, tree: ast.Module) -> Iterator[Word]:
    """What a function of the same module may return."""
    for function in tree.body:
        if isinstance(function, ast.FunctionDef) and function.name == name:
            for node in ast.walk(function):
                if isinstance(node, ast.Return) and node.value is not None:
                    yield from _read(node.value, status, place, tree)
            return
    raise Unreadable(f"{place}: the reason word {name}(): write it out")


def _constant(name: str, tree: ast.Module) -> str | None:
    for node in tree.body:
        if (
            isinstance(node, ast.Assign)
            and any(isinstance(each, ast.Name) and each.id == name for each in node.targets)
            and isinstance(node.value, ast.Constant)
            and isinstance(node.value.value, str)
        ):
            return node.value.value
    return None


def _name(function: ast.expr) -> str:
    if isinstance(function, ast.Name):
        return function.id
    return function.attr if isinstance(function, ast.Attribute) else ""


def _status(node: ast.expr) -> int | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, int) else None
