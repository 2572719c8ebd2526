"""The rendered configuration, served by the real program."""

from __future__ import annotations

import json
import os
import sys

from twisted.internet import reactor
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.internet.task import deferLater

from tests.chart.pod import lay, moved, on_loopback, room, swap
from tests.chart.rendering import EVERYTHING, TOOLFORGE, missing, objects, one
from tests.clients import programs
from tests.clients.stage import ROOT, eventually, pki
from tests.clients.test_nginx import connectable
from tests.coroutines import CoroutineCase
from tests.relay.ends import Backend, End, connect
from toolforge_gateway.testing.ports import free_port

_TWISTD = "from twisted.scripts.twistd import run; run()"
_SCRIPT = "from toolforge_gateway.cli.main import run; run()"


class ServingTests(CoroutineCase):
    """A gateway on loopback with what the file that exists makes, and its jobs backend."""

    timeout = 60
    skip = missing()

    def setUp(self):
        self.folder = room(self)
        self.rendered = objects(TOOLFORGE)
        home = lay(self.rendered, self.folder)
        self.place = home / "config"
        self.backend = Backend(pki())
        self.addCleanup(self.backend.port.stopListening)
        self.ports = {"https": free_port(), "operations": free_port()}
        self.configure(self.text())
        self.environment = {"PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
        command = [sys.executable, "-c", _TWISTD, "-n", "--pidfile=", "toolforge-gateway"]
        command += ["--config", str(self.place / "gateway.yaml")]
        self.gateway = programs.start(reactor, command, self.environment, str(self.folder))
        self.addCleanup(self.gateway.end)
        return connectable(self.ports["operations"])

    def text(self) -> str:
        """The configuration, for this machine."""
        backends = {"/jobs": self.backend.number}
        return moved(on_loopback(self.rendered, self.ports, backends), self.folder)

    def configure(self, text: str) -> None:
        """Have another configuration where the Pod has it, as if the ConfigMap had changed."""
        swap(self.place, {"gateway.yaml": text})

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

    async def probed(self, path: str, status: int) -> None:
        """Wait until the kubelet gets this status."""
        while not (await self.probe(path)).startswith(f"HTTP/1.1 {status} ".encode()):
            await deferLater(reactor, 0.05)

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
        """The kubelet's probes find a Pod that lives, and then is ready."""
        answer = await self.probe("/healthz")
        self.assertTrue(answer.startswith(b"HTTP/1.1 200 "), answer)
        await self.probed("/readyz", 200)

    async def test_metrics(self) -> None:
        """Prometheus finds figures where the ServiceMonitor sends it."""
        monitor = one(objects(EVERYTHING), "ServiceMonitor")["spec"]["endpoints"][0]
        answer = await self.probe(monitor["path"])
        self.assertTrue(answer.startswith(b"HTTP/1.1 200 "), answer)
        self.assertIn(b"\n# TYPE ", answer)

    async def test_farewell(self) -> None:
        """On SIGTERM it is not ready any more, lives on for the kubelet, tells load balancers,
        and serves all the same."""
        await self.probed("/readyz", 200)
        self.gateway.signal("TERM")
        await self.probed("/readyz", 503)
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

    def reloader(self, rendered: list[dict]) -> programs.Running:
        """Start what the second container runs."""
        [container] = [
            each
            for each in one(rendered, "Deployment")["spec"]["template"]["spec"]["containers"]
            if each["name"] == "reload"
        ]
        program = self.folder / "bin" / "toolforge-gateway"
        program.parent.mkdir()
        program.write_text(f'#!/bin/sh\nexec {sys.executable} -c "{_SCRIPT}" "$@"\n')
        program.chmod(0o755)
        words = [moved(word, self.folder) for word in container["command"]]
        # A second in place of five.
        words[-1] = words[-1].replace("sleep 5", "sleep 1")
        self.assertIn("sleep 1", words[-1])
        path = os.pathsep.join([str(program.parent), os.environ["PATH"]])
        reloader = programs.start(
            reactor, ["/bin/sh", *words[1:]], {**self.environment, "PATH": path}
        )
        self.addCleanup(reloader.end)
        return reloader

    async def test_reload(self) -> None:
        """What the second container runs has a changed ConfigMap reloaded; one that is no good is
        told with its line, and leaves everything as it was."""
        reloader = self.reloader(self.rendered)
        await eventually(lambda: reloader.said().count("is in force") == 1, within=15)
        self.configure(self.text().replace("path: /jobs", "path: /moved"))
        await eventually(lambda: reloader.said().count("is in force") == 2, within=15)
        answer = await self.ask("tool-tf-test", "/moved/v1/tool/tf-test/jobs", b"\r\n\r\nok")
        self.assertTrue(answer.startswith(b"HTTP/1.1 200 OK\r\n"), answer)
        self.configure(self.text().replace("path: /jobs", "paht: /jobs"))
        await eventually(lambda: "backends[0].paht" in reloader.said(), within=15)
        answer = await self.ask("tool-tf-test", "/moved/v1/tool/tf-test/jobs", b"\r\n\r\nok")
        self.assertTrue(answer.startswith(b"HTTP/1.1 200 OK\r\n"), answer)
        reloader.signal("TERM")
        end = await reloader.ended
        self.assertEqual((end.code, end.signal), (0, None))

    async def test_reload_of_mounted_files(self) -> None:
        """So is a change of a Secret that `extraVolumes` mounts, such as a token store."""
        mount = {"name": "tokens", "mountPath": "/etc/toolforge-gateway/tokens"}
        volume = {"name": "tokens", "secret": {"secretName": "tokens"}}
        values = {"extraVolumes": [volume], "extraVolumeMounts": [mount]}
        store = self.place.parent / "tokens"
        store.mkdir()
        swap(store, {"tokens": "# none yet"})
        reloader = self.reloader(objects(TOOLFORGE, **values))
        await eventually(lambda: reloader.said().count("is in force") == 1, within=15)
        swap(store, {"tokens": "# still none"})
        await eventually(lambda: reloader.said().count("is in force") == 2, within=15)
