"""Files that are replaced: what is taken up, what is not, and what is said of it."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

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
from tests.tls.ways import WAYS, Mounted, Renamed, Way, Written
from toolforge_gateway.config.values import ClientCA, ServerTLS, UpstreamTLS
from toolforge_gateway.errors import BadEvidence
from toolforge_gateway.model import Kind
from toolforge_gateway.testing.pki import CLIENT, SERVER, Authority, Issued
from toolforge_gateway.tls import revision
from toolforge_gateway.tls.client import UpstreamSide
from toolforge_gateway.tls.held import AGAIN, GRACE, PATIENCE, RECHECK, Held
from toolforge_gateway.tls.revision import Revision
from toolforge_gateway.tls.server import ServerSide

DAY = timedelta(days=1)
NAMES = ["api.example.org"]


class RotationCase(SynchronousTestCase):
    """A listener whose files can be replaced in every way."""

    def setUp(self) -> None:
        self.authority = Authority("server")
        self.clients = Authority("clients")
        self.clock = clock_at()

    def serving(self, **more: Any) -> Issued:
        return self.authority.issue([("CN", "api")], usages=[SERVER], names=NAMES, **more)

    def begin(self, way: type[Way], revocation: bool = False) -> None:
        """Load the side, its files laid out in this way."""
        self.way = way(fresh_directory())
        first = self.serving()
        self.way.replace(
            tls__crt=first.certificate_pem, tls__key=first.key_pem, ca__crt=self.clients.pem
        )
        crl = None
        if revocation:
            self.way.put("ca.crl", self.clients.revocation_list())
            crl = setting(self.way.path("ca.crl"))
        client_ca = ClientCA(
            "clients",
            setting(self.way.path("ca.crt")),
            frozenset({Kind.TOOL}),
            crl,
            ORIGIN,
        )
        self.side = ServerSide.load(
            ServerTLS(
                setting(self.way.path("tls.crt")),
                setting(self.way.path("tls.key")),
                "optional",
                (client_ca, *self.others()),
                ORIGIN,
            ),
            self.clock,
        )
        self.first = first
        self.assertEqual(self.served(), first.certificate.serial_number)

    def others(self) -> tuple[ClientCA, ...]:
        return ()

    def served(self) -> int:
        """The number of the certificate that a new client is shown."""
        _, client = shaken(self.side.creator, client_context())
        return client.get_peer_certificate().get_serial_number()

    def outcome(self, issued: Issued) -> str:
        """What a new client is told who shows this certificate."""
        try:
            server, _ = shaken(self.side.creator, client_context(issued))
        except SSL.Error:
            return "alert"
        return self.again(server)

    def again(self, server: SSL.Connection) -> str:
        """What is thought of the client of a connection now."""
        try:
            certificate = self.side.verifier.examine(server)
        except BadEvidence as error:
            return error.reason
        return certificate.client_ca if certificate is not None else "nobody"

    def part(self, name: str) -> Held[Any]:
        (part,) = [each for each in self.side.parts if each.name == name]
        return part

    def said(self) -> list[str]:
        """What is to be said now, without the folders' names."""
        return [
            each.what.replace(f"{self.way.folder}/", "")
            for part in self.side.parts
            for each in part.complaints_due(self.clock.seconds())
        ]


class CertificateTests(RotationCase):
    """Our own certificate and key."""

    def test_renewed(self) -> None:
        """In each way of replacing, a new pair is taken up whole, and again; clients are not
        examined for it."""
        for way in WAYS:
            self.begin(way)
            for renewals in (1, 2):
                new = self.serving()
                self.way.replace(tls__crt=new.certificate_pem, tls__key=new.key_pem)
                self.clock.advance(3)
                self.assertTrue(self.part("certificate").is_due(self.clock.seconds()))
                self.assertFalse(self.side.refresh())
                self.assertEqual(self.served(), new.certificate.serial_number, way)
                self.assertFalse(self.part("certificate").is_due(self.clock.seconds()))
                state = self.part("certificate").state()
                self.assertEqual((state.renewals, state.since), (renewals, self.clock.seconds()))

    def test_other_names(self) -> None:
        """The new certificate's names count at once."""
        self.begin(Mounted)
        new = self.authority.issue([("CN", "api")], usages=[SERVER], names=["other.example.org"])
        covers = self.side.names_host
        self.way.replace(tls__crt=new.certificate_pem, tls__key=new.key_pem)
        self.side.refresh()
        self.assertEqual(self.side.names, ("other.example.org",))
        self.assertTrue(covers(b"other.example.org"))
        self.assertFalse(covers(b"api.example.org"))

    def test_one_after_the_other(self) -> None:
        """A certificate that comes before its key, or after it, waits for it in silence."""
        for way in WAYS:
            if not way.torn:
                continue
            for names in (("tls.crt", "tls.key"), ("tls.key", "tls.crt")):
                self.begin(way)
                new = self.serving()
                content = {"tls.crt": new.certificate_pem, "tls.key": new.key_pem}
                self.way.put(names[0], content[names[0]])
                for _ in range(3):
                    self.side.refresh()
                    self.assertEqual(self.served(), self.first.certificate.serial_number)
                    self.assertEqual(self.said(), [])
                    self.clock.advance(3)
                self.assertIn("is not the key of", self.part("certificate").state().failure or "")
                self.way.put(names[1], content[names[1]])
                self.side.refresh()
                self.assertEqual(self.served(), new.certificate.serial_number)
                self.assertEqual(self.said(), [])
                self.assertIsNone(self.part("certificate").state().failure)

    def test_bad(self) -> None:
        """Whatever is wrong, the last good pair is served, the state says why, and a good pair
        mends it."""
        old = datetime.now(UTC) - DAY
        other = self.serving()
        rogue = Authority("rogue").issue([("CN", "api")], usages=[SERVER])
        expired = self.serving(not_before=old - DAY, not_after=old)
        early = self.serving(not_before=datetime.now(UTC) + DAY)
        client = self.authority.issue(usages=[CLIENT])
        weak = self.serving(key="rsa1024")
        good = self.serving()
        bad = {
            "is not the key of": (good.certificate_pem, other.key_pem),
            "has expired": (expired.certificate_pem, expired.key_pem),
            "is not valid yet": (early.certificate_pem, early.key_pem),
            "is not issued for serverAuth": (client.certificate_pem, client.key_pem),
            "ee key too small": (weak.certificate_pem, weak.key_pem),
            "has no certificate in it": (b"", good.key_pem),
            "has a certificate that cannot": (good.certificate_pem[:300], good.key_pem),
            "is no private key": (good.certificate_pem, good.key_pem[:100]),
            "issued none of those before it (CN=api)": (
                good.certificate_pem + rogue.certificate_pem,
                good.key_pem,
            ),
        }
        for why, (certificate, key) in bad.items():
            self.begin(Mounted)
            self.way.replace(tls__crt=certificate, tls__key=key)
            self.assertFalse(self.side.refresh())
            self.assertEqual(self.served(), self.first.certificate.serial_number, why)
            state = self.part("certificate").state()
            self.assertIn(why, state.failure or "")
            self.assertIn("gateway.yaml:7: listen[0].tls:", state.failure or "")
            self.assertEqual(state.failing_since, self.clock.seconds())
            self.way.replace(tls__crt=good.certificate_pem, tls__key=good.key_pem)
            self.side.refresh()
            self.assertEqual(self.served(), good.certificate.serial_number, why)
            self.assertIsNone(self.part("certificate").state().failing_since)

    def test_gone(self) -> None:
        """A file that is gone, is a folder or a pipe is a bad one; nothing waits for a pipe."""
        self.begin(Renamed)
        path = self.way.path("tls.crt")
        path.unlink()
        self.side.refresh()
        self.assertIn("No such file", self.part("certificate").state().failure or "")
        path.mkdir()
        self.side.refresh()
        self.assertIn("cannot be read: ", self.part("certificate").state().failure or "")
        path.rmdir()
        os.mkfifo(path)
        self.side.refresh()
        self.assertIn("no ordinary file", self.part("certificate").state().failure or "")
        path.unlink()
        self.way.put("tls.crt", self.first.certificate_pem)
        self.side.refresh()
        self.assertIsNone(self.part("certificate").state().failure)
        self.assertEqual(self.served(), self.first.certificate.serial_number)

    def test_touched(self) -> None:
        """The same content with another time, or in another folder, is no news."""
        self.begin(Mounted)
        before = self.side.creator.getContext()
        self.way.replace()
        self.assertTrue(self.part("certificate").is_due(self.clock.seconds()))
        self.assertFalse(self.side.refresh())
        os.utime(self.way.path("tls.crt"))
        self.assertFalse(self.side.refresh())
        self.assertFalse(self.part("certificate").is_due(self.clock.seconds()))
        self.assertIs(self.side.creator.getContext(), before)
        self.assertEqual(self.part("certificate").state().renewals, 0)

    def test_time_kept(self) -> None:
        """A copy that keeps size and time of the file before is seen all the same."""
        self.begin(Written)
        path = self.way.path("tls.crt")
        status = path.stat()
        # Same length: the key's signature may be a byte longer or shorter.
        while len((new := self.serving(key=self.first.key)).certificate_pem) != status.st_size:
            pass
        path.write_bytes(new.certificate_pem)
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
        self.side.refresh()
        self.assertEqual(self.served(), new.certificate.serial_number)

    def test_time_comes(self) -> None:
        """A certificate that is not valid yet is taken up when its time has come, though no file
        has changed since."""
        self.begin(Mounted)
        soon = datetime.fromtimestamp(self.clock.seconds() + 45, UTC)
        new = self.serving(not_before=soon)
        self.way.replace(tls__crt=new.certificate_pem, tls__key=new.key_pem)
        self.side.refresh()
        for _ in range(0, 45 + int(RECHECK), 3):
            self.clock.advance(3)
            self.side.refresh()
        # Seconds are whole in a certificate.
        self.assertEqual(self.part("certificate").state().renewals, 1)
        self.assertEqual(self.side.pair.certificate.serial_number, new.certificate.serial_number)

    def test_connections_stay(self) -> None:
        """A connection that was there before still talks afterwards."""
        self.begin(Mounted)
        server, client = shaken(self.side.creator, client_context())
        new = self.serving()
        self.way.replace(tls__crt=new.certificate_pem, tls__key=new.key_pem)
        self.side.refresh()
        client.send(b"hello")
        server.bio_write(client.bio_read(65536))
        self.assertEqual(server.recv(5), b"hello")


class SayingTests(RotationCase):
    """What is said of bad files, and how often."""

    def setUp(self) -> None:
        super().setUp()
        self.begin(Renamed)

    def after(self, seconds: float) -> list[str]:
        """What is said when there was a look every three seconds for so long."""
        said = []
        end = self.clock.seconds() + seconds
        while self.clock.seconds() < end:
            self.clock.advance(min(3, end - self.clock.seconds()))
            self.side.refresh()
            said += self.said()
        return said

    def test_once(self) -> None:
        """It is said once, after a while, and again after an hour."""
        self.way.put("tls.key", b"oops")
        self.assertEqual(self.after(GRACE - 1), [])
        self.assertEqual(self.after(60), ["tls.key is no private key"])
        self.assertEqual(self.after(AGAIN - 120), [])
        self.assertEqual(self.after(120), ["tls.key is no private key"])

    def test_other(self) -> None:
        """Something else that is wrong is said anew, though not at every turn."""
        self.way.put("tls.key", b"oops")
        self.assertEqual(len(self.after(PATIENCE)), 1)
        self.way.put("tls.key", self.serving().key_pem)
        self.assertEqual(self.after(2 * PATIENCE), ["tls.key is not the key of tls.crt"])

    def test_never_still(self) -> None:
        """Files that are bad and keep changing are spoken of too, once in a while."""
        said = []
        for number in range(100):
            self.way.put("tls.key", b"oops %d" % number)
            said += self.after(3)
        self.assertEqual(said, ["tls.key is no private key"])

    def test_recovered(self) -> None:
        """That all is well again is to be said if it was said that it was not."""
        part = self.part("certificate")
        self.way.put("tls.key", b"oops")
        self.after(3)
        self.way.put("tls.key", self.first.key_pem)
        self.after(3)
        self.assertFalse(part.recovery_due())
        self.way.put("tls.key", b"oops")
        self.assertEqual(len(self.after(30)), 1)
        self.assertFalse(part.recovery_due())
        self.way.put("tls.key", self.first.key_pem)
        self.assertEqual(self.after(3), [])
        self.assertTrue(part.recovery_due())
        self.assertFalse(part.recovery_due())

    def test_secrets(self) -> None:
        """Nothing that is kept or said shows the key."""
        secret = self.first.key_pem.decode().splitlines()[1]
        state = self.part("certificate").state()
        read = Revision.read([self.way.path("tls.key")])
        for each in (repr(state), repr(self.part("certificate")), repr(read), repr(read.marks)):
            self.assertNotIn(secret, each)
            self.assertNotIn("BEGIN", each)


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


class RevisionTests(SynchronousTestCase):
    """Files that change while they are read."""

    def test_not_torn(self) -> None:
        """Two files behind a link that is led elsewhere between them are read again."""
        way = Mounted(fresh_directory())
        way.replace(a=b"1", b=b"1")
        paths = [way.path("a"), way.path("b")]
        real = revision._content
        reads = []

        def swapping(path: Path) -> bytes | OSError:
            content = real(path)
            reads.append(path)
            if len(reads) == 1:
                way.replace(a=b"2", b=b"2")
            return content

        self.patch(revision, "_content", swapping)
        read = Revision.read(paths)
        self.assertEqual([read.content(path) for path in paths], [b"2", b"2"])
        self.assertEqual(read.marks, revision.look(paths))

    def test_never_still(self) -> None:
        """Files that never stand still are given up, and look changed afterwards."""
        way = Renamed(fresh_directory())
        way.replace(a=b"0")
        real = revision._content

        def changing(path: Path) -> bytes | OSError:
            content = real(path)
            way.replace(a=b"x")
            return content

        self.patch(revision, "_content", changing)
        read = Revision.read([way.path("a")])
        self.assertNotEqual(read.marks, revision.look(read.marks))

    def test_digest(self) -> None:
        """Contents are told apart wherever one file ends and the next begins."""
        way = Renamed(fresh_directory())
        paths = [way.path("a"), way.path("b")]
        digests = set()
        for one, other in ((b"ab", b""), (b"a", b"b"), (b"", b"ab")):
            way.replace(a=one, b=other)
            digests.add(Revision.read(paths).digest)
        way.path("b").unlink()
        digests.add(Revision.read(paths).digest)
        self.assertEqual(len(digests), 4)


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
