"""Authorities and lists are replaced: who vouches for clients and for backends."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from OpenSSL import SSL, crypto
from twisted.trial.unittest import SynchronousTestCase

from tests.tls.pairs import (
    ORIGIN,
    client_context,
    clock_at,
    fresh_directory,
    setting,
    shake,
    shaken,
)
from tests.tls.rotating import NAMES, RotationCase
from tests.tls.ways import WAYS, Mounted, Renamed, Way
from toolforge_gateway.config.values import ClientCA, UpstreamTLS
from toolforge_gateway.model import Kind
from toolforge_gateway.testing.pki import SERVER, Authority
from toolforge_gateway.tls.client import UpstreamSide
from toolforge_gateway.tls.held import RECHECK


class AuthorityTests(RotationCase):
    """Client CAs and their lists."""

    def setUp(self) -> None:
        super().setUp()
        self.tool = self.clients.issue()

    def test_bundle(self) -> None:
        """A CA that is put beside the first, and then takes its place, vouches from then on; who
        is connected is examined again and refused when nobody vouches any more."""
        second = Authority("clients of tomorrow")
        tomorrow = second.issue()
        for way in WAYS:
            self.begin(way)
            old, _ = shaken(self.side.creator, client_context(self.tool))
            self.assertEqual(self.outcome(tomorrow), "alert")
            self.way.put("ca.crt", self.clients.pem + second.pem)
            self.assertTrue(self.side.refresh())
            self.assertEqual(self.outcome(tomorrow), "clients")
            self.assertEqual(self.again(old), "clients")
            new, _ = shaken(self.side.creator, client_context(tomorrow))
            self.way.put("ca.crt", second.pem)
            self.assertTrue(self.side.refresh())
            self.assertEqual(self.outcome(self.tool), "alert")
            self.assertEqual(self.again(old), "certificate-unverified")
            self.assertEqual(self.again(new), "clients")

    def test_same_key(self) -> None:
        """A CA's own new certificate, for the same key, vouches for who was connected before."""
        self.begin(Mounted)
        server, _ = shaken(self.side.creator, client_context(self.tool))
        self.assertEqual(self.again(server), "clients")
        self.way.put("ca.crt", renewed(self.clients))
        self.assertTrue(self.side.refresh())
        self.assertEqual(self.again(server), "clients")
        self.assertEqual(self.outcome(self.tool), "clients")

    def test_handshake_across(self) -> None:
        """Who began to shake hands before the change is judged by what is there after it."""
        self.begin(Mounted)
        server = self.side.creator.serverConnectionForTLS(None)
        self.way.put("ca.crt", Authority("others").pem)
        self.assertTrue(self.side.refresh())
        client = SSL.Connection(client_context(self.tool), None)
        shake(server, client)
        self.assertEqual(self.again(server), "certificate-unverified")

    def test_bad_authority(self) -> None:
        """A CA file that is no good leaves the former CA, and says why."""
        self.begin(Mounted)
        for content, why in (
            (b"", "has no certificate in it"),
            (self.tool.certificate_pem, "has a certificate of no authority"),
            (Authority("below", parent=self.clients).pem, "has an intermediate authority"),
            (Authority("old", lifetime=timedelta(minutes=-5)).pem, "has expired"),
            (self.clients.pem[:-40], "cannot be read"),
        ):
            self.way.put("ca.crt", content)
            self.assertFalse(self.side.refresh())
            self.assertEqual(self.outcome(self.tool), "clients")
            self.assertIn(why, self.part("client CA clients").state().failure or "")

    def test_list(self) -> None:
        """A new list counts in each way of replacing, for those who are connected as well; the
        server's certificate is left alone."""
        for way in WAYS:
            self.begin(way, revocation=True)
            server, _ = shaken(self.side.creator, client_context(self.tool))
            self.assertEqual(self.again(server), "clients")
            self.way.put("ca.crl", self.clients.revocation_list([self.tool]))
            self.assertTrue(self.side.refresh())
            self.assertEqual(self.again(server), "certificate-revoked")
            self.assertEqual(self.outcome(self.tool), "certificate-revoked")
            self.assertEqual(self.part("certificate").state().renewals, 0)

    def test_list_beside_bad_authority(self) -> None:
        """A list that revokes counts even while something is wrong with the CA's file, and does so
        once."""
        self.begin(Renamed, revocation=True)
        self.way.put("ca.crt", b"oops")
        self.way.put("ca.crl", self.clients.revocation_list([self.tool]))
        self.assertTrue(self.side.refresh())
        self.assertEqual(self.outcome(self.tool), "certificate-revoked")
        self.assertIn("no certificate", self.part("client CA clients").state().failure or "")
        self.clock.advance(RECHECK)
        self.assertFalse(self.side.refresh())
        self.assertEqual(self.part("client CA clients").state().renewals, 1)

    def test_authority_before_its_list(self) -> None:
        """A CA that takes another's place waits for its list; nobody is refused meanwhile."""
        self.begin(Renamed, revocation=True)
        second = Authority("clients of tomorrow")
        self.way.put("ca.crt", second.pem)
        self.side.refresh()
        self.assertEqual(self.outcome(self.tool), "clients")
        self.assertEqual(self.said(), [])
        self.way.put("ca.crl", second.revocation_list())
        self.assertTrue(self.side.refresh())
        self.assertEqual(self.outcome(self.tool), "alert")
        self.assertEqual(self.outcome(second.issue()), "clients")

    def test_runs_out(self) -> None:
        """The state tells what runs out first."""
        until = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=5)
        self.begin(Renamed, revocation=True)
        self.way.put("ca.crl", self.clients.revocation_list(next_update=until))
        self.side.refresh()
        self.assertEqual(self.part("client CA clients").state().ends, until.timestamp())


class TwoAuthorities(RotationCase):
    """Two client CAs, each with its file."""

    def setUp(self) -> None:
        super().setUp()
        self.second = Authority("second")
        self.file = fresh_directory() / "second.crt"
        self.file.write_bytes(self.second.pem)

    def others(self) -> tuple[ClientCA, ...]:
        kinds = frozenset({Kind.SERVICE})
        return (ClientCA("second", setting(self.file), kinds, None, ORIGIN),)

    def test_one_bad(self) -> None:
        """A bad file of one CA does not keep the other's from being taken up."""
        self.begin(Renamed)
        third = Authority("third")
        self.way.put("ca.crt", b"oops")
        self.file.write_bytes(third.pem)
        self.assertTrue(self.side.refresh())
        self.assertEqual(self.outcome(third.issue()), "second")
        self.assertEqual(self.outcome(self.clients.issue()), "clients")

    def test_same_name(self) -> None:
        """A CA that would bear another's name is not taken up, and it is said; nor are two that
        would take each other's."""
        self.begin(Renamed)
        self.file.write_bytes(Authority("clients").pem)
        self.assertFalse(self.side.refresh())
        failure = self.part("client CA second").state().failure
        self.assertIn("same subject DN as the client CA 'clients'", failure or "")
        self.way.put("ca.crt", Authority("second").pem)
        self.assertFalse(self.side.refresh())
        self.assertEqual(self.outcome(self.clients.issue()), "clients")
        self.assertEqual(self.outcome(self.second.issue()), "second")


class UpstreamRotation(SynchronousTestCase):
    """What is shown to backends, and by what they are known."""

    def setUp(self) -> None:
        self.clock = clock_at()
        self.backends = Authority("backends")

    def begin(self, way: type[Way]) -> None:
        self.way = way(fresh_directory())
        issued = self.backends.issue([("CN", "gateway")])
        self.way.replace(
            tls__crt=issued.certificate_pem, tls__key=issued.key_pem, ca__crt=self.backends.pem
        )
        paths = [setting(self.way.path(name)) for name in ("ca.crt", "tls.crt", "tls.key")]
        self.side = UpstreamSide.load(UpstreamTLS(*paths, ORIGIN), self.clock)
        self.creator = self.side.creator_for("api.example.org")

    def shown(self, backends: Authority) -> int:
        """The number of the certificate that a backend of this authority is shown."""
        issued = backends.issue([("CN", "b")], usages=[SERVER], names=NAMES)
        context = client_context(issued)
        context.set_verify(SSL.VERIFY_PEER, lambda *_: True)
        server = SSL.Connection(context, None)
        shake(server, self.creator.clientConnectionForTLS(None))
        certificate: crypto.X509 = server.get_peer_certificate()
        return certificate.get_serial_number()

    def test_renewed(self) -> None:
        """Those who dial go by the new files from then on, in each way of replacing."""
        for way in WAYS:
            self.begin(way)
            self.assertFalse(self.side.refresh())
            self.shown(self.backends)
            new = self.backends.issue([("CN", "gateway")])
            self.way.replace(tls__crt=new.certificate_pem, tls__key=new.key_pem)
            self.assertTrue(self.side.refresh())
            self.assertEqual(self.shown(self.backends), new.certificate.serial_number)
            tomorrow = Authority("backends of tomorrow")
            self.assertRaises(SSL.Error, self.shown, tomorrow)
            self.way.put("ca.crt", tomorrow.pem)
            self.assertTrue(self.side.refresh())
            self.assertEqual(self.shown(tomorrow), new.certificate.serial_number)
            self.assertRaises(SSL.Error, self.shown, self.backends)

    def test_bad(self) -> None:
        """Each of the two is good or bad for itself."""
        self.begin(Mounted)
        new = self.backends.issue([("CN", "gateway")])
        self.way.replace(
            tls__crt=new.certificate_pem, tls__key=new.key_pem, ca__crt=new.certificate_pem
        )
        self.assertTrue(self.side.refresh())
        self.assertEqual(self.shown(self.backends), new.certificate.serial_number)
        self.assertEqual([part.state().failure is None for part in self.side.parts], [True, False])


def renewed(authority: Authority) -> bytes:
    """Another certificate of an authority, for the same name and key, in PEM form."""
    old = authority.certificate
    builder = x509.CertificateBuilder(
        old.issuer,
        old.subject,
        old.public_key(),
        x509.random_serial_number(),
        datetime.now(UTC) - timedelta(hours=1),
        datetime.now(UTC) + timedelta(days=99),
        list(old.extensions),
    )
    return builder.sign(authority.issued.key, hashes.SHA256()).public_bytes(
        serialization.Encoding.PEM
    )
