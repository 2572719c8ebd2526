"""`/openapi.json` and `/openapi.yaml` of a whole gateway in front of real TLS servers."""

from __future__ import annotations

import gzip
import json

import yaml
from twisted.internet import reactor

from tests.clients.stage import eventually, pki
from tests.openapi.backends import answer, document
from tests.relay.ends import OK, Backend, BackendConnection, answering, silent
from tests.relay.stage import Stage, refused

GET = b"GET /openapi.%s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n%s\r\n"


class DocumentStage(Stage):
    """A gateway with one API that has a document, and perhaps others."""

    backend_keys = {"openapi": True}
    others: tuple[str, ...] = ()
    """Paths of more backends."""
    refresh = 0.05

    def document(self) -> dict:
        self.backend.script = answering(answer(document()))
        found = super().document()
        self.neighbours = {}
        for path in self.others:
            self.neighbours[path] = neighbour = Backend(pki())
            neighbour.script = answering(answer(document(path)))
            self.addCleanup(neighbour.port.stopListening)
            found["backends"].append(
                {
                    **found["backends"][0],
                    "name": path,
                    "path": f"/{path}",
                    "url": f"https://127.0.0.1:{neighbour.number}",
                }
            )
        return found

    def setUp(self):
        super().setUp()
        # Shorter than a configuration may want it; the first round is under way only.
        self.live.refresh = self.refresh

    async def read(self, *lines: bytes, form: bytes = b"json", verb: bytes = b"GET"):
        """Ask for the document: its status, its fields in lower case, and its body."""
        client = await self.client(None)
        head = b"".join(line + b"\r\n" for line in lines)
        client.send((GET % (form, head)).replace(b"GET", verb, 1))
        await client.closed()
        head, _, body = client.received.partition(b"\r\n\r\n")
        line, *rest = head.decode().split("\r\n")
        fields = {name.lower(): value for name, value in (each.split(": ", 1) for each in rest)}
        return int(line.split()[1]), fields, body

    @property
    def live(self):
        return self.service.prepared.api_document

    async def first_round(self) -> None:
        await eventually(lambda: self.live.json is not None)

    async def shown(self) -> dict:
        """The document as a client sees it."""
        status, _, body = await self.read()
        self.assertEqual(status, 200, body)
        return json.loads(body)


class ServingTests(DocumentStage):
    """How the bytes are sent."""

    refresh = 600

    async def test_forms(self) -> None:
        """JSON and YAML are the same document; whoever has no certificate gets it."""
        await self.first_round()
        status, fields, body = await self.read()
        self.assertEqual((status, fields["content-type"]), (200, "application/json"))
        shown = json.loads(body)
        self.assertIn("/jobs/v1/healthz", shown["paths"])
        status, fields, body = await self.read(form=b"yaml")
        self.assertEqual((status, fields["content-type"]), (200, "application/yaml"))
        self.assertEqual(yaml.safe_load(body), shown)

    async def test_head(self) -> None:
        """HEAD is GET without the body; other methods there are none."""
        await self.first_round()
        _, fields, body = await self.read()
        status, head, nothing = await self.read(verb=b"HEAD")
        self.assertEqual((status, nothing), (200, b""))
        self.assertEqual(head["content-length"], str(len(body)))
        self.assertEqual(head["etag"], fields["etag"])
        for verb in [b"POST", b"PUT", b"OPTIONS"]:
            status, fields, _ = await self.read(verb=verb)
            self.assertEqual((status, fields["allow"]), (405, "GET, HEAD"))

    async def test_tags(self) -> None:
        """The tag is strong; whoever names it, in whatever form, is not sent the body again."""
        await self.first_round()
        _, fields, body = await self.read()
        tag = fields["etag"].encode()
        self.assertRegex(fields["etag"], r'\A"[^"]+"\Z')
        for value in [tag, b"W/" + tag, b'"other", ' + tag, b"*", tag + b',"x"']:
            for verb in [b"GET", b"HEAD"]:
                status, again, nothing = await self.read(b"If-None-Match: " + value, verb=verb)
                self.assertEqual((status, nothing), (304, b""), value)
                self.assertEqual(again["etag"], fields["etag"])
        for value in [b'"other"', tag.strip(b'"'), b""]:
            status, _, whole = await self.read(b"If-None-Match: " + value)
            self.assertEqual((status, whole), (200, body), value)

    async def test_tag_in_a_second_line(self) -> None:
        """A list may come in more than one line (RFC 9110 section 5.3)."""
        await self.first_round()
        tag = (await self.read())[1]["etag"].encode()
        status, _, _ = await self.read(b"If-None-Match: " + tag, b'If-None-Match: "other"')
        self.assertEqual(status, 304)

    async def test_packed(self) -> None:
        """Whoever takes gzip gets it, with a tag of its own; who weighs it 0 does not."""
        await self.first_round()
        _, plain, body = await self.read()
        for value in [b"gzip", b"br, gzip;q=0.1", b"*", b"identity;q=0.5, *;q=0.1", b"GZIP;Q=1"]:
            _, fields, packed = await self.read(b"Accept-Encoding: " + value)
            self.assertEqual(fields["content-encoding"], "gzip", value)
            self.assertEqual(gzip.decompress(packed), body)
            self.assertNotEqual(fields["etag"], plain["etag"])
            self.assertEqual(fields["vary"], "Accept-Encoding")
        for value in [b"", b"br", b"gzip;q=0", b"gzip;q=0, *", b"*;q=0", b"gzip;q=x"]:
            _, fields, same = await self.read(b"Accept-Encoding: " + value)
            self.assertNotIn("content-encoding", fields, value)
            self.assertEqual((fields["etag"], same), (plain["etag"], body))
            self.assertEqual(fields["vary"], "Accept-Encoding")

    async def test_caches_ask_again(self) -> None:
        """It may be kept, and must be asked for again."""
        await self.first_round()
        self.assertEqual((await self.read())[1]["cache-control"], "no-cache")

    async def test_nothing_below(self) -> None:
        """There is nothing below it."""
        await self.first_round()
        self.assertEqual((await self.read(form=b"json/x"))[0], 404)

    async def test_not_asked_on_a_readers_behalf(self) -> None:
        """Readers cost the backends nothing."""
        await self.first_round()
        for _ in range(3):
            await self.read()
        self.assertEqual(len(self.backend.connections), 1)


class NobodyTests(DocumentStage):
    """A gateway none of whose backends opts in."""

    backend_keys: dict[str, object] = {}

    async def test_nothing_runs(self) -> None:
        """No backend is asked, and the document is as absent as any other page."""
        status, _, body = await self.read()
        self.assertEqual((status, json.loads(body)["reason"]), (404, "no-such-path"))
        self.assertEqual(self.backend.connections, [])
        self.assertEqual(self.live.states(), ())


class StartTests(DocumentStage):
    """Before the first round has ended."""

    others = ("builds",)
    refresh = 600

    def document(self) -> dict:
        found = super().document()
        self.backend.script = silent
        return found

    async def test_not_yet(self) -> None:
        """As long as any API may still answer, readers are told to come again: a document without
        it would be a valid one."""
        await self.neighbours["builds"].connection()
        waiting = await self.backend.connection()
        status, fields, body = await self.read()
        self.assertEqual((status, json.loads(body)["reason"]), (503, "openapi-not-ready"))
        self.assertEqual((fields["retry-after"], fields["cache-control"]), ("5", "no-store"))
        states = self.live.states()
        self.assertEqual([(each.stale, each.error) for each in states], [(True, None)] * 2)
        await waiting.until(b"\r\n\r\n")
        waiting.send(answer(document()))
        await self.first_round()
        self.assertEqual(len((await self.shown())["paths"]), 2)

    async def test_stop(self) -> None:
        """A gateway that is stopped in the middle of a fetch ends it and stops."""
        waiting = await self.backend.connection()
        await waiting.until(b"\r\n\r\n")
        await self.service.stopService()
        await waiting.closed()
        self.assertIsNone(self.live.json)


class LifeTests(DocumentStage):
    """Backends that come, go and change their minds."""

    others = ("builds",)

    async def test_down(self) -> None:
        """A backend that goes stays in the document, which says so; and says so no more when it is
        back.  Its neighbour is never touched."""
        await self.first_round()
        before = await self.shown()
        number = self.backend.number
        await self.backend.port.stopListening()
        await eventually(lambda: self.live.states()[0].stale)
        now = await self.shown()
        self.assertEqual(now["paths"], before["paths"])
        state = now["x-toolforge-gateway"]["jobs"]
        self.assertEqual((state["stale"], state["error"]), (True, "cannot be reached"))
        then = before["x-toolforge-gateway"]
        self.assertEqual(state["fetched_at"], then["jobs"]["fetched_at"])
        self.assertEqual(now["x-toolforge-gateway"]["builds"], then["builds"])
        factory = self.backend.port.factory
        again = reactor.listenTCP(number, factory, interface="127.0.0.1")
        self.addCleanup(again.stopListening)
        await eventually(lambda: not self.live.states()[0].stale)
        self.assertEqual(await self.shown(), before)

    async def test_nonsense(self) -> None:
        """What a backend says instead of a document does not take the last good one away."""
        await self.first_round()
        before = await self.shown()
        for nonsense, words in [
            (b"<html>Log in</html>", "cannot be read"),
            (b"[]", "cannot be read"),
            ({"swagger": "2.0", "info": {"title": "x", "version": "1"}, "paths": {}}, "used"),
        ]:
            self.backend.script = answering(answer(nonsense))
            await eventually(lambda words=words: words in (self.live.states()[0].error or ""))
            shown = await self.shown()
            self.assertEqual(shown["paths"], before["paths"])
            self.assertTrue(shown["x-toolforge-gateway"]["jobs"]["stale"])
        self.backend.script = answering(answer(document()))
        await eventually(lambda: self.live.states()[0].error is None)
        self.assertEqual(await self.shown(), before)

    async def test_new_version(self) -> None:
        """A new document is shown with the next round; the tag changes then, and only then."""
        await self.first_round()
        _, fields, _ = await self.read()
        seen = len(self.backend.connections)
        await self.backend.connection(seen + 2)
        self.assertEqual((await self.read())[1]["etag"], fields["etag"])
        paths = {"/v2/metrics": {"get": NOTHING}, "/v2/not/for/anybody": {"get": NOTHING}}
        self.backend.script = answering(answer(document(paths=paths)))
        await eventually(lambda: b"/v2/metrics" in self.live.json.body)
        self.assertNotEqual((await self.read())[1]["etag"], fields["etag"])
        # What the gateway lets nobody through to is no part of it.
        self.assertEqual(
            [*(await self.shown())["paths"]], ["/jobs/v2/metrics", "/builds/v1/healthz"]
        )

    async def test_condition(self) -> None:
        """A backend with tags is asked with them, and 304 keeps what there is."""
        self.backend.script = tagged
        await self.first_round()
        await eventually(lambda: b'If-None-Match: "one"' in self.backend.received)
        await eventually(lambda: b"304 Not" in b"".join(SENT))
        await eventually(lambda: not self.live.states()[0].stale)
        self.assertIn("/jobs/v1/healthz", (await self.shown())["paths"])

    async def test_same_document_twice(self) -> None:
        """Two backends with one and the same document do not clash."""
        self.neighbours["builds"].script = self.backend.script
        await self.first_round()
        shown = await self.shown()
        self.assertEqual(set(shown["paths"]), {"/jobs/v1/healthz", "/builds/v1/healthz"})

    async def test_byte_path(self) -> None:
        """Fetching takes nothing from ordinary requests, whatever the fetches do."""
        await self.first_round()
        self.backend.script = answering(OK)
        request = b"GET /jobs/v1/tool/tf-test/x HTTP/1.1\r\nHost: localhost\r\n\r\n"
        self.assertIn(b"\r\n\r\nok", await self.ask(request))


NOTHING = {"responses": {"200": {"description": "OK"}}}
SENT: list[bytes] = []


def tagged(connection: BackendConnection) -> None:
    """A script: 304 to whoever has it already."""
    if not connection.requests:
        return
    known = b'If-None-Match: "one"' in connection.received
    text = (
        b'HTTP/1.1 304 Not Modified\r\nETag: "one"\r\n\r\n'
        if known
        else answer(document(), b'ETag: "one"')
    )
    SENT.append(text)
    connection.send(text)


class HealthTests(DocumentStage):
    """Our own health does not hang on anybody's document."""

    def document(self) -> dict:
        found = super().document()
        self.backend.script = silent
        return found

    async def test_healthz(self) -> None:
        """/healthz is well while no document is to be had."""
        status, _, body = await self.read(form=b"json")
        self.assertEqual(status, 503)
        client = await self.client(None)
        client.send(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        self.assertIn(b"200 OK", await client.until(b"ok\n"))
        self.assertEqual(refused(b"HTTP/1.1 503 x\r\n\r\n" + body)[1], "openapi-not-ready")
