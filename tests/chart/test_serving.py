"""The rendered configuration, served by the real program."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from twisted.internet import reactor
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.internet.task import deferLater

from tests.chart.pod import lay, moved, on_loopback
from tests.chart.rendering import TOOLFORGE, missing, objects
from tests.clients import programs
from tests.clients.stage import ROOT, eventually, free_port, pki
from tests.clients.test_nginx import connectable
from tests.coroutines import CoroutineCase
from tests.relay.ends import Backend, End, connect

_TWISTD = "from twisted.scripts.twistd import run; run()"


class ServingTests(CoroutineCase):
    """A gateway on loopback with what the file that exists makes, and its jobs backend."""

    timeout = 60
    skip = missing()

    def setUp(self):
        folder = Path(self.mktemp()).resolve()
        rendered = objects(TOOLFORGE)
        home = lay(rendered, folder)
        self.backend = Backend(pki())
        self.addCleanup(self.backend.port.stopListening)
        self.ports = {"https": free_port(), "operations": free_port()}
        text = on_loopback(rendered, self.ports, {"/jobs": self.backend.number})
        file = home / "config" / "gateway.yaml"
        file.unlink()
        file.write_text(moved(text, folder))
        command = [sys.executable, "-c", _TWISTD, "-n", "--pidfile=", "toolforge-gateway"]
        environment = {"PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
        self.gateway = programs.start(
            reactor, [*command, "--config", str(file)], environment, str(folder)
        )
        self.addCleanup(self.gateway.end)
        # The last one that it opens; from then on it also knows what SIGTERM means.
        return connectable(self.ports["operations"])

    async def ask(self, certificate: str | None, path: str, until: bytes) -> bytes:
        """What one client gets."""
        client = await connect(pki(), self.ports["https"], certificate)
        self.addCleanup(client.transport.abortConnection)
        client.send(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        return await client.until(until)

    async def probe(self, path: str) -> bytes:
        """What the kubelet gets."""
        endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", self.ports["operations"])
        end = await connectProtocol(endpoint, End())
        end.send(f"GET {path} HTTP/1.1\r\nHost: pod\r\nConnection: close\r\n\r\n".encode())
        return await end.closed()

    async def test_serves(self) -> None:
        """A tool gets its backend's answer over mutual TLS both ways, another tool's path is
        refused, and HAProxy's probe needs no certificate."""
        answer = await self.ask("tool-tf-test", "/jobs/v1/tool/tf-test/jobs", b"\r\n\r\nok")
        self.assertTrue(answer.startswith(b"HTTP/1.1 200 OK\r\n"), answer)
        received = self.backend.received
        self.assertIn(b"GET /v1/tool/tf-test/jobs HTTP/1.1\r\n", received)
        self.assertIn(b"\r\nX-Toolforge-Tool: tf-test\r\n", received)
        answer = await self.ask("tool-tf-test", "/jobs/v1/tool/other/jobs", b"foreign-tool")
        self.assertTrue(answer.startswith(b"HTTP/1.1 403 Forbidden\r\n"), answer)
        answer = await self.ask(None, "/healthz", b"ok")
        self.assertTrue(answer.startswith(b"HTTP/1.1 200 OK\r\n"), answer)

    async def test_probes(self) -> None:
        """The kubelet's probes find a Pod that lives and is ready."""
        for path in ("/healthz", "/readyz"):
            answer = await self.probe(path)
            self.assertTrue(answer.startswith(b"HTTP/1.1 200 "), answer)

    async def test_farewell(self) -> None:
        """On SIGTERM it is not ready any more, lives on for the kubelet, tells load balancers,
        and serves all the same."""
        await self.probe("/readyz")
        self.gateway.signal("TERM")
        while b" 503 " not in (await self.probe("/readyz")).partition(b"\r\n")[0]:
            await deferLater(reactor, 0.02)
        self.assertIn(b" 200 ", (await self.probe("/healthz")).partition(b"\r\n")[0])
        answer = await self.ask(None, "/healthz", b"\r\n\r\n")
        self.assertTrue(answer.startswith(b"HTTP/1.1 503 "), answer)
        answer = await self.ask("tool-tf-test", "/jobs/v1/tool/tf-test/jobs", b"\r\n\r\nok")
        self.assertTrue(answer.startswith(b"HTTP/1.1 200 OK\r\n"), answer)

    async def test_logs(self) -> None:
        """Each request is a line of JSON on standard output, where `kubectl logs` finds it."""
        await self.ask("tool-tf-test", "/jobs/v1/tool/tf-test/jobs", b"\r\n\r\nok")
        await eventually(lambda: '"backend"' in self.gateway.said())
        [line] = [each for each in self.gateway.said().splitlines() if '"backend"' in each]
        self.assertEqual(json.loads(line)["identity"], "tf-test")
