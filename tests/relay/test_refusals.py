"""Whatever is refused, and wherever: the caller is shown the reason word and the request's id, and
the access log has both."""

from __future__ import annotations

import json
import re

import yaml
from twisted.internet import reactor
from twisted.internet.task import deferLater

from tests.clients.stage import ROOT
from tests.relay.ends import answering, silent
from tests.relay.scripted import TOOL, ScriptedStage
from tests.relay.stage import GET, Stage
from tests.relay.test_forward_auth import PROXY, Asked, asking, escaped
from tests.strict.table import PATH, request
from toolforge_gateway import config
from toolforge_gateway.errors import BadEvidence
from toolforge_gateway.http.head import HeadLimits

CHUNKED = b"Transfer-Encoding: chunked"
UNREADABLE = {
    "bad-request-line": b"GET  / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "bad-method": request(method=b"get"),
    "method-refused": request(method=b"TRACE"),
    "bad-version": request().replace(b"HTTP/1.1", b"HTTP/2.0"),
    "bad-status-line": b"HTTP/1.1 200 OK\r\nHost: localhost\r\n\r\n",
    "request-line-too-long": request(target=b"/" + b"a" * HeadLimits().request_line),
    "headers-too-large": request(*[b"X: " + b"a" * 5000] * 8),
    "too-many-headers": request(*[b"X: a"] * 200),
    "bad-line-end": b"GET / HTTP/1.1\nHost: localhost\n\n",
    "control-character": request(b"X: \x00"),
    "folded-header": request(b"X: a\r\n b"),
    "space-before-colon": request(b"X : a"),
    "bad-header": request(b"nothing"),
    "misspelt-header": request(b"Content_Length: 5"),
    "bad-host": request(host=None),
    "bad-connection": request(b"Connection: @"),
    "bad-content-length": request(b"Content-Length: x"),
    "ambiguous-length": request(b"Content-Length: 5", CHUNKED),
    "bad-transfer-encoding": request(b"Transfer-Encoding: gzip"),
    "bad-expectation": request(b"Expect: miracles"),
    "not-origin-form": request(target=b"*"),
    "bad-target": request(target=b"/jobs/{"),
    "bad-escape": request(target=b"/jobs/%zz"),
    "bad-utf8": request(target=b"/jobs/%ff"),
    "encoded-separator": request(target=b"/jobs/%2f"),
    "encoded-twice": request(target=b"/jobs/%2561"),
    "escaped-unreserved": request(target=b"/jobs/%61"),
    "look-alike": request(target=b"/jobs/%ef%bc%8f"),
    "dot-segment": request(target=b"/jobs/../x"),
    "empty-segment": request(target=b"/jobs//x"),
    "bad-chunk": request(CHUNKED, body=b"x\r\n", method=b"POST"),
    "chunk-extensions-too-large": request(
        CHUNKED, body=b"1;" + b"a" * 100_000 + b"\r\n", method=b"POST"
    ),
    "trailers-too-large": request(
        CHUNKED, body=b"0\r\n" + b"X: %b\r\n" % (b"a" * 5000) * 20 + b"\r\n", method=b"POST"
    ),
}
"""What each is said about."""


class Told:
    """What a refusal has to say, for `Stage`s."""

    async def refusal(self, client, has_body: bool = True) -> bytes:
        """A refusal that a client gets."""
        received = await client.until(b"\r\n\r\n")
        head, _, _ = received.partition(b"\r\n\r\n")
        length = int(re.search(rb"(?i)\r\nContent-Length: (\d+)", head)[1]) if has_body else 0
        return await client.until(lambda: len(client.received) >= len(head) + 4 + length)

    async def assert_told(
        self, word: str, received: bytes, status: int | None = None, has_body: bool = True
    ) -> None:
        """The answer and the log say this word, and the same id."""
        head, _, body = received.partition(b"\r\n\r\n")
        words = re.findall(rb"(?mi)^X-Toolforge-Reason: (.*)\r?$", head)
        ids = re.findall(rb"(?mi)^X-Request-ID: (.*)\r?$", head)
        self.assertEqual((len(words), len(ids)), (1, 1), received)
        identifier = ids[0].strip().decode()
        self.assertEqual(words[0].strip().decode(), word, received)
        self.assertRegex(identifier, "^[0-9a-f]{32}$")
        if has_body:
            said = json.loads(body)
            self.assertEqual((said["reason"], said["request_id"]), (word, identifier))
            self.assertEqual(said["error"], said["messages"]["error"])
        for _ in range(200):
            lines = [line for line in self.log() if line["request_id"] == identifier]
            if lines:
                break
            await deferLater(reactor, 0.01)
        (line,) = lines
        self.assertEqual(line["reason"], word)
        self.assertEqual(line["status"], int(head.split(b" ")[1]))
        if status is not None:
            self.assertEqual(line["status"], status)

    async def check(self, word, sent, status=None, certificate="tool-tf-test", has_body=True):
        """Send this on a connection of its own; it is refused with that word."""
        client = await self.client(certificate)
        client.send(sent)
        await self.assert_told(word, await self.refusal(client, has_body), status, has_body)
        client.transport.abortConnection()


class Requests(Told, Stage):
    limits = {"request_body": 1000, "requests": 2}
    timeouts = {"request_head": 0.1, "request_idle": 0.1}

    async def test_unreadable(self):
        """What is no HTTP with one meaning."""
        for word, sent in UNREADABLE.items():
            await self.check(word, sent)
        text = (ROOT / "docs" / "operations.md").read_text("utf-8")
        section = text.partition("### Refused: no HTTP")[2].partition("\n### ")[0]
        # Only a backend can break off its body and go on.
        self.assertEqual(
            set(UNREADABLE) | {"body-cut"}, set(re.findall(r"(?m)^\| `([a-z0-9-]+)`", section))
        )

    async def test_policy(self):
        """What is not allowed, or not there."""
        other = GET.replace(b"tf-test", b"other")
        post = b"POST" + GET[3:-2]
        await self.check("foreign-tool", other, 403)
        await self.check("not-tool-scoped", request(target=b"/jobs/v1/x"), 403)
        await self.check("admin-not-here", GET, 403, "admin")
        await self.check("no-such-path", request(target=b"/nowhere/x"), 404)
        await self.check("cross-site", post + b"Origin: https://evil.example\r\n\r\n", 403)
        await self.check("body-too-large", post + b"Content-Length: 1001\r\n\r\n", 413)
        await self.check("not-a-trusted-proxy", request(target=b"/auth"), 403)

    async def test_own_pages(self):
        """The gateway's own pages: the log has the word, not that it was a page of ours."""
        for target in (b"/healthz/x", b"/docs/none", b"/docs/assets/none", b"/whoami/x"):
            await self.check("no-such-path", request(target=target), 404)
            await self.check("no-such-path", request(target=target), 404, None)
        for target in (b"/healthz", b"/", b"/docs", b"/whoami", b"/status", b"/favicon.ico"):
            sent = request(b"Content-Length: 0", method=b"POST", target=target)
            await self.check("read-only-page", sent, 405)

    async def test_what_others_say(self):
        """A client's own word for id or reason is not taken for ours, on pages of ours either."""
        fields = (b"X-Request-ID: theirs", b"X-Toolforge-Reason: theirs")
        await self.check("no-such-path", request(*fields, target=b"/healthz/x"))
        await self.check("foreign-tool", request(*fields, target=PATH.replace(b"tf-", b"")))

    async def test_without_a_body(self):
        """An answer to HEAD has no body, and tells both all the same."""
        for word, target in (
            ("no-such-path", b"/nowhere"),
            ("no-such-path", b"/healthz/x"),
            ("foreign-tool", PATH.replace(b"tf-", b"")),
        ):
            await self.check(word, request(method=b"HEAD", target=target), has_body=False)

    async def test_old(self):
        """Neither does HTTP/1.0 make a difference."""
        sent = GET.replace(b"tf-test", b"other").replace(b"HTTP/1.1", b"HTTP/1.0")
        await self.check("foreign-tool", sent)

    async def test_deadlines(self):
        """What does not come in time."""
        self.backend.script = silent
        await self.check("head-timeout", b"GET ", 408)
        await self.check("body-timeout", request(CHUNKED, method=b"POST"), 408)

    async def test_late_in_a_body(self):
        """What shows only in the middle of the body."""
        self.backend.script = silent
        chunk = b"3e9\r\n" + b"x" * 1001 + b"\r\n"
        await self.check("body-too-large", request(CHUNKED, body=chunk, method=b"POST"), 413)

    async def test_too_many(self):
        """When all places are taken."""
        self.backend.script = silent
        for _ in range(2):
            (await self.client()).send(GET)
        await self.backend.connection(2)
        await self.check("too-many-requests-at-once", GET, 503)

    async def test_begun(self):
        """When the answer had begun its head stays; the log says why it ended."""
        self.backend.script = answering(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        client = await self.client()
        client.send(request(CHUNKED, body=b"3\r\nabc\r\n", method=b"POST"))
        await client.closed()
        self.assertEqual((self.log()[0]["status"], self.log()[0]["reason"]), (200, "body-timeout"))
        self.assertFalse(self.log()[0]["complete"])


class Draining(Told, Stage):
    timeouts = {"drain": 1}

    async def test_health(self):
        """What load balancers are told of a gateway that is about to end has its own word."""
        self.service.process.leaving = True
        await self.ask(request(target=b"/healthz"), b"draining\n")
        self.assertEqual((self.log()[0]["status"], self.log()[0]["reason"]), (503, "draining"))


class Strangers(Told, Stage):
    backend_keys = {"anonymous": "refuse"}

    def authenticators(self) -> list[dict]:
        certificates, superusers = super().authenticators()
        return [certificates, {**superusers, "superusers": {}}]

    async def test_nobody(self):
        """Without evidence."""
        await self.check("no-evidence", GET, 401, None)

    async def test_service(self):
        """Without a scope that has the path, or without any: then all of the connection."""
        await self.check("certificate-not-recognized", GET, 403, "service-components-api")
        path = self.folder / "gateway.yaml"
        document = yaml.safe_load(path.read_text())
        document["authenticators"][1]["superusers"] = {"service:components-api": ["/none"]}
        path.write_text(yaml.safe_dump(document))
        self.service.prepare(config.load(path)).commit()
        await self.check("out-of-scope", GET, 403, "service-components-api")


class Backends(Told, Stage):
    timeouts = {"response_head": 0.2, "connect": 0.3, "queue": 0.05}

    async def test_answers(self):
        """A backend that answers in no way, in vain, or too late."""
        for word, script, status in (
            ("backend-timeout", silent, 504),
            ("backend-broken-answer", answering(b"nonsense\r\n\r\n"), 502),
            ("backend-broken-answer", answering(b"HTTP/1.1 101 x\r\n\r\n"), 502),
            ("backend-closed", lambda connection: connection.transport.abortConnection(), 502),
        ):
            self.backend.script = script
            await self.check(word, GET, status)

    async def test_down(self):
        """A backend that is not there."""
        await self.backend.port.stopListening()
        await self.check("backend-refused", GET, 502)


class Waiting(Told, Stage):
    timeouts = {"queue": 0.05, "response_head": 5}
    backend_keys = {"limits": {"requests": 1, "queue": 1}}

    async def test_in_vain(self):
        """A backend whose places are all taken for too long."""
        self.backend.script = silent
        (await self.client()).send(GET)
        await self.backend.connection()
        await self.check("backend-queue-timeout", GET, 503)


class Busy(Told, Stage):
    backend_keys = {"limits": {"requests": 1, "queue": 0}}

    async def test_full(self):
        """A backend whose places are all taken, with no room to wait."""
        self.backend.script = silent
        (await self.client()).send(GET)
        await self.backend.connection()
        await self.check("backend-busy", GET, 503)


class WrongName(Told, Stage):
    backend_keys = {"server_name": "another.example"}

    async def test_tls(self):
        """A backend that is somebody else."""
        await self.check("backend-tls", GET, 502)


class Late(Told, ScriptedStage):
    timeouts = {"response_head": 0.1}

    async def test_late(self):
        """What an authenticator says after a while, or does not."""
        for word, status, outcome in (
            ("stale", 401, BadEvidence(401, "stale", "ask for a new one")),
            ("authenticator-broken", 500, RuntimeError("broken")),
            ("decision-timeout", 503, None),
        ):
            client = await self.client(None)
            client.send(GET)
            question = await self.asked(len(self.questions) + 1)
            if outcome is not None:
                question.answer.errback(outcome)
            await self.assert_told(word, await self.refusal(client), status)

    async def test_odd_words(self):
        """A plug-in's word that no header can hold is in the body and in the log."""
        client = await self.client(None)
        client.send(GET)
        word = "a b\r\nX: \u2028"
        (await self.asked()).answer.errback(BadEvidence(403, word, "no"))
        received = await self.refusal(client)
        self.assertIn(b"\r\nX-Toolforge-Reason: refused\r\n", received)
        self.assertEqual(json.loads(received.partition(b"\r\n\r\n")[2])["reason"], word)
        self.assertEqual(self.log()[0]["reason"], word)

    async def test_allowed_late_and_refused(self):
        """Who it is has come late, and may not."""
        client = await self.client(None)
        client.send(GET.replace(b"tf-test", b"other"))
        (await self.asked()).answer.callback(TOOL)
        await self.assert_told("foreign-tool", await self.refusal(client), 403)


class AskedByNginx(Told, Asked):
    """What a proxy is told at `/auth`: nginx without a body."""

    async def test_told(self):
        """The word and the id are in the fields, where nginx can pass them on."""
        rows = [
            ("foreign-tool", escaped("tool-tf-test"), "/jobs/v1/tool/other/jobs"),
            ("no-such-path", None, "/nowhere"),
            ("dot-segment", None, "/jobs/../x"),
            ("bad-certificate-header", "%zz", "/jobs/v1/x"),
        ]
        for word, shown, uri in rows:
            await self.check(word, asking("nginx", shown, uri), 403, PROXY, has_body=False)
        twice = asking("nginx", None, "/", "GET", "X-Original-URI: /")
        await self.check("repeated-header", twice, 400, PROXY)
        bare = b"GET /auth HTTP/1.1\r\nHost: gateway\r\n"
        await self.check("no-original-method", bare + b"\r\n", 403, PROXY)
        await self.check("no-original-uri", bare + b"X-Original-Method: GET\r\n\r\n", 403, PROXY)


class AskedByEnvoy(Told, Asked):
    """And Envoy with one."""

    dialect = "envoy"

    async def test_told(self):
        """The body is that of every refusal."""
        await self.check("no-such-path", asking("envoy", None, "/nowhere"), 403, PROXY)
        # Here the target is the question's own, which is read before anybody is asked.
        await self.check("dot-segment", asking("envoy", None, "/jobs/../x"), 400, PROXY)
        await self.check("not-a-trusted-proxy", asking("envoy"), 403)


class KnownTests(Stage):
    """Who it was that is refused."""

    limits = {"request_body": 10}

    async def test_identity(self) -> None:
        """The log says whose request it was, also where it is refused before anybody asks; where
        the certificate is what is refused, or there is none, it names nobody."""
        cross_site = request(b"Sec-Fetch-Site: cross-site", method=b"POST")
        asked = {
            "no-such-path": request(target=b"/nothing"),
            "cross-site": cross_site,
            "body-too-large": request(b"Content-Length: 11", method=b"POST"),
            "not-a-trusted-proxy": request(target=b"/auth"),
            "dot-segment": UNREADABLE["dot-segment"],
            "bad-header": UNREADABLE["bad-header"],
            "foreign-tool": request(target=b"/jobs/v1/tool/other/jobs"),
        }
        for reason, head in asked.items():
            await self.ask(head, b"}\n")
            line = self.log()[-1]
            said = (line["reason"], line["identity"], line["kind"], line["authenticator"])
            self.assertEqual(said, (reason, "tf-test", "tool", "kubernetes-certificate"))
        for reason, head, caller in (
            ("no-such-path", request(target=b"/nothing"), None),
            ("certificate-not-recognized", request(target=b"/whoami"), "gateway-client"),
            ("no-such-path", request(target=b"/nothing"), "gateway-client"),
        ):
            await self.ask(head, b"}\n", caller)
            line = self.log()[-1]
            self.assertEqual(
                (line["reason"], line["identity"], line["kind"]), (reason, "", "anonymous")
            )
