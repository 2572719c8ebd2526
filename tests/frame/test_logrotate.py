"""SIGUSR1: the running program opens its access log anew; no line is lost, none is there twice."""

from __future__ import annotations

import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import yaml
from twisted.trial.unittest import SynchronousTestCase

from bootstrap.environment import ROOT
from tests.clients.stage import pki
from tests.frame.test_tap import TWISTD
from toolforge_gateway.testing.ports import free_port

REQUEST = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"


def wait(condition, within: float = 60.0) -> None:
    """Wait until it holds; programs that start on a busy machine take their time."""
    end = time.monotonic() + within
    while not condition():
        if time.monotonic() > end:
            raise AssertionError("waited in vain")
        time.sleep(0.02)


class RotationCase(SynchronousTestCase):
    """A process of its own, asked over one connection while its log is moved away."""

    more: dict[str, object] = {}
    """More of the configuration."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).resolve()
        self.folder.mkdir(parents=True)
        (self.folder / "tls").symlink_to(pki())
        self.port = free_port()
        document = yaml.safe_load((ROOT / "etc" / "gateway.yaml").read_text())
        document["listen"][0]["endpoint"] = f"tcp:{self.port}:interface=127.0.0.1"
        document["access_log"] = {"file": "access.log"}
        document.update(self.more)
        del document["operations"]
        (self.folder / "gateway.yaml").write_text(yaml.safe_dump(document))
        self.own_log = self.folder / "own.log"
        self.log = self.folder / "access.log"
        words = ["-n", "--pidfile=", f"--logfile={self.own_log}", "toolforge-gateway"]
        self.process = subprocess.Popen(
            [sys.executable, "-c", TWISTD, *words, "-c", "gateway.yaml"],
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self.addCleanup(self.process.wait)
        self.addCleanup(self.process.kill)
        wait(lambda: "starting on" in self.said())
        self.clients: list[ssl.SSLSocket] = []
        self.client = self.connected()

    def connected(self) -> ssl.SSLSocket:
        """A new connection."""
        context = ssl.create_default_context(cafile=str(pki() / "server-ca.crt"))
        raw = socket.create_connection(("127.0.0.1", self.port), timeout=60)
        client = context.wrap_socket(raw, server_hostname="localhost")
        self.addCleanup(client.close)
        self.clients.append(client)
        return client

    def said(self) -> str:
        """The program's own log, and those that it has put aside."""
        return "".join(each.read_text() for each in sorted(self.folder.glob("own.log*")))

    def ask(self) -> None:
        self.client.sendall(REQUEST)
        received = b""
        while not received.endswith(b"ok\n"):
            piece = self.client.recv(65536)
            self.assertTrue(piece)
            received += piece

    def rotate(self) -> list[str]:
        """Move it away under use, again and again; the ids of all lines, in the files' order."""
        for number in range(5):
            for _ in range(20):
                self.ask()
            self.log.rename(self.folder / f"access.log.{number}")
            self.ask()
            self.process.send_signal(signal.SIGUSR1)
            for _ in range(20):
                self.ask()
            wait(self.log.exists)
        self.ask()
        self.process.send_signal(signal.SIGTERM)
        for client in self.clients:  # it waits for them to close their side
            client.close()
        self.assertEqual(self.process.wait(60), 0)
        ids = []
        for name in [*(f"access.log.{number}" for number in range(5)), "access.log"]:
            lines = (self.folder / name).read_text().splitlines()
            self.assertTrue(lines, name)
            ids += [json.loads(line)["request_id"] for line in lines]
        return ids


class RotationTests(RotationCase):
    """One process."""

    def test_moved_away(self) -> None:
        """However often it is moved away under use, each request is there once, in its order."""
        numbers = [int(each[16:], 16) for each in self.rotate()]
        self.assertEqual(numbers, list(range(1, 5 * 41 + 2)))

    def test_cannot(self) -> None:
        """If it cannot be opened anew the old one stays in use, and the log says why."""
        self.ask()
        moved = self.folder / "moved"
        self.log.rename(moved)
        self.log.mkdir()
        self.process.send_signal(signal.SIGUSR1)
        wait(lambda: "cannot be opened anew: Is a directory" in self.said())
        self.ask()
        wait(lambda: moved.read_text().count("\n") == 2)

    def test_own_log(self) -> None:
        """twistd begins a new file for its own log then, as it always did."""
        self.process.send_signal(signal.SIGUSR1)
        wait((self.folder / "own.log.1").exists)
        wait(lambda: "is opened anew" in self.said())


class WorkersTests(RotationCase):
    """Several processes that write to one file."""

    def setUp(self) -> None:
        # The name of a Unix socket is short (unix(7): 108 bytes), and a test's folder may be deep.
        short = TemporaryDirectory()
        self.addCleanup(short.cleanup)
        self.more = {"workers": 2, "control": {"socket": f"{short.name}/control"}}
        super().setUp()
        for _ in range(7):
            self.connected()

    def ask(self) -> None:
        """Each time over another connection."""
        self.client = self.clients.pop(0)
        self.clients.append(self.client)
        super().ask()

    def test_moved_away(self) -> None:
        """Each request is there once, whoever served it."""
        ids = self.rotate()
        self.assertEqual(len(ids), 5 * 41 + 1)
        self.assertEqual(len(set(ids)), len(ids))
