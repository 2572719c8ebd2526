"""`/status` and `/` through a whole gateway: who sees what, and that it is true."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from twisted.internet import reactor
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.protocol import Factory

from tests.clients.stage import eventually
from tests.relay.ends import End
from tests.relay.stage import GET, Stage, refused
from toolforge_gateway.observe import snapshot
from toolforge_gateway.testing.pki import Authority

STATUS = b"GET /status HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
HOME = b"GET / HTTP/1.1\r\nHost: localhost\r\nAccept: text/html\r\nConnection: close\r\n\r\n"


class StatusCase(Stage):
    def setUp(self) -> None:
        """Each snapshot is a new one."""
        self.patch(snapshot, "FRESH", 0.0)
        super().setUp()

    async def closed(self, request: bytes, certificate: str | None = None) -> bytes:
        """Send a request that is its connection's last; the whole answer."""
        client = await self.client(certificate)
        client.send(request)
        return await client.until(lambda: client.lost is not None)

    async def status(self, certificate: str | None = "admin") -> Any:
        """The status as JSON."""
        return self.body(await self.closed(STATUS, certificate))

    def body(self, answer: bytes) -> Any:
        head, _, body = answer.partition(b"\r\n\r\n")
        self.assertIn(b" 200 OK", head)
        return json.loads(body)


class VisitorTests(StatusCase):
    async def test_anonymous(self) -> None:
        """Who is nobody sees names and states, and not one word more; a tool neither."""
        for certificate in (None, "tool-tf-test"):
            document = await self.status(certificate)
            self.assertEqual(document.pop("whole"), False)
            self.assertRegex(document.pop("taken_at"), r"^20..-..-..T..:..:..Z$")
            self.assertEqual(
                document,
                {
                    "gateway": {"state": "running"},
                    "backends": [{"name": "jobs-api", "state": "unknown"}],
                },
            )

    async def test_administrator(self) -> None:
        """An administrator sees everything there is."""
        document = await self.status()
        self.assertEqual(document["whole"], True)
        self.assertEqual(
            set(document) - {"taken_at", "whole"},
            {
                "gateway",
                "addresses",
                "backends",
                "last_minute",
                "last_hour",
                "routes",
                "refusals",
                "certificates",
                "files",
                "processes",
                "reload",
            },
        )
        file = (self.folder / "gateway.yaml").read_bytes()
        version = hashlib.sha256(file).hexdigest()[:12]
        self.assertEqual(document["gateway"]["configuration_version"], version)
        self.assertEqual(document["last_minute"]["connections"], 1)

    async def test_certificates(self) -> None:
        """Everything that runs out is there, with the days that are left."""
        document = await self.status()
        rows = {row["name"]: row for row in document["certificates"]}
        self.assertEqual(
            set(rows),
            {
                "server certificate of tcp:0:interface=127.0.0.1",
                "client CA kubernetes",
                "client CA backend",
                "certificate shown to backends",
                "CA of the backends",
            },
        )
        for row in rows.values():
            self.assertGreaterEqual(row["days_left"], 0)
            self.assertIn(row["state"], ("good", "soon"))

    async def test_posing(self) -> None:
        """Headers make nobody an administrator."""
        posing = STATUS.replace(
            b"Connection",
            b"X-Toolforge-User: root-admin\r\nX-Forwarded-For: 127.0.0.1\r\nConnection",
        )
        self.assertEqual(self.body(await self.closed(posing))["whole"], False)

    async def test_not_below(self) -> None:
        """There is nothing below the page, and it cannot be written."""
        below = await self.closed(STATUS.replace(b"/status", b"/status/x"), "admin")
        self.assertEqual(refused(below), (404, "no-such-path"))
        written = await self.closed(STATUS.replace(b"GET", b"DELETE"), "admin")
        self.assertEqual(refused(written), (405, "read-only-page"))


class TruthTests(StatusCase):
    async def test_traffic(self) -> None:
        """What went through is counted, by route and by reason, our own pages apart."""
        await self.ask(GET)
        await self.ask(GET)
        await self.ask(GET.replace(b"tf-test", b"other"), b"foreign-tool")
        await self.ask(b"GET /nowhere HTTP/1.1\r\nHost: localhost\r\n\r\n", b"no-such-path")
        document = await self.status()
        rows = {row["name"]: row for row in document["routes"]}
        self.assertEqual(rows["jobs-api"]["requests"], 3)
        self.assertEqual(rows["(no route)"]["requests"], 1)
        self.assertIsNotNone(rows["jobs-api"]["latency_p99_seconds"])
        self.assertEqual(document["last_hour"]["requests"], 4)
        self.assertEqual(
            document["refusals"],
            [{"reason": "foreign-tool", "requests": 1}, {"reason": "no-such-path", "requests": 1}],
        )
        again = await self.status()
        rows = {row["name"]: row for row in again["routes"]}
        self.assertEqual(rows["(own pages)"]["requests"], 1)
        self.assertEqual(again["last_hour"]["requests"], 4)

    async def test_backend(self) -> None:
        """A backend is unknown, up after an answer, failing when it is gone, up when it is back."""
        await self.ask(GET)
        (backend,) = (await self.status())["backends"]
        self.assertEqual((backend["state"], backend["last_failure_reason"]), ("up", None))
        number = self.backend.number
        await self.backend.port.stopListening()
        for connection in self.backend.connections:
            connection.transport.abortConnection()
        for _ in range(3):
            await self.ask(GET, b"backend-refused")
        (backend,) = (await self.status(None))["backends"]
        self.assertEqual(backend, {"name": "jobs-api", "state": "failing"})
        (backend,) = (await self.status())["backends"]
        self.assertEqual(backend["last_failure_reason"], "backend-refused")
        self.assertEqual(backend["failures_in_a_row"], 3)
        self.backend.port = reactor.listenTCP(
            number, self.backend.port.factory, interface="127.0.0.1"
        )
        self.addCleanup(self.backend.port.stopListening)
        await self.ask(GET)
        (backend,) = (await self.status())["backends"]
        self.assertEqual((backend["state"], backend["failures_in_a_row"]), ("up", 0))
        document = await self.status()
        self.assertEqual(document["last_hour"]["error_share"], 0.6)

    async def test_open(self) -> None:
        """Connections and requests under way are those of now."""
        self.backend.script = lambda connection: None
        waiting = await self.client()
        waiting.send(GET)
        await self.backend.connection()
        document = await self.status()
        self.assertEqual(document["last_minute"]["connections"], 2)
        self.assertEqual(
            document["last_minute"]["requests_under_way"], 2, "this one is one of them"
        )
        self.assertEqual(document["last_minute"]["streams"], 0)

    async def test_draining(self) -> None:
        """While it drains it says so."""
        board = self.service.process.overview.board
        self.backend.script = lambda connection: None
        waiting = await self.client()
        waiting.send(GET)
        await self.backend.connection()
        stopping = self.service.stopService()
        said = {each.name: each.value for each in board.public().sections}
        self.assertEqual(said["gateway"]["state"], "draining")
        waiting.transport.abortConnection()
        await stopping


class HomeTests(StatusCase):
    async def test_terminal(self) -> None:
        """curl gets the text that it always got."""
        answer = await self.closed(HOME.replace(b"text/html", b"*/*"))
        head, _, body = answer.partition(b"\r\n\r\n")
        self.assertIn(b"Content-Type: text/plain; charset=utf-8", head.replace(b"-type", b"-Type"))
        self.assertRegex(
            body,
            rb"\AThis is the Toolforge API gateway, version [^\n]+\.\n\nAPIs here:\n  /jobs/\n\Z",
        )

    async def test_page(self) -> None:
        """A browser gets a page that knows whose certificate it has."""
        for certificate, words in [
            (None, b"no client certificate"),
            ("tool-tf-test", b"you are the tool <strong><bdi>tf-test</bdi>"),
            ("admin", b"you are the administrator <strong><bdi>root-admin</bdi>"),
        ]:
            answer = await self.closed(HOME, certificate)
            self.assertIn(words, answer)
            self.assertIn(b"no-store", answer)
            self.assertIn(b"<code>/jobs/</code>", answer)

    async def test_icon(self) -> None:
        """What a browser asks for beside everything that is no page is there."""
        answer = await self.closed(HOME.replace(b"GET / ", b"GET /favicon.ico "))
        self.assertTrue(answer.startswith(b"HTTP/1.1 200 OK\r\n"), answer)
        self.assertIn(b"image/svg+xml", answer)
        self.assertTrue(answer.endswith(b"</svg>\n"), answer[-50:])


class OperationsTests(StatusCase):
    """The operations port: plain HTTP on loopback."""

    async def operations(self, path: str, *hosts: str) -> bytes:
        endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", self.service.operations_address().port)
        client = await endpoint.connect(Factory.forProtocol(End))
        lines = "".join(f"Host: {host}\r\n" for host in hosts)
        version = "1.1" if hosts else "1.0"
        client.send(f"GET {path} HTTP/{version}\r\n{lines}Connection: close\r\n\r\n".encode())
        return await client.closed()

    async def test_whole(self) -> None:
        """On this machine everything is there to see, whoever asks, and its page works."""
        for host in ("localhost", "localhost:9090", "127.0.0.1:1", "[::1]:9090", "LOCALHOST"):
            answer = await self.operations("/status", host)
            self.assertEqual(self.body(answer)["whole"], True)

    async def test_rebinding(self) -> None:
        """A name that is not this machine's is refused: somebody has pointed it here."""
        for hosts in (
            ("evil.example",),
            ("evil.example:9090",),
            ("localhost.evil.example",),
            ("evil.example:localhost",),
            ("127.0.0.1.nip.example",),
            ("127.1",),
            ("localhost", "evil.example"),
            ("evil.example", "localhost"),
            ("localhost, evil.example",),
            ("user@localhost",),
            ("[::1",),
            ("",),
            (),
        ):
            answer = await self.operations("/status", *hosts)
            self.assertIn(answer.split(b" ")[1], (b"403", b"400"), (hosts, answer))
            self.assertNotIn(b"certificates", answer)

    async def test_probes(self) -> None:
        """Probes come by the pod's address, and are answered whatever Host they name."""
        for path in ("/healthz", "/readyz"):
            answer = await self.operations(path, "10.0.0.7:9090")
            self.assertTrue(answer.endswith(b"ok\n"), answer)

    async def test_page(self) -> None:
        """The page leads only where something is, and finds its files."""
        client = await TCP4ClientEndpoint(
            reactor, "127.0.0.1", self.service.operations_address().port
        ).connect(Factory.forProtocol(End))
        client.send(
            b"GET /status HTTP/1.1\r\nHost: localhost\r\nAccept: text/html\r\n"
            b"Connection: close\r\n\r\n"
        )
        page = (await client.closed()).decode()
        self.assertIn('<h2 id="section-certificates">', page)
        links = {each.partition('"')[0] for each in page.split('href="')[1:]}
        links |= {each.partition('"')[0] for each in page.split('src="')[1:]}
        for link in links - {"#content"}:
            answer = await self.operations(link, "localhost")
            self.assertIn(b" 200 ", answer.partition(b"\r\n")[0], link)

    async def test_end(self) -> None:
        """A connection that is kept ends with the service."""
        endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", self.service.operations_address().port)
        client = await endpoint.connect(Factory.forProtocol(End))
        client.send(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await client.until(b"ok\n")
        await self.service.stopService()
        await client.closed()

    async def test_nothing_else(self) -> None:
        """Nothing else is there."""
        for path in ("/", "/docs", "/status/x", "/jobs/v1/tool/tf-test/jobs", "/whoami"):
            answer = await self.operations(path, "localhost")
            self.assertIn(b" 404 ", answer.partition(b"\r\n")[0], path)


class HostileTests(StatusCase):
    """What clients invent never grows anything, nor gets out of its text."""

    async def test_methods(self) -> None:
        """Made-up methods are counted as one."""
        client = await self.client()
        for number in range(50):
            client.send(GET.replace(b"GET", b"BREW%d" % number))
        await client.until(lambda: client.received.count(b"\r\n\r\n") >= 50)
        traffic = self.service.process.overview.observers[0]
        await eventually(lambda: traffic.ended_so_far == 50)
        self.assertEqual({label.method for label, _ in traffic.counts()}, {"other"})


class HostileSubjectTests(StatusCase):
    """Names in certificates are whatever somebody had signed."""

    evil = "<script>alert(1)</script>\u202e"

    def document(self) -> dict:
        """One client CA is the test's own."""
        document = super().document()
        self.authority = Authority("own")
        (self.folder / "own.crt").write_bytes(self.authority.pem)
        document["listen"][0]["tls"]["client_cas"][0]["ca"] = "own.crt"
        return document

    async def test_subjects(self) -> None:
        """A certificate whose subject is a script is shown as the text that it is, or refused."""
        shown = 0
        for subject in (
            [("O", "toolforge"), ("CN", self.evil)],
            [("O", "toolforge"), ("OU", self.evil), ("CN", "tf-test")],
            [("O", "toolforge"), ("OU", "<script>"), ("CN", "tf-test")],
            [("O", "admins"), ("CN", "<script>")],
            [("O", "<script>"), ("CN", "tf-test")],
            [("O", 'admins" onload="alert(1)'), ("CN", "'><script>")],
        ):
            self.authority.issue(subject).write(self.folder, "evil")
            answer = await self.closed(HOME, str((self.folder / "evil").resolve()))
            head, _, body = answer.partition(b"\r\n\r\n")
            self.assertNotIn(b"<script>", body)
            self.assertNotIn(b'" onload', body)
            if b" 200 " in head.partition(b"\r\n")[0]:
                shown += b"&lt;script&gt;" in body
        self.assertGreater(shown, 0, "some of them are shown")
