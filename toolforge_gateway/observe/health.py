"""Whether backends answer, by what became of the requests for them.

Nobody is asked on purpose and nobody is taken out of service here: it is what an
operator sees.  A backend is `failing` after `FAILURES` failures in a row, or after
one when it has answered nobody for `SILENCE` seconds; the next answer, of whatever
status, makes it `up` again.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Iterable, Mapping

import attrs
from zope.interface import implementer

from toolforge_gateway.interfaces import IObserver
from toolforge_gateway.model import Exchange
from toolforge_gateway.policy import ALLOWED

FAILURES = 3
SILENCE = 30.0

FAILED = frozenset(
    [
        "backend-refused",
        "backend-unreachable",
        "backend-tls",
        "backend-closed",
        "backend-connect-timeout",
        "backend-timeout",
        "backend-broken-answer",
        "backend-cut",
    ]
)
"""The reason words that say that the backend did not do its part."""
BUSY = frozenset(["backend-busy", "backend-queue-timeout"])
"""There was no place at the backend: it is slow, or there is much to do, but it may well answer."""


class State(enum.Enum):
    """How a backend does."""

    UNKNOWN = "unknown"
    """It has not been needed yet."""
    UP = "up"
    FAILING = "failing"


@attrs.frozen
class BackendState:
    """How one backend does, and since when.  Times are POSIX seconds."""

    state: State
    since: float
    failures: int
    """In a row, up to now."""
    last_failure: str
    """The reason word; "" when there was none."""
    last_failure_at: float | None
    last_answer_at: float | None

    def plus(self, other: BackendState) -> BackendState:
        """What two processes know of a backend: it is failing as long as one of them finds that,
        and the other has not had an answer since."""
        failed = max(self, other, key=lambda each: _or_never(each.last_failure_at))
        answered = max(self, other, key=lambda each: _or_never(each.last_answer_at))
        of_state = [each for each in (self, other) if each.state is State.FAILING]
        late = _or_never(answered.last_answer_at)
        if not of_state or late > max(_or_never(each.last_failure_at) for each in of_state):
            of_state = [each for each in (self, other) if each.state is State.UP] or [self, other]
        return BackendState(
            state=of_state[0].state,
            since=min(each.since for each in of_state),
            failures=max(each.failures for each in of_state),
            last_failure=failed.last_failure,
            last_failure_at=failed.last_failure_at,
            last_answer_at=answered.last_answer_at,
        )


def _or_never(moment: float | None) -> float:
    return -math.inf if moment is None else moment


class _Backend:
    """The same, as it goes on."""

    __slots__ = ("answered_at", "failed_at", "failures", "reason", "since", "state")

    def __init__(self, now: float):
        self.state = State.UNKNOWN
        self.since = now
        self.failures = 0
        self.reason = ""
        self.failed_at: float | None = None
        self.answered_at: float | None = None

    def answered(self, at: float) -> None:
        if self.state is not State.UP or self.failures:
            # What has begun before things went wrong, a followed log for one, may
            # end well long afterwards, and says nothing of today.
            if self.failed_at is not None and at <= self.failed_at:
                return
            self.failures = 0
            if self.state is not State.UP:
                self.state, self.since = State.UP, at
        if self.answered_at is None or at > self.answered_at:
            self.answered_at = at

    def failed(self, at: float, reason: str) -> None:
        self.failures += 1
        self.failed_at, self.reason = at, reason
        if self.state is State.FAILING:
            return
        silent = self.answered_at is None or at - self.answered_at > SILENCE
        if silent or self.failures >= FAILURES:
            self.state, self.since = State.FAILING, at


@implementer(IObserver)
class Health:
    """Watches what becomes of requests.

    :param backends: their names.
    :param now: POSIX seconds.
    """

    def __init__(self, backends: Iterable[str], now: float):
        self._backends = {name: _Backend(now) for name in backends}

    def adopt(self, backends: Iterable[str], now: float) -> None:
        """Watch these backends from now on; what is known of one of the same name stays."""
        self._backends = {name: self._backends.get(name) or _Backend(now) for name in backends}

    def ended(self, exchange: Exchange) -> None:
        """See `IObserver`."""
        backend = self._backends.get(exchange.backend)
        if backend is None or exchange.asked_by:
            return
        reason = exchange.reason
        if reason in ALLOWED:
            # It was let through, and nothing has gone wrong since.
            backend.answered(exchange.started + (exchange.head_after or 0.0))
        elif reason in FAILED:
            backend.failed(exchange.started + (exchange.ended_after or 0.0), reason)

    def answered(self, name: str, at: float) -> None:
        """Somebody else than a client has had an answer from a backend."""
        if name in self._backends:
            self._backends[name].answered(at)

    def states(self) -> Mapping[str, BackendState]:
        """How each backend does, in the order of the configuration."""
        return {
            name: BackendState(
                state=backend.state,
                since=backend.since,
                failures=backend.failures,
                last_failure=backend.reason,
                last_failure_at=backend.failed_at,
                last_answer_at=backend.answered_at,
            )
            for name, backend in self._backends.items()
        }
