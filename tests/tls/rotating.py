"""A listener whose files a test replaces."""

from __future__ import annotations

from typing import Any

from OpenSSL import SSL
from twisted.trial.unittest import SynchronousTestCase

from tests.tls.pairs import (
    ORIGIN,
    client_context,
    clock_at,
    fresh_directory,
    setting,
    shaken,
)
from tests.tls.ways import Way
from toolforge_gateway.config.values import ClientCA, ServerTLS
from toolforge_gateway.errors import BadEvidence
from toolforge_gateway.model import Kind
from toolforge_gateway.testing.pki import SERVER, Authority, Issued
from toolforge_gateway.tls.held import Held
from toolforge_gateway.tls.server import ServerSide

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
