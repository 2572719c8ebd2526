"""Revocation lists, seen from a client: new connections and living ones."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from tests.relay.stage import GET, Stage, refused
from tests.relay.test_lifetimes import Ahead
from toolforge_gateway.testing.pki import Authority

HOUR = 3600.0


class RevocationTests(Stage):
    """One client CA has a revocation list for two hours, the other has none."""

    timeouts = {"keep_alive": 604800, "request_head": 604800}

    def setUp(self):
        self.reactor = Ahead()
        self.authority = Authority("with a list")
        self.revoked = self.authority.issue()
        super().setUp()

    def document(self) -> dict:
        self.authority.issue().write(self.folder, "good")
        self.revoked.write(self.folder, "revoked")
        (self.folder / "ca.crt").write_bytes(self.authority.pem)
        self.write_list(datetime.now(UTC) + timedelta(hours=2))
        document = super().document()
        ours = document["listen"][0]["tls"]["client_cas"][0]
        ours.update({"ca": "ca.crt", "crl": "ca.crl"})
        return document

    def write_list(self, next_update: datetime) -> None:
        crl = self.authority.revocation_list([self.revoked], next_update=next_update)
        (self.folder / "ca.crl").write_bytes(crl)

    def of_folder(self, name: str) -> str:
        """A certificate of this test, for `client`."""
        return str((self.folder / name).resolve())

    async def test_revoked(self):
        """A revoked certificate is refused in words, and the connection closes."""
        client = await self.client(self.of_folder("revoked"))
        client.send(GET)
        self.assertEqual(refused(await client.closed()), (403, "certificate-revoked"))
        self.assertEqual(self.backend.received, b"")

    async def test_list_runs_out(self):
        """Past nextUpdate living connections of this CA are refused as new ones are; those of
        other CAs and of nobody live on."""
        service = b"GET /jobs/v1/tool/x/jobs HTTP/1.1\r\nHost: localhost\r\n\r\n"
        ours = await self.client(self.of_folder("good"))
        theirs = await self.client("service-components-api")
        nobody = await self.client(None)
        for shift in (0.0, 1.9 * HOUR):
            self.reactor.shift = shift
            for client, request in ((ours, GET), (theirs, service), (nobody, GET)):
                client.send(request)
                await client.until(b"\r\n\r\nok")
                client.take()
        self.reactor.shift = 2.1 * HOUR
        for client, request in ((theirs, service), (nobody, GET)):
            client.send(request)
            await client.until(b"\r\n\r\nok")
        late = await self.client(self.of_folder("good"))
        for client in (ours, late):
            client.send(GET)
            self.assertEqual(refused(await client.closed()), (403, "revocation-list-expired"))
