"""The gateway as a process of its own, watched from outside."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent
PATIENCE = 20.0
"""Seconds within which it listens, or has ended when told to."""

TIMEOUTS = {
    "handshake": 3,
    "request_head": 3,
    "request_idle": 4,
    "keep_alive": 6,
    "connect": 2,
    "response_head": 5,
    "response_idle": 8,
    "drain": 5,
}
"""Short, so that each passes often."""
LIMITS = {"connections": 2000, "request_body": 8 << 20}


def configuration(port: int, backends: dict[str, int]) -> dict:
    """The configuration file's content.

    :param backends: port of each, by its path.
    """
    tls = {
        "certificate": "tls/server.crt",
        "private_key": "tls/server.key",
        "client_cas": [
            {"name": "kubernetes", "ca": "tls/k8s-ca.crt", "identifies": ["tool", "admin"]},
            {"name": "backend", "ca": "tls/backend-ca.crt", "identifies": ["service"]},
        ],
    }
    return {
        "listen": [{"endpoint": f"tcp:{port}:interface=127.0.0.1", "tls": tls}],
        "upstream_tls": {
            "ca": "tls/backend-ca.crt",
            "certificate": "tls/gateway-client.crt",
            "private_key": "tls/gateway-client.key",
        },
        "backends": [
            {"name": name, "path": f"/{name}", "url": f"https://127.0.0.1:{number}"}
            for name, number in backends.items()
        ],
        "authenticators": [
            {
                "kind": "kubernetes-certificate",
                "organizations": {"tool": "toolforge", "admin": "admins"},
                "admin_paths": ["^/[a-z]+/v1/tool/[^/]+/[a-z]+$"],
            },
            {"kind": "superuser", "superusers": {"service:components-api": ["^.*$"]}},
        ],
        "timeouts": TIMEOUTS,
        "limits": LIMITS,
        "access_log": {"format": "json", "file": "access.log"},
    }


class Gateway:
    """`twistd -n toolforge-gateway` in a folder."""

    def __init__(self, folder: Path, port: int):
        self.folder = folder
        self.port = port
        self.samples: list[tuple[float, int]] = []
        self.started = time.monotonic()
        self._process: asyncio.subprocess.Process | None = None

    async def start(self, document: dict) -> None:
        """Start it and wait until it listens.

        :param document: the content of its configuration file, `gateway.yaml`.
        :raise RuntimeError: it does not.
        """
        path = self.folder / "gateway.yaml"
        path.write_text(yaml.safe_dump(document))
        run = "from twisted.scripts.twistd import run; run()"
        command = [sys.executable, "-c", run, "-n", "--pidfile=", "toolforge-gateway"]
        with (self.folder / "gateway.log").open("wb") as log:
            self._process = await asyncio.create_subprocess_exec(
                *command,
                "--config",
                str(path),
                cwd=self.folder,
                env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline and self._process.returncode is None:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", self.port)
            except OSError:
                await asyncio.sleep(0.05)
            else:
                writer.close()
                self.started = time.monotonic()
                return
        raise RuntimeError(f"the gateway does not start: {self.log()}")

    async def watch(self) -> None:
        """Write down its memory each second, for ever."""
        while True:
            self.samples.append((time.monotonic() - self.started, self.resident()))
            await asyncio.sleep(1)

    @property
    def pid(self) -> int:
        """The number of its process, or of the first of them."""
        assert self._process is not None, "started before"
        return self._process.pid

    def alive(self) -> bool:
        """Whether it still runs."""
        return self._process is not None and self._process.returncode is None

    def resident(self) -> int:
        """Its resident memory, bytes."""
        for line in self._proc("status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
        return 0

    def descriptors(self) -> int:
        """How many file descriptors it has open."""
        return len(os.listdir(self._proc("fd")))

    def log(self) -> str:
        """All that it has printed."""
        return (self.folder / "gateway.log").read_text(errors="replace")

    async def stop(self) -> int | None:
        """SIGTERM; its exit code, None when it had to be killed."""
        process = self._process
        if process is None:
            return None
        try:
            if process.returncode is None:
                process.send_signal(signal.SIGTERM)
            return await asyncio.wait_for(process.wait(), PATIENCE)
        except TimeoutError:
            process.kill()
            await process.wait()
            return None

    def _proc(self, name: str) -> Path:
        return Path(f"/proc/{self.pid}/{name}")
