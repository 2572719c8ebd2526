"""Revocation lists, seen from a client: new connections and living ones."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from twisted.logger import formatEvent, globalLogPublisher

from tests.clients.stage import eventually
from tests.relay.ends import OK, answering, silent
from tests.relay.stage import GET, Stage, refused
from tests.relay.test_lifetimes import Ahead
from toolforge_gateway.testing.pki import Authority, Issued
from toolforge_gateway.tls.held import GRACE, PATIENCE
from toolforge_gateway.tls.watch import INTERVAL

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
        self.good = self.authority.issue()
        self.good.write(self.folder, "good")
        self.revoked.write(self.folder, "revoked")
        (self.folder / "ca.crt").write_bytes(self.authority.pem)
        self.write_list(datetime.now(UTC) + timedelta(hours=2))
        document = super().document()
        ours = document["listen"][0]["tls"]["client_cas"][0]
        ours.update({"ca": "ca.crt", "crl": "ca.crl"})
        return document

    def write_list(self, next_update: datetime, *more: Issued) -> None:
        crl = self.authority.revocation_list([self.revoked, *more], next_update=next_update)
        self.replace(crl)

    def replace(self, content: bytes) -> None:
        """Put a new file in the place of the list, as a rename does."""
        (self.folder / "new.crl").write_bytes(content)
        (self.folder / "new.crl").rename(self.folder / "ca.crl")

    async def asked(self, client, request: bytes = GET) -> None:
        """A request that is answered by the backend."""
        client.send(request)
        await client.until(b"\r\n\r\nok")
        client.take()

    async def looked(self, seconds: float = INTERVAL) -> None:
        """The gateway has looked at its files since, this much later."""
        self.reactor.shift += seconds
        now, rotation = self.reactor.seconds(), self.service.process.rotation
        await eventually(lambda: (rotation.looked_at or 0) >= now)

    def of_folder(self, name: str) -> str:
        """A certificate of this test, for `client`."""
        return str((self.folder / name).resolve())

    async def test_revoked(self):
        """A revoked certificate is refused in words, and the connection closes."""
        client = await self.client(self.of_folder("revoked"))
        client.send(GET)
        self.assertEqual(refused(await client.closed()), (403, "certificate-revoked"))
        self.assertEqual(self.backend.received, b"")

    async def test_new_list(self):
        """A new list is taken up by itself: it counts for living connections, and only for those
        whom it names; a connection's running request comes to its end."""
        ours = await self.client(self.of_folder("good"))
        nobody = await self.client(None)
        for _ in range(3):
            await self.asked(ours)
        self.backend.script = silent
        busy = await self.client(self.of_folder("good"))
        busy.send(GET)
        upstream = await self.backend.connection(len(self.backend.connections))
        await upstream.until(b"GET ")
        self.write_list(datetime.now(UTC) + timedelta(hours=2), self.good)
        await self.looked()
        upstream.send(OK)
        await busy.until(b"\r\n\r\nok")
        self.backend.script = answering(OK)
        for client in (ours, busy, await self.client(self.of_folder("good"))):
            client.take()
            client.send(GET)
            self.assertEqual(refused(await client.closed()), (403, "certificate-revoked"))
        await self.asked(nobody)

    async def test_renewed_list(self):
        """A list that is renewed in time keeps living connections going."""
        ours = await self.client(self.of_folder("good"))
        await self.asked(ours)
        self.write_list(datetime.now(UTC) + timedelta(hours=5))
        await self.looked()
        self.reactor.shift = 3 * HOUR
        await self.asked(ours)

    async def test_bad_list(self):
        """A bad new list is told, once, and the old one stays until its nextUpdate; a good one
        then mends it, for new connections and all others."""
        ours = await self.client(self.of_folder("good"))
        await self.asked(ours)
        told = []
        globalLogPublisher.addObserver(told.append)
        self.addCleanup(globalLogPublisher.removeObserver, told.append)
        self.replace(b"no list")
        for seconds in (INTERVAL, GRACE, INTERVAL, PATIENCE):
            await self.looked(seconds)
        complaints = [formatEvent(event) for event in told if "complaint" in event]
        self.assertEqual(len(complaints), 1)
        self.assertIn("ca.crl has no revocation list in it", complaints[0])
        await self.asked(ours)
        self.reactor.shift = 2.1 * HOUR
        late = await self.client(self.of_folder("good"))
        late.send(GET)
        self.assertEqual(refused(await late.closed()), (403, "revocation-list-expired"))
        self.write_list(datetime.now(UTC) + timedelta(hours=5))
        await self.looked()
        await self.asked(ours)
        await self.asked(await self.client(self.of_folder("good")))

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
