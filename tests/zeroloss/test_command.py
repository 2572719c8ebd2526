"""The load as a program of its own, for gateways that run elsewhere."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from twisted.internet import reactor

from tests.clients import programs
from tests.clients.stage import ROOT, eventually, pki
from tests.coroutines import CoroutineCase

ENVIRONMENT = {"PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}


class PartTests(CoroutineCase):
    timeout = 60

    def setUp(self) -> None:
        self.report = Path(self.mktemp()).absolute()

    def part(self, *words: str) -> programs.Running:
        """Start a part; it is gone when the test is over."""
        command = [sys.executable, "-m", "zeroloss", *words]
        running = programs.start(reactor, command, ENVIRONMENT, str(ROOT))
        self.addCleanup(running.end, "KILL")
        return running

    def load(self, port: int, *words: str, ca: str = "backend-ca.crt") -> programs.Running:
        """Start the load on what is, for want of a gateway, the backend itself."""
        keys = {"ca": ca, "certificate": "gateway-client.crt", "key": "gateway-client.key"}
        named = [f"--{name}={pki() / file}" for name, file in keys.items()]
        words = (*named, f"--report={self.report}", "--stream=0.2", *words)
        return self.part("load", f"https://localhost:{port}", *words)

    async def test_both_parts(self) -> None:
        """The load asks the backend of the other program for as long as it is told; the report
        says what came of it.  What only a gateway takes out of an answer is the only loss."""
        backend = self.part("backend", str(pki()))
        end = await self.load(int(await backend.line()), "--seconds=1").ended
        self.assertIsNotNone(end.code, end.said)
        report = json.loads(self.report.read_text())
        self.assertGreater(report["right"]["kept"], 5)
        self.assertEqual([each for each in report["losses"] if "chunked=1" not in each], [])
        backend.signal("TERM")
        self.assertEqual((await backend.ended).code, 0)

    async def test_nobody_there(self) -> None:
        """Losses make the exit code 1."""
        end = await self.load(9, "--seconds=1").ended
        self.assertEqual(end.code, 1, end.said)
        self.assertIn("there was no connection", end.said)
        self.assertGreater(sum(json.loads(self.report.read_text())["lost"].values()), 0)

    async def test_told_to_end(self) -> None:
        """SIGTERM ends the load early, and it reports."""
        load = self.load(9, "--seconds=600")
        await eventually(lambda: "600 s of load" in load.said(), within=30)
        load.signal("TERM")
        self.assertIsNotNone((await load.ended).code)
        self.assertLess(json.loads(self.report.read_text())["seconds"], 60)

    async def test_no_such_file(self) -> None:
        """A file that is missing is said, with exit code 2."""
        end = await self.load(9, ca="nowhere.crt").ended
        self.assertEqual(end.code, 2, end.said)
        self.assertIn("--ca, --certificate or --key", end.said)
        self.assertNotIn("Traceback", end.said)
