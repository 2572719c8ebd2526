"""Stacks are sorted by the part of the program that they are in."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from benchmarks.processes import Program
from benchmarks.profile import sampler
from benchmarks.profile.stacks import ELSEWHERE, WAITING, room_of, shares

HEAD = ("/x/toolforge_gateway/http/head.py", "parse_request_head", 10)
RE = ("/usr/lib/python3.11/re/__init__.py", "match", 3)
SSL = ("/v/site-packages/OpenSSL/SSL.py", "send", 5)
TLS = ("/v/site-packages/twisted/protocols/tls.py", "write", 7)
POLL = ("/v/site-packages/twisted/internet/epollreactor.py", "doPoll", 9)

BUSY = """\
import time
def busy():
    end = time.process_time() + 0.3
    while time.process_time() < end:
        pass
print("ready", flush=True)
input()
busy()
"""


class StackTests(SynchronousTestCase):
    """Frames are innermost first."""

    def test_innermost_room(self) -> None:
        """Time counts for the innermost part that has a name."""
        self.assertEqual(room_of([SSL, TLS, HEAD])[0], "pyOpenSSL and OpenSSL: SSL")

    def test_library_counts_for_its_caller(self) -> None:
        """What has no name of its own counts for what called it."""
        room, place = room_of([RE, HEAD, TLS])
        self.assertEqual(room, "toolforge_gateway/http/head")
        self.assertEqual(place, "toolforge_gateway/http/head.parse_request_head")

    def test_waiting(self) -> None:
        """Waiting for events is no work."""
        self.assertEqual(room_of([POLL])[0], WAITING)

    def test_nothing_known(self) -> None:
        """A stack without any part that is known is still counted."""
        self.assertEqual(room_of([RE])[0], ELSEWHERE)

    def test_shares(self) -> None:
        """Shares are of the time that was not waiting, and come in order."""
        stacks = [
            {"count": 1, "frames": [HEAD]},
            {"count": 3, "frames": [SSL, TLS]},
            {"count": 96, "frames": [POLL]},
        ]
        found = [(each.where, each.share) for each in shares(stacks)]
        self.assertEqual(
            found, [("pyOpenSSL and OpenSSL: SSL", 0.75), ("toolforge_gateway/http/head", 0.25)]
        )

    def test_sampler(self) -> None:
        """The sampler finds a busy program in the function that is busy, once it is told to."""
        folder = Path(self.mktemp()).resolve()
        folder.mkdir()
        (folder / "busy.py").write_text(BUSY)
        command = [sys.executable, sampler.__file__, str(folder / "out"), str(folder / "busy.py")]
        program = Program(
            command,
            min(os.sched_getaffinity(0)),
            folder / "log",
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self.addCleanup(program.end)
        pipes = program.process
        with pipes.stdin, pipes.stdout:
            pipes.stdout.readline()
            pipes.send_signal(signal.SIGUSR1)
            pipes.stdin.write(b"\n")
            pipes.stdin.flush()
            pipes.wait(20)
        stacks = json.loads((folder / "out").read_text())
        busy = sum(each["count"] for each in stacks if each["frames"][0][1] == "busy")
        self.assertGreater(busy, 50)
