"""The real HAProxy in TCP mode in front, as it stands before the gateway in Toolforge."""

from __future__ import annotations

import csv
import io
import socket
import tempfile
from pathlib import Path

from twisted.internet import reactor
from twisted.internet.defer import Deferred, inlineCallbacks
from twisted.internet.endpoints import UNIXClientEndpoint, connectProtocol
from twisted.internet.protocol import Protocol
from twisted.internet.task import deferLater

from tests.clients import programs
from tests.clients.stage import Stage, eventually, pki
from tests.clients.test_nginx import connectable
from toolforge_gateway.testing.ports import free_port

_CONFIGURATION = """
global
  stats socket {stats} mode 600 level admin
defaults
  mode tcp
  timeout connect 5s
  timeout check 5s
  timeout client 1h
  timeout server 1h
frontend front
  bind 127.0.0.1:{front}
  default_backend gateway
backend gateway
  option httpchk
  http-check send {question}
  http-check expect string ok
  default-server check check-ssl verify none inter 5s fastinter 200ms
  server one 127.0.0.1:{port} maxconn 250 {proxy}
"""


class _Read(Protocol):
    def __init__(self) -> None:
        self.data, self.done = b"", Deferred()

    def dataReceived(self, data: bytes) -> None:
        self.data += data

    def connectionLost(self, reason: object) -> None:
        self.done.callback(self.data.decode())


class _Behind(Stage):
    """The gateway behind HAProxy; clients call HAProxy's port."""

    samples = ("envvars",)
    proxy = ""
    """More settings of HAProxy's server line."""
    question = "meth GET uri /healthz"
    """The health check; HAProxy's own default is HTTP/1.0 without a Host."""

    @inlineCallbacks
    def setUp(self):
        self.haproxy = programs.program("haproxy")
        yield super().setUp()
        self.behind, self.port = self.port, free_port()
        # Not in the test's own folder: a socket's path has room for 107 bytes.
        room = tempfile.TemporaryDirectory()
        self.addCleanup(room.cleanup)
        self.stats = Path(room.name) / "stats"
        file = Path(room.name) / "haproxy.cfg"
        file.write_text(
            _CONFIGURATION.format(
                stats=self.stats,
                front=self.port,
                port=self.behind,
                question=self.question,
                proxy=self.proxy,
            )
        )
        running = programs.start(reactor, [self.haproxy, "-db", "-f", str(file)])
        self.addCleanup(running.end, "TERM")
        yield connectable(self.port)
        yield eventually(self.tells)

    def tells(self) -> bool:
        """Whether it listens where it tells of itself; the file is there before."""
        with socket.socket(socket.AF_UNIX) as caller:
            return caller.connect_ex(str(self.stats)) == 0

    @inlineCallbacks
    def health(self):
        """What HAProxy thinks of the gateway after its first check: state and outcome."""
        deadline = reactor.seconds() + 15
        while True:
            protocol = yield connectProtocol(UNIXClientEndpoint(reactor, str(self.stats)), _Read())
            protocol.transport.write(b"show stat\n")
            text = yield protocol.done
            rows = csv.DictReader(io.StringIO(text.lstrip("# ")))
            [row] = [row for row in rows if row["svname"] == "one"]
            if row["check_status"] not in ("", "INI") and not row["check_status"].startswith("*"):
                return row["status"], row["check_status"], row["last_chk"]
            if reactor.seconds() > deadline:
                raise AssertionError(f"no health check so far: {row}")
            yield deferLater(reactor, 0.05)

    @inlineCallbacks
    def client_addresses(self):
        """Call from 127.0.0.2; the addresses that the gateway logs for the call."""
        yield programs.run(
            reactor,
            [programs.program("curl"), "-sS", "--interface", "127.0.0.2"]
            + ["--cacert", str(pki() / "server-ca.crt"), self.url + "/envvars/v1/healthz"],
        )
        found = [each for each in self.access_log() if each["path"] == "/envvars/v1/healthz"]
        self.assertEqual([each["status"] for each in found], [200])
        return [each["client"] for each in found]


class PlainTests(_Behind):
    """Without the PROXY protocol, as it is today."""

    @inlineCallbacks
    def test_health_check(self):
        """HTTP/1.0 without a Host, over TLS without a certificate: the gateway is UP."""
        state, outcome, last = yield self.health()
        self.assertEqual((state, outcome), ("UP", "L7OK"), last)

    @inlineCallbacks
    def test_command_line(self):
        """A real client gets its list through HAProxy."""
        done = yield self.toolforge("toolforge-envvars", "list").ended
        self.assertEqual(done.code, 0, done.said)

    @inlineCallbacks
    def test_the_client_is_haproxy(self):
        """Nothing tells the gateway who is behind HAProxy."""
        self.assertEqual((yield self.client_addresses()), ["127.0.0.1"])


class HostCheckTests(_Behind):
    """A health check by HTTP/1.1 with a Host."""

    question = "meth GET uri /healthz ver HTTP/1.1 hdr Host localhost"

    @inlineCallbacks
    def test_health_check(self):
        """The gateway is UP to a modern check as well."""
        state, outcome, last = yield self.health()
        self.assertEqual((state, outcome), ("UP", "L7OK"), last)


class ProxyProtocolTests(_Behind):
    """HAProxy sends PROXY protocol version 2."""

    proxy = "send-proxy-v2 check-send-proxy"
    trusted = ("127.0.0.1/32",)

    def configuration(self) -> dict:
        document = super().configuration()
        document["listen"][0]["proxy_protocol"] = {"trusted": [*self.trusted]}
        return document

    @inlineCallbacks
    def test_health_check(self):
        """HAProxy's own check, announced as LOCAL, finds the gateway UP."""
        state, outcome, last = yield self.health()
        self.assertEqual((state, outcome), ("UP", "L7OK"), last)

    @inlineCallbacks
    def test_command_line(self):
        """A real client gets its list, certificate and all."""
        done = yield self.toolforge("toolforge-envvars", "list").ended
        self.assertEqual(done.code, 0, done.said)

    @inlineCallbacks
    def test_the_client_is_the_client(self):
        """The announced address is the client's in the log."""
        self.assertEqual((yield self.client_addresses()), ["127.0.0.2"])


class ProxyProtocol1Tests(ProxyProtocolTests):
    """HAProxy sends PROXY protocol version 1."""

    proxy = "send-proxy check-send-proxy"


class UntrustedProxyTests(ProxyProtocolTests):
    """HAProxy sends the header and is not trusted with it."""

    trusted = ("192.0.2.1/32",)

    @inlineCallbacks
    def test_health_check(self):
        """The header of an untrusted peer is no TLS: the gateway is DOWN to HAProxy."""
        _, outcome, last = yield self.health()
        self.assertNotEqual(outcome, "L7OK", last)

    @inlineCallbacks
    def test_command_line(self):
        """A client behind it gets nowhere, and says the service is down."""
        done = yield self.toolforge("toolforge-envvars", "list").ended
        self.assertIn("seems to be down", done.said)

    @inlineCallbacks
    def test_the_client_is_the_client(self):
        """No request is logged at all."""
        done = yield programs.run(
            reactor, [programs.program("curl"), "-sSk", self.url + "/envvars/v1/healthz"]
        )
        self.assertNotEqual(done.code, 0)
        log = self.folder / "access.log"
        self.assertNotIn("healthz", log.read_text() if log.exists() else "")
