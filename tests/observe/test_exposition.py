"""What Prometheus reads is what was measured, by the judgement of real parsers."""

from __future__ import annotations

import math
from pathlib import Path

from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample
from twisted.internet import reactor
from twisted.trial.unittest import SynchronousTestCase

from tests.clients.programs import program, run
from tests.coroutines import CoroutineCase
from tests.observe.exchanges import over
from toolforge_gateway.observe import catalogue, process
from toolforge_gateway.observe.catalogue import MEASURES, Kind
from toolforge_gateway.observe.exposition import SHOWN, exposition
from toolforge_gateway.observe.figures import Expiry, Figures, Files, LastReload
from toolforge_gateway.observe.health import BackendState, State
from toolforge_gateway.observe.spread import BOUNDS, PLACES, Spread
from toolforge_gateway.observe.traffic import METHODS, MOST_REASONS, Traffic

OPENMETRICS = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
NOON = 1_800_000_000.0


def samples(figures: Figures) -> dict[str, list[Sample]]:
    """All that /metrics says, by the name of the sample; both formats say the same."""
    found: dict[str, list[Sample]] = {}
    text = exposition(figures, "")[0].decode()
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, []).append(sample)
    return found


def everything() -> Figures:
    """Figures with all measures there are."""
    numbers = {
        name: {
            ("x",) * len(measure.labels): Spread((1,) * PLACES, 9.5)
            if measure.kind is Kind.HISTOGRAM
            else 3
        }
        for name, measure in MEASURES.items()
    }
    state = BackendState(State.FAILING, NOON, 3, "backend-refused", NOON, NOON - 5)
    return Figures(
        numbers,
        {"jobs-api": state},
        {"server certificate of tcp:443": Expiry("server", "CN=x", NOON)},
        LastReload(False, "abc", ("x",), NOON),
        files={("listen[0].tls", "key pair"): Files(NOON, NOON, "no PEM")},
    )


class ExpositionTests(SynchronousTestCase):
    def test_nothing(self) -> None:
        """Before anything was measured the answer is valid, and empty."""
        self.assertEqual(samples(Figures()), {})
        body, _ = exposition(Figures(), OPENMETRICS)
        self.assertEqual(list(openmetrics.text_string_to_metric_families(body.decode())), [])

    def test_every_measure(self) -> None:
        """Each measure comes out under its own name, with its sentence and its kind."""
        body, media_type = exposition(everything(), "")
        self.assertTrue(media_type.startswith("text/plain; version=0.0.4"), media_type)
        families = {each.name: each for each in text_string_to_metric_families(body.decode())}
        for name, measure in MEASURES.items():
            family = families.pop(name.removesuffix("_total"))
            self.assertEqual(
                (family.type, family.documentation), (measure.kind.value, measure.help)
            )
            for sample in family.samples:
                self.assertEqual(set(sample.labels) - {"le"}, set(measure.labels))
        self.assertEqual(families, {})

    def test_openmetrics(self) -> None:
        """Who asks for OpenMetrics gets it, by a parser that is strict, with the same numbers."""
        body, media_type = exposition(everything(), OPENMETRICS)
        self.assertTrue(media_type.startswith("application/openmetrics-text"), media_type)
        strict = {
            (sample.name, *sorted(sample.labels.items())): sample.value
            for family in openmetrics.text_string_to_metric_families(body.decode())
            for sample in family.samples
        }
        plain = {
            (sample.name, *sorted(sample.labels.items())): sample.value
            for each in samples(everything()).values()
            for sample in each
        }
        self.assertEqual(strict, plain)

    def test_accept(self) -> None:
        """Whatever Accept says, there is an answer."""
        for accept in (
            "",
            "*/*",
            "text/html",
            "application/openmetrics-text",
            ";;,,=",
            "\xff" * 99,
        ):
            self.assertTrue(exposition(Figures(), accept)[1])

    def test_counts(self) -> None:
        """Requests, decisions and bytes are those that were counted."""
        traffic = Traffic(["jobs-api"])
        traffic.ended(over(bytes_in=5))
        traffic.ended(over(status=403, reason="foreign-tool", head_after=0.5))
        traffic.ended(over(status=502, reason="backend-refused", method="POST"))
        traffic.ended(over(status=0, reason="client-left", head_after=None, complete=False))
        found = samples(Figures(traffic.numbers()))

        def values(name: str, *labels: str) -> dict[tuple[str, ...], float]:
            return {
                tuple(sample.labels[each] for each in labels): sample.value
                for sample in found["toolforge_gateway_" + name]
            }

        self.assertEqual(
            values("requests_total", "backend", "method", "status_class"),
            {
                ("jobs-api", "GET", "2xx"): 1,
                ("jobs-api", "GET", "4xx"): 1,
                ("jobs-api", "POST", "5xx"): 1,
                ("jobs-api", "GET", "none"): 1,
            },
        )
        self.assertEqual(
            values("decisions_total", "reason", "result"),
            {
                ("own-tool", "allowed"): 1,
                ("foreign-tool", "refused"): 1,
                ("backend-refused", "failed"): 1,
                ("client-left", "left"): 1,
            },
        )
        self.assertEqual(values("request_errors_total", "backend"), {("jobs-api",): 1})
        self.assertEqual(values("answers_incomplete_total", "backend"), {("jobs-api",): 1})
        self.assertEqual(values("request_body_bytes_total", "backend"), {("jobs-api",): 5})
        self.assertEqual(
            values("response_head_seconds_count", "method", "status_class"),
            {("GET", "2xx"): 1, ("GET", "4xx"): 1, ("POST", "5xx"): 1, ("GET", "none"): 0},
        )
        self.assertEqual(values("response_head_seconds_sum", "status_class")[("4xx",)], 0.5)

    def test_buckets(self) -> None:
        """The coarse buckets hold exactly what lies within them: nothing is guessed."""
        traffic = Traffic(["jobs-api"])
        waits = [bound / 1e6 for bound in SHOWN] + [1e-6, 0.0011, 0.3, 400.0, 4000.0]
        for wait in waits:
            traffic.ended(over(head_after=wait))
        found = samples(Figures(traffic.numbers()))
        buckets = found["toolforge_gateway_response_head_seconds_bucket"]
        for sample in buckets:
            bound = float(sample.labels["le"])
            self.assertEqual(sample.value, sum(wait <= bound for wait in waits), bound)
        self.assertEqual(
            [float(sample.labels["le"]) for sample in buckets],
            [*(bound / 1e6 for bound in SHOWN), math.inf],
        )

    def test_bounds(self) -> None:
        """12 to 16 buckets from a millisecond to five minutes, all of them of the fine ones."""
        self.assertTrue(12 <= len(SHOWN) <= 16)
        self.assertTrue(set(SHOWN) <= set(BOUNDS))
        self.assertEqual(SHOWN[0], 1000)
        self.assertGreaterEqual(SHOWN[-1], 300_000_000)

    def test_derived(self) -> None:
        """What follows from facts: failing backends, what runs out, what was refused."""
        up = BackendState(State.UP, NOON, 0, "", None, NOON)
        unknown = BackendState(State.UNKNOWN, NOON, 0, "", None, None)
        figures = Figures(
            {catalogue.CPU.name: {("0",): 1.5, ("1",): 2}, catalogue.STARTED_AT.name: {("0",): 7}},
            {"a": up, "b": unknown, "c": everything().health["jobs-api"]},
            {
                "x": Expiry("server", "CN=x", NOON),
                "y": Expiry("revocation-list", "CN=y", None),
                "z": Expiry("client-ca", "CN=z", math.inf),
            },
            LastReload(True, "abc", (), NOON),
            files={("a", "x"): Files(NOON, None, ""), ("a", "y"): Files(7, NOON, "no PEM")},
        )
        found = {
            name.removeprefix("toolforge_gateway_"): [sample.value for sample in each]
            for name, each in samples(figures).items()
        }
        self.assertEqual(found["backend_failing"], [0, 0, 1])
        self.assertEqual(found["backend_last_answer_timestamp_seconds"], [NOON, NOON - 5])
        self.assertEqual(found["certificate_expiry_timestamp_seconds"], [NOON, 0, math.inf])
        self.assertEqual(found["certificate_refused"], [0, 1])
        self.assertEqual(found["certificate_read_timestamp_seconds"], [NOON, 7])
        self.assertEqual(found["configuration_last_reload_successful"], [1])
        self.assertEqual(found["configuration_last_reload_timestamp_seconds"], [NOON])
        self.assertEqual(found["process_cpu_seconds_total"], [3.5])
        self.assertEqual(found["process_start_time_seconds"], [7])
        self.assertNotIn("process_open_fds", found)

    def test_this_process(self) -> None:
        """What this process uses is told, and is what it can be."""
        found = samples(Figures(process.numbers("0", NOON)))
        self.assertGreater(found["process_resident_memory_bytes"][0].value, 10_000_000)
        self.assertGreater(found["process_cpu_seconds_total"][0].value, 0)
        self.assertTrue(3 <= found["process_open_fds"][0].value <= 100_000)
        self.assertEqual(found["process_start_time_seconds"][0].value, NOON)
        (build,) = found["toolforge_gateway_build_info"]
        self.assertIn("OpenSSL", build.labels["openssl"])

    def test_without_proc(self) -> None:
        """Where the kernel tells nothing of processes, the rest is told all the same."""
        found = samples(Figures(process.numbers("0", NOON, Path(self.mktemp()))))
        self.assertNotIn("process_resident_memory_bytes", found)
        self.assertIn("process_cpu_seconds_total", found)


class HostileTests(SynchronousTestCase):
    """Whatever clients and plug-ins do, /metrics stays small and can be parsed."""

    def number(self, traffic: Traffic) -> int:
        return sum(map(len, samples(Figures(traffic.numbers())).values()))

    def test_bound(self) -> None:
        """Any method, path, backend and reason at all make no more series than the known ones."""
        traffic = Traffic(["jobs-api"])
        for number in range(3000):
            evil = f'{number}"\\\n}} 1\n# HELP x\n'
            for said in (
                {"method": evil},
                {"path": evil},
                {"backend": evil},
                {"reason": evil, "status": 403},
                {"status": number % 1000},
                {"asked_by": evil},
                {"backend": "", "path": evil, "method": evil, "reason": "no-such-path"},
            ):
                traffic.ended(over(**said))
        first = self.number(traffic)
        for number in range(3000, 5000):
            for name in ("method", "backend", "path", "reason", "asked_by"):
                traffic.ended(over(**{name: f"{number}\u2028"}))
        self.assertEqual(self.number(traffic), first)
        reasons = {each.labels["reason"] for each in self.decisions(traffic)}
        self.assertLessEqual(len(reasons), MOST_REASONS + 5)
        self.assertLess(first, 2000)

    def test_no_characters(self) -> None:
        """What UTF-8 cannot say does not take the metrics away."""
        traffic = Traffic(["jobs-api"])
        traffic.ended(over(reason="bad-\udc80", status=403))
        self.assertEqual(self.decisions(traffic)[0].labels["reason"], "bad-\\udc80")

    def test_own_words(self) -> None:
        """However many words a plug-in makes up, ours are still told apart."""
        traffic = Traffic(["jobs-api"])
        for number in range(MOST_REASONS * 2):
            traffic.ended(over(reason=f"bad-{number}", status=403))
        traffic.ended(over(reason="backend-timeout", status=504))
        reasons = {each.labels["reason"] for each in self.decisions(traffic)}
        self.assertIn("backend-timeout", reasons)

    def decisions(self, traffic: Traffic) -> list[Sample]:
        return samples(Figures(traffic.numbers()))["toolforge_gateway_decisions_total"]

    def test_worst(self) -> None:
        """Ten backends at all methods and all classes of status are some thousand series."""
        traffic = Traffic([f"backend-{number}" for number in range(10)])
        for number in range(10):
            for method in [*METHODS, "BREW"]:
                for status in (0, 101, 204, 304, 404, 502):
                    traffic.ended(over(backend=f"backend-{number}", method=method, status=status))
        self.assertLess(self.number(traffic), 10_500)


class PromtoolTests(CoroutineCase):
    async def test_promtool(self) -> None:
        """Prometheus's own check has nothing to say against names, kinds and sentences."""
        promtool = program("promtool")
        file = Path(self.mktemp())
        file.write_bytes(exposition(everything(), "")[0])
        command = f"{promtool} check metrics < {file}"
        told = await run(reactor, ["/bin/sh", "-c", command])
        self.assertEqual((told.code, told.out, told.err), (0, "", ""))
