"""What has gone through, counted: plain integers, for /status and for metrics.

This is done for every request, so that it is little: one look-up, a few
additions, one step of a histogram.  Sums, shares and percentiles are worked
out when somebody asks (`numbers`, `observe.routes`, `observe.history`).

No client can make the books grow: routes are those of the configuration,
methods the known ones and `OTHER`, reasons words of ours, and of plug-ins up to
`MOST_REASONS` of them.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping

import attrs
from zope.interface import implementer

from toolforge_gateway.interfaces import IObserver
from toolforge_gateway.model import Exchange
from toolforge_gateway.observe.catalogue import (
    BYTES_IN,
    BYTES_OUT,
    DECISIONS,
    ERRORS,
    HEAD_SECONDS,
    INCOMPLETE,
    REQUESTS,
)
from toolforge_gateway.observe.figures import Labels, Number, Numbers
from toolforge_gateway.observe.health import BUSY, FAILED
from toolforge_gateway.observe.spread import IN_SECONDS, PLACES, Spread
from toolforge_gateway.policy import ALLOWED

OWN_PAGES = "(own pages)"
"""The route of pages that the gateway has itself."""
UNROUTED = "(no route)"
"""The route of requests that reached neither a backend nor a page of ours."""
ASKED = "(asked at /auth)"
"""The route of what other proxies have only asked about."""
OTHER = "other"
"""The method, reason or route of what would make the books grow."""
NONE = "none"
"""The method where no head could be read; the class where no answer began."""

NOT_OF_BACKENDS = (OWN_PAGES, ASKED, UNROUTED, OTHER)
APART = (OWN_PAGES, ASKED)
"""What load balancers, monitoring and other proxies ask of us, rather than of an API."""

METHODS = frozenset(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
MOST_REASONS = 100
"""Reason words of plug-ins may be made of what a client sent: no more than so
many different ones are kept apart."""
LONGEST_REASON = 64
"""Characters of a reason word that is kept apart."""

OWN_PAGE, CLIENT_LEFT, BACKEND_CUT = "own-page", "client-left", "backend-cut"
"""Reason words: a page of ours; the client went before the answer's end; the backend broke its
answer off."""
_KNOWN_REASONS = ALLOWED | FAILED | BUSY | {OWN_PAGE, CLIENT_LEFT}


def result_of(reason: str) -> str:
    """What a reason word means, in one of four: `allowed`, `refused` (by us), `failed` (by the
    backend) or `left` (by the client, before the answer's end)."""
    if reason in ALLOWED or reason == OWN_PAGE:
        return "allowed"
    if reason in FAILED or reason in BUSY:
        return "failed"
    return "left" if reason == CLIENT_LEFT else "refused"


@attrs.frozen
class Label:
    """What the requests of one `Count` have in common."""

    route: str
    """Name of the backend, `OWN_PAGES`, `ASKED`, `UNROUTED` or `OTHER`."""
    method: str
    """One of `METHODS`, `OTHER` or `NONE`."""
    status_class: int
    """First digit of the status; 0: the client left before an answer began."""
    reason: str
    """The reason of the access log, or `OTHER`."""
    is_error: bool = attrs.field(init=False)
    """Whether these requests failed by the fault of the gateway or a backend: the answer was 5xx,
    or the backend broke it off."""

    @is_error.default
    def _is_error(self) -> bool:
        return self.status_class == 5 or self.reason == BACKEND_CUT

    @property
    def family(self) -> Labels:
        """The labels of the measures that tell no reasons."""
        status_class = f"{self.status_class}xx" if self.status_class else NONE
        return self.route, self.method, status_class


class Count:
    """The integers of one `Label`; they only grow.

    :ivar requests: exchanges that are over.
    :ivar incomplete: those whose answer did not reach its end.
    :ivar bytes_in: of request bodies.
    :ivar bytes_out: of answers' bodies.
    :ivar heads: how many answers began within each of `spread.BOUNDS`; all counts that differ in
        their reason alone have one list.  It is the time to the answer's head: how long a
        followed log lasts says nothing of how fast anything is.  A client that left before that
        is not in it.
    :ivar head_seconds: how long that took all of them together.
    """

    __slots__ = ("bytes_in", "bytes_out", "head_seconds", "heads", "incomplete", "requests")

    def __init__(self, heads: list[int]):
        self.requests = 0
        self.incomplete = 0
        self.bytes_in = 0
        self.bytes_out = 0
        self.heads = heads
        self.head_seconds = 0.0


@implementer(IObserver)
class Traffic:
    """Counts exchanges.

    :param backends: names of the backends that the configuration has.
    """

    def __init__(self, backends: Iterable[str]):
        self._routes = [*backends, *NOT_OF_BACKENDS]
        self._counts: dict[Label, Count] = {}
        self._heads: dict[Labels, list[int]] = {}
        # By what the exchange says itself.  Only what is known stands here, so
        # that a client's inventions are looked at each time and kept nowhere.
        self._known: dict[tuple[str, str, int, str], Count] = {}
        self._reasons: set[str] = set()

    def adopt(self, backends: Iterable[str]) -> None:
        """Count for these backends as well; what was counted stays."""
        self._routes += [each for each in backends if each not in self._routes]

    def ended(self, exchange: Exchange) -> None:
        """See `IObserver`."""
        backend = ASKED if exchange.asked_by else exchange.backend
        key = backend, exchange.method, exchange.status // 100, exchange.reason
        count = self._known.get(key)
        if count is None:
            count = self._count(key)
        count.requests += 1
        if not exchange.complete:
            count.incomplete += 1
        if exchange.bytes_in:
            count.bytes_in += exchange.bytes_in
        count.bytes_out += exchange.bytes_out
        head_after = exchange.head_after
        if head_after is not None:
            count.heads[bisect_left(IN_SECONDS, head_after)] += 1
            count.head_seconds += head_after

    def counts(self) -> Iterator[tuple[Label, Count]]:
        """All that is counted so far, in no particular order."""
        return iter(self._counts.items())

    @property
    def ended_so_far(self) -> int:
        """How many exchanges, of whatever kind."""
        return sum(count.requests for count in self._counts.values())

    def numbers(self) -> Numbers:
        """All that is counted so far, by measure."""
        requests: dict[Labels, int] = {}
        decisions: dict[Labels, int] = {}
        # A series that is there from the start can be asked how fast it grows.
        new = [0, 0, 0, 0]
        routes = {each: new[:] for each in self._routes if each not in NOT_OF_BACKENDS}
        seconds: dict[Labels, float] = {}
        for label, count in self._counts.items():
            family = label.family
            decision = label.route, label.reason, result_of(label.reason)
            requests[family] = requests.get(family, 0) + count.requests
            decisions[decision] = decisions.get(decision, 0) + count.requests
            seconds[family] = seconds.get(family, 0.0) + count.head_seconds
            errors = count.requests if label.is_error else 0
            more = errors, count.incomplete, count.bytes_in, count.bytes_out
            routes[label.route] = list(map(int.__add__, routes.get(label.route, new), more))
        numbers: dict[str, Mapping[Labels, Number]] = {
            REQUESTS.name: requests,
            DECISIONS.name: decisions,
            HEAD_SECONDS.name: {
                # A clock that was set back makes durations below nought.
                family: Spread(tuple(heads), max(seconds[family], 0.0))
                for family, heads in self._heads.items()
            },
        }
        for place, measure in enumerate((ERRORS, INCOMPLETE, BYTES_IN, BYTES_OUT)):
            numbers[measure.name] = {(route,): each[place] for route, each in routes.items()}
        return numbers

    def _count(self, key: tuple[str, str, int, str]) -> Count:
        """The count of what is not among the known ones."""
        backend, method, status_class, reason = key
        if backend:
            route = backend if backend in self._routes else OTHER
        else:
            route = OWN_PAGES if reason == OWN_PAGE else UNROUTED
        if reason not in _KNOWN_REASONS and reason not in self._reasons:
            if len(self._reasons) < MOST_REASONS and len(reason) <= LONGEST_REASON:
                self._reasons.add(reason)
            else:
                reason = OTHER
        if method and method not in METHODS:
            method = OTHER
        label = Label(route, method or NONE, status_class, reason)
        count = self._counts.get(label)
        if count is None:
            heads = self._heads.setdefault(label.family, [0] * PLACES)
            count = self._counts[label] = Count(heads)
        if key == (backend, method, status_class, reason) and route != OTHER:
            self._known[key] = count
        return count
