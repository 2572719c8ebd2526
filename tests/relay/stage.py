"""A gateway with one scripted backend behind each of its paths."""

from __future__ import annotations

import json
from pathlib import Path

import yaml
from twisted.internet import reactor
from twisted.internet.defer import Deferred

from tests.clients.stage import pki
from tests.coroutines import CoroutineCase
from tests.relay.ends import Backend, BackendConnection, End, connect, silent
from tests.transport import chosen
from toolforge_gateway import config
from toolforge_gateway.service import make_service

GET = b"GET /jobs/v1/tool/tf-test/jobs HTTP/1.1\r\nHost: localhost\r\n\r\n"


class Stage(CoroutineCase):
    """Runs a gateway whose `/jobs` is a `Backend` that the test scripts."""

    timeout = 30
    timeouts: dict[str, float] = {}
    limits: dict[str, int] = {}
    listener: dict[str, object] = {}
    """More keys of the listener."""
    backend_keys: dict[str, object] = {}
    """More keys of the backend."""
    url = "https://127.0.0.1:{port}"
    reactor: object = reactor
    """What the gateway is given as its reactor."""

    def setUp(self):
        self.folder = Path(self.mktemp())
        self.folder.mkdir(parents=True)
        (self.folder / "tls").symlink_to(pki())
        self.backend = Backend(pki())
        self.addCleanup(self.backend.port.stopListening)
        path = self.folder / "gateway.yaml"
        path.write_text(yaml.safe_dump(self.document()))
        self.service = make_service(config.load(path), self.reactor, chosen(self.reactor))
        self.service.startService()
        self.addCleanup(self.stop)
        self.port = self.service.addresses()[0].port
        self._clients: list[End] = []

    def stop(self):
        for client in [each for each in self._clients if each.lost is None]:
            client.transport.abortConnection()
        if self.service.running:
            return self.service.stopService()

    def document(self) -> dict:
        """The configuration; deadlines are long but for those of a test."""
        return {
            "listen": [
                {
                    "endpoint": "tcp:0:interface=127.0.0.1",
                    "tls": {
                        "certificate": "tls/server.crt",
                        "private_key": "tls/server.key",
                        "client_cas": [
                            {
                                "name": "kubernetes",
                                "ca": "tls/k8s-ca.crt",
                                "identifies": ["tool", "admin"],
                            },
                            {
                                "name": "backend",
                                "ca": "tls/backend-ca.crt",
                                "identifies": ["service"],
                            },
                        ],
                    },
                    **self.listener,
                }
            ],
            "operations": {"endpoint": "tcp:0:interface=127.0.0.1"},
            "upstream_tls": {
                "ca": "tls/backend-ca.crt",
                "certificate": "tls/gateway-client.crt",
                "private_key": "tls/gateway-client.key",
            },
            "backends": [
                {
                    "name": "jobs-api",
                    "path": "/jobs",
                    "url": self.url.format(port=self.backend.number),
                    "server_name": "jobs-api.jobs-api.svc.tools.local",
                    **self.backend_keys,
                }
            ],
            "authenticators": self.authenticators(),
            "timeouts": {"drain": 2, **self.timeouts},
            "limits": self.limits,
            "access_log": {"file": "access.log"},
        }

    def authenticators(self) -> list[dict]:
        return [
            {
                "kind": "kubernetes-certificate",
                "organizations": {"tool": "toolforge", "admin": "admins"},
                "admin_paths": [],
            },
            {"kind": "superuser", "superusers": {"service:components-api": ["^.*$"]}},
        ]

    def client(self, certificate: str | None = "tool-tf-test", header: bytes = b"") -> Deferred:
        """A client of the gateway; fires with an `End`."""

        def keep(end: End) -> End:
            self._clients.append(end)
            return end

        return connect(pki(), self.port, certificate, header).addCallback(keep)

    async def held(self) -> tuple[End, BackendConnection]:
        """A client whose request the backend has, and answers only when the test does."""
        self.backend.script = silent
        client = await self.client()
        client.send(GET)
        upstream = await self.backend.connection()
        await upstream.until(b"\r\n\r\n")
        return client, upstream

    async def ask(
        self,
        request: bytes,
        until: bytes = b"\r\n\r\nok",
        certificate: str | None = "tool-tf-test",
    ) -> bytes:
        """Send bytes on a new connection; what came back up to `until`."""
        client = await self.client(certificate)
        client.send(request)
        return await client.until(until)

    def log(self) -> list[dict]:
        """The access log's lines."""
        text = (self.folder / "access.log").read_text()
        return [json.loads(line) for line in text.splitlines()]


def refused(answer: bytes) -> tuple[int, str]:
    """Status and reason word of a refusal of the gateway's own."""
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split(b" ", 2)[1]), json.loads(body)["reason"]
