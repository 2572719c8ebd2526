"""Ports for servers that tests start."""

from __future__ import annotations

import subprocess
import sys

from twisted.trial.unittest import SynchronousTestCase

from tests.clients.stage import ROOT
from toolforge_gateway.testing import ports
from toolforge_gateway.testing.ports import free_port

ASKS = """
from toolforge_gateway.testing import ports
ports.FIRST, ports.LAST = 31_000, 31_100
print(ports.free_port())
"""


class PortTests(SynchronousTestCase):
    def test_never_twice(self) -> None:
        """A port is given once, also while nobody listens there yet, whichever process asks."""
        self.patch(ports, "FIRST", 31_000)
        self.patch(ports, "LAST", 31_100)
        mine = [free_port() for _ in range(40)]
        self.assertEqual(len(set(mine)), len(mine))
        for _ in range(3):
            done = subprocess.run(
                [sys.executable, "-c", ASKS], cwd=ROOT, capture_output=True, check=True
            )
            self.assertNotIn(int(done.stdout), mine)
