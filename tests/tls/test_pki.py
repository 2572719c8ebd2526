"""The throw-away PKI that tests and demonstrations stand on."""

from __future__ import annotations

import os
import stat

from cryptography import x509
from twisted.trial.unittest import SynchronousTestCase

from tests.tls.pairs import ORIGIN, client_context, clock_at, fresh_directory, setting, shaken
from toolforge_gateway.config.values import ClientCA, ServerTLS, UpstreamTLS
from toolforge_gateway.model import Kind
from toolforge_gateway.testing.pki import DEMO_BACKENDS, Issued, write_demo
from toolforge_gateway.tls.client import UpstreamSide
from toolforge_gateway.tls.names import CertificateNames
from toolforge_gateway.tls.server import ServerSide


class WriteDemoTests(SynchronousTestCase):
    """`write_demo`."""

    def setUp(self) -> None:
        self.directory = fresh_directory() / "deep" / "tls"

    def test_private(self) -> None:
        """Keys and their directory are readable by the owner alone."""
        write_demo(self.directory)
        keys = list(self.directory.glob("*.key"))
        self.assertGreater(len(keys), 5)
        for path in keys:
            self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o600, path)
        self.assertEqual(stat.S_IMODE(self.directory.stat().st_mode), 0o700)

    def test_replaced_whole(self) -> None:
        """A second call leaves a new set and nothing of the old one."""
        write_demo(self.directory, tools=["one"])
        old = (self.directory / "k8s-ca.crt").read_bytes()
        write_demo(self.directory, tools=["two"])
        self.assertNotEqual((self.directory / "k8s-ca.crt").read_bytes(), old)
        self.assertFalse((self.directory / "tool-one.crt").exists())
        self.assertEqual(os.listdir(self.directory.parent), ["tls"])

    def test_not_mine(self) -> None:
        """Files that it did not write are never replaced."""
        self.directory.mkdir(parents=True)
        precious = self.directory / "server.key"
        precious.write_text("precious")
        self.assertRaises(FileExistsError, write_demo, self.directory)
        self.assertEqual(os.listdir(self.directory), ["server.key"])

    def test_fits_the_gateway(self) -> None:
        """A listener and the upstream side load from it, and know its clients."""
        demo = write_demo(self.directory)

        def ca(name: str, file: str, *kinds: Kind) -> ClientCA:
            return ClientCA(name, setting(self.directory / file), frozenset(kinds), None, ORIGIN)

        side = ServerSide.load(
            ServerTLS(
                setting(self.directory / "server.crt"),
                setting(self.directory / "server.key"),
                "optional",
                (
                    ca("kubernetes", "k8s-ca.crt", Kind.TOOL, Kind.ADMIN),
                    ca("backend", "backend-ca.crt", Kind.SERVICE),
                ),
                ORIGIN,
            ),
            clock_at(),
        )
        self.assertEqual(side.names, ("api.svc.toolforge.local", "localhost", "127.0.0.1", "::1"))
        for stem, client_ca, subject in (
            ("tool-tf-test", "kubernetes", (("O", "toolforge"), ("CN", "tf-test"))),
            ("tool-other", "kubernetes", (("O", "toolforge"), ("CN", "other"))),
            ("admin", "kubernetes", (("O", "admins"), ("CN", "root-admin"))),
            (
                "service-components-api",
                "backend",
                (("O", "toolforge"), ("CN", "service:components-api")),
            ),
        ):
            context = client_context()
            context.use_certificate_chain_file(str(self.directory / f"{stem}.crt"))
            context.use_privatekey_file(str(self.directory / f"{stem}.key"))
            server, _ = shaken(side.creator, context)
            found = side.verifier.examine(server)
            assert found is not None
            self.assertEqual((found.client_ca, found.subject.attributes), (client_ca, subject))
        UpstreamSide.load(
            UpstreamTLS(
                setting(self.directory / "backend-ca.crt"),
                setting(self.directory / "gateway-client.crt"),
                setting(self.directory / "gateway-client.key"),
                ORIGIN,
            ),
            clock_at(),
        )
        self.assertIsInstance(demo.kubernetes.issue(), Issued)

    def test_backend_names(self) -> None:
        """The sample backends' certificate bears the name of each of them."""
        write_demo(self.directory)
        names = CertificateNames.of(
            x509.load_pem_x509_certificate((self.directory / "backend.crt").read_bytes())
        )
        for name in DEMO_BACKENDS:
            self.assertTrue(names.covers(f"{name}-api.{name}-api.svc.tools.local".encode()))
        self.assertTrue(names.covers(b"localhost:8444"))
