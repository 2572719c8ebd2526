"""Which backend a path belongs to: by the route table, and by ordinary traversal."""

from __future__ import annotations

from twisted.internet import reactor
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.web.resource import Resource
from twisted.web.server import Site

from tests.clients.stage import pki
from tests.relay.ends import OK, BackendConnection, End, connect
from tests.relay.stage import Stage, refused
from toolforge_gateway import config
from toolforge_gateway.prepared import prepare

BACKENDS = {
    "/jobs/beta": "beta",
    "/jobs": "jobs",
    "/jobs/gamma/deep": "deep",
    "/apis/one": "one",
    "/apis/two/two": "two",
    "/apis/two": "below-two",
}
"""Prefixes, in no order, and the base path by which the backend can be told."""

PLACES = {
    b"/jobs": b"/jobs/",
    b"/jobs/": b"/jobs/",
    b"/jobs/v1/x?y=/jobs/beta": b"/jobs/v1/x?y=/jobs/beta",
    b"/jobs/betax/v1": b"/jobs/betax/v1",
    b"/jobs/beta": b"/beta/",
    b"/jobs/beta?x": b"/beta/?x",
    b"/jobs/beta/v1/x": b"/beta/v1/x",
    b"/jobs/beta/jobs/beta": b"/beta/jobs/beta",
    b"/jobs/gamma": b"/jobs/gamma",
    b"/jobs/gamma/": b"/jobs/gamma/",
    b"/jobs/gamma/v1": b"/jobs/gamma/v1",
    b"/jobs/gamma/deep/v1": b"/deep/v1",
    b"/jobs/gamma/deeper": b"/jobs/gamma/deeper",
    b"/apis/one/v1": b"/one/v1",
    b"/apis/two/x": b"/below-two/x",
    b"/apis/two/two": b"/two/",
    b"/apis/two/two/x/": b"/two/x/",
}
"""What is asked for, and what the backend is asked for."""

NOWHERE = (b"/apis", b"/apis/", b"/apis/three", b"/apis/ones", b"/job", b"/", b"/healthz/x")


class Routes(Stage):
    """By the route table."""

    def document(self) -> dict:
        document = super().document()
        (keys,) = document["backends"]
        document["backends"] = [
            {
                **keys,
                "name": base,
                "path": path,
                "url": f"{keys['url']}/{base}",
                "tool_path": None,
            }
            for path, base in BACKENDS.items()
        ]
        return document

    def setUp(self):
        super().setUp()
        self.places: list[bytes] = []
        self.backend.script = self.record

    def record(self, connection: BackendConnection) -> None:
        """A script: keep what was asked for."""
        last = connection.received.split(b"\r\n\r\n")[-2]
        self.places.append(last.split(b" ")[1])
        connection.send(OK)

    async def test_longest_prefix(self):
        """The longest prefix in whole segments wins, in whatever order they were configured."""
        for path, place in PLACES.items():
            self.places.clear()
            await self.ask(b"GET %b HTTP/1.1\r\nHost: x\r\n\r\n" % path)
            self.assertEqual(self.places, [place], path)

    async def test_nowhere(self):
        """What is above or beside the backends is nobody's."""
        for path in NOWHERE:
            if path != b"/":
                answer = await self.ask(b"GET %b HTTP/1.1\r\nHost: x\r\n\r\n" % path, b"}\n")
                self.assertEqual(refused(answer), (404, "no-such-path"), path)
        self.assertEqual(self.backend.connections, [])


class TraversedRoutes(Routes):
    """By traversal of the same tree in another Site."""

    def setUp(self):
        super().setUp()
        self.prepared = prepare(config.load(self.folder / "gateway.yaml"), reactor)
        self.addCleanup(lambda: [pool.close() for pool in self.prepared.pools])
        self.port = self.serve(self.prepared.root)

    def serve(self, root: Resource) -> int:
        """Serve a tree; its port."""
        (_, side), *_ = self.prepared.listeners
        tls = TLSMemoryBIOFactory(side.creator, False, Site(root))
        port = reactor.listenTCP(0, tls, interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        return port.getHost().port

    async def test_elsewhere(self):
        """A tree that hangs below another path does not forward: its prefixes are not what the
        paths begin with, and nothing is cut off at a place that only looks like one."""
        root = Resource()
        root.putChild(b"apis", self.prepared.root)
        port = self.serve(root)
        for path in (b"/apis/jobs/v1", b"/apis/one/v1", b"/apis/apis/one/v1"):
            client: End = await connect(pki(), port, "tool-tf-test")
            self._clients.append(client)
            client.send(b"GET %b HTTP/1.1\r\nHost: x\r\n\r\n" % path)
            self.assertEqual(refused(await client.until(b"}\n")), (404, "no-such-path"), path)
        self.assertEqual(self.backend.connections, [])
