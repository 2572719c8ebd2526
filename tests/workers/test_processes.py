"""Real processes: `twistd` as the supervisor, its workers, and clients that notice nothing."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
from collections import Counter
from collections.abc import Iterable

from twisted.internet import reactor
from twisted.internet.defer import ensureDeferred
from twisted.internet.endpoints import UNIXClientEndpoint
from twisted.internet.protocol import Factory
from twisted.internet.task import deferLater
from twisted.protocols.tls import TLSMemoryBIOFactory

from tests.clients.stage import pki
from tests.relay.ends import OK, ClientContext, End, answering, connect, silent
from tests.relay.stage import GET
from tests.workers.program import PATIENCE, Program, lives
from toolforge_gateway.testing.ports import free_port


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
