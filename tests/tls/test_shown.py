"""Certificates without a handshake are judged as with one."""

from __future__ import annotations

from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID
from OpenSSL import SSL
from twisted.trial.unittest import SynchronousTestCase

from tests.tls import test_certificate_classes, test_client_certificates
from tests.tls.chains import AUTHORITY, DAY, LEAF, TOOL, issue, usages
from tests.tls.pairs import Files, client_context, clock_at, shaken
from toolforge_gateway.errors import BadEvidence, Refusal
from toolforge_gateway.model import Evidence
from toolforge_gateway.testing.pki import Issued
from toolforge_gateway.tls.server import ServerSide
from toolforge_gateway.tls.shown import ShownCertificates, Unverified


def ders(issued: Issued) -> list[bytes]:
    return [each.public_bytes(Encoding.DER) for each in (issued.certificate, *issued.chain)]


class ShownClasses(test_certificate_classes.ClassesTests):
    """Every class of certificates that is tried in handshakes."""

    def outcome(self, issued: Issued, version: int) -> str:
        """What comes of it when a proxy shows it."""
        try:
            certificate = ShownCertificates(self.side.verifier).examine(ders(issued))
            evidence = Evidence(certificate)
            caller = self.chain.for_connection(evidence)
            identity = caller.settled(self.clock.seconds()) or caller.for_request(evidence)
            return identity.name
        except Unverified:
            return "alert"
        except Refusal as refusal:
            return refusal.reason


class _Shown:
    """Shows certificates in place of a handshake."""

    def examine(self, issued, version=None, side=None):
        side = side or self.side
        if issued is None or not side.verifier.anchors:
            return None
        return ShownCertificates(side.verifier).examine(ders(issued))

    def assertAlert(self, issued, side=None, words="certificate verify failed"):
        if words == "certificate verify failed":
            self.assertRaises(Unverified, self.examine, issued, None, side)


class ShownAlerts(_Shown, test_client_certificates.AlertTests):
    """What OpenSSL refuses in a handshake it refuses without one."""


class ShownRefused(_Shown, test_client_certificates.RefusedTests):
    """What we refuse after a handshake we refuse without one."""


class ShownRevoked(_Shown, test_client_certificates.RevocationTests):
    """Revocation, in all its ways."""


class ShownAccepted(_Shown, test_client_certificates.AcceptedTests):
    """What is good is good."""


class SameCertificate(SynchronousTestCase):
    """What comes out, and what is different without a handshake."""

    def setUp(self) -> None:
        self.files = Files.make()
        self.clock = clock_at()
        self.side = ServerSide.load(self.files.settings(), self.clock)
        self.shown = ShownCertificates(self.side.verifier)
        self.root = self.files.kubernetes.issued

    def test_facts(self) -> None:
        """The facts are those of a connection."""
        for issued in (
            issue(self.root),
            issue(issue(self.root, [("CN", "between")], AUTHORITY, dates=(-DAY, DAY / 2))),
        ):
            server, _ = shaken(self.side.creator, client_context(issued))
            self.assertEqual(self.shown.examine(ders(issued)), self.side.verifier.examine(server))

    def test_length(self) -> None:
        """A chain is not longer than a handshake allows."""
        issued = self.root
        for n in range(3):
            issued = issue(issued, [("CN", f"x{n}")], AUTHORITY)
        longest = issue(issued)
        server, _ = shaken(self.side.creator, client_context(longest))
        self.assertEqual(self.shown.examine(ders(longest)), self.side.verifier.examine(server))
        longer = issue(issue(issued, [("CN", "y")], AUTHORITY))
        self.assertRaises(SSL.Error, shaken, self.side.creator, client_context(longer))
        self.assertRaises(Unverified, self.shown.examine, ders(longer))

    def test_strength(self) -> None:
        """Keys and signatures are judged as in a handshake."""
        for key, good in (("rsa1024", False), ("rsa2048", True), ("ec384", True)):
            issued = issue(self.root, key=key)
            try:
                shaken(self.side.creator, client_context(issued))
                taken = True
            except SSL.Error:
                taken = False
            try:
                self.shown.examine(ders(issued))
                shown = True
            except Unverified:
                shown = False
            self.assertEqual((taken, shown), (good, good), key)

    def test_not_one_certificate(self) -> None:
        """Whatever is not exactly certificates is refused."""
        der = ders(issue(self.root))[0]
        for wrong in (
            [b""],
            [b"\x30"],
            [b"\x30\x80"],
            [b"\x30\x00"],
            [der + b"\0"],
            [der[:-1]],
            [der + der],
            [der, b"x"],
            [b"\x30\x84\xff\xff\xff\xff" + der],
        ):
            self.assertRaises(Unverified, self.shown.examine, wrong)

    def test_revoked(self) -> None:
        """Revocation counts, from the list that the listener has now."""
        issued = self.files.kubernetes.issue()
        crl = self.files.write("crl.pem", self.files.kubernetes.revocation_list([issued]))
        side = ServerSide.load(self.files.settings(crl=crl), self.clock)
        shown = ShownCertificates(side.verifier)
        error = self.assertRaises(BadEvidence, shown.examine, ders(issued))
        self.assertEqual(error.reason, "certificate-revoked")
        other = self.files.kubernetes.issue()
        self.assertLess(shown.examine(ders(other)).list_until, float("inf"))

    def test_no_anchors(self) -> None:
        """A listener that asks for no certificates has nobody to vouch for any."""
        side = ServerSide.load(self.files.settings("none"), self.clock)
        shown = ShownCertificates(side.verifier)
        self.assertRaises(Unverified, shown.examine, ders(issue(self.root)))

    def test_purpose(self) -> None:
        """OpenSSL itself checks that the chain is one for clients."""
        server = issue(self.root, TOOL, (*LEAF[:2], usages(ExtendedKeyUsageOID.SERVER_AUTH)))
        error = self.assertRaises(Unverified, self.shown.examine, ders(server))
        self.assertIn("purpose", error.why)
