"""`twistd` with workers as a program of its own, and what can be asked of it."""

from __future__ import annotations

import os
import re
import socket
import sys
import tempfile
from pathlib import Path

import yaml
from twisted.internet import reactor
from twisted.internet.defer import ensureDeferred
from twisted.internet.task import deferLater

from tests.clients import programs
from tests.clients.stage import ROOT, pki
from tests.coroutines import CoroutineCase
from tests.relay.ends import Backend, End, connect
from tests.relay.stage import GET
from toolforge_gateway.control.ask import Unasked, ask
from toolforge_gateway.control.commands import State
from toolforge_gateway.testing.ports import free_port

TWISTD = "from twisted.scripts.twistd import run; run()"
SCRIPT = "from toolforge_gateway.cli.main import run; run()"
BROKEN = """\
import os, signal, sys, time
if "toolforge_gateway.workers.worker" in sys.orig_argv:
    if os.path.exists({flag!r}):
        sys.exit("no such luck")
    signal.signal(signal.SIGWINCH, lambda number, frame: time.sleep(3600))
"""
"""A package that was upgraded to one that does not start, or that hangs at a signal: Python imports
it before all else."""
PATIENCE = 30.0


class Program(CoroutineCase):
    """`twistd` with workers, one backend, and what a client sees of it."""

    timeout = 90
    workers: int = 2
    keys: dict[str, object] = {}
    proxied = False

    def setUp(self):
        temporary = tempfile.TemporaryDirectory(prefix="tg-")
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name)
        (self.folder / "tls").symlink_to(pki())
        self.broken = self.folder / "broken"
        (self.folder / "sitecustomize.py").write_text(BROKEN.format(flag=str(self.broken)))
        self.backend = Backend(pki())
        self.addCleanup(self.backend.port.stopListening)
        self.port, self.operations = free_port(), free_port()
        self.file = self.folder / "gateway.yaml"
        self.control = self.folder / "control"
        self.clients: list[End] = []
        self.write(self.document())
        self.program = programs.start(
            reactor, self.command_line(), self.environment(), str(self.folder)
        )
        self.addCleanup(self.end)
        return ensureDeferred(self.until_ready())

    def command_line(self) -> list[str]:
        command = [sys.executable, "-c", TWISTD, "-n", "--pidfile=", "toolforge-gateway"]
        return [*command, "-c", str(self.file)]

    def environment(self) -> dict[str, str]:
        return {"PYTHONPATH": os.pathsep.join([str(self.folder), str(ROOT), *sys.path])}

    def end(self):
        """Have nobody left behind; workers wait for clients."""
        self.hang_up()
        return self.program.end()

    def hang_up(self) -> None:
        for client in [each for each in self.clients if each.lost is None]:
            client.transport.abortConnection()

    def document(self) -> dict:
        listener: dict[str, object] = {
            "endpoint": f"tcp:{self.port}:interface=127.0.0.1",
            "tls": {
                "certificate": "tls/server.crt",
                "private_key": "tls/server.key",
                "client_cas": [
                    {"name": "k", "ca": "tls/k8s-ca.crt", "identifies": ["tool", "admin"]}
                ],
            },
        }
        if self.proxied:
            listener["proxy_protocol"] = {"trusted": ["127.0.0.1"]}
        return {
            "workers": self.workers,
            "listen": [listener],
            "operations": {"endpoint": f"tcp:{self.operations}:interface=127.0.0.1"},
            "control": {"socket": "control"},
            "upstream_tls": {
                "ca": "tls/backend-ca.crt",
                "certificate": "tls/gateway-client.crt",
                "private_key": "tls/gateway-client.key",
            },
            "backends": [
                {
                    "name": "jobs-api",
                    "path": "/jobs",
                    "url": f"https://127.0.0.1:{self.backend.number}",
                    "server_name": "jobs-api.jobs-api.svc.tools.local",
                }
            ],
            "authenticators": [
                {
                    "kind": "kubernetes-certificate",
                    "organizations": {"tool": "toolforge", "admin": "admins"},
                    "admin_paths": [],
                }
            ],
            "timeouts": {"drain": 20},
            "access_log": {"file": "access.log"},
            **self.keys,
        }

    def write(self, document: dict | str) -> None:
        text = document if isinstance(document, str) else yaml.safe_dump(document)
        self.file.write_text(text)

    # What it does.

    async def eventually(self, true, what: str = ""):
        """What is true at last."""
        deadline = reactor.seconds() + PATIENCE
        while True:
            found = true()
            if hasattr(found, "__await__"):
                found = await found
            if found:
                return found
            if reactor.seconds() > deadline or self.program.transport.pid is None:
                raise AssertionError(f"never: {what or true}\n{self.program.said()}")
            await deferLater(reactor, 0.02, lambda: None)

    async def state(self) -> list[tuple[int, int, str, int]]:
        """Each worker: its place, process, state and generation."""
        answer = await ask(reactor, self.control, PATIENCE, State)
        pattern = r"worker ([0-9]+): pid ([0-9]+), ([a-z]+) for .*, generation ([0-9]+)"
        found = []
        for line in answer["state"]["workers"]:
            if match := re.fullmatch(pattern, line):
                place, pid, state, generation = match.groups()
                found.append((int(place), int(pid), state, int(generation)))
        return found

    async def ready(self) -> dict[int, int]:
        """Who serves: the processes by their places; nothing unless all do."""
        try:
            state = await self.state()
        except Unasked:
            return {}
        found = {place: pid for place, pid, word, _ in state if word == "ready"}
        return found if len(found) == self.workers else {}

    async def until_ready(self) -> dict[int, int]:
        return await self.eventually(self.ready, "all are ready")

    async def command(self, *words: str) -> programs.Finished:
        """Call the program of that name."""
        return await programs.start(
            reactor,
            [sys.executable, "-c", SCRIPT, *words],
            {"PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])},
            str(self.folder),
        ).ended

    def accepts(self) -> bool:
        """Whether anybody can connect."""
        with socket.socket() as caller:
            return caller.connect_ex(("127.0.0.1", self.port)) == 0

    async def client(self, port: int = 0, header: bytes = b"") -> End:
        client = await connect(pki(), port or self.port, "tool-tf-test", header)
        self.clients.append(client)
        return client

    async def ask(self, client: End, request: bytes = GET) -> bytes:
        client.take()
        client.send(request)
        return await client.until(b"\r\n\r\nok")

    async def operators(self, path: str) -> str:
        """A page of the operations port."""
        found = await programs.run(
            reactor,
            [
                sys.executable,
                "-c",
                "import sys, urllib.request as u;"
                "print(u.build_opener(u.ProxyHandler({})).open(sys.argv[1]).read().decode())",
                f"http://127.0.0.1:{self.operations}{path}",
            ],
        )
        self.assertEqual(found.code, 0, found.said)
        return found.out

    async def metric(self, name: str) -> dict[str, float]:
        """A metric's values by what stands in braces."""
        text = await self.operators("/metrics")
        found = re.findall(rf"^toolforge_gateway_{name}(?:{{(.*?)}})? (.*)$", text, re.MULTILINE)
        return {labels: float(value) for labels, value in found}

    async def counted(self, requests: int) -> bool:
        """Whether so many requests have been counted by all of them."""
        found = await self.metric("worker_requests_total")
        return sum(found.values()) == requests

    async def shared(self, header: bytes = b"") -> int:
        """Have sixteen kept connections ask, one after the other, and see that each of the two
        workers has its share of them.

        Who is not let run for longer than `turns.LONGEST` loses a turn, and a busy machine does
        that: then another sixteen are tried.

        :return: how many have asked in all.
        """
        shares: list[list[float]] = []
        while len(shares) < 3:
            clients = [await self.client(header=header) for _ in range(16)]
            for client in clients:
                await self.ask(client)
            asked = 16 * (len(shares) + 1)
            await self.eventually(lambda asked=asked: self.counted(asked), "all are counted")
            connections = await self.metric("worker_connections")
            shares.append([connections[f'worker="{number}"'] for number in (1, 2)])
            self.assertEqual(sum(shares[-1]), 16)
            if min(shares[-1]) >= 7:
                return asked
            for client in clients:
                client.transport.loseConnection()
            await self.eventually(self.nobody_is_connected, "all have left")
        self.fail(f"connections by worker: {shares}")

    async def nobody_is_connected(self) -> bool:
        return not any((await self.metric("worker_connections")).values())


def lives(pid: int) -> bool:
    """Whether a process is there."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    # One that has ended and that nobody has waited for is no more.
    return "\nState:\tZ" not in status
