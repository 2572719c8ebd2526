"""Nothing that is done to a gateway as a matter of course loses a request.

A gateway process, its backends and its clients run as `./run zeroloss` runs them; the program is
its own judge, and each complaint of it is a failure here.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from pathlib import Path

from twisted.internet import reactor

from tests.clients import programs
from tests.clients.stage import ROOT
from tests.coroutines import CoroutineCase


class ZeroLossTests(CoroutineCase):
    timeout = 600

    def setUp(self) -> None:
        # Short: a Unix socket is made in it.
        self.folder = Path(tempfile.mkdtemp(prefix="zl-"))
        self.addCleanup(shutil.rmtree, self.folder)

    async def run_it(self, **numbers: int) -> dict:
        """Run it, and have its report.

        :raise AssertionError: something was lost, or is not as it must be.
        """
        report = self.folder / "report.json"
        words = [f"--{name}={number}" for name, number in numbers.items()]
        running = programs.start(
            reactor,
            [sys.executable, "-m", "zeroloss", *words, f"--report={report}", "--seed=1"],
            {"PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])},
            str(ROOT),
        )
        self.addCleanup(running.end, "TERM")
        end = await running.ended
        self.assertEqual((end.code, end.signal), (0, None), end.said)
        found = json.loads(report.read_text())
        self.assertEqual((found["lost"], found["losses"]), ({}, []))
        self.assertGreater(sum(found["right"].values()), 500, "too little was asked to tell")
        return found

    async def test_everything(self) -> None:
        """20 reloads, among them some that must be refused, another address of the backend and a
        listener that comes and goes; 10 rotations of key pairs and authorities, by the rename of
        `..data` and file by file; 5 restarts of two workers: 0 requests are lost."""
        found = await self.run_it(workers=2, reloads=20, rotations=10, restarts=5)
        made = found["made"]
        self.assertEqual(made["reloads"] + made["refused reloads"], 20)
        self.assertEqual((made["rotations"], made["restarts"]), (10, 5))

    async def test_one_worker(self) -> None:
        """5 restarts of a single worker lose nothing either."""
        found = await self.run_it(workers=1, reloads=0, rotations=0, restarts=5)
        self.assertEqual(found["made"], {"restarts": 5})
