"""`twistd toolforge-gateway` without -n: it goes into the background and serves."""

from __future__ import annotations

import json
import os
import signal
import socket
import ssl
import subprocess
import sys
from pathlib import Path

import yaml
from twisted.internet.defer import Deferred, inlineCallbacks
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

from bootstrap.environment import ROOT
from tests.clients.stage import eventually, pki
from tests.frame.test_tap import TWISTD
from toolforge_gateway.testing.ports import free_port


class BackgroundTests(TestCase):
    timeout = 60

    def setUp(self) -> None:
        """A folder with a configuration of its own port."""
        self.folder = Path(self.mktemp()).resolve()
        self.folder.mkdir(parents=True)
        (self.folder / "tls").symlink_to(pki())
        self.port = free_port()
        document = yaml.safe_load((ROOT / "etc" / "gateway.yaml").read_text())
        document["listen"][0]["endpoint"] = f"tcp:{self.port}:interface=127.0.0.1"
        del document["operations"]
        (self.folder / "gateway.yaml").write_text(yaml.safe_dump(document))
        self.log = self.folder / "twistd.log"

    def twistd(self, *words: str) -> Deferred[subprocess.CompletedProcess[str]]:
        """Call twistd in the folder, with the checkout on the path."""
        return deferToThread(
            subprocess.run,
            [sys.executable, "-c", TWISTD, *words, "toolforge-gateway", "-c", "gateway.yaml"],
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )

    @inlineCallbacks
    def test_serves(self):
        """It serves, its access log is in twistd's log, and SIGTERM ends it and removes the pid
        file."""
        done = yield self.twistd()
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))
        pid_file = self.folder / "twistd.pid"
        yield eventually(lambda: pid_file.exists() and pid_file.read_text(), within=30)
        self.addCleanup(end, int(pid_file.read_text()))
        yield eventually(lambda: f"starting on {self.port}" in self.logged(), within=30)
        answer = yield deferToThread(ask, self.port)
        self.assertIn(b"HTTP/1.1 200 OK\r\n", answer)
        yield eventually(lambda: '"/healthz"' in self.logged())
        (line,) = [line for line in self.logged().splitlines() if '"/healthz"' in line]
        self.assertEqual(json.loads(line[line.index("{") :])["status"], 200)
        os.kill(int(pid_file.read_text()), signal.SIGTERM)
        yield eventually(lambda: not pid_file.exists(), within=30)
        self.assertNotIn("Traceback", self.logged())

    @inlineCallbacks
    def test_busy(self):
        """A port that is taken is said in one line, in the log or on the terminal; the exit code
        is 1 and there is no traceback."""
        with socket.socket() as holder:
            holder.bind(("127.0.0.1", self.port))
            holder.listen()
            for words in ((), ("-n", "--pidfile=")):
                done = yield self.twistd(*words)
                said = done.stdout + done.stderr + self.logged()
                self.assertEqual(done.returncode, 1, said)
                self.assertIn(f"cannot listen on tcp:{self.port}", said)
                self.assertNotIn("Traceback", said)
                self.log.unlink(missing_ok=True)

    def logged(self) -> str:
        """What twistd's log says."""
        return self.log.read_text() if self.log.exists() else ""


def end(pid: int) -> None:
    """Kill what a failed test leaves behind."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def ask(port: int) -> bytes:
    """Ask for `/healthz`; the answer."""
    context = ssl.create_default_context(cafile=str(pki() / "server-ca.crt"))
    with (
        socket.create_connection(("127.0.0.1", port)) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as tls,
    ):
        tls.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        return tls.recv(65536)
