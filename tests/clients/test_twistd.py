"""The real program, `twistd -n`, with real clients: start, use, SIGTERM."""

from __future__ import annotations

import os
import sys

from twisted.internet import reactor
from twisted.internet.defer import inlineCallbacks
from twisted.internet.task import Clock

from tests.clients import programs
from tests.clients.stage import ROOT, Stage, eventually
from tests.clients.test_nginx import connectable
from toolforge_gateway import config
from toolforge_gateway.testing.ports import free_port

_TWISTD = "from twisted.scripts.twistd import run; run()"


class TwistdTests(Stage):
    """The gateway in a process of its own, the backends here."""

    samples = ("envvars", "logs")

    def configuration(self) -> dict:
        document = super().configuration()
        self.port = free_port()
        document["listen"][0]["endpoint"] = f"tcp:{self.port}:interface=127.0.0.1"
        document["timeouts"]["drain"] = 20
        return document

    def start_gateway(self, document: dict):
        command = [sys.executable, "-c", _TWISTD, "-n", "--pidfile=", "toolforge-gateway"]
        command += ["--config", str(self.write(document).resolve())]
        environment = {"PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
        self.gateway = programs.start(reactor, command, environment, str(self.folder))
        self.addCleanup(self.gateway.end)
        return connectable(self.port)

    @inlineCallbacks
    def test_use_and_sigterm(self):
        """A real client gets its answer; SIGTERM lets a running answer end, then exits 0."""
        done = yield self.toolforge("toolforge-envvars", "create", "GREETING", "hello").ended
        self.assertEqual(done.code, 0, done.said)
        logs = self.backends["logs"]
        logs.clock = Clock()
        following = self.toolforge("toolforge-jobs", "logs", "-f", "hello")
        yield eventually(lambda: logs.streams, within=30)
        logs.clock.advance(1)
        self.assertIn("line 1", (yield following.line()))
        self.gateway.signal("TERM")
        # Twisted says so once the port is closed: the gateway drains from here.
        yield eventually(lambda: f"Port {self.port} Closed" in self.gateway.said(), within=10)
        logs.clock.advance(1)
        self.assertIn("line 2", (yield following.line()))
        following.signal("INT")
        yield following.ended
        end = yield self.gateway.ended
        self.assertEqual((end.code, end.signal), (0, None), end.said)
        self.assertNotIn("Traceback", end.said)
        version = config.load(self.folder / "gateway.yaml").version
        self.assertEqual(end.said.count(f"started: configuration {version} is in force"), 1)
        self.assertEqual([entry["status"] for entry in self.access_log()], [200, 200])
