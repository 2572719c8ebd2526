"""The access log of a whole gateway: led elsewhere while it runs, and opened anew."""

from __future__ import annotations

import os
import re
import socket
from pathlib import Path
from tempfile import TemporaryDirectory

import yaml

from tests.clients.stage import eventually
from tests.relay.stage import GET, Stage
from toolforge_gateway import config
from toolforge_gateway.errors import ConfigurationError


class Targets(Stage):
    def setUp(self):
        super().setUp()
        # The name of a Unix socket is short (unix(7): 108 bytes), and a test's folder may be deep.
        short = TemporaryDirectory()
        self.addCleanup(short.cleanup)
        self.path = f"{short.name}/s"
        self.daemon = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.daemon.bind(self.path)
        self.daemon.setblocking(False)
        self.addCleanup(self.daemon.close)

    def change(self, access_log: dict):
        """A configuration with this, ready to be put in force."""
        document = {**self.document(), "access_log": access_log}
        document["listen"][0]["endpoint"] = "tcp:0:interface=127.0.0.1"
        path = self.folder / "gateway.yaml"
        path.write_text(yaml.safe_dump(document))
        return self.service.prepare(config.load(path))

    def test_nobody_there(self):
        """What cannot be written to is a complaint with its line, and nothing changes."""
        error = self.assertRaises(
            ConfigurationError, self.change, {"to": "journald", "socket": "nobody"}
        )
        too_long = self.assertRaises(
            ConfigurationError, self.change, {"to": "journald", "socket": "/" + 200 * "x"}
        )
        self.assertIn("too long", str(too_long))
        self.assertRegex(str(error), r"gateway\.yaml:\d+: access_log\.socket: nobody takes lines")
        error = self.assertRaises(ConfigurationError, self.change, {"file": "no/such/folder"})
        self.assertRegex(str(error), r"gateway\.yaml:\d+: access_log\.file: .* cannot be opened")

    async def test_led_elsewhere(self):
        """From a file to syslog, to journald and back, with a client that stays: each line is in
        one of them, in the form of that place."""
        client = await self.client()

        async def ask() -> None:
            client.take()
            client.send(GET)
            await client.until(b"\r\n\r\nok")

        await ask()
        for to in ("syslog", "journald"):
            self.change({"to": to, "socket": self.path, "format": "human"}).commit()
            await ask()
            await ask()
        self.change({"file": "access.log"}).commit()
        await ask()
        self.assertEqual(len(self.log()), 2)
        records = [self.daemon.recv(10_000) for _ in range(4)]
        self.assertRaises(BlockingIOError, self.daemon.recv, 1)
        self.assertEqual([record[:4] for record in records], [b"<30>"] * 2 + [b"MESS"] * 2)
        for record in records:
            self.assertIn(b"Z 200 own-tool GET /jobs/v1/tool/tf-test/jobs jobs-api", record)
        ids = [line["request_id"] for line in self.log()]
        for record in records:
            ids += re.findall(r"([0-9a-f]{32})(?:\n|$)", record.decode())[:1]
        self.assertEqual(len(set(ids)), 6)

    def test_abandoned(self):
        """A change that is given up leaves no descriptor open."""
        before = len(os.listdir("/proc/self/fd"))
        for _ in range(3):
            self.change({"to": "syslog", "socket": self.path}).abandon()
            self.change({"file": "other.log"}).abandon()
        self.assertEqual(len(os.listdir("/proc/self/fd")), before)

    async def test_reopened(self):
        """A file that was moved away gets what was said until the reopening, the new one the
        rest."""
        await self.ask(GET)
        moved = Path(self.folder / "moved")
        (self.folder / "access.log").rename(moved)
        await self.ask(GET)
        self.service.reopen_logs()
        await self.ask(GET)
        await eventually(lambda: len(self.log()) == 1)
        self.assertEqual(moved.read_text().count("\n"), 2)
        self.assertEqual(self.service.log_lines_lost, 0)
