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
from twisted.internet.defer import inlineCallbacks
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

from bootstrap.environment import ROOT
from tests.clients.stage import eventually, free_port, pki
from tests.frame.test_tap import TWISTD


class BackgroundTests(TestCase):
    timeout = 60

    @inlineCallbacks
    def test_serves(self):
        """It serves, its access log is in twistd's log, and SIGTERM ends it and removes the pid
        file."""
        folder = Path(self.mktemp()).resolve()
        folder.mkdir(parents=True)
        (folder / "tls").symlink_to(pki())
        port = free_port()
        document = yaml.safe_load((ROOT / "etc" / "gateway.yaml").read_text())
        document["listen"][0]["endpoint"] = f"tcp:{port}:interface=127.0.0.1"
        del document["operations"]
        (folder / "gateway.yaml").write_text(yaml.safe_dump(document))
        words = ["toolforge-gateway", "--config", "gateway.yaml"]
        done = yield deferToThread(
            subprocess.run,
            [sys.executable, "-c", TWISTD, *words],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
        )
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))
        pid_file, log = folder / "twistd.pid", folder / "twistd.log"
        yield eventually(lambda: pid_file.exists() and pid_file.read_text(), within=30)
        self.addCleanup(end, int(pid_file.read_text()))
        yield eventually(lambda: log.exists() and f"starting on {port}" in log.read_text(), 30)
        answer = yield deferToThread(ask, port)
        self.assertIn(b"HTTP/1.1 200 OK\r\n", answer)
        yield eventually(lambda: '"/healthz"' in log.read_text())
        (line,) = [line for line in log.read_text().splitlines() if '"/healthz"' in line]
        self.assertEqual(json.loads(line[line.index("{") :])["status"], 200)
        os.kill(int(pid_file.read_text()), signal.SIGTERM)
        yield eventually(lambda: not pid_file.exists(), within=30)
        self.assertNotIn("Traceback", log.read_text())


def end(pid: int) -> None:
    """Kill what a failed test leaves behind."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def ask(port: int) -> bytes:
    """Ask for `/healthz`; the answer."""
    context = ssl.create_default_context(cafile=str(pki() / "server-ca.crt"))
    with socket.create_connection(("127.0.0.1", port)) as plain:
        with context.wrap_socket(plain, server_hostname="localhost") as tls:
            tls.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            return tls.recv(65536)
