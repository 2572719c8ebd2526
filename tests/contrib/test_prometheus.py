"""Real Prometheus takes the rules, and finds on a real gateway what the dashboard asks for."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import yaml
from twisted.internet import reactor
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.error import ConnectError
from twisted.internet.protocol import Factory
from twisted.internet.task import deferLater

from tests.clients.programs import program, run, start
from tests.contrib.expressions import ALERTS, PROMETHEUS, filled_in, queries, rules
from tests.coroutines import CoroutineCase
from tests.relay.ends import End
from tests.relay.stage import GET, Stage
from toolforge_gateway.reload import Reloader
from toolforge_gateway.testing.ports import free_port

OF_A_SUPERVISOR = ("workers_wanted", "worker_deaths", "generation")
OF_DOCUMENTS = ("api_document_stale",)
"""What the gateway of the test does not tell: it is one process, its backend has no document."""


class RuleTests(CoroutineCase):
    async def test_rules(self) -> None:
        """promtool takes the rules: expressions, durations, templates."""
        told = await run(reactor, [program("promtool"), "check", "rules", str(ALERTS)])
        self.assertEqual(told.code, 0, told.said)

    async def test_each_alert(self) -> None:
        """Each alert fires for what it is for, and none does when all is well: the unit tests."""
        tests = PROMETHEUS / "alerts_test.yaml"
        tested = {
            each["alertname"]
            for test in yaml.safe_load(tests.read_text())["tests"]
            for each in test["alert_rule_test"]
            if each["exp_alerts"]
        }
        self.assertEqual(tested, {rule["alert"] for rule in rules()})
        told = await run(reactor, [program("promtool"), "test", "rules", str(tests)])
        self.assertEqual(told.code, 0, told.said)


class PrometheusTests(Stage):
    timeout = 120

    def setUp(self) -> None:
        """A gateway, and a Prometheus that asks it four times a second."""
        binary = program("prometheus")
        super().setUp()
        reloader = Reloader(self.folder / "gateway.yaml", self.service, "x", reactor)
        self.service.process.overview.follow(reloader)
        self.reloader = reloader
        self.number = free_port()
        operations = self.service.operations_address().port
        file = self.folder / "prometheus.yaml"
        scrape = {
            "job_name": "toolforge-gateway",
            "static_configs": [{"targets": [f"127.0.0.1:{operations}"]}],
        }
        file.write_text(
            yaml.safe_dump(
                {
                    "global": {"scrape_interval": "250ms", "evaluation_interval": "250ms"},
                    "rule_files": [str(ALERTS)],
                    "scrape_configs": [scrape],
                }
            )
        )
        prometheus = start(
            reactor,
            [
                binary,
                f"--config.file={file.absolute()}",
                f"--storage.tsdb.path={self.folder.absolute()}/tsdb",
                f"--web.listen-address=127.0.0.1:{self.number}",
            ],
        )
        self.addCleanup(prometheus.end)

    async def api(self, path: str) -> Any:
        """What Prometheus answers; None while it does not."""
        try:
            client = await TCP4ClientEndpoint(reactor, "127.0.0.1", self.number).connect(
                Factory.forProtocol(End)
            )
        except ConnectError:  # it has not begun to listen yet
            return None
        client.send(f"GET /api/v1/{path} HTTP/1.0\r\nHost: x\r\n\r\n".encode())
        head, _, body = (await client.closed()).partition(b"\r\n\r\n")
        if b" 503 " in head.partition(b"\r\n")[0]:
            return None
        self.assertIn(b" 200 ", head.partition(b"\r\n")[0], (path, body))
        return json.loads(body)["data"]

    async def query(self, expression: str) -> list[Any]:
        """What an expression gives now."""
        answer = await self.api(f"query?query={quote(expression)}")
        result: list[Any] = [] if answer is None else answer["result"]
        return result

    async def until(self, expression: str) -> None:
        """Wait until an expression gives something."""
        while not await self.query(expression):
            await deferLater(reactor, 0.2)

    async def test_dashboard(self) -> None:
        """Each panel shows something of a gateway that has served, refused and reloaded; nothing
        fires, and what Prometheus knows of our metrics is what we say of them."""
        for _ in range(3):
            await self.ask(GET)
            await self.ask(GET.replace(b"tf-test", b"tf-other"), b"}")
        await self.reloader.reload()
        await self.until('rate(toolforge_gateway_decisions_total{result="refused"}[30s])')
        # A series that begins with a number has a rate once it was seen twice.
        await self.ask(GET)
        await self.until("count_over_time(toolforge_gateway_build_info[30s]) > 3")
        empty = [
            (title, expression)
            for title, expression in queries()
            if not await self.query(filled_in(expression))
        ]
        surprising = [
            (title, expression)
            for title, expression in empty
            if not any(name in expression for name in (*OF_A_SUPERVISOR, *OF_DOCUMENTS))
            and " > " not in expression
            and 'result=~"failed|left"' not in expression
        ]
        self.assertEqual(surprising, [])
        answer = await self.api("rules")
        states = {rule["name"]: rule["state"] for rule in answer["groups"][0]["rules"]}
        self.assertEqual(set(states), {rule["alert"] for rule in rules()})
        self.assertNotIn("firing", states.values())
        troubles = [
            rule["lastError"] for rule in answer["groups"][0]["rules"] if "lastError" in rule
        ]
        self.assertEqual([each for each in troubles if each], [])
        (target,) = (await self.api("targets"))["activeTargets"]
        self.assertEqual((target["health"], target["lastError"]), ("up", ""))
