"""Bounded: descriptors and memory of the real process, `twistd -n` with a limit of its own."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import yaml
from twisted.internet import reactor
from twisted.internet.defer import gatherResults
from twisted.internet.task import deferLater

from tests.clients import programs
from tests.clients.stage import ROOT, eventually, pki
from tests.relay.ends import Backend, BackendConnection, End
from tests.relay.stage import GET, Stage
from tests.strict.table import OK, Recorder, request
from toolforge_gateway.testing.ports import free_port

LIMITED = """
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, ({descriptors}, {descriptors}))
from twisted.scripts.twistd import run
run()
"""


class Process(Stage):
    """A gateway in a process of its own."""

    timeout = 60
    descriptors = 4096
    """The process's limit, soft and hard."""

    def setUp(self):
        self.folder = Path(self.mktemp()).resolve()
        self.folder.mkdir(parents=True)
        (self.folder / "tls").symlink_to(pki())
        self.backend = Backend(pki())
        self.backend.script = Recorder()
        self.addCleanup(self.backend.port.stopListening)
        self._clients: list[End] = []
        self.port = free_port()
        document = self.document()
        document["listen"][0]["endpoint"] = f"tcp:{self.port}:interface=127.0.0.1"
        path = self.folder / "gateway.yaml"
        path.write_text(yaml.safe_dump(document))
        command = [sys.executable, "-c", LIMITED.format(descriptors=self.descriptors)]
        command += ["-n", "--pidfile=", "toolforge-gateway", "--config", str(path)]
        environment = {"PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
        self.gateway = programs.start(reactor, command, environment, str(self.folder))
        self.addCleanup(self.stop)
        return eventually(lambda: "starting on" in self.gateway.said(), within=20)

    def stop(self):
        for client in [each for each in self._clients if each.lost is None]:
            client.transport.abortConnection()
        return self.gateway.end()

    def status_of(self, key: str) -> int:
        """A number of the process's /proc/PID/status."""
        status = Path(f"/proc/{self.gateway.transport.pid}/status").read_text()
        (line,) = [line for line in status.splitlines() if line.startswith(f"{key}:")]
        return int(line.split()[1])


class Descriptors(Process):
    descriptors = 128

    async def test_limit(self):
        """At the limit of file descriptors all who are in are served, each with a backend
        connection of its own; others are turned away, and let in again once some have left."""
        self.backend.script = lambda connection: None
        served: list[End] = []
        for _ in range(60):
            client = await self.try_to_connect()
            if client is not None:
                served.append(client)
        self.assertGreater(len(served), 30)
        self.assertLess(len(served), 60)
        for client in served:
            client.send(GET)
        await self.backend.connection(len(served))
        # Nobody else gets in, while each of these waits for its own backend connection.
        for _ in range(20):
            self.assertIsNone(await self.try_to_connect())
        answered = [each.until(b"\r\n\r\n") for each in self.backend.connections]
        await gatherResults(answered)
        for upstream in self.backend.connections:
            upstream.send(OK)
        await gatherResults([client.until(OK) for client in served])
        for client in served[:10]:
            client.transport.abortConnection()
        self.backend.script = Recorder()
        for upstream in self.backend.connections:
            upstream.take()
        await gatherResults([client.closed() for client in served[:10]])
        await deferLater(reactor, 0.1)
        for _ in range(5):
            self.assertEqual(await self.ask(GET), OK)
        for client in served[10:]:
            client.take()
            client.send(GET)
            self.assertEqual(await client.until(OK), OK)
        self.assertNotIn("Traceback", self.gateway.said())
        self.assertIn("file descriptors are enough for", self.gateway.said())

    async def try_to_connect(self) -> End | None:
        """A client on which the handshake is done, or None."""
        client = await self.client()
        client.send(b"\r\n")
        await eventually(lambda: client.lost is not None or established(client))
        return client if client.lost is None else None


def established(client: End) -> bool:
    """Whether the handshake is done."""
    return client.transport.getHandle().get_cipher_name() is not None


class SlowReaders(Process):
    async def test_memory(self):
        """A client that does not read an endless answer costs at most 100 kB of the process, and
        the backend is held back."""
        sent: dict[BackendConnection, int] = {}
        piece = b"x" * 65536

        class Flood:
            """Sends for as long as the connection takes it."""

            def __init__(self, connection: BackendConnection):
                self.connection = connection
                self.wanted = True
                sent[connection] = 0
                connection.transport.registerProducer(self, True)
                self.go_on()

            def go_on(self) -> None:
                if self.wanted and self.connection.lost is None:
                    self.connection.send(piece)
                    sent[self.connection] += len(piece)
                    reactor.callLater(0, self.go_on)

            def pauseProducing(self) -> None:
                self.wanted = False

            def resumeProducing(self) -> None:
                if not self.wanted:
                    self.wanted = True
                    self.go_on()

            def stopProducing(self) -> None:
                self.wanted = False

        head = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n"
        recorder = Recorder()

        def script(connection: BackendConnection) -> None:
            if b"/flood " in connection.received:
                connection.take()
                connection.send(head)
                Flood(connection)
            else:
                recorder(connection)

        self.backend.script = script
        count = 40
        clients = [await self.client() for _ in range(count)]
        for client in clients:
            # Each has had a connection to the backend, so that only what waits
            # in between is counted below.
            client.send(GET)
            await client.until(OK)
        before = self.status_of("VmRSS")
        for client in clients:
            client.transport.transport.pauseProducing()
            client.send(request(target=b"/jobs/v1/tool/tf-test/flood"))
        await self.backend.connection(count)
        total = -1
        while total != sum(sent.values()) or len(sent) < count:
            total = sum(sent.values())
            await deferLater(reactor, 0.5)
        growth = (self.status_of("VmRSS") - before) / count
        # Each also has a new TLS connection to the backend here.
        self.assertLess(growth, 100, f"{growth} kB for each slow reader")
        self.assertLess(total / count, 20_000_000)
        self.assertEqual(await self.ask(GET), OK)


class Signals(Process):
    async def test_hangup(self):
        """SIGHUP takes up a good file; a bad one leaves everything as it was and is said with its
        line; a living connection goes on."""
        self.backend.script = Recorder()
        client = await self.client()
        client.send(GET)
        await client.until(OK)
        path = self.folder / "gateway.yaml"
        good = path.read_text()
        await self.hang_up(good.replace("/jobs", "/builds"), "is in force")
        client.take()
        client.send(GET)
        await client.until(b"no-such-path")
        client.take()
        await self.hang_up(good + "nonsense: 1\n", "stays in force")
        line = good.count("\n") + 1
        self.assertIn(f"{path}:{line}: nonsense: ", self.gateway.said())
        client.send(GET.replace(b"/jobs", b"/builds"))
        self.assertEqual(await client.until(OK), OK)
        self.assertNotIn("Traceback", self.gateway.said())

    async def hang_up(self, text: str, word: str) -> None:
        """Signal with another content of the file, and wait for what comes of it."""
        (self.folder / "gateway.yaml").write_text(text)
        before = self.gateway.said().count(word)
        self.gateway.signal("HUP")
        await eventually(lambda: self.gateway.said().count(word) > before, within=20)
