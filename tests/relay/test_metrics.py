"""`/metrics` on the operations port of a whole gateway."""

from __future__ import annotations

import gzip
import shutil

from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample
from twisted.internet import reactor
from twisted.internet.defer import Deferred, fail
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.protocol import Factory

from tests.clients.programs import program, run
from tests.clients.stage import eventually, pki
from tests.relay.ends import End, connect
from tests.relay.stage import GET, Stage
from toolforge_gateway.observe.figures import Figures
from toolforge_gateway.reload import Reloader
from toolforge_gateway.testing.pki import Authority

HEADS = "toolforge_gateway_response_head_seconds"


class MetricsCase(Stage):
    """Asks the operations port."""

    async def operations(self, request: str, host: str = "pod-ip:9090", more: str = "") -> bytes:
        """What the operations port answers."""
        endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", self.service.operations_address().port)
        client = await endpoint.connect(Factory.forProtocol(End))
        client.send(
            f"{request} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{more}\r\n".encode()
        )
        return await client.closed()

    async def samples(self) -> dict[str, list[Sample]]:
        """All that /metrics says."""
        head, _, body = (await self.operations("GET /metrics")).partition(b"\r\n\r\n")
        self.assertTrue(head.startswith(b"HTTP/1.1 200 "), head)
        found: dict[str, list[Sample]] = {}
        for family in text_string_to_metric_families(body.decode()):
            for sample in family.samples:
                found.setdefault(sample.name, []).append(sample)
        return found

    async def value(self, name: str, **labels: str) -> float | None:
        """One sample's value."""
        for sample in (await self.samples()).get(name, []):
            if labels.items() <= sample.labels.items():
                return sample.value
        return None


class MetricsTests(MetricsCase):
    async def test_requests(self) -> None:
        """What goes through shows at the next look: counts, histogram, decisions, connections."""
        await self.ask(GET)
        await self.ask(GET.replace(b"tf-test", b"tf-other"), b"}")
        labels = {"backend": "jobs-api", "method": "GET"}
        self.assertEqual(
            await self.value("toolforge_gateway_requests_total", **labels, status_class="2xx"), 1
        )
        self.assertEqual(
            await self.value("toolforge_gateway_requests_total", **labels, status_class="4xx"), 1
        )
        self.assertEqual(await self.value(f"{HEADS}_count", **labels, status_class="2xx"), 1)
        self.assertEqual(
            await self.value("toolforge_gateway_decisions_total", reason="foreign-tool"), 1
        )
        self.assertEqual(await self.value("toolforge_gateway_connections"), 2)
        self.assertEqual(await self.value("toolforge_gateway_worker_requests_total", worker="0"), 2)
        self.assertEqual(await self.value("toolforge_gateway_requests_under_way"), 0)
        self.assertEqual(await self.value("toolforge_gateway_backend_failing"), 0)

    async def test_hostile(self) -> None:
        """Made-up methods and paths, whoever sends them, make no series of their own."""
        client = await self.client()
        for number in range(50):
            client.send(GET.replace(b"GET", b"BREW%d" % number))
            client.send(GET.replace(b"/jobs/v1", b"/evil%d" % number))
        await client.until(lambda: client.received.count(b"HTTP/1.1 ") >= 100)
        found = await self.samples()
        methods = {each.labels["method"] for each in found["toolforge_gateway_requests_total"]}
        self.assertEqual(methods, {"GET", "other"})
        text = (await self.operations("GET /metrics")).decode()
        self.assertNotIn("evil", text)
        self.assertNotIn("BREW", text)
        self.assertNotIn("tf-test", text)

    async def test_at_once(self) -> None:
        """Before the first request all that can be known is there, and valid."""
        found = await self.samples()
        for name in (
            "toolforge_gateway_build_info",
            "toolforge_gateway_certificate_expiry_timestamp_seconds",
            "toolforge_gateway_configuration_info",
            "toolforge_gateway_configuration_loaded_timestamp_seconds",
            "toolforge_gateway_connections_limit",
            "toolforge_gateway_request_errors_total",
            "toolforge_gateway_workers",
            "process_cpu_seconds_total",
        ):
            self.assertIn(name, found)
        while not await self.value("toolforge_gateway_reactor_lag_seconds_count"):
            pass  # The first look at the lag comes a quarter of a second after the start.

    async def test_reload(self) -> None:
        """A configuration that is refused shows, and so does a good one after it."""
        reloader = Reloader(self.folder / "gateway.yaml", self.service, "x", reactor)
        self.service.process.overview.follow(reloader)
        name = "toolforge_gateway_configuration_last_reload_successful"
        good = (self.folder / "gateway.yaml").read_text()
        (self.folder / "gateway.yaml").write_text("nonsense: 1\n")
        await reloader.reload()
        self.assertEqual(await self.value(name), 0)
        status = await self.operations("GET /status", "localhost", "Accept: application/json\r\n")
        self.assertIn(b"gateway.yaml:1", status)
        (self.folder / "gateway.yaml").write_text(good)
        await reloader.reload()
        self.assertEqual(await self.value(name), 1)
        counts = "toolforge_gateway_configuration_reloads_total"
        self.assertEqual(await self.value(counts, outcome="bad"), 1)
        self.assertEqual(await self.value(counts, outcome="good"), 1)
        self.flushLoggedErrors()

    async def test_read_only(self) -> None:
        """Nothing but GET and HEAD is taken, and nothing lies below."""
        for method, status in [("POST", 405), ("DELETE", 405), ("HEAD", 200)]:
            answer = await self.operations(f"{method} /metrics")
            self.assertIn(b" %d " % status, answer.partition(b"\r\n")[0])
        head, _, body = (await self.operations("HEAD /metrics")).partition(b"\r\n\r\n")
        self.assertEqual(body, b"")

    async def test_compressed(self) -> None:
        """It is compressed for who takes that."""
        more = "Accept-Encoding: gzip\r\nAccept: application/openmetrics-text; version=1.0.0\r\n"
        answer = await self.operations("GET /metrics", more=more)
        head, _, body = answer.partition(b"\r\n\r\n")
        self.assertIn(b"content-encoding: gzip", head.lower())
        self.assertIn(b"content-type: application/openmetrics-text", head.lower())
        self.assertTrue(gzip.decompress(body).endswith(b"# EOF\n"))

    async def test_not_on_the_public_side(self) -> None:
        """What listens for clients has no such page."""
        answer = await self.ask(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n", b"}", None)
        self.assertIn(b" 404 ", answer.partition(b"\r\n")[0])

    async def test_all_processes(self) -> None:
        """One of several tells what all have measured; a page is shown when they have answered,
        and nobody waits in vain when the one who asks has gone."""
        asked: list[Deferred[Figures]] = []

        def ask() -> Deferred[Figures]:
            asked.append(Deferred())
            return asked[-1]

        whole = Figures({"toolforge_gateway_connections": {(): 1234}})
        self.service.process.overview.be_one_of_several("1", ask)
        endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", self.service.operations_address().port)
        impatient = await endpoint.connect(Factory.forProtocol(End))
        impatient.send(b"GET /status HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await eventually(lambda: len(asked) == 1)
        impatient.transport.abortConnection()
        status = self.operations("GET /status", "localhost", "Accept: application/json\r\n")
        status = Deferred.fromCoroutine(status)
        metrics = Deferred.fromCoroutine(self.samples())
        await eventually(lambda: len(asked) == 2)
        for each in asked:
            each.callback(whole)
        self.assertIn(b'"connections": 1234', await status)
        self.assertEqual((await metrics)["toolforge_gateway_connections"][0].value, 1234)

    async def test_cannot_ask(self) -> None:
        """When the others cannot be asked, a worker tells its own."""
        self.service.process.overview.be_one_of_several("1", lambda: fail(OSError("gone")))
        self.assertEqual(await self.value("toolforge_gateway_workers"), 1)
        answer = await self.operations("GET /status", "localhost")
        self.assertIn(b" 200 ", answer.partition(b"\r\n")[0])

    async def test_promtool(self) -> None:
        """Prometheus's own check finds nothing wrong with what a gateway tells."""
        promtool = program("promtool")
        await self.ask(GET)
        _, _, body = (await self.operations("GET /metrics")).partition(b"\r\n\r\n")
        (self.folder / "metrics").write_bytes(body)
        command = f"{promtool} check metrics < {self.folder / 'metrics'}"
        told = await run(reactor, ["/bin/sh", "-c", command])
        self.assertEqual((told.code, told.said), (0, ""))


class FullTests(MetricsCase):
    """There may be one connection."""

    limits = {"connections": 1}

    async def test_refused(self) -> None:
        """Connections that are closed at once are counted: no line of the access log has them."""
        first = await self.client()
        first.send(GET)
        await first.until(b"\r\n\r\nok")
        plain = await TCP4ClientEndpoint(reactor, "127.0.0.1", self.port).connect(
            Factory.forProtocol(End)
        )
        await plain.closed()
        refused = "toolforge_gateway_connections_refused_total"
        self.assertEqual(await self.value(refused, limit="connections"), 1)
        self.assertEqual(await self.value(refused, limit="connections_per_address"), 0)
        self.assertEqual(await self.value("toolforge_gateway_connections_limit"), 1)


class HandshakeTests(MetricsCase):
    """Who gets no further than TLS."""

    async def test_foreign_certificate(self) -> None:
        """Each handshake that OpenSSL ends for a client's certificate is counted, and who speaks no
        TLS is counted apart; who only connects is not."""
        endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", self.port)
        probe = await endpoint.connect(Factory.forProtocol(End))
        probe.transport.loseConnection()
        plain = await endpoint.connect(Factory.forProtocol(End))
        plain.send(GET)
        await plain.closed()
        strangers = self.folder / "strangers"
        strangers.mkdir()
        shutil.copy(pki() / "server-ca.crt", strangers)
        Authority("stranger").issue().write(strangers, "stranger")
        stranger = await connect(strangers, self.port, "stranger")
        await stranger.closed()
        failed = "toolforge_gateway_handshakes_failed_total"
        for cause, count in (("certificate", 1), ("protocol", 1), ("alert", 0)):
            self.assertEqual(await self.value(failed, cause=cause), count, cause)
