"""While an authenticator takes its time: bodies, timeouts, clients that leave."""

from __future__ import annotations

from ipaddress import ip_address

from tests.clients.stage import eventually
from tests.relay.ends import OK, silent
from tests.relay.scripted import TOOL, ScriptedStage
from tests.relay.stage import GET, refused
from toolforge_gateway.errors import BadEvidence
from toolforge_gateway.model import Evidence

PUT = GET[:-2].replace(b"GET", b"PUT", 1)


class Request(ScriptedStage):
    """It depends on the request, and is asked for each."""

    async def test_allowed(self):
        """Nothing reaches the backend before the answer; then it is told who calls."""
        client = await self.client(None)
        client.send(GET)
        question = await self.asked()
        self.assertEqual(question.evidence.path, "/jobs/v1/tool/tf-test/jobs")
        self.assertEqual(self.backend.connections, [])
        question.answer.callback(TOOL)
        await client.until(b"\r\n\r\nok")
        self.assertIn(b"\r\nX-Toolforge-Tool: tf-test\r\n", self.backend.received)
        self.assertEqual(self.log()[0]["authenticator"], "scripted")

    async def test_nothing_here(self):
        """None is nobody: the request is forwarded without identity."""
        client = await self.client(None)
        client.send(GET)
        (await self.asked()).answer.callback(None)
        await client.until(b"\r\n\r\nok")
        self.assertNotIn(b"X-Toolforge", self.backend.received)

    async def test_refused(self):
        """A late no is answered like any other, and the connection goes on."""
        client = await self.client(None)
        client.send(GET)
        (await self.asked()).answer.errback(BadEvidence(401, "stale", "ask for a new one"))
        self.assertEqual(refused(await client.until(b"}\n")), (401, "stale"))
        client.send(GET)
        (await self.asked(2)).answer.callback(TOOL)
        await client.until(b"\r\n\r\nok")

    async def test_not_allowed(self):
        """Who it is has come late, and may not do this."""
        client = await self.client(None)
        client.send(GET.replace(b"tf-test", b"other"))
        (await self.asked()).answer.callback(TOOL)
        self.assertEqual(refused(await client.until(b"}\n")), (403, "foreign-tool"))

    async def test_broken(self):
        """An authenticator that breaks lets nobody in, and takes nobody's connection down."""
        client = await self.client(None)
        client.send(GET)
        (await self.asked()).answer.errback(ValueError("secret"))
        answer = await client.until(b"}\n")
        self.assertEqual(refused(answer), (500, "authenticator-broken"))
        self.assertNotIn(b"secret", answer)
        self.assertEqual(self.backend.connections, [])

    async def test_in_turn(self):
        """A request sent ahead is not asked about before the one before it is answered."""
        client = await self.client(None)
        client.send(GET + GET)
        question = await self.asked()
        self.assertEqual(len(self.questions), 1)
        question.answer.callback(TOOL)
        (await self.asked(2)).answer.callback(TOOL)
        await client.until(lambda: client.received.count(b"\r\n\r\nok") == 2)

    async def test_body(self):
        """A body that comes meanwhile, or its beginning, arrives whole, small or large."""
        self.backend.script = silent
        for count, size in enumerate((10, 70_000, 1_000_000), 1):
            body = bytes(range(250)) * (size // 250) + b"." * (size % 250)
            client = await self.client(None)
            client.send(PUT + b"Content-Length: %d\r\n\r\n" % size + body)
            (await self.asked(count)).answer.callback(TOOL)
            upstream = await self.backend.connection()
            await upstream.until(lambda at=upstream, body=body: at.received.endswith(body))
            upstream.send(OK)
            await client.until(b"\r\n\r\nok")
            upstream.transport.abortConnection()
            await upstream.closed()
            self.backend.connections.clear()

    async def test_refused_body(self):
        """A late no to a request whose body is still coming is readable, and the last answer."""
        client = await self.client(None)
        client.send(PUT + b"Content-Length: 1000000\r\n\r\n" + b"x" * 200_000)
        (await self.asked()).answer.errback(BadEvidence(401, "stale", "ask for a new one"))
        client.send(b"x" * 800_000)
        self.assertEqual(refused(await client.closed()), (401, "stale"))
        self.assertIn(b"\r\nConnection: close\r\n", client.received)

    async def test_client_leaves(self):
        """Nobody waits for an answer to a client that has left, and nothing is forwarded even if
        one comes."""
        for count, at_cancel in enumerate((None, TOOL), 1):
            client = await self.client(None)
            client.send(GET)
            question = await self.asked(count)
            question.at_cancel = at_cancel
            client.transport.abortConnection()
            await eventually(lambda question=question: question.cancelled)
            await eventually(lambda count=count: len(self.log()) == count)
            line = self.log()[-1]
            self.assertEqual((line["status"], line["reason"]), (0, "client-left"))
        self.assertEqual(self.backend.received, b"")

    async def test_drained(self):
        """Stopping lets a request that is being decided come to its end."""
        client = await self.client(None)
        client.send(GET)
        question = await self.asked()
        stopped = self.service.stopService()
        question.answer.callback(TOOL)
        received = await client.closed()
        self.assertTrue(received.endswith(b"\r\n\r\nok"))
        self.assertIn(b"\r\nConnection: close\r\n", received)
        await stopped


class Seen(ScriptedStage):
    """It wants to see some headers."""

    headers = ("x-api-key", "cookie")

    async def test_evidence(self):
        """It sees the request, and of its fields those that it wants: also such as no backend is
        ever sent."""
        client = await self.client(None)
        client.send(
            GET[:-2].replace(b"/jobs HTTP", b"/jobs?a=%20&b HTTP")
            + b"X-API-Key: k1\r\nAuthorization: Bearer x\r\ncookie: caf\xe9\r\n"
            + b"x-api-key: k2\r\n\r\n"
        )
        question = await self.asked()
        self.assertEqual(
            question.evidence,
            Evidence(
                certificate=None,
                address=ip_address("127.0.0.1"),
                method="GET",
                path="/jobs/v1/tool/tf-test/jobs",
                query="a=%20&b",
                backend="jobs-api",
                headers=(("x-api-key", "k1"), ("cookie", "caf\xe9"), ("x-api-key", "k2")),
            ),
        )
        question.answer.callback(TOOL)
        await client.until(b"\r\n\r\nok")
        self.assertNotIn(b"caf", self.backend.received)

    async def test_with_certificate(self):
        """It sees the facts of a certificate, on each request."""
        client = await self.client()
        for count in (1, 2):
            client.send(GET)
            question = await self.asked(count)
            self.assertEqual(question.evidence.certificate.client_ca, "kubernetes")
            self.assertEqual(question.evidence.certificate.subject.values("CN"), ("tf-test",))
            question.answer.callback(TOOL)
            await client.until(lambda count=count: client.received.count(b"\r\n\r\nok") == count)


class Never(ScriptedStage):
    """It does not answer."""

    timeouts = {"response_head": 0.3}

    async def test_timeout(self):
        """It is given as long as a backend's answer; bodies, small or large, change nothing."""
        for count, request in enumerate(
            (
                GET,
                PUT + b"Content-Length: 9\r\n\r\nhalf",
                PUT + b"Content-Length: 1000000\r\n\r\n" + b"x" * 1_000_000,
            ),
            1,
        ):
            client = await self.client(None)
            client.send(request)
            question = await self.asked(count)
            self.assertEqual(refused(await client.until(b"}\n")), (503, "decision-timeout"))
            self.assertTrue(question.cancelled)
            line = self.log()[-1]
            self.assertEqual((line["status"], line["reason"]), (503, "decision-timeout"))
        self.assertEqual(self.backend.connections, [])

    async def test_timeout_under_other_rules(self):
        """So it is when the caller is nobody any more by what a reload has brought meanwhile."""
        client = await self.client()
        client.send(GET)
        question = await self.asked()
        document = self.document()
        document["listen"][0]["tls"]["client_cas"][0]["ca"] = "tls/server-ca.crt"
        self.reload(document)
        self.assertEqual(refused(await client.closed()), (503, "decision-timeout"))
        self.assertTrue(question.cancelled)


class Connection(ScriptedStage):
    """It depends on the connection, and is asked once."""

    depends_on = "connection"

    async def test_once(self):
        """The first request waits for the answer; those behind it, and a body, have it then."""
        client = await self.client(None)
        client.send(PUT + b"Content-Length: 100000\r\n\r\n" + b"x" * 100_000 + GET)
        self.backend.script = silent
        (await self.asked()).answer.callback(TOOL)
        upstream = await self.backend.connection()
        await upstream.until(b"x" * 100_000)
        upstream.send(OK)
        await client.until(lambda: client.received.count(b"\r\n\r\nok") == 1)
        await upstream.until(b"GET ")
        upstream.send(OK)
        await client.until(lambda: client.received.count(b"\r\n\r\nok") == 2)
        self.assertEqual(len(self.questions), 1)
        self.assertEqual(self.backend.received.count(b"X-Toolforge-Tool: tf-test"), 2)

    async def test_answered_before(self):
        """An answer that comes before the first request is used for it."""
        client = await self.client(None)
        (await self.asked()).answer.callback(TOOL)
        client.send(GET)
        await client.until(b"\r\n\r\nok")
        self.assertIn(b"X-Toolforge-Tool: tf-test", self.backend.received)

    async def test_client_leaves(self):
        """When the client leaves, with or without a request, nobody waits any more."""
        for count, request in enumerate((b"", GET), 1):
            client = await self.client(None)
            client.send(request)
            question = await self.asked(count)
            client.transport.abortConnection()
            await eventually(lambda question=question: question.cancelled)
        self.assertEqual(self.backend.connections, [])

    async def test_asked_again(self):
        """After a reload it is asked anew.  Nobody waits any more for what it was asked before, but
        for a request that was under way."""
        idle, busy = await self.client(None), await self.client(None)
        busy.send(GET)
        await self.asked(2)
        before = self.questions
        await eventually(lambda: self.service.process.running.open == 1)
        self.reload(self.document())
        self.assertEqual(len(self.questions), 2)
        self.assertEqual([question.cancelled for question in before].count(True), 1)
        (waiting,) = [question for question in before if not question.cancelled]
        waiting.answer.callback(TOOL)
        await busy.until(b"\r\n\r\nok")
        idle.send(GET)
        for question in self.questions:
            question.answer.callback(TOOL)
        await idle.until(b"\r\n\r\nok")

    async def test_client_leaves_after_a_reload(self):
        """When the client leaves nobody waits any more, by the former rules or the new ones."""
        client = await self.client(None)
        client.send(GET)
        before = await self.asked()
        await eventually(lambda: self.service.process.running.open == 1)
        self.reload(self.document())
        client.transport.abortConnection()
        await eventually(lambda: before.cancelled and self.questions[0].cancelled)


class ConnectionNever(ScriptedStage):
    depends_on = "connection"
    timeouts = {"response_head": 0.3}

    async def test_timeout(self):
        """Each request that waits for it in vain is told so."""
        client = await self.client(None)
        for count in (1, 2):
            client.send(GET)
            await client.until(lambda count=count: client.received.count(b"}\n") == count)
        self.assertEqual(client.received.count(b'"reason": "decision-timeout"'), 2)
        self.assertEqual(self.backend.connections, [])
