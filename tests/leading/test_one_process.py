"""One process that serves by itself is led over its control socket."""

from __future__ import annotations

import socket
import tempfile
from pathlib import Path

import yaml
from OpenSSL import crypto
from twisted.internet import reactor

from tests.clients.stage import pki
from tests.relay.stage import GET, Stage
from toolforge_gateway import config
from toolforge_gateway.control.ask import Unanswered, Unasked, ask
from toolforge_gateway.control.commands import Explain, Reload, Report, Restart, State
from toolforge_gateway.explain import Explanation, Question
from toolforge_gateway.leading import ControlService, OneProcess
from toolforge_gateway.service import CannotListen


def shown(name: str) -> tuple[bytes, ...]:
    """A certificate of the PKI, as a question has it."""
    pem = (pki() / f"{name}.crt").read_bytes()
    certificate = crypto.load_certificate(crypto.FILETYPE_PEM, pem)
    return (crypto.dump_certificate(crypto.FILETYPE_ASN1, certificate),)


class LedTests(Stage):
    def setUp(self) -> None:
        temporary = tempfile.TemporaryDirectory(prefix="tg-")
        self.addCleanup(temporary.cleanup)
        self.path = Path(temporary.name) / "control"
        self.elsewhere = Path(temporary.name) / "elsewhere"
        super().setUp()
        self.file = self.folder / "gateway.yaml"
        self.control = self.made()
        self.control.startService()
        self.addCleanup(lambda: self.control.running and self.control.stopService())

    def made(self) -> ControlService:
        return ControlService(self.file, config.load(self.file), OneProcess(self.service), reactor)

    def document(self) -> dict:
        return {**super().document(), "control": {"socket": str(self.path)}}

    async def reload(self, document: dict | str, path: Path | None = None) -> Report:
        text = document if isinstance(document, str) else yaml.safe_dump(document)
        self.file.write_text(text)
        answer = await ask(reactor, path or self.path, 20, Reload)
        return Report.heard(answer["report"])

    async def explain(self, question: Question) -> Explanation:
        answer = await ask(reactor, self.path, 20, Explain, question=question.said())
        return Explanation.heard(answer["explanation"])

    async def test_reload(self) -> None:
        """A good configuration is in force when the answer comes, and named by it."""
        document = self.document()
        document["backends"][0]["path"] = "/builds"
        report = await self.reload(document)
        version = config.load(self.file).version
        self.assertEqual(report, Report(True, version))
        self.assertEqual(self.service.prepared.configuration.version, version)
        await self.ask(GET.replace(b"/jobs", b"/builds"))

    async def test_too_late(self) -> None:
        """Once the end has begun no reload opens the listeners anew."""
        self.control.stopService()
        stopped = self.service.stopService()
        outcome = await self.control.reloader.reload()
        self.assertFalse(outcome.good)
        self.assertEqual(self.service.addresses(), ())
        await stopped

    async def test_bad(self) -> None:
        """A bad one is told with all its complaints, file and line; the old one stays in force."""
        before = self.service.prepared.configuration.version
        document = self.document()
        document["backends"][0]["paht"] = "/builds"
        document["listen"][0]["tls"]["certificate"] = 5
        report = await self.reload(document)
        self.assertEqual((report.good, report.version), (False, before))
        self.assertEqual(len(report.complaints), 2)
        for complaint in report.complaints:
            self.assertRegex(complaint, r"gateway\.yaml:[0-9]+: ")
        await self.ask(GET)
        self.assertIn("is not YAML", (await self.reload("{")).complaints[0])

    async def test_explain(self) -> None:
        """What is explained is what is in force, not what a file says that was not taken."""
        question = Question("GET", "/jobs/v1/tool/tf-test/jobs", shown("tool-tf-test"))
        explanation = await self.explain(question)
        self.assertTrue(explanation.allowed)
        self.assertIn("allowed, own-tool", str(explanation.lines))
        document = self.document()
        document["backends"][0]["path"] = "/builds"
        self.assertFalse((await self.reload({**document, "limits": 5})).good)
        self.assertEqual(await self.explain(question), explanation)
        self.assertTrue((await self.reload(document)).good)
        refused = await self.explain(question)
        self.assertFalse(refused.allowed)
        self.assertIn("no-such-path", str(refused.lines))

    async def test_bad_question(self) -> None:
        """What is no question is said to have failed, and the next one is answered."""
        try:
            await ask(reactor, self.path, 20, Explain, question={"method": "GET"})
        except Unanswered as error:
            self.assertIn("failed to explain", str(error))
        self.assertEqual(len(self.flushLoggedErrors(KeyError)), 1)
        await self.explain(Question("GET", "/"))

    async def test_state(self) -> None:
        """The state tells what is in force and what became of the last reload."""
        state = (await ask(reactor, self.path, 20, State))["state"]
        version = self.service.prepared.configuration.version
        self.assertEqual(state["in force"], f"configuration {version}")
        self.assertEqual(state["last reload"], ["none since the start"])
        await self.reload({**self.document(), "limits": 5})
        state = (await ask(reactor, self.path, 20, State))["state"]
        self.assertEqual(state["in force"], f"configuration {version}")
        self.assertIn("bad, at 20", state["last reload"][0])
        self.assertIn("limits", state["last reload"][1])

    async def test_restart(self) -> None:
        """One process cannot hand over to another, and says what has to be done for that."""
        try:
            await ask(reactor, self.path, 20, Restart)
        except Unanswered as error:
            self.assertIn("set workers: 1", str(error))
        self.assertIsNone(self.control.reloader.last)

    async def test_workers_come(self) -> None:
        """A process cannot become a supervisor by a reload, and says so with the line."""
        report = await self.reload("workers: 2\n" + yaml.safe_dump(self.document()))
        self.assertFalse(report.good)
        self.assertIn("gateway.yaml:1: workers: has come", report.complaints[0])

    async def test_moves(self) -> None:
        """Another path counts with the rest of a configuration; who asked is still answered."""
        document = {**self.document(), "control": {"socket": str(self.elsewhere)}}
        self.assertTrue((await self.reload(document)).good)
        self.assertFalse(self.path.exists())
        self.assertTrue((await self.reload(document, self.elsewhere)).good)
        del document["control"]
        self.assertTrue((await self.reload(document, self.elsewhere)).good)
        self.assertFalse(self.elsewhere.exists())

    async def test_does_not_move(self) -> None:
        """A path that cannot be had, or anything else that is wrong, leaves it where it is."""
        with socket.socket(socket.AF_UNIX) as living:
            living.bind(str(self.elsewhere))
            living.listen()
            document = {**self.document(), "control": {"socket": str(self.elsewhere)}}
            document["backends"][0]["path"] = "/builds"
            document["upstream_tls"] = {**document["upstream_tls"], "private_key": "/none"}
            report = await self.reload(document)
            self.assertEqual(len(report.complaints), 2, report)
            self.assertIn("control.socket: cannot listen on", report.complaints[0])
            self.assertIn("another process listens there", report.complaints[0])
        self.elsewhere.unlink()
        report = await self.reload(document)
        self.assertEqual(len(report.complaints), 1, report)
        self.assertFalse(self.elsewhere.exists())
        await self.ask(GET)

    async def test_removed(self) -> None:
        """A socket whose file somebody has removed is made anew by the next reload that is good,
        at a SIGHUP for one."""
        self.path.unlink()
        good = self.file.read_text()
        self.file.write_text("no: good")
        self.assertFalse((await self.control.reloader.reload()).good)
        self.assertFalse(self.path.exists())
        self.file.write_text(good)
        self.assertTrue((await self.control.reloader.reload()).good)
        await ask(reactor, self.path, 20, State)
        self.assertEqual([each.name for each in self.path.parent.iterdir()], ["control"])

    async def test_two_gateways(self) -> None:
        """A second gateway cannot take the socket of one that lives, and does not start."""
        error = self.assertRaises(CannotListen, self.made().startService)
        self.assertIn("gateway.yaml:", str(error))
        self.assertIn("another process listens there", str(error))
        await ask(reactor, self.path, 20, State)

    async def test_end(self) -> None:
        """At the end the socket is gone."""
        self.control.stopService()
        self.assertFalse(self.path.exists())
        try:
            await ask(reactor, self.path, 20, State)
        except Unasked:
            return
        self.fail("somebody answered")
