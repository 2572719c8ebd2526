"""This gateway, as its users run it: twistd and a configuration file, nothing left out."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from benchmarks.peers.peer import Peer, from_environment
from benchmarks.processes import PATIENCE, CannotRun
from benchmarks.stage import BACKEND_NAME, Stage
from toolforge_gateway.testing.ports import free_port

ROOT = Path(__file__).resolve().parents[2]
DEBIANS = "/usr/bin/python"


class Gateway(Peer):
    """With the newest libraries that the checkout knows.

    :param workers: what its configuration says of them; None: nothing, and it is one process.
    """

    name = "gateway"
    title = "this gateway"

    def __init__(self, stage: Stage, workers: int | None = None):
        self._python = self.interpreter()
        self._workers = workers
        self._siblings: dict[int, Gateway] = {}
        if workers is not None:
            self.name = f"{self.name}-{workers}-workers"
        super().__init__(stage)
        self._operations = free_port()

    def of_workers(self, number: int) -> Gateway:
        """The same with a supervisor and so many workers; stopped at first."""
        if number not in self._siblings:
            self._siblings[number] = type(self)(self.stage, number)
        return self._siblings[number]

    def served(self) -> list[float]:
        """How many requests each worker has served."""
        begins = "toolforge_gateway_worker_requests_total{"
        lines = [line for line in self._metrics().splitlines() if line.startswith(begins)]
        return [float(line.rpartition(" ")[2]) for line in lines]

    def start(self) -> None:
        """See `Peer`; all workers are there."""
        super().start()
        deadline = time.monotonic() + PATIENCE
        while self._workers is not None and len(self.served()) != self._workers:
            if time.monotonic() > deadline:
                raise CannotRun(f"{self.name} has workers {self.served()}: {self._metrics()}")
            time.sleep(0.1)

    def _metrics(self) -> str:
        try:
            with urlopen(f"http://127.0.0.1:{self._operations}/metrics", timeout=5) as answer:
                text: str = answer.read().decode()
        except OSError:
            return ""
        return text

    def interpreter(self) -> str:
        """The Python with its libraries."""
        return sys.executable

    def runner(self) -> tuple[str, dict[str, str]]:
        """The Python that runs it, and what that needs in its environment.

        It is Debian's own where it is of the same version, as it is Debian's nginx that is measured
        beside it: a Python that somebody compiled in haste may cost a fifth more.
        """
        here = f"{sys.version_info.major}.{sys.version_info.minor}"
        if sys.prefix == sys.base_prefix or not os.access(f"{DEBIANS}{here}", os.X_OK):
            return self._python, {"PYTHONPATH": str(ROOT)}
        lib = Path("lib", f"python{here}")
        libraries = Path(self._python).parent.parent / lib / "site-packages"
        folder = self.folder / "python"
        if not folder.exists():
            # An environment of its own (PEP 405): Debian's own libraries stay out of it.
            (folder / "bin").mkdir(parents=True)
            (folder / "bin" / "python").symlink_to(f"{DEBIANS}{here}")
            (folder / "pyvenv.cfg").write_text(
                "home = /usr/bin\ninclude-system-site-packages = false\n"
            )
            (folder / lib).mkdir(parents=True)
            (folder / lib / "site-packages").symlink_to(libraries)
        return str(folder / "bin" / "python"), {"PYTHONPATH": str(ROOT)}

    def openssl(self) -> str:
        """See `Peer`."""
        code = (
            "import platform; from OpenSSL import SSL; "
            "print(*SSL.SSLeay_version(0).decode().split()[:2]); print(platform.python_version())"
        )
        python, environ = self.runner()
        done = subprocess.run(
            [python, "-c", code],
            env={**os.environ, **environ},
            capture_output=True,
            text=True,
            check=False,
        )
        return ", Python ".join(done.stdout.splitlines()) or "unknown"

    def run(self) -> None:
        """See `Peer`."""
        configuration = self.write("gateway.yaml", json.dumps(self.configuration(), indent=1))
        command = [*self.twistd(), "--nodaemon", "--pidfile=", "--logfile=twistd.log"]
        # As the README says, for an OpenSSL that came in a wheel.
        tickets_off = {"OPENSSL_CONF": str(ROOT / "etc" / "openssl.cnf")}
        self.spawn(
            [*command, "toolforge-gateway", "--config", str(configuration)],
            {**self.runner()[1], **tickets_off},
        )

    def twistd(self) -> list[str]:
        """How twistd is started."""
        return [self.runner()[0], str(Path(self._python).with_name("twistd"))]

    def configuration(self) -> dict[str, Any]:
        """What etc/gateway.yaml shows, with this stage's ports and no smaller limits."""
        pki = self.stage.pki
        client_cas = [
            {"name": "kubernetes", "ca": f"{pki}/k8s-ca.crt", "identifies": ["tool", "admin"]},
            {"name": "backend", "ca": f"{pki}/backend-ca.crt", "identifies": ["service"]},
        ]
        tls = {
            "certificate": f"{pki}/server.crt",
            "private_key": f"{pki}/server.key",
            "client_certificate": "optional",
            "client_cas": client_cas,
        }
        endpoint = f"tcp:{self.port}:interface=127.0.0.1:backlog=4096"
        hour = {"response_head": 3600, "response_idle": 3600}
        more: dict[str, Any] = {}
        if self._workers is not None:
            more["workers"] = self._workers
            more["operations"] = {"endpoint": f"tcp:{self._operations}:interface=127.0.0.1"}
        return {
            **more,
            "listen": [{"endpoint": endpoint, "tls": tls}],
            "upstream_tls": {
                "ca": f"{pki}/backend-ca.crt",
                "certificate": f"{pki}/gateway-client.crt",
                "private_key": f"{pki}/gateway-client.key",
            },
            "backends": [
                {
                    "name": f"{name}-api",
                    "path": f"/{name}",
                    "url": f"https://127.0.0.1:{port}",
                    "server_name": BACKEND_NAME,
                    "slow_paths": [{"pattern": "/logs$", "timeouts": hour}],
                }
                for name, port in (
                    ("jobs", self.stage.backend_port),
                    ("logs", self.stage.streams_port),
                )
            ],
            "authenticators": [
                {"kind": "kubernetes-certificate"},
                {"kind": "superuser", "superusers": {"service:components-api": ["^.*$"]}},
                {
                    "kind": "deploy-token",
                    "paths": ["POST /jobs/v1/tool/{tool}/deployment"],
                },
            ],
            "timeouts": {"keep_alive": 3600},
            "limits": {"connections": 12000, "request_body": 2**30},
            "access_log": {"format": "json", "file": str(self.folder / "access.log")},
        }


class Debian12Gateway(Gateway):
    """With the versions that Debian 12 ships, its OpenSSL among them."""

    name = "gateway-debian12"
    title = "this gateway, Debian 12's libraries"

    def interpreter(self) -> str:
        """See `Gateway`."""
        return from_environment(
            "TOOLFORGE_DEBIAN12_BIN", "python", "the environment with Debian 12's libraries"
        )
