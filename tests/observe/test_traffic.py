"""What is counted of each exchange, and that no client can make the books grow."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from tests.observe.exchanges import over, total
from toolforge_gateway.interfaces import IObserver
from toolforge_gateway.observe.figures import Figures
from toolforge_gateway.observe.routes import by_route
from toolforge_gateway.observe.several import Several
from toolforge_gateway.observe.spread import BOUNDS
from toolforge_gateway.observe.traffic import (
    ASKED,
    METHODS,
    MOST_REASONS,
    NONE,
    OTHER,
    OWN_PAGES,
    UNROUTED,
    Label,
    Traffic,
)


class CountingTests(SynchronousTestCase):
    def setUp(self) -> None:
        """Two backends."""
        self.traffic = Traffic(["jobs-api", "builds-api"])

    def counts(self) -> dict[Label, tuple[int, int, int, int]]:
        return {
            label: (count.requests, count.incomplete, count.bytes_in, count.bytes_out)
            for label, count in self.traffic.counts()
        }

    def test_interface(self) -> None:
        """It is an observer like the access log."""
        verifyObject(IObserver, self.traffic)

    def test_nothing(self) -> None:
        """Before the first request everything is nought, and no percentile is made up."""
        whole = total(self.traffic)
        self.assertEqual(
            (whole.requests, whole.errors, whole.incomplete, whole.bytes_in, whole.bytes_out),
            (0, 0, 0, 0, 0),
        )
        self.assertIsNone(whole.percentile(0.5))
        self.assertEqual(self.counts(), {})

    def test_labels(self) -> None:
        """Requests are kept apart by route, method, class of status and reason."""
        self.traffic.ended(over(bytes_in=5))
        self.traffic.ended(over(bytes_in=6, status=204, bytes_out=0))
        self.traffic.ended(over(method="POST", backend="builds-api", status=403, reason="no"))
        self.assertEqual(
            self.counts(),
            {
                Label("jobs-api", "GET", 2, "own-tool"): (2, 0, 11, 280),
                Label("builds-api", "POST", 4, "no"): (1, 0, 0, 280),
            },
        )

    def test_routes_without_a_backend(self) -> None:
        """Our own pages, and what leads nowhere, are routes of their own."""
        self.traffic.ended(over(backend="", reason="own-page"))
        self.traffic.ended(over(backend="", reason="no-such-path", status=404))
        self.assertEqual({label.route for label in self.counts()}, {OWN_PAGES, UNROUTED})

    def test_asked(self) -> None:
        """What another proxy only asks about is no request for the API, and counted apart."""
        self.traffic.ended(over(asked_by="front"))
        self.traffic.ended(over())
        self.assertEqual({label.route for label in self.counts()}, {ASKED, "jobs-api"})
        self.assertEqual(total(self.traffic).requests, 1)

    def test_unreadable(self) -> None:
        """What was no request at all is counted without a method."""
        self.traffic.ended(over(method="", backend="", reason="head-timeout", status=408))
        self.assertEqual(list(self.counts()), [Label(UNROUTED, NONE, 4, "head-timeout")])

    def test_incomplete(self) -> None:
        """Answers that did not reach their end are counted, whoever ended them; only a
        backend's is an error."""
        self.traffic.ended(over(complete=False, reason="backend-cut"))
        self.traffic.ended(over(complete=False, reason="client-left"))
        self.traffic.ended(over(complete=False, reason="client-left", status=0, head_after=None))
        whole = total(self.traffic)
        self.assertEqual((whole.requests, whole.incomplete, whole.errors), (3, 3, 1))
        self.assertEqual(sum(whole.heads.counts), 2, "the client that left waited for no head")
        self.assertIn(Label("jobs-api", "GET", 0, "client-left"), self.counts())

    def test_errors(self) -> None:
        """5xx are errors, whether a backend's or ours; what clients do wrong is none."""
        for status, reason in [
            (500, "own-tool"),
            (502, "backend-refused"),
            (503, "too-many-requests-at-once"),
            (404, "own-tool"),
            (403, "foreign-tool"),
        ]:
            self.traffic.ended(over(status=status, reason=reason))
        self.assertEqual(total(self.traffic).errors, 3)


class BoundTests(SynchronousTestCase):
    """Whatever clients do, the books stay small."""

    def setUp(self) -> None:
        """One backend."""
        self.traffic = Traffic(["jobs-api"])

    def labels(self) -> list[Label]:
        return [label for label, _ in self.traffic.counts()]

    def size(self) -> int:
        """How many things are kept, seen from outside as by a leak finder."""
        return sum(len(vars(self.traffic)[name]) for name in ("_counts", "_known", "_reasons"))

    def test_methods(self) -> None:
        """A thousand made-up methods are one label, and are kept nowhere."""
        self.traffic.ended(over(method="X"))
        before = self.size()
        for number in range(1000):
            self.traffic.ended(over(method=f"X{number}"))
        self.assertEqual(self.labels(), [Label("jobs-api", OTHER, 2, "own-tool")])
        self.assertEqual(self.size(), before)
        self.assertEqual(total(self.traffic).requests, 1001)

    def test_a_method_called_other(self) -> None:
        """A client that calls its method like our own word gets no label of its own."""
        self.traffic.ended(over(method=OTHER))
        self.traffic.ended(over(method="GETX"))
        self.assertEqual(self.labels(), [Label("jobs-api", OTHER, 2, "own-tool")])

    def test_reasons(self) -> None:
        """Reasons that a plug-in makes of what clients send are bounded; counting goes on."""
        for number in range(1000):
            self.traffic.ended(over(reason=f"bad-{number}", status=403))
        self.assertLessEqual(len(self.labels()), MOST_REASONS + 1)
        self.assertLessEqual(self.size(), 3 * (MOST_REASONS + 1))
        self.assertEqual(total(self.traffic).requests, 1000)
        self.traffic.ended(over(reason="backend-cut", complete=False))
        self.assertEqual(total(self.traffic).errors, 1, "what counts as an error is still known")

    def test_long_reason(self) -> None:
        """A plug-in that calls a whole page its reason word does not have it kept."""
        self.traffic.ended(over(reason="x" * 100_000, status=403))
        self.assertEqual([label.reason for label in self.labels()], [OTHER])

    def test_statuses(self) -> None:
        """Every status that a backend can invent is one of ten classes."""
        for status in range(1000):
            self.traffic.ended(over(status=status))
        self.assertEqual(len(self.labels()), 10)

    def test_strange_backend(self) -> None:
        """A name that the configuration does not have is counted, under a word of ours."""
        for number in range(1000):
            self.traffic.ended(over(backend=f"b{number}"))
        self.assertEqual(self.labels(), [Label(OTHER, "GET", 2, "own-tool")])

    def test_everything_at_once(self) -> None:
        """All known methods at all classes give the number of labels that one would expect."""
        for method in [*METHODS, "BREW", "PROPFIND"]:
            for status in (0, 204, 304, 404, 502):
                self.traffic.ended(over(method=method, status=status))
        self.assertEqual(len(self.labels()), (len(METHODS) + 1) * 5)


class LatencyTests(SynchronousTestCase):
    def setUp(self) -> None:
        """Two backends."""
        self.traffic = Traffic(["jobs-api", "builds-api"])

    def test_percentiles(self) -> None:
        """Of 1 ms to 1 s in even steps, the median is half a second and the 99th 0.99 s, at
        most 15 % too much and never too little."""
        for thousandth in range(1, 1001):
            self.traffic.ended(over(head_after=thousandth / 1000))
        whole = total(self.traffic)
        for share in (0.01, 0.5, 0.9, 0.99, 1.0):
            found = whole.percentile(share)
            assert found is not None
            self.assertTrue(share <= found + 1e-9 <= share * 1.16 + 1e-6, (share, found))

    def test_edges(self) -> None:
        """A bound itself is within it; longer than all is told as the last one; a clock that was
        set back, or no time at all, counts as short."""
        for after, expected in [
            (BOUNDS[3] / 1e6, BOUNDS[3] / 1e6),
            (86_400.0, BOUNDS[-1] / 1e6),
            (0.0, BOUNDS[0] / 1e6),
            (-5.0, BOUNDS[0] / 1e6),
        ]:
            traffic = Traffic([])
            traffic.ended(over(head_after=after))
            self.assertEqual(total(traffic).percentile(0.5), expected)

    def test_not_how_long_it_lasted(self) -> None:
        """A log that was followed for an hour began as quickly as it began."""
        self.traffic.ended(over(head_after=0.01, ended_after=3600.0))
        percentile = total(self.traffic).percentile(0.99)
        assert percentile is not None
        self.assertLess(percentile, 0.012)

    def test_by_route(self) -> None:
        """Each route has a histogram of its own; the total is their sum without our own pages,
        which load balancers ask for all day."""
        self.traffic.ended(over())
        self.traffic.ended(over(backend="builds-api"))
        self.traffic.ended(over(backend="", reason="own-page"))
        routes = by_route(Figures(self.traffic.numbers()))
        self.assertEqual(
            {route: (each.requests, sum(each.heads.counts)) for route, each in routes.items()},
            {"jobs-api": (1, 1), "builds-api": (1, 1), OWN_PAGES: (1, 1)},
        )
        whole = total(self.traffic)
        self.assertEqual((whole.requests, sum(whole.heads.counts)), (2, 2))

    def test_since(self) -> None:
        """What lies between two moments is their difference, percentiles included."""
        for _ in range(100):
            self.traffic.ended(over(head_after=0.001, bytes_in=1))
        before = total(self.traffic)
        self.traffic.ended(over(head_after=2.0, bytes_in=7, status=502, reason="backend-refused"))
        between = total(self.traffic).since(before)
        self.assertEqual((between.requests, between.errors, between.bytes_in), (1, 1, 7))
        self.assertGreater(between.percentile(0.5) or 0, 1.9)


class SeveralTests(SynchronousTestCase):
    def test_order(self) -> None:
        """Each observer is told of an exchange, in their order."""
        told: list[tuple[str, object]] = []

        @implementer(IObserver)
        class Told:
            def __init__(self, name: str):
                self.name = name

            def ended(self, exchange: object) -> None:
                told.append((self.name, exchange))

        several = Several(Told("a"), Told("b"))
        verifyObject(IObserver, several)
        exchange = over()
        several.ended(exchange)
        self.assertEqual(told, [("a", exchange), ("b", exchange)])
