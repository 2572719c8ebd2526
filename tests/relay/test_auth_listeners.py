"""`/auth` over Unix sockets, and when lists of revoked certificates change."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from twisted.internet import reactor
from twisted.internet.endpoints import UNIXClientEndpoint
from twisted.internet.protocol import Factory
from twisted.internet.task import deferLater
from twisted.protocols.tls import TLSMemoryBIOFactory

from tests.clients.stage import eventually, pki
from tests.relay.ends import ClientContext, End
from tests.relay.test_forward_auth import Asked, asking, escaped, proxy
from tests.relay.test_lifetimes import Ahead
from toolforge_gateway.deadlines import RESOLUTION
from toolforge_gateway.testing.pki import Authority
from toolforge_gateway.tls.watch import INTERVAL


class UnixSocket(Asked):
    """One listener on TCP, one on a Unix socket, and a proxy that is told by the latter."""

    def document(self):
        self.socket = str(Path(tempfile.mkdtemp()) / "s")
        self.addCleanup(shutil.rmtree, os.path.dirname(self.socket))
        document = super().document()
        [listener] = document["listen"]
        document["listen"].append({**listener, "endpoint": f"unix:{self.socket}"})
        entry = proxy("nginx", unix=True)
        del entry["client_ca"], entry["cn"]
        document["auth"] = {"trusted_proxies": [entry]}
        return document

    async def over_unix(self, request: bytes, certificate: str | None) -> bytes:
        """What comes back, until the connection is asked to close."""
        factory = Factory.forProtocol(End)
        factory.noisy = False
        wrapped = TLSMemoryBIOFactory(ClientContext(pki(), certificate), True, factory)
        wrapped.noisy = False
        wrapper = await UNIXClientEndpoint(reactor, self.socket).connect(wrapped)
        client = wrapper.wrappedProtocol
        client.send(request)
        received = await client.until(b"\r\n\r\n")
        client.transport.abortConnection()
        await client.closed()
        return received

    async def test_unix(self):
        """Whoever comes over the socket is the proxy, with a certificate or without."""
        for certificate in (None, "gateway-client", "tool-other"):
            request = asking("nginx", escaped("tool-tf-test"))
            received = await self.over_unix(request, certificate)
            self.assertIn(b"\r\nX-Toolforge-Tool: tf-test\r\n", received)
        other = await self.over_unix(asking("nginx", escaped("tool-other")), None)
        self.assertTrue(other.startswith(b"HTTP/1.1 403 "), other)

    async def test_tcp(self):
        """The same on TCP is nobody, also with an address that looks like none."""
        for certificate in (None, "gateway-client", "tool-tf-test"):
            lines = ("X-Forwarded-For: unix", "Forwarded: for=unix")
            request = asking("nginx", escaped("tool-tf-test"), "/jobs", "GET", *lines)
            self.assertEqual(await self.outcome(request, certificate), "403 not-a-trusted-proxy")

    async def test_forwarded(self):
        """Other requests are served over the socket as well."""
        request = b"GET /jobs/v1/tool/tf-test/jobs HTTP/1.1\r\nHost: a\r\n\r\n"
        received = await self.over_unix(request, "tool-tf-test")
        self.assertTrue(received.startswith(b"HTTP/1.1 200 OK\r\n"), received)
        await eventually(self.log)
        self.assertEqual(self.log()[0]["client"], "unix")


class Revoked(Asked):
    """One CA of tools has a list, which changes."""

    timeouts = {"keep_alive": 604800, "request_head": 604800}

    def setUp(self):
        self.reactor = Ahead()
        super().setUp()

    def document(self):
        document = super().document()
        self.authority = Authority("with-a-list")
        (self.folder / "ca.crt").write_bytes(self.authority.pem)
        self.issued = self.authority.issue()
        self.publish()
        [listener] = document["listen"]
        listener["tls"]["client_cas"].append(
            {"name": "listed", "ca": "ca.crt", "identifies": ["tool"], "crl": "crl.pem"}
        )
        return document

    def publish(self, *revoked):
        new = self.folder / "crl.new"
        new.write_bytes(self.authority.revocation_list(revoked))
        new.replace(self.folder / "crl.pem")

    async def test_revoked(self):
        """A certificate that was good a moment ago is refused once it is on the list."""
        pem = self.issued.certificate_pem.decode()
        shown = pem.strip().replace("\n", " ")
        self.assertEqual(await self.outcome(asking("nginx", shown)), "allowed tf-test tf-test")
        self.assertEqual(await self.outcome(asking("nginx", shown)), "allowed tf-test tf-test")
        self.publish(self.issued)
        self.reactor.shift += INTERVAL + 1
        await deferLater(reactor, 3 * RESOLUTION, lambda: None)
        self.assertEqual(await self.outcome(asking("nginx", shown)), "403 certificate-revoked")
