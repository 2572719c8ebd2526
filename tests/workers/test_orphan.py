"""A real process whose parent is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

from twisted.internet import reactor
from twisted.internet.task import deferLater
from twisted.logger import LogLevel, formatEvent, globalLogPublisher

from tests.clients.stage import ROOT
from tests.coroutines import CoroutineCase
from tests.workers.program import lives
from toolforge_gateway.workers import orphan

HANGING = """
import time
from toolforge_gateway.workers.orphan import end_when_orphaned
end_when_orphaned(lambda: 0.1)
print("hangs", flush=True)
time.sleep(3600)
"""
PARENT = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", sys.argv[1]], stdout=subprocess.PIPE, text=True)
child.stdout.readline()
print(child.pid, flush=True)
child.wait()
"""


class OrphanTests(CoroutineCase):
    timeout = 60

    def test_impossible(self) -> None:
        """Where the kernel does not tell, that is a warning, and the worker serves all the same."""
        for number in (orphan.ORPHANED, signal.SIGALRM):
            self.addCleanup(signal.signal, number, signal.getsignal(number))
        events: list[dict] = []
        globalLogPublisher.addObserver(events.append)
        self.addCleanup(globalLogPublisher.removeObserver, events.append)
        self.patch(orphan, "PR_SET_PDEATHSIG", -1)
        orphan.end_when_orphaned(lambda: 1)
        [line] = [formatEvent(each) for each in events if each["log_level"] is LogLevel.warn]
        self.assertIn("Invalid argument", line)

    async def test_hangs(self) -> None:
        """A process that hangs ends when the one that started it has been killed, and not
        before."""
        parent = subprocess.Popen(
            [sys.executable, "-c", PARENT, HANGING],
            stdout=subprocess.PIPE,
            text=True,
            env={"PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])},
        )
        assert parent.stdout is not None
        with parent.stdout:
            child = int(parent.stdout.readline())
            self.assertTrue(lives(child))
            parent.kill()
            parent.wait()
            while lives(child):
                await deferLater(reactor, 0.02, lambda: None)
