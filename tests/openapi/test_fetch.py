"""Fetching one document from real TLS servers that do what they please."""

from __future__ import annotations

import gzip
import json
import zlib

import attrs
from twisted.internet import reactor
from twisted.logger import LogEvent, formatEvent, globalLogPublisher

from tests.clients.stage import pki
from tests.coroutines import CoroutineCase
from tests.openapi.backends import answer, document, once, source
from tests.relay.ends import Backend, BackendConnection, answering, silent
from toolforge_gateway.config.backend import UpstreamAddress, UpstreamURL
from toolforge_gateway.openapi import fetch as room
from toolforge_gateway.openapi.fetch import LARGEST, CannotFetch, Fetched, fetch
from toolforge_gateway.testing.ports import free_port

CHUNK = 16384
"""Bytes of a piece that an endless backend sends at a time."""


class Stage(CoroutineCase):
    """A test with one backend."""

    timeout = 30

    def setUp(self) -> None:
        self.backend = Backend(pki())
        self.addCleanup(self.backend.port.stopListening)

    async def fetched(self, *lines: bytes, etag: str | None = None, **keys: object) -> Fetched:
        """What is fetched from the backend; it says `keys` of its document."""
        self.backend.script = answering(answer(document(), *lines))
        return await fetch(reactor, source(self.backend, **keys), etag)

    async def fault(self, script: bytes | object, **keys: object) -> str:
        """The sentence that fetching fails with; no connection is left then."""
        self.backend.script = answering(script) if isinstance(script, bytes) else script
        try:
            got = await fetch(reactor, source(self.backend, **keys))
        except CannotFetch as why:
            for connection in self.backend.connections:
                await connection.closed()
            for part in ("127.0.0.1", str(self.backend.number), "svc", "SSL"):
                self.assertNotIn(part, why.sentence)
            return why.sentence
        self.fail(f"got {got!r:.300}")


class RequestTests(Stage):
    """What a backend is asked."""

    async def test_places(self) -> None:
        """Where the backend has several addresses they are dialled one after the other, instead
        of the URL's host, until one takes the connection; the name to verify stays."""
        good = UpstreamAddress("127.0.0.1", self.backend.number)
        bad = UpstreamAddress("127.0.0.1", free_port())
        url = UpstreamURL("nowhere.invalid", 443, "")
        self.backend.script = answering(answer(document()))
        wanted = attrs.evolve(source(self.backend), url=url, places=(bad, good))
        self.assertEqual(json.loads((await fetch(reactor, wanted)).data), document())
        self.assertIn(b"\r\nHost: nowhere.invalid\r\n", self.backend.received)
        with self.assertRaises(CannotFetch):
            await fetch(reactor, attrs.evolve(wanted, places=(bad, bad)))

    async def test_request(self) -> None:
        """One GET of the document below the base path, by the name that the byte path uses, with
        no identity, no credentials, and no word of keeping the connection."""
        fetched = await self.fetched(base_path="/base", path="/v1/spec.json")
        self.assertEqual(json.loads(fetched.data), document())
        (connection,) = self.backend.connections
        line, *fields = connection.received.decode().removesuffix("\r\n\r\n").split("\r\n")
        self.assertEqual(line, "GET /base/v1/spec.json HTTP/1.1")
        names = dict(field.split(": ", 1) for field in fields)
        self.assertEqual(
            {name.lower() for name in names},
            {"host", "accept", "accept-encoding", "user-agent", "connection"},
        )
        self.assertEqual(names["Host"], f"127.0.0.1:{self.backend.number}")
        self.assertEqual(names["Connection"], "close")
        await connection.closed()

    async def test_quiet(self) -> None:
        """A fetch that is good says nothing in the log: there is one a minute for each backend."""
        said: list[LogEvent] = []
        globalLogPublisher.addObserver(said.append)
        self.addCleanup(globalLogPublisher.removeObserver, said.append)
        await self.fetched()
        self.assertEqual([formatEvent(each) for each in said], [])

    async def test_nothing_is_left_behind(self) -> None:
        """A cookie that one answer sets is not sent with the next request."""
        await self.fetched(b"Set-Cookie: a=b")
        await self.fetched()
        self.assertNotIn(b"ookie", self.backend.received)


class AnswerTests(Stage):
    """Answers that are documents."""

    async def test_tag(self) -> None:
        """The entity tag is given out, and sent the next time as it was."""
        fetched = await self.fetched(b'ETag: W/"one"')
        self.assertEqual(fetched.etag, 'W/"one"')
        await self.fetched(etag=fetched.etag)
        self.assertIn(b'If-None-Match: W/"one"\r\n', self.backend.received)

    async def test_strange_tags(self) -> None:
        """What is no entity tag is not kept, so it is never sent back."""
        for tag in [b"one", b'"a"b"', b'"' + b"x" * 300 + b'"', b'"\xff"', b'W/ "x"', b""]:
            self.assertIsNone((await self.fetched(b"ETag: " + tag)).etag, tag)

    async def test_unchanged(self) -> None:
        """304 says that it is still the same, whether it repeats the tag or not."""
        for line in [b'ETag: "one"\r\n', b""]:
            self.backend.script = answering(b"HTTP/1.1 304 Not Modified\r\n" + line + b"\r\n")
            self.assertIsNone(await fetch(reactor, source(self.backend), '"one"'))

    async def test_unchanged_but_never_seen(self) -> None:
        """304 to a request that had no condition is a fault."""
        self.assertEqual(
            await self.fault(b"HTTP/1.1 304 Not Modified\r\n\r\n"),
            "answers 304 where its document should be",
        )

    async def test_kinds(self) -> None:
        """The media type comes in lower case and without parameters."""
        for kind, expected in {
            b"application/json": "application/json",
            b"Application/YAML; charset=UTF-8": "application/yaml",
            b'application/vnd.oai.openapi+json;version="3.1"': "application/vnd.oai.openapi+json",
            b";": "",
            b"": "",
        }.items():
            self.backend.script = answering(answer(b"{}", kind=kind))
            fetched = await fetch(reactor, source(self.backend))
            self.assertEqual((fetched.media_type, fetched.data), (expected, b"{}"))

    async def test_character_sets(self) -> None:
        """Whatever it was written in, it is UTF-8 afterwards."""
        text = '{"title": "Ärger"}'
        for charset, data in {
            b"utf-8": text.encode(),
            b"ISO-8859-1": text.encode("latin-1"),
            b"iso-8859-1": text.encode(),  # a server's default that does not fit its file
            b"utf-16": text.encode("utf-16"),
            b'"windows-1252"': text.encode("cp1252"),
        }.items():
            kind = b"application/json; charset=" + charset
            self.backend.script = answering(answer(data, kind=kind))
            fetched = await fetch(reactor, source(self.backend))
            self.assertEqual(fetched.data.decode(), text, charset)

    async def test_wrong_character_sets(self) -> None:
        """An unknown one, and one that does not fit, are faults."""
        self.assertEqual(
            await self.fault(answer(b"{}", kind=b"application/json; charset=rot13")),
            "answers in a character set that is not known here",
        )
        self.assertEqual(
            await self.fault(answer(b"\xd8", kind=b"application/json; charset=utf-16be")),
            "answers in another character set than it says",
        )

    async def test_packed(self) -> None:
        """A document by gzip is unpacked; one of the largest size there may be still passes."""
        data = b"x" * LARGEST
        for coding in [b"gzip", b"x-gzip", b"GZIP"]:
            self.backend.script = answering(
                answer(gzip.compress(data), b"Content-Encoding: " + coding)
            )
            self.assertEqual((await fetch(reactor, source(self.backend))).data, data)

    async def test_chunks(self) -> None:
        """A document in chunks is whole."""
        chunks = b"1\r\n{\r\n1\r\n}\r\n0\r\n\r\n"
        head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        self.backend.script = answering(head + chunks)
        self.assertEqual((await fetch(reactor, source(self.backend))).data, b"{}")


class FaultTests(Stage):
    """Answers that are none; each has a sentence that tells nothing of the inside."""

    async def test_statuses(self) -> None:
        """Only 200 brings a document."""
        for status in [b"404 Not Found", b"500 Oh", b"206 Part", b"204 No Content"]:
            self.assertEqual(
                await self.fault(answer(b"{}", status=status)),
                f"answers {status[:3].decode()} where its document should be",
            )

    async def test_redirect(self) -> None:
        """Nobody is sent elsewhere, neither to another host nor to the same."""
        for place in [b"https://127.0.0.1:1/", b"/other"]:
            for status in [b"301 Moved", b"302 Found", b"307 Go", b"308 Go"]:
                before = len(self.backend.connections)
                self.assertEqual(
                    await self.fault(answer(b"", b"Location: " + place, status=status)),
                    f"answers {status[:3].decode()}: it sends us elsewhere, and we do not follow",
                )
                self.assertEqual(len(self.backend.connections), before + 1)

    async def test_giant(self) -> None:
        """A document that never ends is given up at the limit, however it is framed."""
        for framing in [b"Content-Length: 99999999999", b"Transfer-Encoding: chunked", b"X: y"]:

            def pour(connection: BackendConnection, framing: bytes = framing) -> None:
                connection.send(b"HTTP/1.1 200 OK\r\n" + framing + b"\r\n\r\n")
                connection.transport.registerProducer(Endless(connection, framing), True)

            self.assertEqual(
                await self.fault(once(pour)), f"has a document of more than {LARGEST} bytes"
            )
            self.assertLess(self.backend.connections[-1].total, 1000)

    async def test_one_byte_too_many(self) -> None:
        """The limit is exact."""
        self.assertEqual(
            await self.fault(answer(b"x" * (LARGEST + 1))),
            f"has a document of more than {LARGEST} bytes",
        )

    async def test_bomb(self) -> None:
        """A packed document is measured unpacked, and never unpacked further than it may be."""
        most = 0
        real = zlib.decompressobj

        class Watched:
            def __init__(self, **keys: int):
                self.real = real(**keys)

            def decompress(self, data: bytes, most_bytes: int) -> bytes:
                nonlocal most
                unpacked = self.real.decompress(data, most_bytes)
                most = max(most, len(unpacked))
                return unpacked

        self.patch(room.zlib, "decompressobj", Watched)
        bomb = gzip.compress(bytes(1000 * LARGEST // 50))
        self.assertLess(len(bomb), LARGEST)
        self.assertEqual(
            await self.fault(answer(bomb, b"Content-Encoding: gzip")),
            f"has a document of more than {LARGEST} bytes",
        )
        self.assertLessEqual(most, LARGEST + 1)

    async def test_endless_head(self) -> None:
        """A head that never ends is given up as well."""

        def pour(connection: BackendConnection) -> None:
            connection.send(b"HTTP/1.1 200 OK\r\n")
            connection.transport.registerProducer(Endless(connection, b"head"), True)

        self.assertIn("answer", await self.fault(once(pour)))

    async def test_codings(self) -> None:
        """What is not unpacked here, or cannot be, is no document."""
        for coding in [b"br", b"gzip, gzip", b"deflate"]:
            self.assertEqual(
                await self.fault(answer(b"{}", b"Content-Encoding: " + coding)),
                "answers in a content coding that was not asked for",
            )
        self.assertEqual(
            await self.fault(answer(b"{}", b"Content-Encoding: gzip")),
            "answers with a body that cannot be unpacked",
        )

    async def test_broken_off(self) -> None:
        """A document that was cut never counts as whole, wherever the cut is."""
        packed = gzip.compress(json.dumps(document()).encode())
        for text in [
            answer(document())[:-1],
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n",
            b"HTTP/1.1 200 OK\r\n\r\n{}",
            answer(packed[:-9], b"Content-Encoding: gzip"),
        ]:

            def cut(connection: BackendConnection, text: bytes = text) -> None:
                connection.send(text)
                connection.transport.loseConnection()

            self.assertEqual(await self.fault(once(cut)), "breaks its answer off")

    async def test_gone(self) -> None:
        """A backend that hangs up instead of an answer."""
        self.assertEqual(
            await self.fault(once(lambda connection: connection.transport.loseConnection())),
            "closes the connection instead of an answer",
        )

    async def test_no_http(self) -> None:
        """A backend that speaks something else."""
        self.assertEqual(
            await self.fault(b"SSH-2.0-OpenSSH_9.2\r\n\r\n"),
            "does not answer in HTTP that can be read",
        )

    async def test_down(self) -> None:
        """A port where nobody listens."""
        await self.backend.port.stopListening()
        self.assertEqual(await self.fault(silent), "cannot be reached")

    async def test_tls(self) -> None:
        """A backend with another name in its certificate is not even asked."""
        self.assertEqual(
            await self.fault(silent, name="other.example"), "cannot be talked to: TLS failed"
        )
        self.assertEqual(self.backend.received, b"")

    async def test_slow(self) -> None:
        """Whoever takes longer than the deadline has not answered: before the head, after it, in
        the middle of the document."""
        self.patch(room, "DEADLINE", 0.2)
        for text in [b"", b"HTTP/1.1 200 OK\r\n", answer(document())[:-5]]:

            def begin(connection: BackendConnection, text: bytes = text) -> None:
                connection.send(text)

            self.assertEqual(await self.fault(once(begin)), "did not answer within 0 s")

    async def test_cancelled(self) -> None:
        """Whoever loses interest leaves no connection, at whatever point."""
        for text in [None, b"", b"HTTP/1.1 200 OK\r\n", answer(document())[:-5]]:
            count = len(self.backend.connections)
            self.backend.script = once(lambda connection, text=text: connection.send(text))
            fetching = fetch(reactor, source(self.backend))
            if text is not None:
                connection = await self.backend.connection(count + 1)
                await connection.until(lambda c=connection: c.requests)
            fetching.cancel()
            try:
                await fetching
            except CannotFetch:
                pass
            else:
                self.fail("was not cancelled")
            for connection in self.backend.connections:
                await connection.closed()


class Endless:
    """Sends as long as somebody reads."""

    def __init__(self, connection: BackendConnection, framing: bytes):
        self.connection = connection
        data = b"x" * CHUNK
        self.data = {
            b"Transfer-Encoding: chunked": b"%x\r\n" % CHUNK + data + b"\r\n",
            b"head": b"X-Field: " + data[:1000] + b"\r\n",
        }.get(framing, data)
        self.going = False
        self.resumeProducing()

    def resumeProducing(self) -> None:
        self.going = True
        reactor.callLater(0, self.more)

    def pauseProducing(self) -> None:
        self.going = False

    def stopProducing(self) -> None:
        self.going = False

    def more(self) -> None:
        if self.going and self.connection.lost is None:
            self.connection.send(self.data)
            reactor.callLater(0, self.more)
