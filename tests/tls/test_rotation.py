"""Our certificate and key are replaced: what is taken up, what is not, and what is said of it."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta

from tests.tls.pairs import (
    client_context,
    shaken,
)
from tests.tls.rotating import RotationCase
from tests.tls.ways import WAYS, Mounted, Renamed, Written
from toolforge_gateway.testing.pki import CLIENT, SERVER, Authority
from toolforge_gateway.tls.held import AGAIN, GRACE, PATIENCE, RECHECK
from toolforge_gateway.tls.revision import Revision

DAY = timedelta(days=1)


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

    def test_other_soon(self) -> None:
        """Who mends a file in a wrong way is told so as soon as who had broken it, also when it
        was good for a moment."""
        self.way.put("tls.key", b"oops")
        self.assertEqual(len(self.after(15)), 1)
        self.way.put("tls.key", self.serving().key_pem)
        self.assertEqual(self.after(15), ["tls.key is not the key of tls.crt"])
        self.way.put("tls.key", self.first.key_pem)
        self.after(3)
        self.assertTrue(self.part("certificate").recovery_due())
        self.way.put("tls.key", b"oops")
        self.assertEqual(self.after(15), ["tls.key is no private key"])

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
