"""All that one process has measured, as one value: it can be sent to another process, and added up.

A `Figures` is what /metrics, /status and the supervisor of several workers are made of:

    whole = sum_of(each.figures for each in workers)

It is a value of plain numbers under the names of `catalogue`, and of the few facts that are no
numbers.  It is made when somebody asks, never for a request.
"""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Callable, Collection, Iterable, Mapping
from types import MappingProxyType
from typing import Any

import attrs

from toolforge_gateway.observe.catalogue import MEASURES, Kind, Measure, Together
from toolforge_gateway.observe.health import BackendState, State
from toolforge_gateway.observe.history import added
from toolforge_gateway.observe.spread import Spread
from toolforge_gateway.observe.total import Total

Labels = tuple[str, ...]
"""A value for each of the measure's labels, in their order."""
Number = int | float | Spread
Numbers = Mapping[str, Mapping[Labels, Number]]
"""By the name of the measure; a `Spread` where that is a histogram, and nowhere else."""

LONGEST = 64 * 1024 * 1024
"""Bytes of JSON that `unpack` takes."""


@attrs.frozen
class Expiry:
    """Something that runs out: a certificate, an authority, a revocation list."""

    kind: str
    """`server`, `upstream`, `client-ca`, `upstream-ca` or `revocation-list`."""
    subject: str
    ends: float | None
    """POSIX seconds, infinite if never; None: it is missing."""
    group: str = ""
    """What it is one of several of, of which it is enough that one is in date; "": of none."""


@attrs.frozen
class Files:
    """Files of TLS that are replaced together."""

    since: float
    """POSIX seconds at which what is in force was read."""
    failing_since: float | None
    """POSIX seconds; None: they are good."""
    failure: str
    """Why they are not taken up; "" when they are good."""

    def plus(self, other: Files) -> Files:
        """As the process finds that is worse off: one may have looked before the other."""
        failing = [each for each in (self, other) if each.failing_since is not None]
        worst = min(failing or [self, other], key=lambda each: each.since)
        return Files(min(self.since, other.since), worst.failing_since, worst.failure)


@attrs.frozen
class Address:
    """One address of a backend."""

    state: str
    """`up`, `ejected` or `failing-checks`."""
    failures: int
    """In a row, up to now."""
    last_failure: str
    """The reason word; "" when there was none."""
    last_failure_at: float | None
    ejected_until: float | None
    """When it is tried again; None when it is not ejected."""
    busy: int
    """Connections that serve a request or are being made."""
    idle: int

    def plus(self, other: Address) -> Address:
        """What two processes know of it: the worse state of the two, all connections."""
        worse, better = sorted([self, other], key=lambda each: each.state == "up")
        last = max(self, other, key=lambda each: each.last_failure_at or 0.0)
        return Address(
            state=worse.state,
            failures=max(self.failures, other.failures),
            last_failure=last.last_failure,
            last_failure_at=last.last_failure_at,
            ejected_until=worse.ejected_until or better.ejected_until,
            busy=self.busy + other.busy,
            idle=self.idle + other.idle,
        )


@attrs.frozen
class LastReload:
    """What became of the last attempt to load the configuration."""

    good: bool
    version: str
    complaints: tuple[str, ...]
    at: float
    """POSIX seconds."""


@attrs.frozen
class Recent:
    """The last minute, up to now."""

    per_second: float | None
    """Requests; None when nobody has looked long enough."""
    total: Total = Total()

    def plus(self, other: Recent) -> Recent:
        """Both together."""
        rates = [each.per_second for each in (self, other) if each.per_second is not None]
        return Recent(sum(rates) if rates else None, self.total.plus(other.total))


@attrs.frozen
class Figures:
    """What one process, or several together, have measured up to a moment."""

    numbers: Numbers = attrs.field(factory=dict)
    health: Mapping[str, BackendState] = attrs.field(factory=dict)
    """By the backend's name, in the order of the configuration."""
    expiries: Mapping[str, Expiry] = attrs.field(factory=dict)
    """By what it is, in words."""
    last_reload: LastReload | None = None
    configuration: str = ""
    """The file's path."""
    recent: Recent | None = None
    course: Mapping[int, Total] = attrs.field(factory=dict)
    """What went through in each minute of the last hour, see `history.minutes`."""
    addresses: Mapping[tuple[str, str], Address] = attrs.field(factory=dict)
    """By the backend's name and what it is: host and port."""
    files: Mapping[tuple[str, str], Files] = attrs.field(factory=dict)
    """By their place in the configuration, and what they hold, in words."""

    def of(self, measure: Measure) -> Mapping[Labels, Number]:
        """The numbers of one measure; nothing where there are none."""
        return self.numbers.get(measure.name, {})

    def plain(self, measure: Measure) -> Mapping[Labels, int | float]:
        """The numbers of one measure that is no histogram."""
        assert measure.kind is not Kind.HISTOGRAM, measure.name
        return self.of(measure)  # type: ignore[return-value]

    def spreads(self, measure: Measure) -> Mapping[Labels, Spread]:
        """The numbers of one measure that is a histogram."""
        assert measure.kind is Kind.HISTOGRAM, measure.name
        return self.of(measure)  # type: ignore[return-value]

    def number(self, measure: Measure, *labels: str) -> int | float | None:
        """One number; None when it is not there."""
        return self.plain(measure).get(labels)

    def plus(self, other: Figures) -> Figures:
        """Both together, by each measure's rule."""
        return sum_of([self, other])

    def ended(self) -> Figures:
        """What stays of a process that has ended: what it has counted."""
        return Figures(
            {
                name: numbers
                for name, numbers in self.numbers.items()
                if MEASURES[name].kind is not Kind.GAUGE
            },
            course=self.course,
        )

    def to_json(self) -> dict[str, Any]:
        """As what `json.dumps` takes; `from_json` makes the same value of it."""
        return {
            "numbers": {
                name: [
                    [*labels, number.to_json() if isinstance(number, Spread) else _finite(number)]
                    for labels, number in numbers.items()
                ]
                for name, numbers in self.numbers.items()
            },
            "health": {
                name: {**attrs.asdict(each), "state": each.state.value}
                for name, each in self.health.items()
            },
            "expiries": {
                name: {**attrs.asdict(each), "ends": _finite(each.ends)}
                for name, each in self.expiries.items()
            },
            "last_reload": None if self.last_reload is None else attrs.asdict(self.last_reload),
            "configuration": self.configuration,
            "recent": None
            if self.recent is None
            else [self.recent.per_second, self.recent.total.to_json()],
            "course": [[number, total.to_json()] for number, total in self.course.items()],
            "files": [[*key, attrs.asdict(each)] for key, each in self.files.items()],
            "addresses": [[*key, attrs.asdict(each)] for key, each in self.addresses.items()],
        }

    @classmethod
    def from_json(cls, said: Any) -> Figures:
        """The value of which `to_json` made this.  Measures that are not known here are left out:
        the other process may be of another version.

        :raise ValueError: it is something else.
        """
        try:
            reload = said["last_reload"]
            if reload is not None:
                reload = LastReload(**{**reload, "complaints": tuple(reload["complaints"])})
            recent = said["recent"]
            return cls(
                {
                    name: MappingProxyType(dict(_number(MEASURES[name], row) for row in rows))
                    for name, rows in said["numbers"].items()
                    if name in MEASURES
                },
                {
                    name: BackendState(**{**each, "state": State(each["state"])})
                    for name, each in said["health"].items()
                },
                {
                    name: Expiry(**{**each, "ends": _number_of(each["ends"])})
                    for name, each in said["expiries"].items()
                },
                reload,
                str(said["configuration"]),
                None
                if recent is None
                else Recent(_number_of(recent[0]), Total.from_json(recent[1])),
                {int(number): Total.from_json(total) for number, total in said["course"]},
                {
                    (str(backend), str(where)): Address(**each)
                    for backend, where, each in said["addresses"]
                },
                {(str(place), str(name)): Files(**each) for place, name, each in said["files"]},
            )
        except (AttributeError, KeyError, IndexError, TypeError) as error:
            raise ValueError(f"these are no figures: {error!r}") from None

    def pack(self) -> bytes:
        """As bytes, for a channel to another process: a few kB, and more than 64 kB only where
        clients have tried everything that there is.
        """
        return zlib.compress(
            json.dumps(self.to_json(), separators=(",", ":"), allow_nan=False).encode(), 1
        )

    @classmethod
    def unpack(cls, packed: bytes) -> Figures:
        """The value of which `pack` made this.

        :raise ValueError: it is something else.
        """
        undo = zlib.decompressobj()
        try:
            text = undo.decompress(packed, LONGEST)
        except zlib.error as error:
            raise ValueError(f"these are no figures: {error}") from None
        if not undo.eof:
            raise ValueError("these are no figures: cut short, or too large")
        return cls.from_json(json.loads(text))


def sum_of(all_figures: Iterable[Figures]) -> Figures:
    """What several processes have measured together.  Facts that cannot be added are the worst
    there are (what runs out first), or the latest."""
    numbers: dict[str, dict[Labels, Number]] = {}
    health: dict[str, BackendState] = {}
    expiries: dict[str, Expiry] = {}
    reloads: list[LastReload] = []
    configuration = ""
    addresses: dict[tuple[str, str], Address] = {}
    files: dict[tuple[str, str], Files] = {}
    recent: Recent | None = None
    parts = list(all_figures)
    for figures in parts:
        for name, more in figures.numbers.items():
            add, sums = _ADD[MEASURES[name].together], numbers.setdefault(name, {})
            for labels, number in more.items():
                sums[labels] = add(sums[labels], number) if labels in sums else number
        for name, state in figures.health.items():
            health[name] = health[name].plus(state) if name in health else state
        for name, expiry in figures.expiries.items():
            expiries[name] = _first_out(expiries[name], expiry) if name in expiries else expiry
        for key, address in figures.addresses.items():
            addresses[key] = addresses[key].plus(address) if key in addresses else address
        for key, each in figures.files.items():
            files[key] = files[key].plus(each) if key in files else each
        if figures.last_reload is not None:
            reloads.append(figures.last_reload)
        configuration = configuration or figures.configuration
        if figures.recent is not None:
            recent = figures.recent if recent is None else recent.plus(figures.recent)
    last = max(reloads, key=lambda each: each.at, default=None)
    course = added(each.course for each in parts)
    return Figures(numbers, health, expiries, last, configuration, recent, course, addresses, files)


class Ledger:
    """Keeps what each of several processes has told last, and what those have counted that are
    gone: no counter ever falls, whoever dies.

    A process is known by any name that no other process has or had, such as a serial number: the
    number of its place among the workers is not enough, since another process takes that over.
    """

    def __init__(self) -> None:
        self._gone = Figures()
        self._latest: dict[object, Figures] = {}

    def told(self, process: object, figures: Figures) -> None:
        """A process has told how it is."""
        self._latest[process] = figures

    def only(self, processes: Collection[object]) -> None:
        """All others have ended."""
        for process in [each for each in self._latest if each not in processes]:
            self.gone(process)

    def gone(self, process: object) -> None:
        """A process has ended; harmless if it never told anything."""
        figures = self._latest.pop(process, None)
        if figures is not None:
            self._gone = self._gone.plus(figures.ended())

    def whole(self, *own: Figures) -> Figures:
        """All together.

        :param own: what the asking process has to add.
        """
        return sum_of([*self._latest.values(), *own, self._gone])


def _plus(one: Number, other: Number) -> Number:
    if isinstance(one, Spread):
        assert isinstance(other, Spread), "a measure is a histogram everywhere or nowhere"
        return one.plus(other)
    return one + other  # type: ignore[operator]


_ADD: Mapping[Together, Callable[[Any, Any], Number]] = {
    Together.SUM: _plus,
    Together.GREATEST: max,
    Together.LEAST: min,
}


def _first_out(one: Expiry, other: Expiry) -> Expiry:
    return min(one, other, key=lambda each: -math.inf if each.ends is None else each.ends)


def _finite(number: float | None) -> float | str | None:
    """JSON has no infinity."""
    return number if number is None or math.isfinite(number) else str(number)


def _number(measure: Measure, row: Any) -> tuple[Labels, Number]:
    """One row of a measure's, read."""
    *labels, value = row
    if len(labels) != len(measure.labels) or not all(isinstance(each, str) for each in labels):
        raise ValueError(f"these are no figures: {measure.name} with the labels {labels!r}")
    if measure.kind is Kind.HISTOGRAM:
        return tuple(labels), Spread.from_json(value)
    number = _number_of(value)
    if number is None:
        raise ValueError(f"these are no figures: {measure.name} without a number")
    return tuple(labels), number


def _number_of(said: Any) -> int | float | None:
    if said is None or (isinstance(said, int | float) and not isinstance(said, bool)):
        return said
    if isinstance(said, str):
        return float(said)
    raise ValueError(f"these are no figures: {said!r} is no number")
