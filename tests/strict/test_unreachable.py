"""Broken backends: connections that do not come about, and silence."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from twisted.internet import reactor, ssl
from twisted.internet.interfaces import IListeningPort
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import LoopingCall

from tests.clients.stage import pki
from tests.relay.ends import BackendConnection
from tests.strict.stolen import Stolen
from tests.strict.table import TableCase, answers, reason, request, status
from toolforge_gateway.demo.backends import backend_tls
from toolforge_gateway.testing.pki import CLIENT, SERVER, Authority, Issued
from toolforge_gateway.testing.ports import free_port

NAME = "jobs-api.jobs-api.svc.tools.local"


class Mute(Protocol):
    """Takes a connection and says nothing."""


class Plain(Protocol):
    """Speaks HTTP without TLS."""

    def dataReceived(self, data: bytes) -> None:
        self.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nplain")


class Garbage(Protocol):
    """Speaks something else altogether."""

    def connectionMade(self) -> None:
        self.transport.write(b"220 mail.example ESMTP\r\n" * 100)


class Hangs(Protocol):
    """Ends the connection as soon as the handshake begins."""

    def dataReceived(self, data: bytes) -> None:
        self.transport.loseConnection()


class Resets(Protocol):
    """Resets the connection as soon as the handshake begins."""

    def dataReceived(self, data: bytes) -> None:
        self.transport.abortConnection()


class Alert(Protocol):
    """Answers each handshake with an alert (RFC 8446 section 6.2)."""

    def dataReceived(self, data: bytes) -> None:
        self.transport.write(b"\x15\x03\x03\x00\x02\x02\x28")


class HalfHandshake(Protocol):
    """Begins a TLS record that it never finishes."""

    def dataReceived(self, data: bytes) -> None:
        self.transport.write(b"\x16\x03\x03\x40\x00")


PROTOCOLS = (Mute, Plain, Garbage, Hangs, Resets, Alert, HalfHandshake)


def answering_yes() -> Factory:
    class Yes(Protocol):
        def dataReceived(self, data: bytes) -> None:
            self.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    factory = Factory.forProtocol(Yes)
    factory.noisy = False
    return factory


def saying(what: bytes) -> Callable[[BackendConnection], None]:
    """A script: this, and then silence."""
    return lambda connection: connection.send(what)


class Unreachable(TableCase):
    """A gateway with one backend for each way of not being there."""

    timeouts = {"connect": 0.6, "response_head": 0.6, "response_idle": 0.6}
    backends = Authority("demo-backend-ca-of-tests")

    def setUp(self):
        self.ports: dict[str, int] = {}
        for protocol in PROTOCOLS:
            factory = Factory.forProtocol(protocol)
            factory.noisy = False
            self.open(
                protocol.__name__.lower(), reactor.listenTCP(0, factory, interface="127.0.0.1")
            )
        now = datetime.now(UTC)
        issue = self.backends.issue
        self.serve("good", issue([("CN", "x")], usages=[SERVER], names=[NAME]))
        self.serve("wrong-name", issue([("CN", NAME)], usages=[SERVER], names=["victim.local"]))
        self.serve("cn-only", issue([("CN", NAME)], usages=[SERVER]))
        self.serve("client-only", issue([("CN", "x")], usages=[CLIENT], names=[NAME]))
        self.serve("wildcard", issue([("CN", "x")], usages=[SERVER], names=["*.svc.tools.local"]))
        past, future = now - timedelta(days=2), now + timedelta(days=2)
        self.serve(
            "expired",
            issue([("CN", "x")], usages=[SERVER], names=[NAME], not_before=past,
                  not_after=now - timedelta(days=1)),
        )  # fmt: skip
        self.serve(
            "early", issue([("CN", "x")], usages=[SERVER], names=[NAME], not_before=future,
                           not_after=future + timedelta(days=1)),
        )  # fmt: skip
        stranger = Authority("demo-backend-ca-of-tests")
        self.serve("stranger", stranger.issue([("CN", "x")], usages=[SERVER], names=[NAME]))
        self.serve("old", issue([("CN", "x")], usages=[SERVER], names=[NAME]), old=True)
        self.ports["refuses"] = free_port()
        return super().setUp()

    def open(self, name: str, port: IListeningPort) -> None:
        """Remember a backend, and close it when the test is over."""
        self.ports[name] = port.getHost().port
        self.addCleanup(port.stopListening)

    def serve(self, name: str, issued: Issued, old: bool = False) -> None:
        """A backend that answers everything, with this certificate."""
        folder = Path(self.mktemp())
        folder.mkdir(parents=True)
        issued.write(folder, "backend")
        (folder / "backend-ca.crt").write_bytes((pki() / "backend-ca.crt").read_bytes())
        options: ssl.CertificateOptions = backend_tls(folder)
        if old:
            context = options.getContext()
            context.set_min_proto_version(0x0302)
            context.set_max_proto_version(0x0302)
        listening = reactor.listenSSL(0, answering_yes(), options, interface="127.0.0.1")
        self.open(name, listening)

    def document(self) -> dict:
        document = super().document()
        ca = self.folder / "backends.crt"
        ca.write_bytes(self.backends.pem)
        document["upstream_tls"]["ca"] = "backends.crt"
        document["backends"] = [
            {
                "name": f"{name}-api",
                "path": f"/{name}",
                "url": f"https://127.0.0.1:{port}",
                "server_name": NAME,
            }
            for name, port in self.ports.items()
        ]
        return document

    async def test_every_way(self):
        """Each is answered with a 502 or a 504 of ours, in time, that names the backend by its
        name and not its address; the client's connection goes on."""
        expected = {
            "good": (200, None),
            "refuses": (502, "backend-refused"),
            "mute": (504, "backend-connect-timeout"),
            "halfhandshake": (504, "backend-connect-timeout"),
            "plain": (502, "backend-tls"),
            "garbage": (502, "backend-tls"),
            "hangs": (502, "backend-tls"),
            "resets": (502, "backend-tls"),
            "alert": (502, "backend-tls"),
            "wrong-name": (502, "backend-tls"),
            "cn-only": (502, "backend-tls"),
            "client-only": (502, "backend-tls"),
            "expired": (502, "backend-tls"),
            "early": (502, "backend-tls"),
            "wildcard": (502, "backend-tls"),
            "stranger": (502, "backend-tls"),
            "old": (502, "backend-tls"),
        }
        client, stolen = await self.client(), Stolen(self)
        for method in (b"GET", b"POST"):
            for name, outcome in expected.items():
                if outcome[0] == 504 and method == b"POST":
                    continue
                target = f"/{name}/v1/tool/tf-test/x".encode("ascii")
                started = reactor.seconds() - stolen.seconds()
                client.send(request(target=target, method=method))
                await client.until(lambda: bool(answers(client.received)))
                self.assertLess(reactor.seconds() - stolen.seconds() - started, 2.0, name)
                answer = client.take()
                self.assertEqual((status(answer), reason(answer)), outcome, name)
                self.assertNotIn(b"127.0.0.1", answer)
                if outcome[0] != 200:
                    self.assertIn(f"{name}-api".encode("ascii"), answer)


class Silence(TableCase):
    timeouts = {"response_head": 0.5, "response_idle": 0.5}

    async def test_silence(self):
        """A backend that is silent before its head is a 504, and after it a cut."""
        before = [b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 100 Continue\r\n\r\n", b"garbage"]
        after = [
            b"Content-Length: 9\r\n\r\nhello",
            b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        ]
        for said in before:
            self.backend.script = saying(said)
            client = await self.client()
            client.send(request(method=b"POST"))
            await client.until(b'"backend-timeout"')
            self.assertEqual(status(answers(client.received)[-1]), 504)
            await self.backend.connections[-1].closed()
        for said in after:
            self.backend.script = saying(b"HTTP/1.1 200 OK\r\n" + said)
            client = await self.client()
            client.send(request())
            await client.closed()
            self.assertIn(b"hello", client.received)
            self.assertFalse(client.received.endswith(b"\r\n0\r\n\r\n"))
            await self.backend.connections[-1].closed()

    async def test_drip(self):
        """A head that comes byte by byte is not in time because it still comes."""
        head = iter(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 1000)

        def drip(connection):
            if connection.requests == 1:
                loop = LoopingCall(lambda: connection.send(bytes([next(head)])))
                loop.start(0.02)
                connection.closed().addCallback(lambda _: loop.stop())

        self.backend.script = drip
        client = await self.client()
        client.send(request())
        await client.until(b'"backend-timeout"')
        await self.backend.connections[-1].closed()
