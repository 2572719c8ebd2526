"""What has gone through, counted: plain integers, for /status and for metrics.

This is done for every request, so that it is little: one look-up, a few
additions, one step of a histogram.  Sums, shares and percentiles are worked
out when somebody asks (`total`, `observe.history`, `observe.snapshot`).

No client can make the books grow: routes are those of the configuration,
methods the known ones and `OTHER`, reasons words of ours, and of plug-ins up to
`MOST_REASONS` of them.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence

import attrs
from zope.interface import implementer

from toolforge_gateway.interfaces import IObserver
from toolforge_gateway.model import Exchange

OWN_PAGES = "(own pages)"
"""The route of pages that the gateway has itself."""
UNROUTED = "(no route)"
"""The route of requests that reached neither a backend nor a page of ours."""
ASKED = "(asked at /auth)"
"""The route of what other proxies have only asked about."""
OTHER = "other"
"""The method, reason or route of what would make the books grow."""

_APART = (OWN_PAGES, ASKED)

METHODS = frozenset(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
MOST_REASONS = 100
"""Reason words of plug-ins may be made of what a client sent: no more than so
many different ones are kept apart."""

BACKEND_CUT = "backend-cut"
"""The reason word where a backend broke off its answer."""

PER_DECADE = 16
"""Bounds in a factor of ten: each is 15 % above the one before."""
BOUNDS = tuple(round(10 ** (step / PER_DECADE)) for step in range(20, 8 * PER_DECADE + 8))
"""Upper bounds of the histogram, in microseconds: from 18 µs to five minutes.
What takes longer is counted beyond the last one."""
_SECONDS = tuple(bound / 1_000_000 for bound in BOUNDS)


@attrs.frozen
class Label:
    """What the requests of one `Count` have in common."""

    route: str
    """Name of the backend, `OWN_PAGES`, `ASKED`, `UNROUTED` or `OTHER`."""
    method: str
    """One of `METHODS`, or `OTHER`; "" where no head could be read."""
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


class Count:
    """The integers of one `Label`; they only grow.

    :ivar requests: exchanges that are over.
    :ivar incomplete: those whose answer did not reach its end.
    :ivar bytes_in: of request bodies.
    :ivar bytes_out: of answers' bodies.
    """

    __slots__ = ("bytes_in", "bytes_out", "incomplete", "latency", "requests")

    def __init__(self, latency: list[int]):
        self.requests = 0
        self.incomplete = 0
        self.bytes_in = 0
        self.bytes_out = 0
        self.latency = latency


@implementer(IObserver)
class Traffic:
    """Counts exchanges.

    :param backends: names of the backends that the configuration has.

    :ivar latency: for each route how many answers began within each of `BOUNDS` and
        not within the one before, the last number being for those beyond all of them.  It is the
        time to the answer's head: how long a followed log lasts says nothing of how fast
        anything is.  A client that left before that is not in it.
    """

    def __init__(self, backends: Iterable[str]):
        routes = (*backends, OWN_PAGES, ASKED, UNROUTED, OTHER)
        self.latency = {route: [0] * (len(BOUNDS) + 1) for route in routes}
        self._counts: dict[Label, Count] = {}
        # By what the exchange says itself.  Only what is known stands here, so
        # that a client's inventions are looked at each time and kept nowhere.
        self._known: dict[tuple[str, str, int, str], Count] = {}
        self._reasons = {BACKEND_CUT}

    def adopt(self, backends: Iterable[str]) -> None:
        """Count for these backends as well; what was counted stays."""
        for backend in backends:
            self.latency.setdefault(backend, [0] * (len(BOUNDS) + 1))

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
        if exchange.head_after is not None:
            count.latency[bisect_left(_SECONDS, exchange.head_after)] += 1

    def counts(self) -> Iterator[tuple[Label, Count]]:
        """All that is counted so far, in no particular order."""
        return iter(self._counts.items())

    def total(self) -> Total:
        """The sum over routes, but for our own pages and what was only asked: what load balancers
        and monitoring ask of those all day long says nothing of the APIs.
        """
        routes = [route for route in self.latency if route not in _APART]
        return self._sum(
            [(label, count) for label, count in self._counts.items() if label.route not in _APART],
            array("Q", map(sum, zip(*map(self.latency.__getitem__, routes), strict=True))),
        )

    def by_route(self) -> dict[str, Total]:
        """The sum of each route, our own pages too."""
        counts: dict[str, list[tuple[Label, Count]]] = {route: [] for route in self.latency}
        for label, count in self._counts.items():
            counts[label.route].append((label, count))
        return {
            route: self._sum(counts[route], array("Q", latency))
            for route, latency in self.latency.items()
        }

    @staticmethod
    def _sum(counts: Iterable[tuple[Label, Count]], latency: Sequence[int]) -> Total:
        requests = errors = incomplete = bytes_in = bytes_out = 0
        for label, count in counts:
            requests += count.requests
            incomplete += count.incomplete
            bytes_in += count.bytes_in
            bytes_out += count.bytes_out
            if label.is_error:
                errors += count.requests
        return Total(requests, errors, incomplete, bytes_in, bytes_out, latency)

    def _count(self, key: tuple[str, str, int, str]) -> Count:
        """The count of what is not among the known ones."""
        backend, method, status_class, reason = key
        if backend:
            route = backend if backend in self.latency else OTHER
        else:
            route = OWN_PAGES if reason == "own-page" else UNROUTED
        if reason not in self._reasons:
            if len(self._reasons) < MOST_REASONS:
                self._reasons.add(reason)
            else:
                reason = OTHER
        if method and method not in METHODS:
            method = OTHER
        label = Label(route, method, status_class, reason)
        count = self._counts.get(label)
        if count is None:
            count = self._counts[label] = Count(self.latency[route])
        if key == (backend, method, status_class, reason) and route != OTHER:
            self._known[key] = count
        return count


@attrs.frozen
class Total:
    """What went through up to a moment; as a difference of two, between them."""

    requests: int
    errors: int
    """See `Label.is_error`."""
    incomplete: int
    bytes_in: int
    bytes_out: int
    latency: Sequence[int]
    """See `Traffic.latency`."""

    def since(self, before: Total) -> Total:
        """What has gone through since an earlier moment."""
        return Total(
            self.requests - before.requests,
            self.errors - before.errors,
            self.incomplete - before.incomplete,
            self.bytes_in - before.bytes_in,
            self.bytes_out - before.bytes_out,
            array("Q", map(int.__sub__, self.latency, before.latency)),
        )

    def percentile(self, share: float) -> float | None:
        """How long the quickest `share` (0 to 1) of the answers took to begin, at most.

        :return: seconds, at most 15 % too much; the last of `BOUNDS` when it was longer than
            that; None when there was no answer.
        """
        wanted = share * sum(self.latency)
        if not wanted:
            return None
        seen = 0
        for bound, count in zip(_SECONDS, self.latency, strict=False):
            seen += count
            if seen >= wanted:
                return bound
        return _SECONDS[-1]
