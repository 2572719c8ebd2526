"""Everything that is wrong with certificate files is said at once, with its place."""

from __future__ import annotations

from base64 import b64decode, b64encode
from datetime import UTC, datetime, timedelta
from typing import Any

import attrs
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import x25519
from cryptography.x509.oid import ExtensionOID
from twisted.trial.unittest import SynchronousTestCase

from tests.tls.chains import basic, issue, key_usage
from tests.tls.pairs import ORIGIN, Files, client_context, clock_at, setting, shaken
from toolforge_gateway.config.values import ServerTLS, UpstreamTLS
from toolforge_gateway.errors import ConfigurationError
from toolforge_gateway.testing.pki import CLIENT, SERVER, Authority, Issued
from toolforge_gateway.tls.client import UpstreamSide
from toolforge_gateway.tls.server import ServerSide

DAY = timedelta(days=1)
NOW = datetime.now(UTC).replace(microsecond=0)


def _pem(key: Any, encryption: serialization.KeySerializationEncryption) -> bytes:
    pem, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    data: bytes = key.private_bytes(pem, form, encryption)
    return data


EC_KEY = bytes.fromhex("2a8648ce3d0201")
"""id-ecPublicKey of RFC 5480."""
NO_KEY = bytes.fromhex("2a8648ce3d0224")
"""An identifier of no kind of key."""


def spoilt(pem: bytes, what: bytes, by: bytes) -> bytes:
    """One PEM block with other bytes in it."""
    begin, *lines, end = pem.splitlines()
    der = b64decode(b"".join(lines))
    assert what in der, "there is something to replace"
    return b"\n".join([begin, b64encode(der.replace(what, by)), end, b""])


class LoadingTestCase(SynchronousTestCase):
    """Files in a directory that each test may spoil."""

    def setUp(self) -> None:
        self.files = Files.make()
        self.clock = clock_at()

    def complaints(self, settings: ServerTLS) -> list[str]:
        """What loading says, without the names of directories."""
        error = self.assertRaises(ConfigurationError, ServerSide.load, settings, self.clock)
        return [each.what.replace(f"{self.files.directory}/", "") for each in error.complaints]

    def serve(self, issued: Issued) -> list[str]:
        """What loading says of this certificate for the listener."""
        issued.write(self.files.directory, "server")
        return self.complaints(self.files.settings())


class ServerFilesTests(LoadingTestCase):
    """The listener's own certificate and key."""

    def test_all_at_once(self) -> None:
        """Complaints about all files come together, each with file, line and key."""
        for name in ("server.crt", "k8s-ca.crt", "backend-ca.crt"):
            (self.files.directory / name).unlink()
        self.files.write("server.key", b"nonsense")
        error = self.assertRaises(
            ConfigurationError, ServerSide.load, self.files.settings(), self.clock
        )
        self.assertEqual(len(error.complaints), 3)
        for complaint in error.complaints:
            self.assertEqual(
                (complaint.file, complaint.line, complaint.path),
                (ORIGIN.file, ORIGIN.line, ORIGIN.path),
            )
            self.assertIn("cannot be read: No such file", complaint.what)
            self.assertTrue(complaint.remedy)

    def test_no_certificate(self) -> None:
        """A file without a certificate, or with a broken one, is said to be so."""
        self.files.write("server.crt", b"hello")
        settings = self.files.settings()
        self.assertEqual(self.complaints(settings), ["server.crt has no certificate in it"])
        self.files.write(
            "server.crt", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
        )
        self.assertEqual(
            self.complaints(settings), ["server.crt has a certificate that cannot be read"]
        )

    def test_unreadable(self) -> None:
        """A certificate or key of which a part cannot be read is said to be so, whichever it is
        and whatever the libraries call it."""
        settings = self.files.settings()
        odd = (x509.UnrecognizedExtension(ExtensionOID.KEY_USAGE, b"\x07"), False)
        good = self.files.server.issue([("CN", "api")], usages=[SERVER])
        unreadable = ["server.crt has a certificate that cannot be read"]
        for data, said in (
            (issue(self.files.server.issued, extensions=[odd]).certificate_pem, unreadable),
            (spoilt(good.certificate_pem, b"\x0c\x03api", b"\x0c\x03\xff\xff\xff"), unreadable),
            (
                spoilt(good.certificate_pem, EC_KEY, NO_KEY),
                ["server.crt is for a key of another kind"],
            ),
        ):
            self.files.write("server.crt", data)
            self.assertEqual(self.complaints(settings), said)
        good.write(self.files.directory, "server")
        self.files.write("server.key", spoilt(good.key_pem, EC_KEY, NO_KEY))
        (complaint,) = self.complaints(settings)
        # Releases differ in whether that is a key.
        self.assertIn(
            complaint, ("server.key is a key of another kind", "server.key is no private key")
        )

    def test_key(self) -> None:
        """A key that is none, is encrypted, or belongs elsewhere is refused."""
        settings = self.files.settings()
        self.files.write("server.key", b"hello")
        self.assertEqual(self.complaints(settings), ["server.key is no private key"])
        other = self.files.server.issue()
        self.files.write("server.key", other.key_pem)
        self.assertEqual(self.complaints(settings), ["server.key is not the key of server.crt"])
        exchange = x25519.X25519PrivateKey.generate()
        self.files.write("server.key", _pem(exchange, serialization.NoEncryption()))
        self.assertEqual(self.complaints(settings), ["server.key is a key of another kind"])
        encrypted = _pem(other.key, serialization.BestAvailableEncryption(b"secret"))
        self.files.write("server.key", encrypted)
        self.assertEqual(self.complaints(settings), ["server.key is encrypted"])

    def test_dates(self) -> None:
        """A certificate of ours out of its dates is refused."""
        issue = self.files.server.issue
        old = issue(usages=[SERVER], not_before=NOW - 2 * DAY, not_after=NOW - DAY)
        self.assertEqual(self.serve(old), ["server.crt has expired"])
        new = issue(usages=[SERVER], not_before=NOW + DAY)
        self.assertEqual(self.serve(new), ["server.crt is not valid yet"])

    def test_usage(self) -> None:
        """A client's certificate is no server's; one without usages is."""
        client = self.files.server.issue(usages=[CLIENT])
        self.assertEqual(self.serve(client), ["server.crt is not issued for serverAuth"])
        self.files.server.issue(usages=None).write(self.files.directory, "server")
        ServerSide.load(self.files.settings(), self.clock)

    def test_weak(self) -> None:
        """What OpenSSL will not serve is found when loading."""
        weak = self.files.server.issue(usages=[SERVER], key="rsa1024")
        self.assertEqual(self.serve(weak), ["server.crt is refused by OpenSSL: ee key too small"])

    def test_intermediates(self) -> None:
        """Intermediate certificates behind our own are sent along."""
        between = Authority("between", parent=self.files.server)
        between.issue(usages=[SERVER]).write(self.files.directory, "server")
        side = ServerSide.load(self.files.settings(), self.clock)
        _, client = shaken(side.creator, client_context())
        names = [each.get_subject().CN for each in client.get_peer_cert_chain()]
        self.assertEqual(names, ["tf-test", "between"])

    def test_key_is_not_shown(self) -> None:
        """No repr shows the private key."""
        issued = self.files.server.issue()
        secret = str(issued.key.private_numbers().private_value)  # type: ignore[union-attr]
        self.assertNotIn(secret, repr(issued))
        self.assertNotIn("PrivateKey", repr(issued))


class AuthorityFilesTests(LoadingTestCase):
    """The client CAs."""

    def test_unreadable(self) -> None:
        """An authority of which a part cannot be read is said to be so."""
        odd = (x509.UnrecognizedExtension(ExtensionOID.BASIC_CONSTRAINTS, b"\x07"), False)
        spoilt_ca = issue(self.files.kubernetes.issued, extensions=[odd]).certificate_pem
        self.files.write("k8s-ca.crt", spoilt_ca)
        self.assertEqual(
            self.complaints(self.files.settings()),
            ["k8s-ca.crt has a certificate that cannot be read"],
        )

    def test_same_name_twice(self) -> None:
        """Two client CAs of one DN are refused, spelled alike or nearly so."""
        for name in ("kubernetes", "KUBERNETES"):
            self.files.write("backend-ca.crt", Authority(name).pem)
            (complaint,) = self.complaints(self.files.settings())
            self.assertIn("same subject DN as the client CA 'kubernetes'", complaint)

    def test_same_file_twice(self) -> None:
        """So is one CA under two names."""
        settings = self.files.settings(backend_ca="k8s-ca.crt")
        self.assertEqual(len(self.complaints(settings)), 1)

    def test_no_authority(self) -> None:
        """A certificate of no authority anchors nothing."""
        self.files.write("k8s-ca.crt", self.files.kubernetes.issue().certificate_pem)
        self.assertEqual(
            self.complaints(self.files.settings()),
            ["k8s-ca.crt has a certificate of no authority (CN=tf-test,O=toolforge)"],
        )

    def test_intermediate(self) -> None:
        """An intermediate authority anchors nothing either."""
        self.files.write("k8s-ca.crt", Authority("below", parent=self.files.kubernetes).pem)
        self.assertEqual(
            self.complaints(self.files.settings()),
            ["k8s-ca.crt has an intermediate authority (CN=below)"],
        )

    def test_expired(self) -> None:
        """An expired CA is refused, unless its successor is in the file."""
        old = Authority("kubernetes", lifetime=-timedelta(minutes=5)).pem
        self.files.write("k8s-ca.crt", old)
        self.assertEqual(self.complaints(self.files.settings()), ["k8s-ca.crt has expired"])
        self.files.write("k8s-ca.crt", old + self.files.kubernetes.pem)
        ServerSide.load(self.files.settings(), self.clock)

    def test_not_read_when_not_asked(self) -> None:
        """A listener that wants no certificates needs no CA files."""
        (self.files.directory / "k8s-ca.crt").unlink()
        ServerSide.load(self.files.settings(client_certificate="none"), self.clock)


class RevocationFilesTests(LoadingTestCase):
    """The revocation list of a client CA."""

    def crl(self, data: bytes) -> list[str]:
        return self.complaints(self.files.settings(crl=self.files.write("k8s.crl", data)))

    def test_missing(self) -> None:
        """A list that is not there stops the start."""
        settings = self.files.settings(crl=setting(self.files.directory / "k8s.crl"))
        self.assertEqual(
            self.complaints(settings), ["k8s.crl cannot be read: No such file or directory"]
        )

    def test_no_list(self) -> None:
        """Neither nonsense nor an empty file is a list."""
        for data in (b"", b"hello"):
            self.assertEqual(self.crl(data), ["k8s.crl has no revocation list in it"])
        for data in (
            b"0\x03\x02\x01\x01",
            b"-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n",
        ):
            self.assertEqual(self.crl(data), ["k8s.crl is no revocation list"])

    def test_unreadable(self) -> None:
        """A list of a version that does not exist is none; one of which a part cannot be read is
        said to be so; an authority with a key that nobody knows has signed none."""
        good = self.files.kubernetes.revocation_list()
        self.assertEqual(
            self.crl(spoilt(good, b"\x02\x01\x01\x30", b"\x02\x01\x04\x30")),
            ["k8s.crl is no revocation list"],
        )
        self.assertEqual(
            self.crl(spoilt(good, b"\x0c\nkubernetes", b"\x0c\n\xff\xffbernetes")),
            ["k8s.crl has a list that cannot be read"],
        )
        self.files.write("k8s-ca.crt", spoilt(self.files.kubernetes.pem, EC_KEY, NO_KEY))
        (complaint,) = self.crl(good)
        self.assertIn("has a list that this CA did not sign", complaint)

    def test_other_authority(self) -> None:
        """A list of another CA, or of one that merely bears the name, is refused."""
        for other in (self.files.backend, Authority("kubernetes")):
            self.assertEqual(
                self.crl(other.revocation_list()),
                ["k8s.crl has a list that this CA did not sign, or may not"],
            )

    def test_right_to_sign(self) -> None:
        """An authority whose key is for certificates alone signs no list; one that does not say
        what its key is for does."""
        for extensions, good in (
            ((basic(True), key_usage("certify")), False),
            ((basic(True), key_usage("certify revoke")), True),
            ((basic(True),), True),
        ):
            authority = Authority("kubernetes")
            authority.issued = issue(None, [("CN", "kubernetes")], extensions)
            self.files.write("ca.crt", authority.pem)
            crl = self.files.write("k8s.crl", authority.revocation_list())
            settings = self.files.settings(crl=crl, kubernetes_ca="ca.crt")
            if good:
                ServerSide.load(settings, self.clock)
            else:
                (complaint,) = self.complaints(settings)
                self.assertIn("or may not", complaint)

    def test_dates(self) -> None:
        """A list out of its dates is refused."""
        make = self.files.kubernetes.revocation_list
        expired = make(last_update=NOW - 2 * DAY, next_update=NOW - DAY)
        self.assertEqual(self.crl(expired), ["k8s.crl has an expired list"])
        future = make(last_update=NOW + DAY, next_update=NOW + 2 * DAY)
        self.assertEqual(self.crl(future), ["k8s.crl has a list that is not valid yet"])

    def test_partial(self) -> None:
        """A delta list, or one of some certificates, is not the whole truth and is refused,
        although it may not say so critically; so is whatever else is critical."""
        only_authorities = x509.IssuingDistributionPoint(
            full_name=None,
            relative_name=None,
            only_contains_user_certs=False,
            only_contains_ca_certs=True,
            only_some_reasons=None,
            indirect_crl=False,
            only_contains_attribute_certs=False,
        )
        for extension, critical in (
            (x509.DeltaCRLIndicator(1), True),
            (x509.DeltaCRLIndicator(1), False),
            (only_authorities, True),
            (only_authorities, False),
            (x509.CRLNumber(1), True),
        ):
            crl = self.files.kubernetes.revocation_list(extensions=[(extension, critical)])
            (complaint,) = self.crl(crl)
            self.assertIn("partial list", complaint)

    def test_number(self) -> None:
        """A list with its number is the usual one; one without is taken too."""
        for extensions in ([(x509.CRLNumber(1), False)], []):
            crl = self.files.kubernetes.revocation_list(extensions=extensions)
            settings = self.files.settings(crl=self.files.write("k8s.crl", crl))
            ServerSide.load(settings, self.clock)


class UpstreamFilesTests(LoadingTestCase):
    """The gateway's side towards backends."""

    def settings(self) -> UpstreamTLS:
        directory = self.files.directory
        return UpstreamTLS(
            ca=setting(directory / "backend-ca.crt"),
            certificate=setting(directory / "gateway.crt"),
            private_key=setting(directory / "gateway.key"),
            origin=ORIGIN,
        )

    def test_good(self) -> None:
        """Good files load."""
        self.files.backend.issue([("CN", "gw")]).write(self.files.directory, "gateway")
        UpstreamSide.load(self.settings(), self.clock)

    def test_complaints(self) -> None:
        """All three files are looked at."""
        settings = attrs.evolve(
            self.settings(), ca=self.files.write("ca", self.files.backend.issue().certificate_pem)
        )
        error = self.assertRaises(ConfigurationError, UpstreamSide.load, settings, self.clock)
        self.assertEqual(len(error.complaints), 3)

    def test_usage(self) -> None:
        """A server's certificate cannot be shown to backends."""
        self.files.backend.issue(usages=[SERVER]).write(self.files.directory, "gateway")
        error = self.assertRaises(
            ConfigurationError, UpstreamSide.load, self.settings(), self.clock
        )
        self.assertIn("clientAuth", error.complaints[0].what)

    def test_weak(self) -> None:
        """A key that OpenSSL finds too weak is found when loading."""
        self.files.backend.issue(key="rsa1024").write(self.files.directory, "gateway")
        error = self.assertRaises(
            ConfigurationError, UpstreamSide.load, self.settings(), self.clock
        )
        self.assertIn("ee key too small", error.complaints[0].what)
