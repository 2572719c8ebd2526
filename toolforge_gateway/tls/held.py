"""What was last read from files that belong together, and was good.

A file that has changed may be half of a change: the certificate is new and its key is not there
yet, or the writer has not come to the end.  So a bad state is not spoken of before it has stood
for a while; whatever was good before stays in force meanwhile, and for as long as nothing good
follows.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

import attrs

from toolforge_gateway.config.values import SettingFile
from toolforge_gateway.errors import Complaint
from toolforge_gateway.tls.files import Findings
from toolforge_gateway.tls.revision import Marks, Revision, look

T = TypeVar("T")
Read = Callable[[Findings, "T | None"], "T | None"]
"""Reads the files through `Findings.content`.  The second argument is what is in force (None at
the start), for those who can take up a part of what is new; the result is None when nothing is
to be taken up, which never goes without a complaint."""

GRACE = 10.0
"""Seconds for which files may be bad, without changing again, before it is said."""
PATIENCE = 60.0
"""Seconds after which it is said even though they keep changing; also, how long there is silence
at least between two complaints about files that do."""
AGAIN = 3600.0
"""Seconds after which the same complaint is made again, if nothing was good meanwhile."""
RECHECK = 30.0
"""Seconds after which bad files are read again that have not changed: the time may have come for
a certificate that was not valid yet."""


@attrs.frozen
class Reading(Generic[T]):
    """What one look into the files has brought."""

    at: float
    """POSIX seconds."""
    marks: Marks
    digest: bytes
    value: T | None
    """None: nothing new is to be taken up."""
    complaints: tuple[Complaint, ...] = ()


@attrs.frozen
class State:
    """How it stands with one such group of files, in plain values; for metrics and pages."""

    place: str
    """Where the configuration has it, `listen[0].tls`."""
    name: str
    """What it is, in words; different for each of its place."""
    files: tuple[str, ...]
    since: float
    """POSIX seconds at which what is in force was read."""
    ends: float
    """POSIX seconds at which the first of it runs out."""
    renewals: int
    """How often something new was taken up since the start or the last reload."""
    failing_since: float | None
    """POSIX seconds since which the files are not good; None: they are."""
    failure: str | None
    """Why, with the place in the configuration; the first reason, if there are several."""


class Held(Generic[T]):
    """Some files that are replaced together, and what of them is in force.

    `is_due`, `settle` and `complaints_due` are called on one thread; `reread` may run on another
    between them, once at a time.

    :param name: what it is, in words.
    :param settings: the files; the first stands for all of them in what is told.
    :param read: see `Read`.
    :param ends: POSIX seconds at which a value runs out.
    :param first: what they held at the start; see `load`.
    """

    def __init__(
        self,
        name: str,
        settings: Sequence[SettingFile],
        read: Read[T],
        ends: Callable[[T], float],
        first: Reading[T],
    ):
        assert first.value is not None, "nothing is held that never was good"
        self.name = name
        self.settings = tuple(settings)
        self.value: T = first.value
        self.since = first.at
        self.renewals = 0
        self.failing_since: float | None = None
        self._read = read
        self._ends = ends
        self._last = first
        self._digest = first.digest  # of what is in force, if it came from good files
        self._altered_at = first.at
        self._told: tuple[Complaint, ...] = ()
        self._told_at = -math.inf

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}>"

    @classmethod
    def load(
        cls,
        name: str,
        settings: Sequence[SettingFile],
        read: Read[T],
        ends: Callable[[T], float],
        findings: Findings,
    ) -> Held[T] | None:
        """Read the files for the first time.

        :return: None after a complaint to `findings`.
        """
        reading = _look_into(settings, read, None, findings.now)
        findings.complaints += reading.complaints
        return None if reading.value is None else cls(name, settings, read, ends, reading)

    def is_due(self, now: float) -> bool:
        """Whether there is a reason to read the files again; looks at them by `stat` alone.

        :param now: POSIX seconds.
        """
        last = self._last
        return look(last.marks) != last.marks or (
            bool(last.complaints) and not 0 <= now - last.at < RECHECK
        )

    def reread(self, now: float) -> Reading[T]:
        """What the files hold now; changes nothing.

        :param now: POSIX seconds.
        """
        return _look_into(self.settings, self._read, self, now)

    def settle(self, reading: Reading[T]) -> bool:
        """Let a reading count.

        :return: whether there is something new in force.
        """
        last, self._last = self._last, reading
        if (reading.marks, reading.complaints) != (last.marks, last.complaints):
            self._altered_at = reading.at
        if not reading.complaints:
            self.failing_since = None
        elif self.failing_since is None:
            self.failing_since = reading.at
        if reading.value is None:
            return False
        self.value = reading.value
        self._digest = b"" if reading.complaints else reading.digest
        self.since = reading.at
        self.renewals += 1
        return True

    def complaints_due(self, now: float) -> tuple[Complaint, ...]:
        """What is to be said now of bad files; whoever asks says it.

        :param now: POSIX seconds.
        """
        complaints = self._last.complaints
        if not complaints or self.failing_since is None:
            return ()
        stands = now - self._altered_at >= GRACE
        wait = AGAIN if complaints == self._told else 0.0 if stands else PATIENCE
        if not (stands or now - self.failing_since >= PATIENCE) or now - self._told_at < wait:
            return ()
        self._told, self._told_at = complaints, now
        return complaints

    def recovery_due(self) -> bool:
        """Whether it is to be said that files of which something bad was said are good again."""
        if not self._told or self._last.complaints:
            return False
        self._told = ()
        return True

    def state(self) -> State:
        """How it stands."""
        complaints = self._last.complaints
        return State(
            place=self.settings[0].origin.path,
            name=self.name,
            files=tuple(str(setting.path) for setting in self.settings),
            since=self.since,
            ends=self.ends,
            renewals=self.renewals,
            failing_since=self.failing_since,
            failure=str(complaints[0]) if complaints else None,
        )

    @property
    def ends(self) -> float:
        """POSIX seconds at which the first of what is in force runs out."""
        return self._ends(self.value)

    def is_in_force(self, digest: bytes, value: T | None, good: bool) -> bool:
        """Whether a value that was read is no news: good files are back that were there before
        bad ones, or bad ones were read again of which a part had been taken up."""
        return value == self.value or (good and digest == self._digest)

    @property
    def last(self) -> Reading[T]:
        """The last reading, good or bad."""
        return self._last


def _look_into(
    settings: Sequence[SettingFile], read: Read[T], held: Held[T] | None, now: float
) -> Reading[T]:
    revision = Revision.read(setting.path for setting in settings)
    if held is not None and revision.digest == held.last.digest and not held.last.complaints:
        # Touched, or in another directory, and yet the same.
        return Reading(now, revision.marks, revision.digest, None)
    findings = Findings(now, content=revision.content)
    value: T | None = None
    try:
        value = read(findings, None if held is None else held.value)
    except Exception as error:
        # It must not keep all other files from being taken up.  Not the error's own words: they
        # may repeat what it was about, a key.
        what = f"cannot be read, or what belongs to it cannot ({type(error).__name__})"
        findings.complain(settings[0], what, "write it anew, and tell the developers")
    complaints = tuple(findings.complaints)
    if held is not None and held.is_in_force(revision.digest, value, good=not complaints):
        value = None
    return Reading(now, revision.marks, revision.digest, value, complaints)
