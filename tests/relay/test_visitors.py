"""What our own pages are told of those who ask for them."""

from __future__ import annotations

import json
from ipaddress import ip_address

from twisted.web.resource import Resource
from zope.interface import implementer

from tests.clients.stage import eventually
from tests.relay.scripted import TOOL, ScriptedStage
from tests.relay.stage import Stage, refused
from tests.relay.test_traversal import serve
from toolforge_gateway import prepared
from toolforge_gateway.edge.tree import build_tree
from toolforge_gateway.edge.visitor import IPersonal, visitor_of
from toolforge_gateway.errors import BadEvidence

ASK = b"GET /mirror HTTP/1.1\r\nHost: localhost\r\n\r\n"
SAME = ASK.replace(b"/mirror", b"/healthz")


class Same(Resource):
    """Says what it is told of the visitor."""

    isLeaf = True

    def render(self, request):
        visitor = visitor_of(request)
        if visitor.address is not None:
            assert visitor.address == ip_address("127.0.0.1")
        certificate = visitor.certificate
        return json.dumps(
            {
                "name": visitor.identity.name,
                "kind": visitor.identity.kind.value,
                "ca": certificate and certificate.client_ca,
                "request_id": visitor.request_id,
                "trusted": visitor.trusted,
                "port": request.getHost().port,
                "reason": "ok",
            }
        ).encode()


@implementer(IPersonal)
class Mirror(Same):
    """Wants to know."""


def said(answer: bytes) -> dict:
    return json.loads(answer.partition(b"\r\n\r\n")[2])


class WithMirror(Stage):
    """Two pages more: one that wants to know who asks, one that does not."""

    def setUp(self):
        def with_mirror(*arguments, **keywords):
            tree = build_tree(*arguments, **keywords)
            tree.putChild(b"mirror", Mirror())
            tree.putChild(b"same", Same())
            return tree

        self.patch(prepared, "build_tree", with_mirror)
        super().setUp()


class Visitors(WithMirror):
    """The built-in authenticators."""

    listener = {"forwarded": {"trusted": [{"client_ca": "backend", "cn": "api-gateway"}]}}

    async def test_tool(self):
        """A page learns identity, certificate and the id that the log has."""
        answer = said(await self.ask(ASK, b"}"))
        self.assertEqual(
            (answer["name"], answer["kind"], answer["ca"], answer["trusted"]),
            ("tf-test", "tool", "kubernetes", False),
        )
        await eventually(self.log)
        [line] = self.log()
        self.assertEqual(answer["request_id"], line["request_id"])
        self.assertEqual((line["identity"], line["reason"]), ("tf-test", "own-page"))

    async def test_anonymous(self):
        """Without a certificate it is nobody, whatever the request says of itself."""
        forged = (
            ASK[:-2] + b"X-Toolforge-Tool: victim\r\nX-Forwarded-For: 192.0.2.1\r\n"
            b"ssl-client-subject-dn: CN=victim\r\nX-Forwarded-Tls-Client-Cert: abc\r\n"
            b"X-Request-ID: forged\r\nForwarded: for=192.0.2.1\r\n\r\n"
        )
        answer = said(await self.ask(forged, b"}", None))
        self.assertEqual(
            (answer["name"], answer["kind"], answer["ca"]), ("", "anonymous", None), answer
        )
        self.assertNotEqual(answer["request_id"], "forged")

    async def test_in_turn(self):
        """Each connection's requests are their own sender's, also when they come mixed."""
        names = ("tool-tf-test", "tool-other", "admin", None)
        clients = [await self.client(name) for name in names]
        for client in clients + clients:
            client.send(ASK)
        for client, name in zip(clients, ("tf-test", "other", "root-admin", ""), strict=True):
            received = await client.until(lambda c=client: c.received.count(b'"ok"}') == 2)
            self.assertEqual(received.count(b'"name": "%s"' % name.encode()), 2, received)

    async def test_bad_certificate(self):
        """A certificate that nobody knows is refused as it is for a forwarded request."""
        answer = await self.ask(ASK, b"}\n", "gateway-client")
        self.assertEqual(refused(answer), (403, "certificate-not-recognized"))

    async def test_same_for_everyone(self):
        """Where the page is the same for everyone nobody is identified."""
        for certificate in ("tool-tf-test", "gateway-client", None):
            same = ASK.replace(b"/mirror", b"/same")
            self.assertEqual(said(await self.ask(same, b"}", certificate))["kind"], "anonymous")
            self.assertIn(b" 200 OK\r\n", await self.ask(SAME, b"ok\n", certificate))

    async def test_elsewhere(self):
        """In a Site that is not the gateway's everybody is anonymous, with their address."""
        serve(self)
        answer = said(await self.ask(ASK, b"}"))
        self.assertEqual((answer["kind"], answer["request_id"]), ("anonymous", ""))


class Late(WithMirror, ScriptedStage):
    """An authenticator that takes its time."""

    async def test_waits(self):
        """A page waits for who it is, and the authenticator sees no backend."""
        client = await self.client(None)
        client.send(ASK)
        question = await self.asked()
        self.assertEqual((question.evidence.path, question.evidence.backend), ("/mirror", None))
        question.answer.callback(TOOL)
        self.assertEqual(said(await client.until(b"}"))["name"], "tf-test")

    async def test_refused(self):
        """A no comes before the page."""
        client = await self.client(None)
        client.send(ASK)
        (await self.asked()).answer.errback(BadEvidence(401, "stale", "ask for a new one"))
        self.assertEqual(refused(await client.until(b"}\n")), (401, "stale"))

    async def test_left(self):
        """Whoever leaves meanwhile is not waited for."""
        client = await self.client(None)
        client.send(ASK)
        question = await self.asked()
        client.transport.abortConnection()
        await eventually(self.log)
        self.assertTrue(question.cancelled)
        self.assertEqual(self.log()[0]["reason"], "client-left")

    async def test_health(self):
        """Our health does not depend on anybody's authenticator."""
        self.assertIn(b" 200 OK\r\n", await self.ask(SAME, b"ok\n", None))
        self.assertEqual(self.questions, [])


class LateConnection(Late):
    """The same for one that depends on the connection."""

    depends_on = "connection"

    async def test_waits(self):
        """A page waits for what is said of the connection."""
        client = await self.client(None)
        client.send(ASK)
        (await self.asked()).answer.callback(TOOL)
        self.assertEqual(said(await client.until(b"}"))["name"], "tf-test")

    async def test_health(self):
        """Our health does not wait for anybody's authenticator."""
        self.assertIn(b" 200 OK\r\n", await self.ask(SAME, b"ok\n", None))
