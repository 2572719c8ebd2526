"""What systemd hears of the real process, from its start to its end."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import yaml
from twisted.internet import reactor
from twisted.internet.task import deferLater

from tests.clients import programs
from tests.clients.stage import ROOT, eventually, pki
from tests.coroutines import CoroutineCase
from tests.systemd.test_notifier import Ear
from toolforge_gateway.testing.ports import free_port

TWISTD = "from twisted.scripts.twistd import run; run()"


class ProcessTests(CoroutineCase):
    """`twistd -n toolforge-gateway`, with a socket such as systemd's."""

    timeout = 60

    def setUp(self):
        self.folder = Path(self.mktemp()).resolve()
        self.folder.mkdir(parents=True)
        (self.folder / "tls").symlink_to(pki())
        self.document = yaml.safe_load((ROOT / "etc" / "gateway.yaml").read_text())
        self.port = free_port()
        self.document["listen"][0]["endpoint"] = f"tcp:{self.port}:interface=127.0.0.1"
        self.document["operations"]["endpoint"] = f"tcp:{free_port()}:interface=127.0.0.1"
        self.document["timeouts"]["drain"] = 7
        self.document["openapi_docs"] = {"refresh": 3600}
        self.ear = Ear(self)
        self.heard: list[str] = []
        self.write()

    def write(self) -> None:
        (self.folder / "gateway.yaml").write_text(yaml.safe_dump(self.document))

    def start(self, **environ: str) -> programs.Running:
        command = [sys.executable, "-c", TWISTD, "-n", "--pidfile=", "toolforge-gateway"]
        command += ["--config", str(self.folder / "gateway.yaml")]
        path = os.pathsep.join([str(ROOT), *sys.path])
        environment = {"PYTHONPATH": path, "NOTIFY_SOCKET": self.ear.address, **environ}
        gateway = programs.start(reactor, command, environment, str(self.folder))
        self.addCleanup(gateway.end)
        return gateway

    async def hears(self, beginning: str) -> str:
        """The first datagram that begins so, of those that nobody has asked for yet."""

        def come() -> bool:
            self.heard += self.ear.heard()
            return any(each.startswith(beginning) for each in self.heard)

        await eventually(come, within=20)
        while not self.heard[0].startswith(beginning):
            self.heard.pop(0)
        return self.heard.pop(0)

    async def test_life(self):
        """READY once it serves; RELOADING and READY around each reload, a bad one says why;
        STOPPING with the time that a drain may take; exit code 0."""
        gateway = self.start()
        first = await self.hears("READY=1\n")
        self.assertRegex(first, r"\AREADY=1\nSTATUS=configuration \S+ serves\Z")

        self.document["timeouts"]["drain"] = 11
        self.write()
        gateway.signal("HUP")
        self.assertIn("MONOTONIC_USEC=", await self.hears("RELOADING=1\n"))
        second = await self.hears("READY=1\n")
        self.assertRegex(second, r"\AREADY=1\nSTATUS=configuration \S+ serves\Z")
        self.assertNotEqual(first, second, "another configuration has another version")

        self.document["lisen"] = 1
        self.document["backnds"] = 1
        self.write()
        gateway.signal("HUP")
        await self.hears("RELOADING=1\n")
        third = await self.hears("READY=1\n")
        self.assertTrue(third.startswith(f"{second}; the last reload changed nothing: "), third)
        self.assertIn("gateway.yaml:", third)
        self.assertIn("(and 1 more)", third)

        gateway.signal("TERM")
        stopping = await self.hears("STOPPING=1\n")
        self.assertIn("EXTEND_TIMEOUT_USEC=26000000\n", stopping)
        done = await gateway.ended
        self.assertEqual(done.code, 0, done.said)

    async def test_watchdog(self):
        """Signs of life come after READY, and none while the process is stopped."""
        gateway = self.start(WATCHDOG_USEC="400000")
        await self.hears("READY=1\n")
        for _ in range(3):
            await self.hears("WATCHDOG=1")
        gateway.signal("STOP")
        # What it had said before it stopped may still be under way.
        await eventually(lambda: stopped(gateway))
        self.heard.clear()
        self.ear.heard()
        await deferLater(reactor, 1.0)  # in which two or more would have come
        self.assertEqual(self.ear.heard(), [])
        os.kill(gateway.transport.pid, signal.SIGCONT)
        await self.hears("WATCHDOG=1")

    async def test_cannot_start(self):
        """Who cannot listen never says READY."""
        self.document["listen"][0]["endpoint"] = f"unix:{self.folder}/none/socket"
        self.write()
        done = await self.start().ended
        self.assertEqual(done.code, 1, done.said)
        self.assertEqual(self.ear.heard(), [])

    async def test_no_socket_passed(self):
        """Where systemd was to pass a socket and has not, it says in which order units start."""
        self.document["listen"][0]["endpoint"] = "systemd:domain=INET6:index=0"
        self.write()
        done = await self.start().ended
        self.assertEqual(done.code, 1, done.said)
        self.assertIn("systemd has passed no such socket; stop the service, start its", done.said)
        self.assertEqual(self.ear.heard(), [])


def stopped(running: programs.Running) -> bool:
    """Whether a signal has stopped it (proc(5), state T)."""
    stat = Path(f"/proc/{running.transport.pid}/stat").read_text()
    return stat.rpartition(")")[2].split()[0] == "T"
