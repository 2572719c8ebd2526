"""What `explain` says of a request is what becomes of it."""

from __future__ import annotations

from pathlib import Path

from twisted.logger import formatEvent, globalLogPublisher

from tests.clients.stage import eventually, pki
from tests.relay.scripted import TOOL, ScriptedStage
from tests.relay.stage import GET, Stage, refused
from toolforge_gateway.cli.certificate import read_certificates
from toolforge_gateway.explain import Explanation, Question, explain

PAGES = (
    *("/", "/healthz", "/docs", "/status", "/whoami", "/favicon.ico"),
    *("/openapi.json", "/openapi.yaml", "/status/x", "/nothing"),
)
PATHS = (
    *("/jobs/v1/tool/tf-test/jobs", "/jobs/v1/tool/other/jobs", "/jobs/v1/x", "/jobs/v1/healthz"),
    *("/jobs", "/jobsx", "/jobs/..", "/auth", "/auth/x"),
)
CALLERS = ("tool-tf-test", "tool-other", "admin", "service-components-api", "gateway-client", None)


class ExplainedTests(Stage):
    async def explained(self, method: str, path: str, caller: str | None) -> Explanation:
        shown: tuple[bytes, ...] = ()
        if caller is not None:
            shown = read_certificates(Path(pki(), f"{caller}.crt"))
        prepared = self.service.prepared
        question = Question(method, path, shown)
        return await explain(prepared.configuration, prepared.loaded, question)

    async def test_alike(self):
        """Every path, by every kind of caller, is refused by the word that `explain` gives, and let
        through where that says so."""
        for caller in CALLERS:
            for method in ("GET", "DELETE"):
                for path in PAGES + PATHS:
                    explanation = await self.explained(method, path, caller)
                    [said] = [line.words for line in explanation.lines if line.step == "decision"]
                    request = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n\r\n"
                    before = len(self.log())
                    answer = await self.ask(request.encode(), b"\r\n\r\n", caller)
                    status = int(answer[9:12])
                    await eventually(lambda before=before: len(self.log()) > before)
                    reason = self.log()[-1]["reason"]
                    what = f"{caller} {method} {path}: {status} {reason}, but explained: {said}"
                    if explanation.allowed:
                        self.assertEqual(status, 200, what)
                        self.assertEqual(said.partition(":")[0], f"allowed, {reason}", what)
                    else:
                        self.assertEqual(said, f"refused, {status} {reason}", what)


class LateTests(ScriptedStage):
    """An authenticator that thinks."""

    timeouts = {"response_head": 0.3}

    async def test_never(self):
        """Who never answers is named: by `explain`, and in the log where a request has waited."""
        prepared = self.service.prepared
        question = Question("GET", "/jobs/v1/tool/tf-test/jobs")
        explanation = await explain(prepared.configuration, prepared.loaded, question)
        self.assertIn("scripted: 503 decision-timeout", str(explanation.lines[2]))
        self.assertIn("refused, 503 decision-timeout", str(explanation.lines[3]))
        self.assertTrue(self.questions[0].cancelled)
        events = self.events()
        client = await self.client(None)
        client.send(GET)
        self.assertEqual(refused(await client.until(b"}\n")), (503, "decision-timeout"))
        self.assertIn(
            "authenticator scripted has not said within 0.3 s who a caller is",
            [formatEvent(event) for event in events],
        )

    async def test_late(self):
        """What comes in time counts."""
        prepared = self.service.prepared
        question = Question("GET", "/jobs/v1/tool/tf-test/jobs")
        explained = explain(prepared.configuration, prepared.loaded, question)
        self.questions[0].answer.callback(TOOL)
        self.assertTrue((await explained).allowed)

    def events(self) -> list:
        """What is logged from now on."""
        events: list = []
        globalLogPublisher.addObserver(events.append)
        self.addCleanup(globalLogPublisher.removeObserver, events.append)
        return events
