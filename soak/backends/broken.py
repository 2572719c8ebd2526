"""Backends that break, each in its own ways."""

from __future__ import annotations

import asyncio

from soak import wire
from soak.backends.server import Gone, Server
from soak.judge import TOKEN

OK = b"HTTP/1.1 200 OK\r\n"


class Cutting(Server):
    """Begins an answer and leaves in the middle of it."""

    async def answer(self, method, target, fields, reader, writer) -> None:
        size = self.rng.randint(0, 60000)
        body = bytes(size)
        if self.rng.random() < 0.5:
            writer.write(OK + b"Content-Length: %d\r\n\r\n" % (size + 1) + body)
        else:
            whole = OK + b"Transfer-Encoding: chunked\r\n\r\n" + wire.chunked([body, b"end"])
            writer.write(whole[: -self.rng.randint(1, 9)])
        await _leave(self, writer)


class Garbage(Server):
    """Sends what is no answer."""

    async def answer(self, method, target, fields, reader, writer) -> None:
        writer.write(self.rng.choice([*_GARBAGE, self.rng.randbytes(self.rng.randint(1, 5000))]))
        await writer.drain()
        # Some wait for us to hang up, as a stuck program does.
        if self.rng.random() < 0.5:
            await asyncio.wait_for(reader.read(), 20)
        raise Gone


class Resetting(Server):
    """Goes away before an answer; now and then not at all, until the deadline."""

    async def answer(self, method, target, fields, reader, writer) -> None:
        if self.rng.random() < 0.05:
            await asyncio.wait_for(reader.read(), 20)
        if self.rng.random() < 0.3:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Le"[: self.rng.randint(1, 27)])
        await _leave(self, writer)


class Endless(Server):
    """Sends a head that never ends."""

    async def answer(self, method, target, fields, reader, writer) -> None:
        line = self.rng.choice([b"X-A: b\r\n", b"x" * 1000, b"HTTP/1.1 100 Continue\r\n\r\n"])
        if line[0:1] == b"X":
            writer.write(OK)
        left = 1 << 10
        while left and not writer.is_closing():
            writer.write(line * 200)
            await writer.drain()
            await asyncio.sleep(0.001)  # drain() alone does not let us hear that nobody listens.
            left -= 1
        raise Gone


class Surplus(Server):
    """Sends more than it announced, or goes right after an answer that promised more."""

    async def answer(self, method, target, fields, reader, writer) -> None:
        async for _ in wire.pieces(reader, fields):
            pass
        token = wire.value(fields, TOKEN) or b""
        answer = OK + b"Content-Length: %d\r\n\r\n%b" % (len(token), token)
        if method == b"HEAD":
            answer = answer[: -len(token)]
        extra = self.rng.choice([b"", b"x", answer.replace(token, b"poison"), b"\r\n", b"HTTP/1.1"])
        writer.write(answer + extra)
        await writer.drain()
        if self.rng.random() < 0.5:
            await _leave(self, writer)


async def _leave(server: Server, writer: asyncio.StreamWriter) -> None:
    if server.rng.random() < 0.5:
        wire.reset(writer)
    else:
        await writer.drain()
    raise Gone


_GARBAGE = (
    b"hello, this is HTTP/0.9\n",
    b"HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 20x OK\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/2 200 OK\r\nContent-Length: 0\r\n\r\n",
    b"ICY 200 OK\r\n\r\n",
    OK + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
    OK + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
    OK + b"Content-Length: -1\r\n\r\n",
    OK + b"Content-Length: 0x5\r\n\r\nhello",
    OK + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    OK + b"Transfer-Encoding: gzip\r\n\r\n",
    OK + b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    OK + b"X-Bad: a\0b\r\nContent-Length: 0\r\n\r\n",
    OK + b"X Bad: a\r\nContent-Length: 0\r\n\r\n",
    OK + b" folded\r\nContent-Length: 0\r\n\r\n",
    OK + b"no colon\r\nContent-Length: 0\r\n\r\n",
    OK + b"\n\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\n" * 3 + b"nothing",
    b"\r\n\r\n\r\n",
)
