"""The rows of `tests.strict`, without running them."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterable, Iterator

import attrs

from tests.strict.table import Case, TableCase

AREAS = ("lengths", "chunks", "heads", "targets", "identity")
"""Modules `tests.strict.test_…` whose tables are requests."""


@attrs.frozen
class Row:
    """A case and where it is from."""

    area: str
    test: str
    case: Case

    @property
    def name(self) -> str:
        return f"{self.area}.{self.test} {self.case.name}"


def rows() -> Iterator[Row]:
    """Every case of every table that the stage of `TableCase` alone decides."""
    for area in AREAS:
        module = importlib.import_module(f"tests.strict.test_{area}")
        for _, kind in inspect.getmembers(module, inspect.isclass):
            if issubclass(kind, TableCase) and kind.listener is TableCase.listener:
                for test in _tests(kind):
                    yield from (Row(area, test, case) for case in _cases(kind, test))


def _tests(kind: type) -> Iterable[str]:
    return sorted(name for name in dir(kind) if name.startswith("test_"))


def _cases(kind: type[TableCase], test: str) -> list[Case]:
    """What a test hands to `judge`, up to where it needs a real connection."""
    cases: list[Case] = []

    class Collecting(kind):  # type: ignore[misc, valid-type]
        async def judge(self, given: Iterable[Case]) -> None:
            cases.extend(given)

    # The coroutine itself, and not the Deferred that trial is given.
    running = inspect.unwrap(getattr(Collecting, test))(Collecting(test))
    try:
        running.send(None)
    except (StopIteration, AttributeError):
        pass
    finally:
        running.close()
    return cases
