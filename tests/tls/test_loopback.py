"""The same over real sockets, with Twisted's own TLS on the reactor."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_network
from typing import Any

from OpenSSL import SSL
from twisted.internet import reactor
from twisted.internet.defer import Deferred, inlineCallbacks
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP4ServerEndpoint
from twisted.internet.error import ConnectionLost
from twisted.internet.protocol import Factory, Protocol
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase

from tests.tls.pairs import ORIGIN, Files, fresh_directory, setting
from toolforge_gateway.config.values import UpstreamTLS
from toolforge_gateway.edge.proxy_protocol import ProxyProtocolFactory
from toolforge_gateway.errors import BadEvidence
from toolforge_gateway.model import Certificate
from toolforge_gateway.testing.pki import Authority, Issued
from toolforge_gateway.tls.client import UpstreamSide
from toolforge_gateway.tls.server import ServerSide


class Greeter(Protocol):
    """Examines whoever speaks and answers with the name it found."""

    def __init__(self, side: ServerSide):
        self.side = side

    def dataReceived(self, data: bytes) -> None:
        try:
            found: Certificate | None = self.side.verifier.examine(self.transport.getHandle())
        except BadEvidence as error:
            answer = error.reason
        else:
            answer = "nobody" if found is None else found.subject.values("CN")[0]
        self.transport.write(f"{answer} from {self.transport.getPeer().host}\n".encode())
        self.transport.loseConnection()


class Caller(Protocol):
    """Says a word and keeps what comes back until the end."""

    def __init__(self) -> None:
        self.received = b""
        self.over: Deferred[bytes] = Deferred()

    def connectionMade(self) -> None:
        self.transport.write(b"hello")

    def dataReceived(self, data: bytes) -> None:
        self.received += data

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override]
        if self.received:
            self.over.callback(self.received)
        else:
            self.over.errback(reason)


class LoopbackTests(TestCase):
    """A listener and callers in one process."""

    def setUp(self) -> None:
        self.files = Files.make()
        self.side = ServerSide.load(self.files.settings(), reactor)

    @inlineCallbacks
    def call(
        self,
        issued: Issued,
        name: str = "api.example.org",
        wrap: Callable[[Any], Any] = lambda factory: factory,
        header: bytes = b"",
    ) -> Any:
        """Dial the listener with this certificate; what it answers."""
        greeters = Factory.forProtocol(lambda: Greeter(self.side))
        server = wrap(TLSMemoryBIOFactory(self.side.creator, False, greeters))
        port = yield TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1").listen(server)
        self.addCleanup(port.stopListening)
        directory = fresh_directory()
        (directory / "ca.crt").write_bytes(self.files.server.pem)
        certificate, key = issued.write(directory, "caller")
        upstream = UpstreamSide.load(
            UpstreamTLS(setting(directory / "ca.crt"), setting(certificate), setting(key), ORIGIN),
            reactor,
        )
        caller = Caller()
        tls = TLSMemoryBIOFactory(
            upstream.creator_for(name), True, Factory.forProtocol(lambda: caller)
        )
        endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", port.getHost().port)
        yield endpoint.connect(_Prefixed(tls, header))
        answer = yield caller.over
        return answer

    @inlineCallbacks
    def test_known(self) -> Any:
        """A tool that dials us is known by its certificate."""
        issued = self.files.kubernetes.issue([("O", "toolforge"), ("CN", "tf-test")])
        answer = yield self.call(issued)
        self.assertEqual(answer, b"tf-test from 127.0.0.1\n")

    @inlineCallbacks
    def test_refused_by_us(self) -> Any:
        """What we refuse ourselves can still be answered in words."""
        answer = yield self.call(self.files.kubernetes.issue(usages=None))
        self.assertEqual(answer, b"certificate-usage from 127.0.0.1\n")

    @inlineCallbacks
    def test_alert(self) -> Any:
        """A foreign CA's client hears an alert and nothing else."""
        error = yield self.assertFailure(self.call(Authority("stranger").issue()), SSL.Error)
        self.assertIn("unknown ca", str(error).lower())

    @inlineCallbacks
    def test_wrong_name(self) -> Any:
        """Our own client side leaves a server of another name."""
        error = yield self.assertFailure(
            self.call(self.files.kubernetes.issue(), name="other.example.org"), SSL.Error
        )
        self.assertIn("certificate verify failed", str(error))

    @inlineCallbacks
    def test_behind_proxy(self) -> Any:
        """The PROXY header comes before TLS, and its client is the peer after it."""
        issued = self.files.kubernetes.issue([("CN", "tf-test")])

        def wrap(factory: Any) -> ProxyProtocolFactory:
            return ProxyProtocolFactory(factory, [ip_network("127.0.0.1")], reactor, 5)

        answer = yield self.call(
            issued, wrap=wrap, header=b"PROXY TCP4 192.0.2.9 192.0.2.1 4242 443\r\n"
        )
        self.assertEqual(answer, b"tf-test from 192.0.2.9\n")

    @inlineCallbacks
    def test_header_of_a_stranger(self) -> Any:
        """A PROXY header from a peer that may not send it never gets through TLS."""

        def wrap(factory: Any) -> ProxyProtocolFactory:
            return ProxyProtocolFactory(factory, [ip_network("192.0.2.7")], reactor, 5)

        yield self.assertFailure(
            self.call(
                self.files.kubernetes.issue(),
                wrap=wrap,
                header=b"PROXY TCP4 192.0.2.9 192.0.2.1 4242 443\r\n",
            ),
            ConnectionLost,
        )


class _Prefixed(Factory):
    """Sends bytes on the plain connection before its protocol begins."""

    noisy = False

    def __init__(self, inner: TLSMemoryBIOFactory, prefix: bytes):
        self.inner = inner
        self.prefix = prefix

    def buildProtocol(self, addr: Any) -> Any:
        protocol = self.inner.buildProtocol(addr)
        begin, prefix = protocol.makeConnection, self.prefix

        def makeConnection(transport: Any) -> None:
            if prefix:
                transport.write(prefix)
            begin(transport)

        protocol.makeConnection = makeConnection
        return protocol
