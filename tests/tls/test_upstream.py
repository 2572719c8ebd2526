"""TLS towards backends: who is believed to be one."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime, timedelta

from OpenSSL import SSL, crypto
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from tests.tls.pairs import ORIGIN, clock_at, fresh_directory, pump, setting, shake, step
from toolforge_gateway.config.values import UpstreamTLS
from toolforge_gateway.testing.pki import CLIENT, SERVER, Authority, Issued
from toolforge_gateway.tls.client import UpstreamSide

NAME = "jobs-api.jobs-api.svc.tools.local"
SUBJECT = [("CN", "backend")]
NOW = datetime.now(UTC).replace(microsecond=0)
DAY = timedelta(days=1)


class UpstreamTests(SynchronousTestCase):
    """Handshakes with backends of every kind."""

    def setUp(self) -> None:
        self.backend = Authority("backend")
        directory = fresh_directory()
        (directory / "ca.crt").write_bytes(self.backend.pem)
        certificate, key = self.backend.issue([("CN", "api-gateway")]).write(directory, "gw")
        settings = UpstreamTLS(
            setting(directory / "ca.crt"), setting(certificate), setting(key), ORIGIN
        )
        self.side = UpstreamSide.load(settings, clock_at())

    def serve(
        self,
        issued: Issued,
        version: int | None = None,
        protocols: bool = False,
        ciphers: bytes = b"ALL:@SECLEVEL=0",
    ) -> SSL.Connection:
        """A backend that wants a certificate of its CA."""
        context = SSL.Context(SSL.TLS_METHOD)
        context.set_cipher_list(ciphers)
        if version is not None:
            context.set_min_proto_version(version)
            context.set_max_proto_version(version)
        if protocols:
            context.set_alpn_select_callback(lambda connection, offered: offered[0])
        context.use_certificate(crypto.X509.from_cryptography(issued.certificate))
        context.use_privatekey(crypto.PKey.from_cryptography_key(issued.key))
        for each in issued.chain:
            context.add_extra_chain_cert(crypto.X509.from_cryptography(each))
        context.get_cert_store().add_cert(crypto.X509.from_cryptography(self.backend.certificate))
        context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT)
        return SSL.Connection(context, None)

    def call(self, server: SSL.Connection, name: str = NAME) -> SSL.Connection:
        """Dial that backend by this name."""
        client = self.side.creator_for(name).clientConnectionForTLS(None)
        shake(server, client)
        return client

    def assertNotCalled(self, issued: Issued, name: str = NAME) -> None:
        """Our side refuses that backend, and tells it by an alert."""
        server = self.serve(issued)
        client = self.side.creator_for(name).clientConnectionForTLS(None)
        error = self.assertRaises(SSL.Error, shake, server, client)
        self.assertIn("certificate verify failed", str(error))
        self.assertIsNone(server.get_peer_certificate())

    def issue(self, *names: str) -> Issued:
        """A backend's certificate."""
        return self.backend.issue(SUBJECT, usages=[SERVER], names=names)

    def test_interface(self) -> None:
        """The creator is what Twisted's TLS takes."""
        verifyObject(IOpenSSLClientConnectionCreator, self.side.creator_for(NAME))

    def test_mutual(self) -> None:
        """A backend of the right CA and name is spoken to, and sees our certificate."""
        for version in (SSL.TLS1_2_VERSION, SSL.TLS1_3_VERSION):
            server = self.serve(self.issue(NAME), version)
            client = self.call(server)
            self.assertEqual(client.get_protocol_version(), version)
            self.assertEqual(server.get_peer_certificate().get_subject().CN, "api-gateway")
            self.assertEqual(server.get_servername(), NAME.encode())

    def test_old_version(self) -> None:
        """A backend of TLS 1.1 is not spoken to."""
        server = self.serve(self.issue(NAME), SSL.TLS1_1_VERSION)
        self.assertRaises(SSL.Error, self.call, server)

    def test_weak_suites(self) -> None:
        """A backend without authenticated encryption is not spoken to."""
        server = self.serve(
            self.issue(NAME), SSL.TLS1_2_VERSION, ciphers=b"ECDHE-ECDSA-AES128-SHA:@SECLEVEL=0"
        )
        self.assertRaises(SSL.Error, self.call, server)

    def test_protocol(self) -> None:
        """We offer no protocol by ALPN, so no backend can choose one or end over it."""
        server = self.serve(self.issue(NAME), protocols=True)
        self.assertEqual(self.call(server).get_alpn_proto_negotiated(), b"")

    def test_wrong_name(self) -> None:
        """Another name, a deeper one or none is refused before our certificate is shown."""
        for names in (
            ("builds-api.builds-api.svc.tools.local",),
            (f"x.{NAME}",),
            ("*.svc.tools.local",),
            ("127.0.0.1",),
            (),
        ):
            self.assertNotCalled(self.issue(*names))

    def test_common_name(self) -> None:
        """A name in the CN alone counts for nothing."""
        self.assertNotCalled(self.backend.issue([("CN", NAME)], usages=[SERVER]))

    def test_wildcard(self) -> None:
        """A wildcard stands for one whole label."""
        self.call(self.serve(self.issue("*.jobs-api.svc.tools.local")))

    def test_address(self) -> None:
        """A backend dialled by address must bear that address, and gets no SNI."""
        server = self.serve(self.issue("127.0.0.1", "::1"))
        self.call(server, "127.0.0.1")
        self.assertIsNone(server.get_servername())
        self.call(self.serve(self.issue("127.0.0.1", "::1")), "::1")
        self.assertNotCalled(self.issue("127.0.0.2"), "127.0.0.1")
        self.assertNotCalled(self.issue("localhost"), "127.0.0.1")

    def test_foreign_authority(self) -> None:
        """A backend of another CA is refused, whatever the CA calls itself."""
        for other in (Authority("stranger"), Authority("backend")):
            self.assertNotCalled(other.issue(SUBJECT, usages=[SERVER], names=[NAME]))

    def test_dates(self) -> None:
        """A backend's certificate out of its dates is refused."""
        for begins, ends in ((-2, -1), (1, 2)):
            issued = self.backend.issue(
                SUBJECT,
                usages=[SERVER],
                names=[NAME],
                not_before=NOW + begins * DAY,
                not_after=NOW + ends * DAY,
            )
            self.assertNotCalled(issued)

    def test_usage(self) -> None:
        """A client's certificate of the same CA is no backend's."""
        self.assertNotCalled(self.backend.issue(SUBJECT, usages=[CLIENT], names=[NAME]))

    def test_weak_key(self) -> None:
        """A backend with RSA of 1024 bits is refused."""
        self.assertNotCalled(
            self.backend.issue(SUBJECT, usages=[SERVER], names=[NAME], key="rsa1024")
        )

    def test_no_renegotiation(self) -> None:
        """A backend that asks for a second handshake gets none."""
        server = self.serve(self.issue(NAME), SSL.TLS1_2_VERSION)
        client = self.call(server)
        first = client.get_finished()
        server.renegotiate()
        for _ in range(4):
            for call in (server.do_handshake, lambda: client.recv(1), lambda: server.recv(1)):
                # OpenSSL releases differ in whether the asking side fails or goes on.
                with contextlib.suppress(SSL.Error):
                    step(call)
                pump(server, client)
        self.assertEqual(client.get_finished(), first)

    def test_intermediate(self) -> None:
        """A backend may stand below an intermediate authority that it sends."""
        between = Authority("between", parent=self.backend)
        self.call(self.serve(between.issue(SUBJECT, usages=[SERVER], names=[NAME])))

    def test_shared_context(self) -> None:
        """Backends share one context and are told apart by connection all the same."""
        one = self.side.creator_for(NAME).clientConnectionForTLS(None)
        other = self.side.creator_for("other.local").clientConnectionForTLS(None)
        self.assertIs(one.get_context(), other.get_context())
        shake(self.serve(self.issue(NAME)), one)
        self.assertRaises(SSL.Error, shake, self.serve(self.issue(NAME)), other)

    def test_repr(self) -> None:
        """A creator says whom it is for."""
        self.assertIn(NAME, repr(self.side.creator_for(NAME)))
