"""Figures are a value: it travels as it is, and several make one without losing anything."""

from __future__ import annotations

import json
import math
import zlib
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from toolforge_gateway.observe import catalogue
from toolforge_gateway.observe.catalogue import MEASURES, Kind, Together
from toolforge_gateway.observe.figures import (
    Address,
    Expiry,
    Figures,
    Files,
    LastReload,
    Ledger,
    Recent,
    sum_of,
)
from toolforge_gateway.observe.health import BackendState, State
from toolforge_gateway.observe.spread import BOUNDS, IN_SECONDS, NOTHING, PLACES, Spread, percentile
from toolforge_gateway.observe.total import Total

PROPERTY = settings(
    deadline=None,
    max_examples=60,
    database=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
NOON = 1_800_000_000.0


def backend(state: State = State.UP, **said: Any) -> BackendState:
    """A backend that is well, but for what is said."""
    usual = {
        "since": NOON,
        "failures": 0,
        "last_failure": "",
        "last_failure_at": None,
        "last_answer_at": NOON,
    }
    return BackendState(state=state, **{**usual, **said})


_TEXTS = st.text(max_size=20)
_TIMES = st.floats(0, 4e9)
_SPREADS = st.builds(
    Spread,
    st.dictionaries(st.integers(0, PLACES - 1), st.integers(0, 2**53), max_size=5).map(
        lambda found: tuple(found.get(place, 0) for place in range(PLACES))
    ),
    st.integers(0, 2**40).map(float),
)


def _numbers(name: str) -> st.SearchStrategy[Any]:
    measure = MEASURES[name]
    labels = st.tuples(*[_TEXTS] * len(measure.labels))
    value = _SPREADS if measure.kind is Kind.HISTOGRAM else st.integers(0, 2**53)
    return st.dictionaries(labels, value, max_size=4)


_COUNTS = st.integers(0, 2**53)
_TOTALS = st.builds(Total, _COUNTS, _COUNTS, _COUNTS, _COUNTS, _COUNTS, _SPREADS)

FIGURES = st.builds(
    Figures,
    st.fixed_dictionaries({}, optional={name: _numbers(name) for name in MEASURES}),
    st.dictionaries(
        _TEXTS,
        st.builds(
            BackendState,
            st.sampled_from(State),
            _TIMES,
            st.integers(0, 9),
            _TEXTS,
            st.none() | _TIMES,
            st.none() | _TIMES,
        ),
        max_size=3,
    ),
    st.dictionaries(
        _TEXTS,
        st.builds(Expiry, _TEXTS, _TEXTS, st.none() | _TIMES | st.just(math.inf), _TEXTS),
        max_size=3,
    ),
    st.none()
    | st.builds(LastReload, st.booleans(), _TEXTS, st.tuples(_TEXTS) | st.just(()), _TIMES),
    _TEXTS,
    st.none() | st.builds(Recent, st.none() | st.integers(0, 99), _TOTALS),
    st.dictionaries(st.integers(0, 9), _TOTALS, max_size=4),
    st.dictionaries(
        st.tuples(_TEXTS, _TEXTS),
        st.builds(
            Address,
            st.sampled_from(["up", "ejected"]),
            st.integers(0, 9),
            _TEXTS,
            st.none() | _TIMES,
            st.none() | _TIMES,
            st.integers(0, 9),
            st.integers(0, 9),
        ),
        max_size=2,
    ),
    st.dictionaries(
        st.tuples(_TEXTS, _TEXTS), st.builds(Files, _TIMES, st.none() | _TIMES, _TEXTS), max_size=2
    ),
)


class TravelTests(SynchronousTestCase):
    @PROPERTY
    @given(FIGURES)
    def test_there_and_back(self, figures: Figures) -> None:
        """Whatever is in them, they come out of the channel as they went in."""
        self.assertEqual(Figures.unpack(figures.pack()), figures)
        text = json.dumps(figures.to_json(), allow_nan=False)
        self.assertEqual(Figures.from_json(json.loads(text)), figures)

    def test_nothing(self) -> None:
        """A process that has measured nothing yet tells that."""
        self.assertEqual(Figures.unpack(Figures().pack()), Figures())
        self.assertIsNone(Figures().number(catalogue.CONNECTIONS))
        self.assertEqual(Figures().of(catalogue.REQUESTS), {})

    def test_other_versions(self) -> None:
        """A measure that only the other process knows is left out, and nothing else."""
        said = Figures({catalogue.CONNECTIONS.name: {(): 7}}).to_json()
        said["numbers"]["toolforge_gateway_of_tomorrow"] = [["a", "b", 1]]
        self.assertEqual(Figures.from_json(said).number(catalogue.CONNECTIONS), 7)

    def test_nonsense(self) -> None:
        """What is no figures is refused, whatever it is."""
        good = Figures().to_json()
        requests, heads = catalogue.REQUESTS.name, catalogue.HEAD_SECONDS.name
        for bad in (
            None,
            [],
            {},
            "x",
            {**good, "numbers": {requests: [["jobs-api", "GET", 1]]}},
            {**good, "numbers": {requests: [["jobs-api", "GET", 2, 1]]}},
            {**good, "numbers": {requests: [["jobs-api", "GET", "2xx", None]]}},
            {**good, "numbers": {requests: [["jobs-api", "GET", "2xx", True]]}},
            {**good, "numbers": {requests: [["jobs-api", "GET", "2xx", "many"]]}},
            {**good, "numbers": {requests: [["jobs-api", "GET", "2xx", [1]]]}},
            {**good, "numbers": {requests: 5}},
            {**good, "numbers": {heads: [["jobs-api", "GET", "2xx", 5]]}},
            {**good, "numbers": {heads: [["jobs-api", "GET", "2xx", [1.0, PLACES, 1]]]}},
            {**good, "numbers": {heads: [["jobs-api", "GET", "2xx", [1.0, -1, 1]]]}},
            {**good, "numbers": {heads: [["jobs-api", "GET", "2xx", [1.0, 0]]]}},
            {**good, "numbers": {heads: [["jobs-api", "GET", "2xx", [1.0, 0, "x"]]]}},
            {**good, "health": {"jobs-api": {"state": "up"}}},
            {**good, "health": {"jobs-api": {"state": "unwell"}}},
            {**good, "expiries": {"x": {"ends": "soon"}}},
            {**good, "last_reload": {"good": True}},
            {**good, "recent": [1]},
            {**good, "recent": [1, [1, 2, 3]]},
            {**good, "course": [[5]]},
            {**good, "course": [[5, [0, 0, 0, 0, "x", [0.0]]]]},
        ):
            self.assertRaises(ValueError, Figures.from_json, bad)
        packed = Figures().pack()
        for junk in (b"", b"x", packed[:-1], zlib.compress(b"{"), zlib.compress(b"\xff")):
            self.assertRaises(ValueError, Figures.unpack, junk)

    def test_size(self) -> None:
        """Those of a busy process with ten backends are far below what one AMP value holds."""
        spread = Spread(tuple(range(1000, 1000 + PLACES)), 5.5)
        figures = Figures(
            {
                measure.name: {
                    (f"backend-{number}", method, f"{status}xx")[: len(measure.labels)]: value
                    for number in range(10)
                    for method in ("GET", "POST", "DELETE")
                    for status in (2, 4, 5)
                }
                for measure, value in [(catalogue.REQUESTS, 123), (catalogue.HEAD_SECONDS, spread)]
            }
        )
        self.assertLess(len(figures.pack()), 30_000)


class SumTests(SynchronousTestCase):
    @PROPERTY
    @given(FIGURES, FIGURES, FIGURES)
    def test_order(self, one: Figures, two: Figures, three: Figures) -> None:
        """In whatever order numbers are added, the sum is the same."""
        whole = sum_of([one, two, three])
        for other in (three.plus(one).plus(two), sum_of([two.plus(three), one])):
            self.assertEqual(other.numbers, whole.numbers)
            self.assertEqual(other.course, whole.course)
            self.assertEqual(other.recent, whole.recent)

    def test_rules(self) -> None:
        """Each measure is added up as its row says."""
        for measure in MEASURES.values():
            if measure.kind is Kind.HISTOGRAM:
                continue
            labels = ("x",) * len(measure.labels)
            parts = [Figures({measure.name: {labels: number}}) for number in (3, 5)]
            expected = {Together.SUM: 8, Together.GREATEST: 5, Together.LEAST: 3}
            self.assertEqual(
                sum_of(parts).number(measure, *labels), expected[measure.together], measure.name
            )

    def test_histograms(self) -> None:
        """Histograms are added place by place."""
        name, labels = catalogue.HEAD_SECONDS.name, ("jobs-api", "GET", "2xx")
        one = Spread((1, *[0] * (PLACES - 1)), 0.5)
        both = Figures({name: {labels: one}}).plus(Figures({name: {labels: one}}))
        self.assertEqual(both.numbers[name][labels], Spread((2, *[0] * (PLACES - 1)), 1.0))

    def test_only_one_has_it(self) -> None:
        """What only one process has seen is in the sum as it is, and neither part is changed."""
        one = Figures({catalogue.CONNECTIONS.name: {(): 1}}, {"a": backend()})
        two = Figures({catalogue.STREAMS.name: {(): 2}}, {"b": backend()})
        both = one.plus(two)
        self.assertEqual(both.number(catalogue.CONNECTIONS), 1)
        self.assertEqual(both.number(catalogue.STREAMS), 2)
        self.assertEqual(list(both.health), ["a", "b"])
        self.assertEqual((len(one.numbers), len(two.numbers)), (1, 1))

    def test_expiries(self) -> None:
        """The one that runs out first is told, and a missing one before all."""
        for first, second, expected in [(5.0, 7.0, 5.0), (7.0, 5.0, 5.0), (5.0, None, None)]:
            both = Figures(expiries={"x": Expiry("server", "CN=x", first)}).plus(
                Figures(expiries={"x": Expiry("server", "CN=x", second)})
            )
            self.assertEqual(both.expiries["x"].ends, expected)

    def test_addresses(self) -> None:
        """An address is as bad as the worse of two finds it, with the connections of both."""
        good = Address("up", 0, "", None, None, 1, 2)
        bad = Address("ejected", 3, "backend-refused", NOON, NOON + 9, 0, 0)
        for parts in ([good, bad], [bad, good]):
            whole = sum_of(Figures(addresses={("a", "b"): each}) for each in parts)
            self.assertEqual(
                whole.addresses,
                {("a", "b"): Address("ejected", 3, "backend-refused", NOON, NOON + 9, 1, 2)},
            )

    def test_files(self) -> None:
        """Files that one process refuses are refused; the older of two revisions is told."""
        good, bad = Files(NOON, None, ""), Files(NOON - 5, NOON, "no PEM")
        for parts in ([good, bad], [bad, good]):
            whole = sum_of(Figures(files={("a", "b"): each}) for each in parts)
            self.assertEqual(whole.files, {("a", "b"): bad})

    def test_reload(self) -> None:
        """The latest reload is the one that is told."""
        old, new = LastReload(True, "a", (), NOON), LastReload(False, "b", ("x: y",), NOON + 1)
        for parts in ([old, new], [new, old], [None, new], [new, None]):
            whole = sum_of(Figures(last_reload=part) for part in parts)
            self.assertEqual(whole.last_reload, new)

    def test_no_one(self) -> None:
        """Of no processes there are no figures."""
        self.assertEqual(sum_of([]), Figures())


class HealthSumTests(SynchronousTestCase):
    def state(self, one: BackendState, other: BackendState) -> State:
        """What both say, asked in both orders."""
        both = one.plus(other)
        self.assertEqual(both.state, other.plus(one).state)
        return both.state

    def test_states(self) -> None:
        """Failing is told when one finds so, unless the other has had an answer since."""
        unknown = backend(State.UNKNOWN, last_answer_at=None)
        failing = backend(State.FAILING, last_failure_at=NOON, last_answer_at=NOON - 60)
        self.assertIs(self.state(unknown, unknown), State.UNKNOWN)
        self.assertIs(self.state(unknown, backend()), State.UP)
        self.assertIs(self.state(unknown, failing), State.FAILING)
        self.assertIs(self.state(failing, failing), State.FAILING)
        self.assertIs(self.state(backend(last_answer_at=NOON - 1), failing), State.FAILING)
        self.assertIs(self.state(backend(last_answer_at=NOON + 1), failing), State.UP)

    def test_facts(self) -> None:
        """The latest failure and the latest answer are told, whoever saw them."""
        one = backend(last_failure="backend-refused", last_failure_at=NOON - 5, failures=1)
        two = backend(last_answer_at=NOON + 9)
        self.assertEqual(
            one.plus(two),
            backend(
                last_failure="backend-refused",
                last_failure_at=NOON - 5,
                failures=1,
                last_answer_at=NOON + 9,
            ),
        )


class LedgerTests(SynchronousTestCase):
    def figures(self, requests: int, connections: int) -> Figures:
        return Figures(
            {
                catalogue.SERVED.name: {("1",): requests},
                catalogue.CONNECTIONS.name: {(): connections},
            },
            {"jobs-api": backend()},
        )

    def test_deaths(self) -> None:
        """What a process has counted stays when it is gone; how it was does not."""
        ledger = Ledger()
        ledger.told(1, self.figures(100, 7))
        ledger.told(2, self.figures(10, 3))
        ledger.told(1, self.figures(105, 8))
        self.assertEqual(ledger.whole().number(catalogue.SERVED, "1"), 115)
        ledger.gone(1)
        whole = ledger.whole()
        self.assertEqual(whole.number(catalogue.SERVED, "1"), 115)
        self.assertEqual(whole.number(catalogue.CONNECTIONS), 3)
        ledger.told(3, self.figures(1, 1))
        self.assertEqual(ledger.whole().number(catalogue.SERVED, "1"), 116)
        for process in (2, 3):
            ledger.gone(process)
        whole = ledger.whole()
        self.assertEqual(whole.number(catalogue.SERVED, "1"), 116)
        self.assertIsNone(whole.number(catalogue.CONNECTIONS))
        self.assertEqual(whole.health, {})

    def test_never_told(self) -> None:
        """One that died before it told anything changes nothing, nor does one that dies twice."""
        ledger = Ledger()
        ledger.told(1, self.figures(5, 1))
        ledger.gone(2)
        ledger.gone(1)
        ledger.gone(1)
        self.assertEqual(ledger.whole().number(catalogue.SERVED, "1"), 5)

    def test_only(self) -> None:
        """Of all that are not there any more what they have counted stays."""
        ledger = Ledger()
        for process in (1, 2, 3):
            ledger.told(process, self.figures(5, 1))
        ledger.only([2])
        whole = ledger.whole()
        self.assertEqual(whole.number(catalogue.SERVED, "1"), 15)
        self.assertEqual(whole.number(catalogue.CONNECTIONS), 1)

    def test_own(self) -> None:
        """Who keeps the ledger adds what it has measured itself."""
        ledger = Ledger()
        ledger.told(1, self.figures(5, 1))
        own = Figures({catalogue.WORKER_DEATHS.name: {(): 2}})
        self.assertEqual(ledger.whole(own).number(catalogue.WORKER_DEATHS), 2)


class SpreadTests(SynchronousTestCase):
    def test_bounds(self) -> None:
        """They rise by 10 to 20 per cent, from tens of microseconds to minutes."""
        self.assertEqual(sorted(set(BOUNDS)), list(BOUNDS))
        for below, above in zip(BOUNDS, BOUNDS[1:], strict=False):
            self.assertTrue(1.1 < above / below < 1.2, (below, above))
        self.assertLess(BOUNDS[0], 50)
        self.assertGreater(BOUNDS[-1], 120_000_000)

    def test_percentile(self) -> None:
        """It is a bound that enough lie within; the last one for what is beyond; None of none."""
        counts = [0] * PLACES
        self.assertIsNone(percentile(counts, 0.5))
        self.assertIsNone(percentile(NOTHING.counts, 0.0))
        counts[-1] = 1
        self.assertEqual(percentile(counts, 0.5), IN_SECONDS[-1])
        counts[3] = 1
        self.assertEqual(percentile(counts, 0.5), IN_SECONDS[3])


class CatalogueTests(SynchronousTestCase):
    def test_names(self) -> None:
        """Names are as Prometheus wants them: base units, `_total` for counters and them alone."""
        for name, measure in MEASURES.items():
            self.assertRegex(name, r"\A(toolforge_gateway|process)_[a-z_]+\Z")
            self.assertEqual(name.endswith("_total"), measure.kind is Kind.COUNTER, name)
            if measure.kind is Kind.HISTOGRAM:
                self.assertTrue(name.endswith("_seconds"), name)
            self.assertNotRegex(name, "milli|micro|_ms|_kb|percent")
            self.assertRegex(measure.help, r"\A[A-Z0-9].*\.\Z")
            self.assertNotIn("\n", measure.help)
            for label in measure.labels:
                self.assertRegex(label, r"\A[a-z_]+\Z")
                self.assertNotIn(label, ("le", "quantile", "job", "instance"))
