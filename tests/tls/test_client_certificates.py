"""Which client certificates are taken, which end as an alert, which as a 403.

Every case is a real handshake of OpenSSL with the creator of a listener,
followed by our own examination.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID
from OpenSSL import SSL
from twisted.trial.unittest import SynchronousTestCase

from tests.tls.pairs import Files, client_context, clock_at, shake, shaken
from toolforge_gateway.errors import BadEvidence
from toolforge_gateway.model import Certificate, Kind
from toolforge_gateway.testing import forge
from toolforge_gateway.testing.pki import CLIENT, SERVER, Authority, Issued
from toolforge_gateway.tls import verifier
from toolforge_gateway.tls.facts import FactsMemory
from toolforge_gateway.tls.private import chain_fingerprint
from toolforge_gateway.tls.server import ServerSide

VERSIONS = (SSL.TLS1_2_VERSION, SSL.TLS1_3_VERSION)
NOW = datetime.now(UTC).replace(microsecond=0)
DAY = timedelta(days=1)


class CertificateTestCase(SynchronousTestCase):
    """A listener with two client CAs."""

    def setUp(self) -> None:
        self.files = Files.make()
        self.clock = clock_at()
        self.side = ServerSide.load(self.files.settings(), self.clock)

    def examine(
        self, issued: Issued | None, version: int | None = None, side: ServerSide | None = None
    ) -> Certificate | None:
        """Shake hands with this certificate and look at it."""
        side = side or self.side
        server, _ = shaken(side.creator, client_context(issued, version=version))
        return side.verifier.examine(server)

    def assertAlert(
        self,
        issued: Issued | None,
        side: ServerSide | None = None,
        words: str = "certificate verify failed",
    ) -> None:
        """OpenSSL refuses it during the handshake, in each TLS version."""
        for version in VERSIONS:
            error = self.assertRaises(SSL.Error, self.examine, issued, version, side)
            self.assertEqual(str(error.args[0][-1][-1]), words)

    def assertRefused(self, issued: Issued, reason: str, side: ServerSide | None = None) -> None:
        """OpenSSL takes it and we do not: 403 and close, in each TLS version."""
        for version in VERSIONS:
            error = self.assertRaises(BadEvidence, self.examine, issued, version, side)
            self.assertEqual((error.status, error.reason, error.close), (403, reason, True))


class AcceptedTests(CertificateTestCase):
    """Certificates that are good."""

    def test_tool(self) -> None:
        """A tool's certificate gives its facts and the CA that anchors it."""
        issued = self.files.kubernetes.issue([("O", "toolforge"), ("CN", "tf-test")])
        for version in VERSIONS:
            found = self.examine(issued, version)
            assert found is not None
            self.assertEqual(found.subject.attributes, (("O", "toolforge"), ("CN", "tf-test")))
            self.assertEqual(found.client_ca, "kubernetes")
            self.assertEqual(found.identifies, {Kind.TOOL, Kind.ADMIN})
            self.assertEqual(
                found.fingerprint, issued.certificate.fingerprint(hashes.SHA256()).hex()
            )

    def test_service(self) -> None:
        """The other CA's certificate is told apart, whatever its names are."""
        found = self.examine(self.files.backend.issue([("O", "toolforge"), ("CN", "tf-test")]))
        assert found is not None
        self.assertEqual((found.client_ca, found.identifies), ("backend", {Kind.SERVICE}))

    def test_dates(self) -> None:
        """The dates are the certificate's, in POSIX seconds."""
        issued = self.files.kubernetes.issue(not_before=NOW - DAY, not_after=NOW + DAY)
        found = self.examine(issued)
        assert found is not None
        self.assertEqual(found.not_before, (NOW - DAY).timestamp())
        self.assertEqual(found.not_after, (NOW + DAY).timestamp())

    def test_no_longer_than_the_chain(self) -> None:
        """A certificate ends with the first of those that vouch for it."""
        intermediate = Authority("between", parent=self.files.kubernetes, lifetime=DAY)
        found = self.examine(intermediate.issue(not_after=NOW + 20 * DAY))
        assert found is not None
        self.assertLess(found.not_after, (NOW + 2 * DAY).timestamp())
        found = self.examine(self.files.kubernetes.issue(not_after=NOW + 300 * DAY))
        assert found is not None
        self.assertLess(found.not_after, (NOW + 31 * DAY).timestamp())

    def test_keys(self) -> None:
        """RSA of 2048 and 4096 bits and the usual curves are taken."""
        for key in ("rsa2048", "rsa4096", "ec", "ec384"):
            self.assertIsNotNone(self.examine(self.files.kubernetes.issue(key=key)), key)

    def test_several_usages(self) -> None:
        """clientAuth among other usages is explicit enough."""
        issued = self.files.kubernetes.issue(usages=[SERVER, CLIENT])
        self.assertIsNotNone(self.examine(issued))

    def test_depth(self) -> None:
        """Up to three intermediate authorities are followed to the anchor."""
        authority = self.files.kubernetes
        for number in range(3):
            authority = Authority(f"between {number}", parent=authority)
        found = self.examine(authority.issue())
        assert found is not None
        self.assertEqual(found.client_ca, "kubernetes")

    def test_subject_shapes(self) -> None:
        """Multi-valued parts, other orders and PrintableString are read."""
        issued = self.files.kubernetes.issue([[("O", "toolforge"), ("CN", "x")], ("OU", "y")])
        found = self.examine(issued)
        assert found is not None
        self.assertEqual(found.subject.values("CN"), ("x",))
        printable = forge.with_subject(
            self.files.kubernetes,
            self.files.kubernetes.issue(),
            forge.name(("CN", forge.PRINTABLE, b"x"), ("O", forge.PRINTABLE, b"toolforge")),
        )
        found = self.examine(printable)
        assert found is not None
        self.assertEqual(found.subject.attributes, (("CN", "x"), ("O", "toolforge")))

    def test_none(self) -> None:
        """Without a certificate there are no facts, and no refusal."""
        for version in VERSIONS:
            self.assertIsNone(self.examine(None, version))

    def test_not_asked(self) -> None:
        """A listener that wants no certificates never sees one."""
        side = ServerSide.load(self.files.settings(client_certificate="none"), self.clock)
        self.assertIsNone(self.examine(self.files.kubernetes.issue(), side=side))

    def test_replaced_authority(self) -> None:
        """A CA file may hold the old and the new certificate of its CA."""
        new = Authority("kubernetes")
        self.files.write("both.crt", self.files.kubernetes.pem + new.pem)
        side = ServerSide.load(self.files.settings(kubernetes_ca="both.crt"), self.clock)
        for authority in (self.files.kubernetes, new):
            found = self.examine(authority.issue(), side=side)
            assert found is not None
            self.assertEqual(found.client_ca, "kubernetes")


class AlertTests(CertificateTestCase):
    """Certificates that OpenSSL refuses."""

    def test_foreign_authority(self) -> None:
        """A CA that is not configured is refused, whatever it calls itself."""
        self.assertAlert(Authority("stranger").issue())
        self.assertAlert(Authority("kubernetes").issue())
        chain = Authority("below", parent=Authority("stranger")).issue()
        self.assertAlert(chain)

    def test_client_hears_alert(self) -> None:
        """The client of a foreign CA is told so by a TLS alert."""
        server = self.side.creator.serverConnectionForTLS(None)
        client = SSL.Connection(client_context(Authority("stranger").issue()), None)
        self.assertRaises(SSL.Error, shake, server, client)
        error = self.assertRaises(SSL.Error, client.recv, 1)
        self.assertIn("unknown ca", str(error).lower())

    def test_server_authority(self) -> None:
        """The CA of our own certificate vouches for no client."""
        self.assertAlert(self.files.server.issue())

    def test_self_signed(self) -> None:
        """A self-signed certificate is refused, with the right name as well."""
        own = Authority("x", subject=[("O", "toolforge"), ("CN", "tf-test")])
        self.assertAlert(own.issued)

    def test_dates(self) -> None:
        """Expired and not yet valid certificates are refused."""
        issue = self.files.kubernetes.issue
        self.assertAlert(issue(not_before=NOW - 2 * DAY, not_after=NOW - DAY))
        self.assertAlert(issue(not_before=NOW + DAY, not_after=NOW + 2 * DAY))

    def test_expired_intermediate(self) -> None:
        """An expired authority in between is refused."""
        between = Authority("between", parent=self.files.kubernetes, lifetime=-timedelta(minutes=5))
        self.assertAlert(between.issue(not_after=NOW + DAY))

    def test_server_usage(self) -> None:
        """A backend's own certificate, for servers only, is no client's."""
        issued = self.files.backend.issue(usages=[SERVER])
        self.assertAlert(issued)

    def test_other_usages(self) -> None:
        """Usages that merely might include clients are refused."""
        for usage in (
            ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,
            ExtendedKeyUsageOID.EMAIL_PROTECTION,
            x509.ObjectIdentifier("1.3.6.1.4.1.55555.1"),
        ):
            issued = self.files.kubernetes.issue(usages=[usage])
            self.assertAlert(issued)

    def test_weak_key(self) -> None:
        """RSA of 1024 bits is refused."""
        self.assertAlert(self.files.kubernetes.issue(key="rsa1024"))

    def test_weak_hash(self) -> None:
        """A SHA-1 signature is refused."""
        issued = self.files.kubernetes.issue()
        weak = forge.with_hash(self.files.kubernetes, issued, "sha1")
        self.assertAlert(weak)

    def test_weak_intermediate(self) -> None:
        """An authority of RSA 1024 in between is refused."""
        between = Authority("between", parent=self.files.kubernetes, key="rsa1024")
        self.assertAlert(between.issue())

    def test_depth(self) -> None:
        """A fourth authority in between is one too many."""
        authority = self.files.kubernetes
        for number in range(4):
            authority = Authority(f"between {number}", parent=authority)
        self.assertAlert(authority.issue())

    def test_path_length(self) -> None:
        """An authority that may have none below it has none."""
        leaf_only = Authority("leaf only", parent=self.files.kubernetes, path_length=0)
        self.assertAlert(Authority("too deep", parent=leaf_only).issue())

    def test_no_authority_in_between(self) -> None:
        """A tool's own certificate signs no other."""
        tool = Authority("t")
        tool.issued = self.files.kubernetes.issue()
        tool.parent = self.files.kubernetes
        self.assertAlert(tool.issue())

    def test_doubled_extension(self) -> None:
        """A certificate that says a thing twice is refused."""
        issued = self.files.kubernetes.issue()
        self.assertAlert(forge.with_doubled_extension(self.files.kubernetes, issued))

    def test_critical_extension(self) -> None:
        """A critical extension that nobody here knows is refused."""
        unknown = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.55555.2"), b"\5\0")
        issued = self.files.kubernetes.issue(extensions=[(unknown, True)])
        self.assertAlert(issued)

    def test_required(self) -> None:
        """Where a certificate is required, none is an alert."""
        side = ServerSide.load(self.files.settings(client_certificate="required"), self.clock)
        self.assertIsNotNone(self.examine(self.files.kubernetes.issue(), side=side))
        self.assertAlert(None, side=side, words="peer did not return a certificate")


class RefusedTests(CertificateTestCase):
    """Certificates that OpenSSL takes and we refuse."""

    def test_no_usage(self) -> None:
        """A certificate without an extended key usage is for nobody."""
        self.assertRefused(self.files.kubernetes.issue(usages=None), "certificate-usage")

    def test_authority_itself(self) -> None:
        """A client CA's own certificate is no client's."""
        self.assertRefused(self.files.kubernetes.issued, "certificate-of-authority")

    def test_subjects(self) -> None:
        """Subjects that can be read in two ways are refused."""
        organization = ("O", forge.UTF8, b"toolforge")
        for name in (
            ("CN", forge.BMP, "tf-test".encode("utf-16-be")),
            ("CN", forge.T61, b"tf-test"),
            ("CN", forge.UTF8, b"tf-test\0.example"),
            ("CN", forge.UTF8, b"tf-test\n"),
        ):
            forged = forge.with_subject(
                self.files.kubernetes,
                self.files.kubernetes.issue(),
                forge.name(organization, name),
            )
            self.assertRefused(forged, "certificate-subject")

    def test_unreadable_extension(self) -> None:
        """A certificate with an extension that cannot be read is refused."""
        policies = x509.UnrecognizedExtension(x509.ObjectIdentifier("2.5.29.32"), b"\x04\x00")
        issued = self.files.kubernetes.issue(extensions=[(policies, False)])
        self.assertRefused(issued, "certificate-unreadable")

    def test_memory_is_bounded(self) -> None:
        """Facts are remembered for a bounded number of certificates, and stay right."""
        side = self.side
        side.verifier.facts = FactsMemory(2)
        issued = [self.files.kubernetes.issue([("CN", f"tool-{n}")]) for n in range(4)]
        for number in (0, 1, 2, 3, 3, 0):
            found = self.examine(issued[number], side=side)
            assert found is not None
            self.assertEqual(found.subject.values("CN"), (f"tool-{number}",))
            self.assertLessEqual(len(side.verifier.facts), 2)

    def test_judgements_are_bounded(self) -> None:
        """So are judgements of whole chains, and those that are forgotten are made again."""
        self.patch(verifier, "REMEMBERED", 2)
        issued = [self.files.kubernetes.issue([("CN", f"tool-{n}")]) for n in range(4)]
        for number in (0, 1, 2, 3, 3, 0):
            found = self.examine(issued[number])
            assert found is not None
            self.assertEqual(found.subject.values("CN"), (f"tool-{number}",))
            self.assertLessEqual(len(self.side.verifier._known), 2)

    def test_fingerprint(self) -> None:
        """A chain is told by all its certificates; who shows none has no chain."""
        between = Authority("between", parent=self.files.kubernetes)
        for issued, above in (
            (self.files.kubernetes.issue(), [self.files.kubernetes]),
            (between.issue(), [between, self.files.kubernetes]),
        ):
            server, _ = shaken(self.side.creator, client_context(issued))
            chain = [issued.certificate, *(each.certificate for each in above)]
            expected = b"".join(each.fingerprint(hashes.SHA256()) for each in chain)
            self.assertEqual(chain_fingerprint(server), expected)
        server, _ = shaken(self.side.creator, client_context(None))
        self.assertEqual(chain_fingerprint(server), b"")

    def test_refused_each_time(self) -> None:
        """A refusal is not forgotten on the next connection."""
        issued = self.files.kubernetes.issue(usages=None)
        for _ in range(3):
            self.assertRefused(issued, "certificate-usage")


class RevocationTests(CertificateTestCase):
    """Revocation lists, one CA at a time."""

    def load(self, crl: bytes) -> ServerSide:
        return ServerSide.load(self.files.settings(crl=self.files.write("crl", crl)), self.clock)

    def test_revoked(self) -> None:
        """A revoked certificate is refused; others of the CA are taken."""
        bad, good = self.files.kubernetes.issue(), self.files.kubernetes.issue()
        for crl in (
            self.files.kubernetes.revocation_list([bad]),
            _as_der(self.files.kubernetes.revocation_list([bad])),
        ):
            side = self.load(crl)
            self.assertRefused(bad, "certificate-revoked", side=side)
            self.assertIsNotNone(self.examine(good, side=side))

    def test_other_authority(self) -> None:
        """The list of one CA says nothing of the other's, nor of nobody."""
        bad = self.files.kubernetes.issue()
        side = self.load(self.files.kubernetes.revocation_list([bad]))
        self.assertIsNotNone(self.examine(self.files.backend.issue(), side=side))
        self.assertIsNone(self.examine(None, side=side))

    def test_list_runs_out(self) -> None:
        """Past nextUpdate this CA's certificates are refused, others are not."""
        side = self.load(self.files.kubernetes.revocation_list([]))
        issued = self.files.kubernetes.issue()
        self.assertIsNotNone(self.examine(issued, side=side))
        self.clock.advance(DAY.total_seconds() + 60)
        self.assertRefused(issued, "revocation-list-expired", side=side)
        self.assertIsNotNone(self.examine(self.files.backend.issue(), side=side))
        self.assertIsNone(self.examine(None, side=side))

    def test_intermediate(self) -> None:
        """With a list, a certificate that it cannot cover is refused."""
        side = self.load(self.files.kubernetes.revocation_list([]))
        between = Authority("between", parent=self.files.kubernetes)
        self.assertRefused(between.issue(), "revocation-unknown", side=side)

    def test_replaced_authority(self) -> None:
        """Of two certificates of one CA, the one without a list is refused."""
        new = Authority("kubernetes")
        self.files.write("both.crt", self.files.kubernetes.pem + new.pem)
        revoked = new.issue()
        old_list = self.files.kubernetes.revocation_list([])

        def load(crl: bytes) -> ServerSide:
            file = self.files.write("crl", crl)
            return ServerSide.load(
                self.files.settings(crl=file, kubernetes_ca="both.crt"), self.clock
            )

        side = load(old_list)
        self.assertIsNotNone(self.examine(self.files.kubernetes.issue(), side=side))
        self.assertRefused(revoked, "revocation-unknown", side=side)
        side = load(old_list + new.revocation_list([revoked]))
        self.assertIsNotNone(self.examine(self.files.kubernetes.issue(), side=side))
        self.assertRefused(revoked, "certificate-revoked", side=side)


def _as_der(pem: bytes) -> bytes:
    return x509.load_pem_x509_crl(pem).public_bytes(Encoding.DER)
