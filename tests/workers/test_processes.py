"""Real processes: `twistd` as the supervisor, its workers, and clients that notice nothing."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import yaml
from twisted.internet import reactor
from twisted.internet.defer import ensureDeferred
from twisted.internet.endpoints import UNIXClientEndpoint
from twisted.internet.protocol import Factory
from twisted.internet.task import deferLater
from twisted.protocols.tls import TLSMemoryBIOFactory

from tests.clients import programs
from tests.clients.stage import ROOT, pki
from tests.coroutines import CoroutineCase
from tests.relay.ends import OK, Backend, ClientContext, End, answering, connect, silent
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


class ServingTests(Program):
    async def test_serves(self):
        """Both serve an equal share of kept connections; what they count is told as one."""
        asked = await self.shared()
        requests = await self.metric("worker_requests_total")
        for number in (1, 2):
            self.assertGreaterEqual(requests[f'worker="{number}"'], 7)
        status = json.loads(await self.operators("/status"))
        self.assertIn(str(self.file), json.dumps(status))
        self.assertIn("started: configuration ", self.program.said())
        self.assertEqual(len((self.folder / "access.log").read_text().splitlines()), asked)

    async def test_killed(self):
        """A worker that is killed under load is replaced; the other's clients notice nothing, and
        nothing that was counted is lost."""
        clients = [await self.client() for _ in range(8)]
        for client in clients:
            await self.ask(client)
        await self.eventually(lambda: self.counted(8), "8 requests are counted")
        before = await self.ready()
        os.kill(before[1], signal.SIGKILL)
        await self.eventually(lambda: sum(each.lost is not None for each in clients) >= 3)
        for client in [each for each in clients if each.lost is None]:
            await self.ask(client)
        await self.ask(await self.client())  # somebody accepts all the time
        after = await self.until_ready()
        self.assertEqual(after[2], before[2])
        self.assertNotEqual(after[1], before[1])
        left = [each for each in clients if each.lost is None]
        await self.eventually(lambda: self.counted(8 + len(left) + 1), "counters never fall")
        self.assertEqual(await self.metric("worker_deaths_total"), {"": 1})
        self.assertEqual(await self.metric("workers_wanted"), {"": 2})

    async def test_whole(self):
        """Whichever worker an administrator asks: the status is of all of them."""
        clients = [await self.client() for _ in range(8)]
        for client in clients:
            await self.ask(client)
        await self.eventually(lambda: self.counted(8), "8 requests are counted")
        for _ in range(4):
            admin = await connect(pki(), self.port, "admin", b"")
            self.clients.append(admin)
            admin.send(b"GET /status HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            _, _, body = (await admin.closed()).partition(b"\r\n\r\n")
            status = json.loads(body)
            self.assertGreaterEqual(status["last_minute"]["connections"], 8)
            self.assertEqual([row["requests"] for row in status["routes"]][:1], [8])
            names = [row["name"] for row in status["processes"]]
            self.assertEqual(names, ["1", "2", "supervisor"])

    async def test_unready(self):
        """A worker that cannot start is tried again until it can; the other one serves."""
        before = await self.ready()
        self.broken.touch()
        os.kill(before[2], signal.SIGKILL)
        await self.eventually(lambda: "no such luck" in self.program.said())
        for _ in range(3):
            await self.ask(await self.client())
        self.broken.unlink()
        after = await self.until_ready()
        self.assertEqual(after[1], before[1])

    async def test_end(self):
        """SIGTERM: what runs ends, everybody ends, exit code 0, and nothing is left behind."""
        self.backend.script = silent
        client = await self.client()
        client.send(GET)
        upstream = await self.backend.connection()
        await upstream.until(b"\r\n\r\n")
        workers = list((await self.ready()).values())
        self.program.signal("TERM")
        await self.eventually(lambda: not self.accepts(), "nobody is let in")
        upstream.send(OK)
        await client.until(b"\r\n\r\nok")
        await client.closed()
        end = await self.program.ended
        self.assertEqual((end.code, end.signal), (0, None), end.said)
        self.assertFalse(self.control.exists())
        for pid in workers:
            self.assertRaises(ProcessLookupError, os.kill, pid, 0)
        self.assertNotIn("Traceback", end.said)

    async def test_whole_group(self):
        """A signal that ends a whole group, as that of a terminal, is the supervisor's alone to
        follow: a worker goes on until it is told."""
        before = await self.ready()
        for pid in before.values():
            os.kill(pid, signal.SIGTERM)
            os.kill(pid, signal.SIGINT)
        for _ in range(4):
            await self.ask(await self.client())
        self.assertEqual(await self.ready(), before)

    async def test_orphans(self):
        """When the supervisor is killed the workers serve what runs, and end."""
        self.backend.script = silent
        client = await self.client()
        client.send(GET)
        upstream = await self.backend.connection()
        await upstream.until(b"\r\n\r\n")
        workers = list((await self.ready()).values())
        self.program.signal("KILL")
        deadline = reactor.seconds() + PATIENCE
        while self.accepts():
            self.assertLess(reactor.seconds(), deadline)
            await deferLater(reactor, 0.02, lambda: None)
        upstream.send(OK)
        await client.until(b"\r\n\r\nok")
        await gone(workers)


class SlowlyEndingTests(Program):
    """What runs may go on for longer than any test waits."""

    keys = {"timeouts": {"drain": 600, "response_head": 600}}

    async def under_way(self) -> None:
        """Somebody waits for an answer."""
        client = await self.client()
        client.send(GET)
        upstream = await self.backend.connection()
        await upstream.until(b"\r\n\r\n")

    async def test_at_once(self):
        """A second signal to end, such as Ctrl-C, ends all at once: those who drain, and those whom
        a restart has relieved before."""
        self.backend.script = silent
        await self.under_way()
        done = await self.command("restart", "-c", str(self.file))
        self.assertEqual(done.code, 0, done.said)
        await self.under_way()
        workers = {pid: state for _, pid, state, _ in await self.state()}
        self.assertEqual(set(workers.values()), {"ready", "draining"})
        self.program.signal("TERM")
        await self.eventually(lambda: not self.accepts(), "nobody is let in")
        self.assertTrue(any(map(lives, workers)))
        self.program.signal("INT")
        end = await self.program.ended
        self.assertEqual(end.signal, signal.SIGINT, end.said)
        self.assertNotIn("Traceback", end.said)
        await gone(workers)


class HungTests(Program):
    keys = {"timeouts": {"drain": 1}}

    async def test_hung_orphan(self):
        """A worker that hangs ends all the same when its supervisor has been killed, so that the
        next gateway has its ports."""
        workers = list((await self.ready()).values())
        os.kill(workers[0], signal.SIGWINCH)
        self.program.signal("KILL")
        await gone(workers)
        self.assertFalse(self.accepts())


class ChangingTests(Program):
    async def test_reload(self):
        """A reload counts in all workers; a bad one in none, and says why once, with its line."""
        clients = [await self.client() for _ in range(4)]
        document = self.document()
        document["backends"][0]["path"] = "/builds"
        self.write(document)
        done = await self.command("reload", "-c", str(self.file))
        self.assertEqual(done.code, 0, done.said)
        self.assertIn("worker 2: pid", done.out)
        self.assertIn("is in force", done.out)
        for client in clients:
            await self.ask(client, GET.replace(b"/jobs", b"/builds"))
        document["listen"][0]["tls"]["private_key"] = "tls/none.key"
        self.write(document)
        done = await self.command("reload", "-c", str(self.file))
        self.assertEqual(done.code, 1, done.said)
        [complaint] = [line for line in done.err.splitlines() if "none.key" in line]
        self.assertRegex(complaint, r"gateway\.yaml:[0-9]+: listen\[0\]\.tls\.private_key")
        self.assertIn("stays in force", done.err)
        for client in clients:
            await self.ask(client, GET.replace(b"/jobs", b"/builds"))
        reloads = await self.metric("configuration_reloads_total")
        self.assertEqual(reloads, {'outcome="good"': 1, 'outcome="bad"': 1})
        done = await self.command(
            "explain", "--live", "-s", "control", "GET", "/builds/v1/tool/x/jobs"
        )
        self.assertIn("jobs-api", done.out)

    async def test_listeners(self):
        """Another listener comes and one goes by a reload, and who is connected stays; SIGHUP
        does it as well."""
        client = await self.client()
        await self.ask(client)
        document = self.document()
        self.other = free_port()
        document["listen"].append(
            {**document["listen"][0], "endpoint": f"tcp:{self.other}:interface=127.0.0.1"}
        )
        self.write(document)
        self.program.signal("HUP")
        await self.eventually(lambda: "reloaded: configuration" in self.program.said())
        for _ in range(4):
            await self.ask(await self.client(self.other))
        await self.ask(client)
        document["listen"].pop(0)
        self.write(document)
        done = await self.command("reload", "-s", "control")
        self.assertEqual(done.code, 0, done.said)
        for _ in range(4):
            await self.ask(await self.client(self.other))
        self.assertFalse(self.accepts())

    async def test_restart(self):
        """New processes take over: what runs at the old ones ends there, who asks them again is
        told to come anew, and at no moment is anybody refused."""
        before = await self.ready()
        self.backend.script = silent
        running = await self.client()
        running.send(GET)
        upstream = await self.backend.connection()
        await upstream.until(b"\r\n\r\n")
        await deferLater(reactor, 0, lambda: None)  # that one stays without an answer
        self.backend.script = answering(OK)
        answered: Counter[str] = Counter()
        restarting = self.command("restart", "-c", str(self.file))
        waiting = []
        done = ensureDeferred(restarting)
        done.addBoth(lambda result: waiting.append(result) or result)
        while not waiting:
            await self.ask(await self.client())
            answered["ok"] += 1
            await deferLater(reactor, 0.05, lambda: None)
        finished = await done
        self.assertEqual(finished.code, 0, finished.said)
        self.assertGreater(answered["ok"], 3)
        after = await self.until_ready()
        self.assertFalse(set(before.values()) & set(after.values()))
        closed = f"(TCP Port {self.port} Closed)"
        await self.eventually(lambda: self.program.said().count(closed) == 2, "both drain")
        upstream.send(OK)
        await running.until(b"\r\n\r\nok")
        await running.closed()
        await self.eventually(lambda: not any(map(lives, before.values())), "the old ones end")
        self.assertIn("draining", finished.out)

    async def test_broken_generation(self):
        """New processes that do not start are given up, with a report; the old ones go on."""
        before = await self.ready()
        client = await self.client()
        self.broken.touch()
        done = await self.command("restart", "-c", str(self.file))
        self.assertEqual(done.code, 1, done.said)
        self.assertIn("worker 1 ended before it was ready", done.err)
        self.assertIn("stays in force", done.err)
        self.assertIn("no such luck", self.program.said())
        self.assertEqual(await self.ready(), before)
        await self.ask(client)
        self.broken.unlink()
        done = await self.command("restart", "-c", str(self.file))
        self.assertEqual(done.code, 0, done.said)

    async def test_logs(self):
        """SIGUSR1 has all of them begin a new file."""
        lines = self.folder / "access.log"
        for _ in range(8):
            await self.ask(await self.client())
        await self.eventually(lambda: len(lines.read_text().splitlines()) == 8)
        lines.rename(self.folder / "access.log.1")
        os.kill(self.program.transport.pid, signal.SIGUSR1)
        await self.eventually(lines.exists)
        await deferLater(reactor, 0.5, lambda: None)
        for client in self.clients:
            await self.ask(client)
        await self.eventually(lambda: len(lines.read_text().splitlines()) == 8)
        self.assertEqual(len((self.folder / "access.log.1").read_text().splitlines()), 8)


class OneTests(Program):
    """A supervisor with one worker."""

    workers = 1

    async def test_restart(self):
        """It can be restarted like several."""
        before = await self.ready()
        done = await self.command("restart", "-c", str(self.file))
        self.assertEqual(done.code, 0, done.said)
        after = await self.until_ready()
        self.assertNotEqual(before, after)
        await self.ask(await self.client())

    async def test_interrupted(self):
        """Ctrl-C is an ordinary end."""
        self.program.signal("INT")
        end = await self.program.ended
        self.assertEqual((end.code, end.signal), (0, None), end.said)
        self.assertNotIn("Traceback", end.said)
        self.assertIn("SIGINT: the gateway comes to its end", end.said)


class ProxiedTests(Program):
    """Behind a load balancer that sends the PROXY protocol."""

    proxied = True

    async def test_shared(self):
        """Connections that are read before TLS are shared as equally."""
        header = b"PROXY TCP4 192.0.2.1 192.0.2.2 1000 443\r\n"
        await self.shared(header)


class UnixTests(Program):
    """A Unix socket besides."""

    def document(self) -> dict:
        document = super().document()
        self.path = self.folder / "clients"
        document["listen"].append({**document["listen"][0], "endpoint": f"unix:{self.path}"})
        return document

    async def unix(self) -> End:
        factory = TLSMemoryBIOFactory(
            ClientContext(pki(), "tool-tf-test"), True, Factory.forProtocol(End)
        )
        wrapped = await UNIXClientEndpoint(reactor, str(self.path)).connect(factory)
        self.clients.append(wrapped.wrappedProtocol)
        return wrapped.wrappedProtocol

    async def test_unix(self):
        """All accept there; a worker's end leaves the socket's file to the others, and the
        supervisor's end takes it away."""
        for _ in range(8):
            await self.ask(await self.unix())
        before = await self.ready()
        os.kill(before[1], signal.SIGKILL)
        await self.ask(await self.unix())
        await self.until_ready()
        done = await self.command("restart", "-s", "control")
        self.assertEqual(done.code, 0, done.said)
        await self.ask(await self.unix())
        self.hang_up()
        self.program.signal("TERM")
        await self.program.ended
        self.assertFalse(self.path.exists())


PASSING = """\
import os, socket, sys
passed = socket.socket()
passed.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
passed.bind(("127.0.0.1", int(sys.argv[1])))
passed.listen()
os.dup2(passed.fileno(), 3)
os.set_inheritable(3, True)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1", LISTEN_FDNAMES="x")
os.execv(sys.argv[2], sys.argv[2:])
"""
"""What systemd does for a socket unit."""


class SystemdTests(Program):
    """Started by systemd: it passes the socket, and waits to hear that the gateway is ready."""

    def command_line(self) -> list[str]:
        return [sys.executable, "-c", PASSING, str(self.port), *super().command_line()]

    def environment(self) -> dict[str, str]:
        self.heard = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(self.heard.close)
        self.heard.setblocking(False)
        self.heard.bind(str(self.folder / "notify"))
        return {**super().environment(), "NOTIFY_SOCKET": str(self.folder / "notify")}

    def document(self) -> dict:
        document = super().document()
        document["listen"][0]["endpoint"] = "systemd:domain=INET:index=0"
        return document

    def news(self) -> bytes:
        """What systemd has been told since it was asked last."""
        found = b""
        while True:
            try:
                found += self.heard.recv(4096) + b"\n"
            except BlockingIOError:
                return found

    async def test_systemd(self):
        """All workers accept from systemd's socket, also after a restart of theirs; systemd is
        told once that the gateway is ready, and of reloads and the end."""
        self.assertEqual(self.news().count(b"READY=1"), 1)
        for _ in range(4):
            await self.ask(await self.client())
        done = await self.command("restart", "-s", "control")
        self.assertEqual(done.code, 0, done.said)
        self.assertRegex(self.news(), rb"(?s)RELOADING=1.*READY=1")
        await self.ask(await self.client())
        self.hang_up()
        self.program.signal("TERM")
        end = await self.program.ended
        self.assertEqual((end.code, end.signal), (0, None), end.said)
        self.assertIn(b"STOPPING=1", self.news())


async def gone(workers: Iterable[int]) -> None:
    """Wait for the end of all of them."""
    deadline = reactor.seconds() + PATIENCE
    while living := [pid for pid in workers if lives(pid)]:
        if reactor.seconds() > deadline:
            raise AssertionError(f"they live: {living}")
        await deferLater(reactor, 0.02, lambda: None)


def lives(pid: int) -> bool:
    """Whether a process is there."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    # One that has ended and that nobody has waited for is no more.
    return "\nState:\tZ" not in status
