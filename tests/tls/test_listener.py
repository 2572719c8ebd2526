"""What a listener offers and refuses, apart from certificates."""

from __future__ import annotations

import ssl

from OpenSSL import SSL
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator
from twisted.internet.ssl import CertificateOptions
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from tests.tls.pairs import Files, client_context, clock_at, pump, shaken, step
from toolforge_gateway.interfaces import IClientVerifier
from toolforge_gateway.testing.pki import SERVER
from toolforge_gateway.tls.options import HTTP_1_1
from toolforge_gateway.tls.private import set_suites
from toolforge_gateway.tls.server import ServerSide

GOOD_SUITES = (
    b"ECDHE-ECDSA-AES128-GCM-SHA256",
    b"ECDHE-ECDSA-AES256-GCM-SHA384",
    b"ECDHE-ECDSA-CHACHA20-POLY1305",
)
BAD_SUITES = (
    b"ECDHE-ECDSA-AES128-SHA256",
    b"ECDHE-ECDSA-AES128-SHA",
    b"ECDHE-ECDSA-AES256-CCM",
    b"DHE-RSA-AES128-GCM-SHA256",
    b"AES128-GCM-SHA256",
    b"AES256-SHA",
)


class StandardClient:
    """The standard library's client, which knows whether it has resumed."""

    def __init__(self, context: ssl.SSLContext, session: ssl.SSLSession | None = None):
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, session=session)

    def shake(self, server: SSL.Connection) -> None:
        """A handshake, a byte to the server and one back."""
        server.set_accept_state()
        for _ in range(4):
            self._try(self.tls.do_handshake)
            self._carry(server, server.do_handshake)
        self.tls.write(b"a")
        self._carry(server, lambda: None)
        assert server.recv(1) == b"a"
        server.send(b"b")
        self._carry(server, lambda: None)
        assert self.tls.read(1) == b"b"

    def _carry(self, server: SSL.Connection, then: object) -> None:
        data = self.outgoing.read()
        if data:
            server.bio_write(data)
        step(then)
        while step(lambda: self.incoming.write(server.bio_read(65536))):
            pass

    @staticmethod
    def _try(call: object) -> None:
        try:
            call()  # type: ignore[operator]
        except ssl.SSLWantReadError:
            pass


class ListenerTests(SynchronousTestCase):
    """The TLS that every client gets."""

    def setUp(self) -> None:
        self.files = Files.make()
        self.side = ServerSide.load(self.files.settings(), clock_at())

    def test_interfaces(self) -> None:
        """The creator is Twisted's options of our own kind; both doors are provided."""
        self.assertIsInstance(self.side.creator, CertificateOptions)
        verifyObject(IOpenSSLServerConnectionCreator, self.side.creator)
        verifyObject(IClientVerifier, self.side.verifier)

    def test_versions(self) -> None:
        """TLS 1.2 and 1.3 are spoken, and nothing older."""
        for version in (SSL.TLS1_2_VERSION, SSL.TLS1_3_VERSION):
            server, client = shaken(self.side.creator, client_context(version=version))
            self.assertEqual(client.get_protocol_version(), version)
        for version in (SSL.TLS1_VERSION, SSL.TLS1_1_VERSION):
            context = client_context(version=version)
            self.assertRaises(SSL.Error, shaken, self.side.creator, context)

    def test_suites(self) -> None:
        """TLS 1.2 knows ephemeral curves with authenticated encryption alone."""
        for suite in GOOD_SUITES:
            context = client_context(version=SSL.TLS1_2_VERSION, ciphers=suite)
            _, client = shaken(self.side.creator, context)
            self.assertEqual(client.get_cipher_name().encode(), suite)
        for suite in BAD_SUITES:
            context = client_context(version=SSL.TLS1_2_VERSION, ciphers=suite + b":@SECLEVEL=0")
            error = self.assertRaises(SSL.Error, shaken, self.side.creator, context)
            self.assertIn("no shared cipher", str(error))

    def test_preferred(self) -> None:
        """AES-128 is taken where the client knows it, ChaCha20 where the client likes that best."""
        aes128, aes256, chacha = (
            b"TLS_AES_128_GCM_SHA256",
            b"TLS_AES_256_GCM_SHA384",
            b"TLS_CHACHA20_POLY1305_SHA256",
        )
        for offered, chosen in (
            ([aes256, chacha, aes128], aes128),
            ([aes128, aes256], aes128),
            ([aes256, chacha], aes256),
            ([chacha, aes256, aes128], chacha),
            ([aes256], aes256),
            ([chacha], chacha),
        ):
            context = client_context(version=SSL.TLS1_3_VERSION)
            set_suites(context, b":".join(offered))
            _, client = shaken(self.side.creator, context)
            self.assertEqual(client.get_cipher_name().encode(), chosen)
        older = (b"ECDHE-ECDSA-AES256-GCM-SHA384", b"ECDHE-ECDSA-AES128-GCM-SHA256")
        context = client_context(version=SSL.TLS1_2_VERSION, ciphers=b":".join(older))
        _, client = shaken(self.side.creator, context)
        self.assertEqual(client.get_cipher_name().encode(), older[1])

    def test_unknown_suites(self) -> None:
        """Suites that OpenSSL does not know are told."""
        self.assertRaises(ValueError, set_suites, client_context(), b"TLS_NO_SUCH_SUITE")

    def test_alpn(self) -> None:
        """HTTP/1.1 is chosen where it is offered; else no protocol is."""
        for offered, chosen in (
            ([b"h2", HTTP_1_1], HTTP_1_1),
            ([HTTP_1_1], HTTP_1_1),
            ([b"h2"], b""),
            ([], b""),
        ):
            _, client = shaken(self.side.creator, client_context(protocols=offered))
            self.assertEqual(client.get_alpn_proto_negotiated(), chosen)

    def test_client_ca_list(self) -> None:
        """Clients are told which authorities count, so that they can choose."""
        _, client = shaken(self.side.creator, client_context())
        self.assertEqual(
            [name.CN for name in client.get_client_ca_list()], ["kubernetes", "backend"]
        )

    def test_no_resumption(self) -> None:
        """An attempt to resume a session becomes a full handshake."""
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.minimum_version = context.maximum_version = version
            context.check_hostname = False
            context.load_verify_locations(cadata=self.files.server.pem.decode())
            issued = self.files.kubernetes.issue()
            context.load_cert_chain(*issued.write(self.files.directory, "resuming"))
            first = StandardClient(context)
            first.shake(self.side.creator.serverConnectionForTLS(None))
            second = StandardClient(context, first.tls.session)
            server = self.side.creator.serverConnectionForTLS(None)
            second.shake(server)
            self.assertFalse(second.tls.session_reused)
            self.assertIsNotNone(self.side.verifier.examine(server))

    def test_no_tickets(self) -> None:
        """A TLS 1.2 client is given neither a ticket nor a session id to come back with."""
        context = client_context(version=SSL.TLS1_2_VERSION)
        _, client = shaken(self.side.creator, context)
        resumable = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        resumable.maximum_version = ssl.TLSVersion.TLSv1_2
        resumable.check_hostname = False
        resumable.load_verify_locations(cadata=self.files.server.pem.decode())
        standard = StandardClient(resumable)
        standard.shake(self.side.creator.serverConnectionForTLS(None))
        session = standard.tls.session
        self.assertFalse(session is not None and session.has_ticket)
        self.assertEqual(session.id if session is not None else b"", b"")

    def test_no_compression(self) -> None:
        """Nothing is compressed before it is encrypted."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.options &= ~ssl.OP_NO_COMPRESSION
        context.check_hostname = False
        context.load_verify_locations(cadata=self.files.server.pem.decode())
        client = StandardClient(context)
        client.shake(self.side.creator.serverConnectionForTLS(None))
        self.assertIsNone(client.tls.compression())

    def test_no_renegotiation(self) -> None:
        """A client that asks to renegotiate gets no second handshake."""
        server, client = shaken(self.side.creator, client_context(version=SSL.TLS1_2_VERSION))
        self.assertTrue(client.renegotiate())
        outcome = []
        for _ in range(4):
            for end in (client, server):
                try:
                    step(end.do_handshake if end is client else lambda: server.recv(1))
                except SSL.Error as error:
                    outcome.append((end is client, str(error)))
                pump(client, server)
        self.assertEqual(server.total_renegotiations(), 0)
        self.assertTrue(any("no renegotiation" in text for _, text in outcome), outcome)

    def test_modes(self) -> None:
        """A retried write may come from another buffer, and idle connections keep none."""
        moving, release = 0x2, 0x10
        modes = self.side.creator.getContext().set_mode(0)
        self.assertEqual(modes & (moving | release), moving | release)

    def test_one_context(self) -> None:
        """All connections of a listener share one context."""
        one, two = (self.side.creator.serverConnectionForTLS(None) for _ in range(2))
        self.assertIs(one.get_context(), two.get_context())
        self.assertIs(one.get_context(), self.side.creator.getContext())


class NamesTests(SynchronousTestCase):
    """Which Host values our certificate answers to."""

    def side(self, *names: str) -> ServerSide:
        files = Files.make()
        files.server.issue([("CN", "only.cn.example")], usages=[SERVER], names=names).write(
            files.directory, "server"
        )
        return ServerSide.load(files.settings(), clock_at())

    def test_names(self) -> None:
        """Names and addresses of the subjectAltName are listed, the CN is not."""
        side = self.side("Api.Example.org", "*.svc.local", "192.0.2.1", "::1")
        self.assertEqual(side.names, ("*.svc.local", "api.example.org", "192.0.2.1", "::1"))

    def test_hosts(self) -> None:
        """A Host is covered by an equal name, one label under a wildcard, or its address."""
        side = self.side("api.example.org", "*.svc.local", "192.0.2.1", "::1")
        for host in (
            b"api.example.org",
            b"API.example.ORG:8443",
            b"api.example.org.",
            b"x.svc.local",
            b"192.0.2.1",
            b"192.0.2.1:443",
            b"[::1]:443",
            b"[0:0::1]",
        ):
            self.assertTrue(side.names_host(host), host)
        for host in (
            b"",
            b":443",
            b"example.org",
            b"x.api.example.org",
            b"svc.local",
            b".svc.local",
            b"x.y.svc.local",
            b"*.svc.local",
            b"only.cn.example",
            b"192.0.2.2",
            b"::1",
            b"[api.example.org]",
            b"api.example.org:x",
            b"api.example.org/",
            b"user@api.example.org",
            b"api.example.org\n",
            b"\xff",
        ):
            self.assertFalse(side.names_host(host), host)
