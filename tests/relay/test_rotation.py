"""Files are replaced under a running gateway: what clients and backends see of it."""

from __future__ import annotations

from typing import ClassVar

from OpenSSL import SSL, crypto
from twisted.internet import reactor
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.internet.protocol import Factory
from twisted.protocols.tls import TLSMemoryBIOFactory
from zope.interface import implementer

from tests.clients.stage import eventually, pki
from tests.relay.ends import OK, End, answering, silent
from tests.relay.stage import GET, Stage, refused
from tests.relay.test_lifetimes import Ahead
from tests.tls.pairs import client_context
from tests.tls.ways import Linked, Mounted, Renamed, Way, Written
from toolforge_gateway import config
from toolforge_gateway.testing.pki import SERVER, Authority, Issued
from toolforge_gateway.tls.held import GRACE
from toolforge_gateway.tls.watch import INTERVAL


@implementer(IOpenSSLClientConnectionCreator)
class Anyone:
    """Makes client connections that check nothing, with this certificate or none."""

    def __init__(self, issued: Issued | None):
        self._context = client_context(issued)

    def clientConnectionForTLS(self, protocol: object) -> SSL.Connection:
        return SSL.Connection(self._context, None)


class RotationStage(Stage):
    """A gateway whose files are mounted as secrets are, or lie there in another way."""

    way: ClassVar[type[Way]] = Mounted
    timeouts = {"keep_alive": 604800, "request_head": 604800, "response_head": 604800}

    def setUp(self) -> None:
        self.reactor = Ahead()
        self.tools = Authority("tools")
        self.tool = self.tools.issue()
        self.server = Authority("server")
        super().setUp()

    def document(self) -> dict:
        document = super().document()
        tls = pki()
        self.first = self.serving()
        self.secret = self.way(self.folder / "secret")
        self.secret.replace(
            tls__crt=self.first.certificate_pem,
            tls__key=self.first.key_pem,
            ca__crt=self.tools.pem,
        )
        self.upstream = self.way(self.folder / "upstream")
        self.upstream.replace(
            tls__crt=(tls / "gateway-client.crt").read_bytes(),
            tls__key=(tls / "gateway-client.key").read_bytes(),
            ca__crt=(tls / "backend-ca.crt").read_bytes(),
        )
        listener = document["listen"][0]["tls"]
        listener.update({"certificate": "secret/tls.crt", "private_key": "secret/tls.key"})
        listener["client_cas"][0]["ca"] = "secret/ca.crt"
        document["upstream_tls"] = {
            "ca": "upstream/ca.crt",
            "certificate": "upstream/tls.crt",
            "private_key": "upstream/tls.key",
        }
        return document

    def serving(self) -> Issued:
        return self.server.issue([("CN", "api")], usages=[SERVER], names=["localhost"])

    async def looked(self, seconds: float = INTERVAL) -> None:
        """The gateway has looked at its files since, this much later."""
        self.reactor.shift += seconds
        now, rotation = self.reactor.seconds(), self.service.process.rotation
        await eventually(lambda: (rotation.looked_at or 0) >= now)

    async def tool_client(self) -> End:
        """A client with the tool's certificate."""
        return await self.connected(self.tool)

    async def connected(self, issued: Issued | None) -> End:
        """A client with this certificate, or none."""
        factory = Factory.forProtocol(End)
        factory.noisy = False
        wrapped = TLSMemoryBIOFactory(Anyone(issued), True, factory)
        wrapped.noisy = False
        endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", self.port)
        end = (await endpoint.connect(wrapped)).wrappedProtocol
        self._clients.append(end)
        return end

    async def asked(self, client: End) -> None:
        """A request that is answered by the backend."""
        client.send(GET)
        await client.until(b"\r\n\r\nok")
        client.take()

    def number(self, client: End) -> int:
        """The number of the certificate that the client was shown."""
        return client.transport.getPeerCertificate().get_serial_number()

    def failures(self) -> list[str]:
        states = self.service.process.rotation.states()
        return [state.failure for _, state in states if state.failure]


class MountedTests(RotationStage):
    async def test_certificate(self) -> None:
        """New clients are shown the new certificate; a kept connection, an upload and an answer
        under way go on as if nothing were."""
        kept, uploading, reading = [await self.tool_client() for _ in range(3)]
        await self.asked(kept)
        self.backend.script = silent
        put = GET.replace(b"GET", b"PUT", 1)[:-2] + b"Content-Length: 10\r\n\r\n"
        uploading.send(put + b"01234")
        reading.send(GET)
        await self.backend.connection(2)
        up, down = None, None
        await eventually(lambda: self.backend.received.count(b"\r\n\r\n") == 3)
        for each in self.backend.connections:
            if b"PUT " in each.received:
                up = each
            else:
                down = each
        assert up is not None and down is not None
        down.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf ")
        await reading.until(b"half ")
        new = self.serving()
        self.secret.replace(tls__crt=new.certificate_pem, tls__key=new.key_pem)
        await self.looked()
        uploading.send(b"56789")
        await up.until(b"0123456789")
        up.send(OK)
        down.send(b"whole")
        await uploading.until(b"\r\n\r\nok")
        await reading.until(b"half whole")
        self.backend.script = answering(OK)
        self.backend.connections.clear()
        for client in (kept, uploading, reading):
            client.take()
            self.assertEqual(self.number(client), self.first.certificate.serial_number)
            await self.asked(client)
        after = await self.tool_client()
        await self.asked(after)
        self.assertEqual(self.number(after), new.certificate.serial_number)
        self.assertEqual(self.failures(), [])

    async def test_bad(self) -> None:
        """With bad files everything goes on with the last good ones, for as long as it takes."""
        self.secret.replace(tls__key=self.serving().key_pem, ca__crt=b"oops")
        self.upstream.replace(tls__crt=b"")
        await self.looked()
        await self.looked(GRACE)
        self.assertEqual(len(self.failures()), 3)
        client = await self.tool_client()
        await self.asked(client)
        self.assertEqual(self.number(client), self.first.certificate.serial_number)
        new = self.serving()
        self.secret.replace(
            tls__crt=new.certificate_pem, tls__key=new.key_pem, ca__crt=self.tools.pem
        )
        await self.looked()
        after = await self.tool_client()
        await self.asked(after)
        self.assertEqual(self.number(after), new.certificate.serial_number)
        self.assertEqual(len(self.failures()), 1)

    async def test_authority(self) -> None:
        """A CA that is no longer in its file vouches for nobody: who is connected is refused with
        the next request, and the running one ends; others do not notice."""
        idle, busy = await self.tool_client(), await self.tool_client()
        nobody = await self.connected(None)
        await self.asked(idle)
        self.backend.script = silent
        busy.send(GET)
        upstream = await self.backend.connection()
        await upstream.until(lambda: upstream.requests == 2)
        tomorrow = Authority("tools of tomorrow")
        self.secret.replace(ca__crt=tomorrow.pem)
        await self.looked()
        upstream.send(OK)
        await busy.until(b"\r\n\r\nok")
        self.backend.script = answering(OK)
        self.backend.connections.clear()
        for client in (idle, busy):
            client.take()
            client.send(GET)
            self.assertEqual(refused(await client.closed()), (403, "certificate-unverified"))
        await self.asked(nobody)
        await self.asked(await self.connected(tomorrow.issue()))
        stranger = await self.tool_client()
        await stranger.closed()
        self.assertEqual(stranger.received, b"")

    async def test_towards_backends(self) -> None:
        """Backends are shown the new certificate: no connection that was made with the former one
        carries another request, and what it carries just now comes to its end."""
        tls = pki()
        former = crypto.load_certificate(
            crypto.FILETYPE_PEM, (tls / "gateway-client.crt").read_bytes()
        ).get_serial_number()
        client, busy = await self.tool_client(), await self.tool_client()
        await self.asked(client)
        self.backend.script = silent
        busy.send(GET)
        await eventually(lambda: self.backend.received.count(b"\r\n\r\n") == 2)
        client.send(GET)
        idle = await self.backend.connection(2)
        idle.send(OK)
        await client.until(b"\r\n\r\nok")
        client.take()
        new = (tls / "service-components-api.crt").read_bytes()
        self.upstream.replace(
            tls__crt=new, tls__key=(tls / "service-components-api.key").read_bytes()
        )
        await self.looked()
        await idle.closed()
        used = self.backend.connections[0]
        used.send(OK)
        await busy.until(b"\r\n\r\nok")
        await used.closed()
        self.backend.script = answering(OK)
        self.backend.connections.clear()
        await self.asked(client)
        (connection,) = self.backend.connections
        shown = connection.transport.getPeerCertificate().get_serial_number()
        self.assertNotEqual(shown, former)
        self.assertEqual(
            shown, crypto.load_certificate(crypto.FILETYPE_PEM, new).get_serial_number()
        )

    async def test_reload(self) -> None:
        """After a reload the files are watched as ever, for the connections of before as well."""
        before = await self.tool_client()
        self.service.prepare(config.load(self.folder / "gateway.yaml")).commit()
        await self.asked(before)
        new = self.serving()
        self.secret.replace(
            tls__crt=new.certificate_pem, tls__key=new.key_pem, ca__crt=Authority("others").pem
        )
        await self.looked()
        after = await self.connected(None)
        await self.asked(after)
        self.assertEqual(self.number(after), new.certificate.serial_number)
        before.send(GET)
        self.assertEqual(refused(await before.closed()), (403, "certificate-unverified"))


class RenamedTests(MountedTests):
    """The same where each file is replaced by itself."""

    way = Renamed


class WrittenTests(MountedTests):
    way = Written


class LinkedTests(MountedTests):
    way = Linked
