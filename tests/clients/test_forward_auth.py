"""Real proxies that ask `/auth`, by the very configurations of docs/forward-auth/."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from urllib.parse import unquote

import yaml
from twisted.internet import reactor
from twisted.internet.error import ConnectionRefusedError
from twisted.internet.interfaces import IProtocolNegotiationFactory
from twisted.internet.task import deferLater
from zope.interface import implementer

from tests.clients import programs
from tests.clients.stage import pki
from tests.compare.judge import Arrived
from tests.compare.servers import Recorder
from tests.relay import stage
from tests.relay.ends import Backend, connect
from tests.relay.stage import Stage
from tests.relay.test_forward_auth import encoded, escaped, xfcc
from toolforge_gateway.testing.ports import free_port

DOCUMENTED = Path(__file__).resolve().parents[2] / "docs" / "forward-auth"
FILES = (
    "server.crt", "server.key", "k8s-ca.crt", "backend-ca.crt", "server-ca.crt"
)  # fmt: skip
START = 20.0
"""Seconds for a program to start."""

OWN = "/jobs/v1/tool/tf-test/jobs"
OTHER = "/jobs/v1/tool/other/jobs"
OPEN = "/jobs/v1/healthz"

CLAIMS = (
    "X-Toolforge-Tool: other",
    "X-Toolforge-User: other",
    "x-toolforge-tool: other",
    "X-Original-Method: GET",
    f"X-Original-URI: {OPEN}",
    "X-Original-Host: evil",
    "X-Forwarded-Method: GET",
    f"X-Forwarded-Uri: {OPEN}",
    "X-Forwarded-Host: evil",
    "X-Forwarded-For: 192.0.2.66",
    "X-Real-IP: 192.0.2.66",
    "X-Forwarded-Tls-Client-Cert-Info: Subject%3D%22CN%3Dthird%22",
    "X-Toolforge-Reason: own-tool",
    "Authorization: Bearer secret",
    "Cookie: a=secret",
)
WEIRD = (
    "/jobs/v1/tool/tf-test/../other/jobs",
    "/jobs/v1/tool/tf-test/%2e%2e/other/jobs",
    "/jobs/v1/tool/tf-test/.%2E/other/jobs",
    "/jobs/v1/tool/%6fther/jobs",
    "/jobs/v1/%74ool/other/jobs",
    "/jobs/v1/tool//other/jobs",
    "/jobs//v1/tool/other/jobs",
    "//jobs/v1/tool/other/jobs",
    "/jobs/v1/tool/tf-test%2F..%2Fother/jobs",
    "/jobs/v1/tool/tf-test%2f%2e%2e%2fother/jobs",
    "/jobs/v1/tool/tf-test/..%2Fother/jobs",
    "/jobs/v1/tool/tf-test\\..\\other/jobs",
    "/jobs/v1/tool/tf-test/%5c../other/jobs",
    "/jobs/v1/tool/tf-test/..;/other/jobs",
    "/jobs/v1/tool/tf-test;/../other/jobs",
    "/jobs/v1/tool/tf-test%252f..%252fother/jobs",
    "/jobs/v1/tool/tf-test%00/../other",
    "/jobs/v1/healthz/../tool/other/jobs",
    "/jobs/v1/healthz%2F..%2Ftool/other/jobs",
    "/jobs/v1/healthz%23/../tool/other",
    "/jobs/v1/tool/other%20",
    "/jobs/../jobs/v1/tool/other/jobs",
    "https://localhost/jobs/v1/tool/other/jobs",
)


@implementer(IProtocolNegotiationFactory)
class Negotiating(Backend):
    """A backend that knows ALPN, as real ones do: some proxies always offer it."""

    def acceptableProtocols(self):
        return [b"http/1.1"]


class ForwardAuth(Stage):
    """A proxy, the gateway that it asks, and the backend that it forwards to."""

    timeout = 120
    proxy = ""
    backend_keys = {"anonymous": "refuse", "anonymous_paths": ["/v{n}/healthz"]}

    def setUp(self):
        self.patch(stage, "Backend", Negotiating)
        super().setUp()

    async def asynchronous(self) -> None:
        """Start the proxy; every test begins with it."""
        self.recorder = Recorder()
        self.backend.script = self.recorder
        # HAProxy takes 97 characters for the path of a socket, and a checkout may be deep.
        self.etc = Path(tempfile.mkdtemp(prefix="forward-auth-"))
        self.addCleanup(shutil.rmtree, self.etc)
        self.etc.chmod(0o755)
        for name in FILES:
            shutil.copy(pki() / name, self.etc / name)
        for mine, name in (("server", "server"), ("proxy", "gateway-client")):
            for part in ("crt", "key"):
                shutil.copy(pki() / f"{name}.{part}", self.etc / f"{mine}.{part}")
            both = [(self.etc / f"{mine}.{part}").read_bytes() for part in ("crt", "key")]
            (self.etc / f"{mine}.pem").write_bytes(b"".join(both))
        self.front = free_port()
        for path in DOCUMENTED.iterdir():
            (self.etc / path.name).write_text(self.adapted(path.read_text()))
        running = self.running = programs.start(reactor, self.command())
        self.addCleanup(running.end, "TERM")
        deadline = reactor.seconds() + START
        while not await self.ready():
            if reactor.seconds() > deadline or running.ended.called:
                raise RuntimeError(f"{self.proxy} does not start: {running.said()}")
            await deferLater(reactor, 0.05)

    def document(self):
        [entry] = [
            entry
            for entry in yaml.safe_load((DOCUMENTED / "gateway.yaml").read_text())["auth"][
                "trusted_proxies"
            ]
            if entry["name"] == self.proxy
        ]
        return {**super().document(), "auth": {"trusted_proxies": [entry]}}

    def adapted(self, text: str) -> str:
        """A documented file with this machine's ports and folders."""
        for documented, here in (
            ("/etc/forward-auth", str(self.etc)),
            (
                "address: gateway.example, port_value: 8443",
                f"address: 127.0.0.1, port_value: {self.port}",
            ),
            (
                "address: jobs.example, port_value: 8443",
                f"address: 127.0.0.1, port_value: {self.backend.number}",
            ),
            ("gateway.example:8443", f"127.0.0.1:{self.port}"),
            ("jobs.example:8443", f"127.0.0.1:{self.backend.number}"),
            ("4443", str(self.front)),
        ):
            text = text.replace(documented, here)
        return text

    def command(self) -> list[str]:
        """The command line of the proxy."""
        raise NotImplementedError

    async def ready(self) -> bool:
        """Whether it serves: some listen before they have read all of their configuration."""
        try:
            status, _ = await self.get(OPEN, None)
        except ConnectionRefusedError:
            return False
        return status == 200

    async def get(
        self, target: str, certificate: str | None, *lines: str, method: str = "GET"
    ) -> tuple[int, list[Arrived]]:
        """The status of an answer, and what has arrived at the backend for it."""
        self.recorder.arrived = []
        client = await connect(pki(), self.front, certificate)
        start = [f"{method} {target} HTTP/1.1", "Host: localhost", "Connection: close"]
        client.send("\r\n".join([*start, *lines, "", ""]).encode("latin-1"))
        received = await client.until(lambda: b"\r\n\r\n" in client.received or client.lost)
        if client.lost is None:
            client.transport.abortConnection()
        status = int(received.split(b" ", 2)[1]) if received else 0
        return status, self.recorder.arrived

    def told(self, arrived: Arrived) -> dict[str, list[str]]:
        """The fields that a backend must find once or not at all, by folded name."""
        found: dict[str, list[str]] = {}
        for name, value in arrived.fields:
            folded = name.decode("latin-1").lower().replace("_", "-")
            found.setdefault(folded, []).append(value.decode("latin-1"))
        return found

    async def test_proxy(self) -> None:
        """Who may comes through with who they are; nobody else does, whatever they say."""
        await self.asynchronous()
        try:
            await self.check_decisions()
            await self.check_claims()
            await self.check_targets()
            await self.check_pages()
        except AssertionError:
            print(self.running.said()[-5000:], self.log()[-3:])
            raise

    async def check_decisions(self) -> None:
        """Own tool, another's, nobody, and what is open to all."""
        for target, certificate, expected in (
            (OWN, "tool-tf-test", 200),
            (OWN + "?a=%2F&b=c+d", "tool-tf-test", 200),
            (OTHER, "tool-tf-test", 403),
            (OTHER, "tool-other", 200),
            (OWN, "admin", 403),
            (OWN, None, 401),
            (OPEN, None, 200),
        ):
            status, arrived = await self.get(target, certificate)
            self.assertEqual(status, expected, (target, certificate))
            self.assertEqual(len(arrived), expected == 200)
            if expected != 200:
                continue
            self.assertEqual(arrived[0].target.decode(), target.removeprefix("/jobs"))
            told = self.told(arrived[0])
            tool = certificate and certificate.removeprefix("tool-")
            for name in ("x-toolforge-tool", "x-toolforge-user"):
                self.assertEqual(told.get(name, []), [tool] if tool else [], (name, told))
        status, arrived = await self.get(OWN, "tool-tf-test", "Content-Length: 0", method="DELETE")
        self.assertEqual((status, arrived[0].method), (200, b"DELETE"))

    async def check_claims(self) -> None:
        """What a client says of itself changes nothing."""
        shown = [f"{name}: {value('tool-other')}" for name, value in self.shown().items()]
        lines = [*CLAIMS, *shown]
        status, [arrived] = await self.get(OWN, "tool-tf-test", *lines)
        self.assertEqual(status, 200)
        told = self.told(arrived)
        self.assertEqual(told["x-toolforge-tool"], ["tf-test"])
        self.assertEqual(told["x-toolforge-user"], ["tf-test"])
        for foreign in ("secret", "other", encoded("tool-other"), escaped("tool-other")):
            self.assertNotIn(foreign, str(told))
        for target, certificate, expected in (
            (OTHER, "tool-tf-test", 403),
            (OTHER, None, 401),
            (OWN, None, 401),
        ):
            for claims in (lines, *([line] for line in lines)):
                status, arrived = await self.get(target, certificate, *claims)
                self.assertEqual((status, arrived), (expected, []), (target, certificate, claims))
        status, [arrived] = await self.get(OPEN, None, *lines)
        self.assertEqual(status, 200)
        self.assertFalse({"x-toolforge-tool", "x-toolforge-user"} & set(self.told(arrived)))
        post = await self.get(OWN, "tool-tf-test", "Sec-Fetch-Site: cross-site", method="DELETE")
        self.assertEqual(post, (403, []))
        for claim in (
            "X_Toolforge_Tool: other",
            "X-Toolforge_User: other",
            "X_Toolforge-Tool: other",
        ):
            status, [arrived] = await self.get(OWN, "tool-tf-test", claim)
            self.assertEqual(status, 200)
            self.assertNotIn("other", str(self.told(arrived)), claim)

    def shown(self):
        """Headers in which proxies show certificates, and how."""
        return {
            "X-Client-Certificate": escaped,
            "X-Forwarded-Client-Cert": xfcc,
            "X-Forwarded-Tls-Client-Cert": encoded,
        }

    async def check_targets(self) -> None:
        """No spelling of another's path comes through, with what certificate ever."""
        for target in WEIRD:
            for certificate in ("tool-tf-test", None):
                status, arrived = await self.get(target, certificate)
                for request in arrived:
                    decoded = unquote(unquote(request.target.decode("latin-1")))
                    self.assertNotIn("other", decoded, (target, certificate, status))

    async def check_pages(self) -> None:
        """What is not the API is not the backend's, and /auth is nobody's from outside."""
        for target in ("/auth", "/_auth", "/auth/jobs/v1/healthz", "/"):
            status, arrived = await self.get(target, "tool-tf-test")
            self.assertEqual(arrived, [], target)
            self.assertGreaterEqual(status, 400, target)


class Nginx(ForwardAuth):
    """nginx's auth_request."""

    proxy = "nginx"

    def command(self) -> list[str]:
        path = self.etc / "nginx.conf"
        own = f"access_log off; error_log {self.etc}/error.log;" + "".join(
            f"{kind}_temp_path {self.etc}/{kind};"
            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        path.write_text(path.read_text().replace("http {", "http {" + own))
        settings = f"daemon off; pid {self.etc}/nginx.pid;"
        program = programs.program("nginx")
        return [program, "-p", str(self.etc), "-c", str(path), "-g", settings]


class HAProxy(ForwardAuth):
    """HAProxy with Lua."""

    proxy = "haproxy"

    def command(self) -> list[str]:
        return [programs.program("haproxy"), "-db", "-f", str(self.etc / "haproxy.cfg")]


class Caddy(ForwardAuth):
    """Caddy's forward_auth."""

    proxy = "caddy"

    def command(self) -> list[str]:
        return [
            programs.proxy("caddy"),
            "run",
            "--adapter",
            "caddyfile",
            "--config",
            str(self.etc / "Caddyfile"),
        ]


class Traefik(ForwardAuth):
    """Traefik's ForwardAuth."""

    proxy = "traefik"

    def command(self) -> list[str]:
        return [programs.proxy("traefik"), f"--configFile={self.etc / 'traefik.yaml'}"]


class Envoy(ForwardAuth):
    """Envoy's ext_authz."""

    proxy = "envoy"

    def command(self) -> list[str]:
        return [
            programs.proxy("envoy"),
            "-c",
            str(self.etc / "envoy.yaml"),
            "--disable-hot-restart",
            "--concurrency",
            "1",
            "-l",
            "warn",
        ]


del ForwardAuth
