"""Whom a revocation list is about, and whom it is not."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.tls.chains import AUTHORITY, issue
from tests.tls.pairs import Files, client_context, clock_at, setting, shaken
from toolforge_gateway.errors import BadEvidence
from toolforge_gateway.testing.pki import Issued
from toolforge_gateway.tls.server import ServerSide

SERIAL = 0x7001F0B6E


class RevocationClassesTests(SynchronousTestCase):
    """The tools' CA has revoked one number; the backends' CA has no list."""

    def setUp(self) -> None:
        self.files = Files.make()
        self.kubernetes = self.files.kubernetes.issued
        self.revoked = issue(self.kubernetes, serial=SERIAL)
        crl = self.files.write("crl", self.files.kubernetes.revocation_list([self.revoked]))
        self.side = ServerSide.load(self.files.settings(crl=crl), clock_at())

    def outcome(self, issued: Issued) -> str:
        server, _ = shaken(self.side.creator, client_context(issued))
        try:
            certificate = self.side.verifier.examine(server)
        except BadEvidence as error:
            return error.reason
        assert certificate is not None
        return certificate.client_ca

    def test_number(self) -> None:
        """A number is revoked for the CA that said so, whoever bears it, and for no other."""
        again = issue(self.kubernetes, [("O", "toolforge"), ("CN", "other")], serial=SERIAL)
        self.assertEqual(self.outcome(self.revoked), "certificate-revoked")
        self.assertEqual(self.outcome(again), "certificate-revoked")
        self.assertEqual(self.outcome(issue(self.kubernetes, serial=SERIAL + 1)), "kubernetes")
        self.assertEqual(self.outcome(issue(self.files.backend.issued, serial=SERIAL)), "backend")

    def test_read_once(self) -> None:
        """The numbers of a list that is in force are not read again: a hundred thousand take
        seconds, in which a reload would keep everybody waiting.  Another list has its own."""
        crl = self.files.directory / "crl"
        again = ServerSide.load(self.files.settings(crl=setting(crl)), clock_at())
        self.assertIs(self.numbers(again), self.numbers(self.side))
        crl.write_bytes(self.files.kubernetes.revocation_list())
        other = ServerSide.load(self.files.settings(crl=setting(crl)), clock_at())
        self.assertEqual((self.numbers(other), self.numbers(again)), (set(), {SERIAL}))

    def numbers(self, side: ServerSide) -> frozenset[int]:
        """What a listener's first authority has revoked."""
        revoked = side.verifier.anchors.all[0].revoked
        assert revoked is not None
        return revoked.serials

    def test_intermediate(self) -> None:
        """An intermediate cannot be used to come by another number: its list is not known."""
        between = issue(self.kubernetes, [("CN", "between")], AUTHORITY)
        self.assertEqual(self.outcome(issue(between)), "revocation-unknown")

    def test_end(self) -> None:
        """The rest of the gateway is told how long the answer holds; without a list for ever."""
        for issued, known in (
            (issue(self.kubernetes), True),
            (issue(self.files.backend.issued), False),
        ):
            server, _ = shaken(self.side.creator, client_context(issued))
            certificate = self.side.verifier.examine(server)
            assert certificate is not None
            end = certificate.list_until - self.side.verifier.clock.seconds()
            self.assertEqual(end < 2 * 86400, known)
