"""The groups in which keys are exchanged with clients."""

from __future__ import annotations

import ssl

from OpenSSL import SSL, crypto
from twisted.trial.unittest import SkipTest, SynchronousTestCase

from tests.tls.pairs import Files, client_context, clock_at, shaken
from tests.tls.test_listener import StandardClient
from toolforge_gateway.tls.options import FALLBACK_GROUP
from toolforge_gateway.tls.private import group_setter
from toolforge_gateway.tls.server import ServerSide

HYBRID = b"X25519MLKEM768"


def offering(groups: bytes, context: SSL.Context | None = None) -> SSL.Context:
    """A client that offers these groups and no others, by default in TLS 1.3.

    :raise SkipTest: there is no way to have one here.
    """
    context = context or client_context(version=SSL.TLS1_3_VERSION)
    set_groups = group_setter(context)
    if set_groups is None:
        raise SkipTest("neither cryptography nor the system's OpenSSL lets us choose groups")
    if HYBRID in groups and SSL.OPENSSL_VERSION_NUMBER < 0x30500000:
        raise SkipTest("OpenSSL has the hybrid since 3.5")
    assert set_groups(groups), groups
    return context


class KeyExchangeTests(SynchronousTestCase):
    """Mozilla's "intermediate" curves, and a hybrid where OpenSSL has one."""

    def setUp(self) -> None:
        self.files = Files.make()
        self.creator = ServerSide.load(self.files.settings(), clock_at()).creator

    def standard(self, curve: str, version: ssl.TLSVersion) -> None:
        """Shake hands with Python's own client, which can offer one NIST curve."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = context.maximum_version = version
        context.set_ecdh_curve(curve)
        context.check_hostname = False
        context.load_verify_locations(cadata=self.files.server.pem.decode())
        StandardClient(context).shake(self.creator.serverConnectionForTLS(None))

    def test_everybody(self) -> None:
        """A client that knows P-256 alone is served, in each version of TLS."""
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            self.standard("prime256v1", version)

    def test_no_others(self) -> None:
        """A curve that Mozilla does not name is refused, in each version of TLS."""
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            for curve in ("secp521r1", "secp224r1"):
                with self.assertRaises((SSL.Error, ssl.SSLError)):
                    self.standard(curve, version)

    def test_groups(self) -> None:
        """X25519, P-256 and P-384 are there, X448 and finite fields are not."""
        for good in (b"X25519", b"P-256", b"P-384"):
            shaken(self.creator, offering(good))
        for bad in (b"X448", b"P-521", b"ffdhe2048"):
            self.assertRaises(SSL.Error, shaken, self.creator, offering(bad))

    def test_hybrid(self) -> None:
        """With an OpenSSL that has it, a handshake is safe from quantum computers."""
        _, client = shaken(self.creator, offering(HYBRID))
        self.assertEqual(client.get_group_name(), HYBRID.decode())

    def test_hybrid_first(self) -> None:
        """A client that merely could gets the hybrid too, rather than what it likes best."""
        _, client = shaken(self.creator, offering(b"X25519:" + HYBRID))
        self.assertEqual(client.get_group_name(), HYBRID.decode())

    def test_client_keys(self) -> None:
        """A client's certificate on P-384 is taken in TLS 1.2 too, where the list
        of groups judges certificates as well."""
        side = ServerSide.load(self.files.settings(), clock_at())
        issued = self.files.kubernetes.issue(key="ec384")
        context = offering(b"P-256:P-384", client_context(issued, version=SSL.TLS1_2_VERSION))
        server, _ = shaken(side.creator, context)
        self.assertIsNotNone(side.verifier.examine(server))


class GroupSetterTests(SynchronousTestCase):
    """The private way to OpenSSL's list of groups."""

    def test_unknown(self) -> None:
        """A group that OpenSSL does not know is told by the answer, and no later call suffers."""
        context = offering(b"P-256")
        set_groups = group_setter(context)
        assert set_groups is not None
        self.assertFalse(set_groups(b"no-such-group"))
        self.assertTrue(set_groups(b"X25519:P-256"))
        shaken(ServerSide.load(Files.make().settings(), clock_at()).creator, context)

    def test_newest(self) -> None:
        """With a pyOpenSSL that can tell the group, there is a way to set it."""
        if not hasattr(SSL.Connection, "get_group_name"):
            raise SkipTest("this pyOpenSSL is too old to tell a connection's group")
        self.assertIsNotNone(group_setter(client_context()))

    def test_fallback(self) -> None:
        """The one curve for those who can set no list is known to the public API."""
        curve = crypto.get_elliptic_curve(FALLBACK_GROUP)
        SSL.Context(SSL.TLS_METHOD).set_tmp_ecdh(curve)
