"""What the gateway says of itself at one moment: the one source of /status, and of whatever
else wants to know.

Whoever has something to say adds a `Section`; it then is on every page and in every answer
without anybody there knowing of it.  What a value means is in its name: `docs/pages.md` has
the endings (`_at`, `_seconds`, `_share`, ...).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import attrs
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

log = Logger()

Value = str | int | float | bool | None | Sequence[float | None]
"""A sequence is a course of time: one number for each minute, oldest first, None where there
was nothing."""
Facts = Mapping[str, Value]
Rows = Sequence[Facts]
"""Each with the same names, in the same order."""

FRESH = 1.0
"""Seconds for which what was worked out is said again: however many ask, it is done so often."""


@attrs.frozen
class Section:
    """Something that can be said of the gateway.

    :param name: what programs call it, like `backends`; lower case with underscores.
    :param title: what people call it.
    :param read: tells how it is now; quick, and it waits for nothing.
    :param public: names of the values that everyone may know; of none by default, and then
        not even that there is such a section.
    """

    name: str
    title: str
    read: Callable[[], Facts | Rows]
    public: frozenset[str] = frozenset()


@attrs.frozen
class Said:
    """What a section said."""

    name: str
    title: str
    value: Facts | Rows


@attrs.frozen
class Snapshot:
    """All that is said at one moment."""

    taken_at: float
    """POSIX seconds."""
    sections: tuple[Said, ...]


class Board:
    """Where sections are put up, and snapshots taken.

    :param clock: its `seconds()` are POSIX time.
    """

    def __init__(self, clock: IReactorTime):
        self._clock = clock
        self._sections: dict[str, Section] = {}
        self._latest: Snapshot | None = None
        self._latest_public: Snapshot | None = None

    def add(self, section: Section) -> None:
        """Put a section up, below those there are.

        :raise ValueError: there is one of this name.
        """
        if section.name in self._sections:
            raise ValueError(f"there is a section {section.name!r} already")
        self._sections[section.name] = section
        self._latest = self._latest_public = None

    def whole(self) -> Snapshot:
        """Everything, for those who run the gateway; up to `FRESH` seconds old."""
        now = self._clock.seconds()
        latest = self._latest
        if latest is None or not 0 <= now - latest.taken_at < FRESH:
            said = tuple(map(_ask, self._sections.values()))
            latest = self._latest = Snapshot(now, said)
            self._latest_public = None
        return latest

    def public(self) -> Snapshot:
        """What everyone may know."""
        whole = self.whole()
        if self._latest_public is None:
            self._latest_public = Snapshot(
                whole.taken_at,
                tuple(
                    Said(said.name, said.title, _only(said.value, section.public))
                    for said, section in zip(whole.sections, self._sections.values(), strict=True)
                    if section.public
                ),
            )
        return self._latest_public


def _ask(section: Section) -> Said:
    """What a section says; one that breaks takes none of the others away."""
    try:
        value = section.read()
    except Exception:
        log.failure("the section {name} of the status cannot be read", name=section.name)
        return Said(section.name, section.title, MappingProxyType({"trouble": "cannot be read"}))
    if isinstance(value, Mapping):
        return Said(section.name, section.title, MappingProxyType(dict(value)))
    return Said(section.name, section.title, tuple(MappingProxyType(dict(row)) for row in value))


def _only(value: Facts | Rows, names: frozenset[str]) -> Facts | Rows:
    if isinstance(value, Mapping):
        return MappingProxyType({name: value[name] for name in value if name in names})
    return tuple(
        MappingProxyType({name: row[name] for name in row if name in names}) for row in value
    )
