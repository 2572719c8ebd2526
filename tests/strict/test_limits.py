"""Bounded: what is endless is cut at its limit, and what is large but allowed passes."""

from __future__ import annotations

import time
from collections.abc import Iterator

from twisted.internet import reactor
from twisted.internet.interfaces import IPushProducer
from zope.interface import implementer

from tests.relay.ends import End
from tests.relay.stage import GET
from tests.strict.table import (
    OK,
    PATH,
    Case,
    TableCase,
    answers,
    arriving,
    reason,
    refusing,
    request,
    status,
)
from toolforge_gateway.http.body import encode_chunk

CHUNKED = b"Transfer-Encoding: chunked"
BEGUN = b"GET %b HTTP/1.1\r\nHost: localhost\r\n" % PATH
CHUNKED_HEAD = request(CHUNKED, method=b"POST")

ENDLESS = [
    ("request line", b"GET /", b"a" * 997, 414, "request-line-too-long", 8192),
    ("query", b"GET %b?" % PATH, b"a" * 997, 414, "request-line-too-long", 8192),
    ("method", b"", b"A" * 997, 414, "request-line-too-long", 8192),
    ("spaces", b"GET ", b" " * 997, 414, "request-line-too-long", 8192),
    ("value", BEGUN + b"X: ", b"a" * 997, 431, "headers-too-large", 40000),
    ("spaces in a value", BEGUN + b"X:", b" " * 997, 431, "headers-too-large", 40000),
    ("name", BEGUN, b"a" * 997, 431, "headers-too-large", 40000),
    ("fields", BEGUN, b"X: y\r\n" * 50, 431, "too-many-headers", 10000),
    ("large fields", BEGUN, (b"X: %b\r\n" % (b"y" * 990)), 431, "headers-too-large", 42000),
    ("cookies", BEGUN, b"Cookie: a=b\r\n" * 50, 431, "too-many-headers", 10000),
    ("empty lines", b"", b"\r\n" * 500, 400, "bad-request-line", 8192),
    ("line feeds", b"", b"\n" * 500, 400, "bad-line-end", 8192),
    ("zeros", b"", b"\0" * 500, 400, "control-character", 8192),
    ("chunk size", CHUNKED_HEAD, b"0" * 997, 400, "bad-chunk", 8192),
    ("chunk extension", CHUNKED_HEAD + b"5;", b"a" * 997, 400, "chunk-extensions-too-large", 12000),
    ("quoted extension", CHUNKED_HEAD + b'5;a="', b"a" * 997, 400, None, 12000),
    ("extensions", CHUNKED_HEAD, b"1;%b\r\na\r\n" % (b"b" * 990), 400, "chunk-extensions-too-large",
    50000),
    ("trailer", CHUNKED_HEAD + b"0\r\nX: ", b"a" * 997, 431, "trailers-too-large", 12000),
    ("trailer name", CHUNKED_HEAD + b"0\r\n", b"a" * 997, 431, "trailers-too-large", 12000),
    ("trailers", CHUNKED_HEAD + b"0\r\n", b"X: y\r\n" * 50, 431, "trailers-too-large", 12000),
    ("large trailers", CHUNKED_HEAD + b"0\r\n", (b"X: %b\r\n" % (b"y" * 990)), 431, None, 50000),
    ("chunks", CHUNKED_HEAD, encode_chunk(b"a" * 9999), 413, "body-too-large", 200000),
    ("tiny chunks", CHUNKED_HEAD, encode_chunk(b"a") * 2000, 413, "body-too-large", 900000),
]  # fmt: skip
"""Name, beginning, what then goes on, status, reason word, and the most bytes that may have to
come before the answer."""

SLACK = 350_000
"""Bytes that are on their way in the buffers of two TLS stacks and of the system."""


@implementer(IPushProducer)
class Endless:
    """Sends pieces for as long as the connection takes them."""

    def __init__(self, client: End, pieces: Iterator[bytes]):
        self._client = client
        self._pieces = pieces
        self._call = None
        self.sent = 0
        client.transport.registerProducer(self, True)
        self.resumeProducing()

    def _send(self) -> None:
        self._call = None
        if self._client.lost is None and not self._client.total:
            piece = next(self._pieces)
            self.sent += len(piece)
            self._call = reactor.callLater(0, self._send)
            self._client.send(piece)

    def pauseProducing(self) -> None:
        if self._call is not None:
            self._call.cancel()
            self._call = None

    def resumeProducing(self) -> None:
        if self._call is None:
            self._call = reactor.callLater(0, self._send)

    def stopProducing(self) -> None:
        self.pauseProducing()


def beginning(first: bytes, then: bytes) -> Iterator[bytes]:
    yield first
    while True:
        yield then


class Endlessness(TableCase):
    limits = {"request_body": 100_000}

    async def test_endless(self):
        """Each is answered soon after the limit, and the connection ends."""
        for name, first, then, wanted, word, most in ENDLESS:
            client = await self.client()
            flood = Endless(client, beginning(first, then))
            await self.answered(client)
            await client.closed()
            flood.pauseProducing()
            (answer,) = answers(client.received)
            self.assertEqual(status(answer), wanted, name)
            if word is not None:
                self.assertEqual(reason(answer), word, name)
            self.assertLess(flood.sent, most + SLACK, name)
            self.assertEqual(self.recorder.requests, [], name)

    async def test_announced(self):
        """A body that is announced as too large is refused before it comes."""
        much = b"Content-Length: 100001"
        await self.judge(
            [
                refusing("length", request(much), 413, reason="body-too-large"),
                refusing("expected", request(much, b"Expect: 100-continue"), 413),
                refusing("huge", request(b"Content-Length: 9223372036854775807"), 413),
            ]
        )

    async def test_deaf(self):
        """A client that sends on after its refusal is cut off in the end."""
        client = await self.client()
        client.send(b"\0")
        await client.until(b"control-character")
        for _ in range(20):
            client.send(b"GET /" + b"a" * 65536)
        await client.closed()
        self.assertEqual(len(answers(client.received)), 1)


class JustAllowed(TableCase):
    timeout = 90

    async def test_edges(self):
        """A limit is the largest that passes; one more is refused."""
        spare = 8192 - len(b"GET  HTTP/1.1")
        target = PATH + b"?" + b"a" * (spare - len(PATH) - 1)
        fields = [b"X: y"] * 99
        block = 32768 - len(b"Host: localhost\r\n") - len(b"X: \r\n")
        await self.judge(
            [
                Case("line", request(target=target), arrives=(arriving(target=target[5:]),)),
                refusing("long line", request(target=target + b"a"), 414),
                Case("fields", request(*fields), arrives=(arriving(*fields),)),
                refusing("many fields", request(*fields, b"X: y"), 431),
                Case(
                    "block",
                    request(b"X: " + b"y" * block),
                    arrives=(arriving(b"X: " + b"y" * block),),
                ),
                refusing("large block", request(b"X: " + b"y" * (block + 1)), 431),
            ]
        )

    async def test_tiny_chunks(self):
        """100,000 chunks of one byte pass, in linear time."""
        self.backend.script = lambda connection: (
            connection.received.endswith(b"\r\n0\r\n\r\n") and connection.send(OK)
        )
        client = await self.client()
        began = time.process_time()
        client.send(CHUNKED_HEAD + b"1\r\na\r\n" * 100_000 + b"0\r\n\r\n")
        await client.until(OK)
        self.assertLess(time.process_time() - began, 5)
        received = self.backend.connections[-1].received.partition(b"\r\n\r\n")[2]
        self.assertEqual(received.count(b"a"), 100_000)

    async def test_tiny_chunks_of_an_answer(self):
        """So do they the other way."""
        head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        self.recorder.answer = head + b"1\r\na\r\n" * 100_000 + b"0\r\n\r\n"
        client = await self.client()
        client.send(GET)
        received = await client.until(b"\r\n0\r\n\r\n")
        self.assertEqual(received.partition(b"\r\n\r\n")[2].count(b"a"), 100_000)

    async def test_many_at_once(self):
        """Hundreds of requests sent ahead are answered in turn, one at a time."""
        wanted = [b"/v1/tool/tf-test/%d" % number for number in range(400)]
        client = await self.client()
        client.send(b"".join(request(target=b"/jobs" + target) for target in wanted))
        await client.until(lambda: client.total >= len(OK) * 400)
        self.assertEqual(client.received, OK * 400)
        seen = [each.split(b" ", 2)[1] for each in self.recorder.requests]
        self.assertEqual(seen, wanted)
        self.assertEqual(len(self.backend.connections), 1)
