"""A backend that does its work: echoes, downloads, log streams."""

from __future__ import annotations

import asyncio
import hashlib
import random
import time
from pathlib import Path
from urllib.parse import parse_qs

from soak import wire
from soak.backends.server import Server
from soak.judge import TOKEN, Judge


class GoodBackend(Server):
    """Answers by the last segment of the path: `echo`, `bytes`, `log`, `empty`, else `name`.

    :param pause: seconds before an answer, and between its pieces.
    """

    def __init__(self, tls: Path, judge: Judge, rng: random.Random, pause: float = 0):
        super().__init__(tls, judge, rng)
        self.pause = pause

    async def answer(self, method, target, fields, reader, writer) -> None:
        path, _, query = target.decode().partition("?")
        options = {name: values[0] for name, values in parse_qs(query).items()}
        token = wire.value(fields, TOKEN) or b""
        if wire.value(fields, b"expect"):
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = bytearray()
        async for piece in wire.pieces(reader, fields):
            body += piece
        await asyncio.sleep(self.pause)
        what = path.rsplit("/", 1)[-1]
        head = b"HTTP/1.1 200 OK\r\nX-Soak-Token: %b\r\n" % token
        if what == "empty":
            writer.write(head.replace(b"200 OK", b"204 No Content") + b"\r\n")
        elif what == "log":
            await self._log(writer, head, int(options["lines"]), float(options["gap"]))
        else:
            data = token
            if what == "echo":
                data = bytes(body)
            elif what == "bytes":
                data = wire.deterministic(int(options["seed"]), int(options["size"]))
            head += b"X-Soak-Received: %b\r\n" % hashlib.sha256(body).hexdigest().encode()
            await self._send(writer, head, data, method == b"HEAD", "chunked" in options)
        await writer.drain()

    async def _send(self, writer, head: bytes, data: bytes, empty: bool, chunks: bool) -> None:
        framing = b"Transfer-Encoding: chunked" if chunks else b"Content-Length: %d" % len(data)
        writer.write(head + framing + b"\r\n\r\n")
        if empty:
            return
        parts = wire.cut_up(data, self.rng, 64 if len(data) < 500 else 50000)
        for part in parts:
            writer.write(b"%x\r\n%b\r\n" % (len(part), part) if chunks else part)
            await writer.drain()
            if self.pause and len(parts) < 20:
                await asyncio.sleep(self.pause / 4)
        if chunks:
            # Trailers and extensions are the gateway's to drop.
            writer.write(b"0;last\r\nX-Toolforge-Tool: trailer\r\n\r\n")

    async def _log(self, writer, head: bytes, lines: int, gap: float) -> None:
        writer.write(head + b"Transfer-Encoding: chunked\r\n\r\n")
        for number in range(lines):
            await asyncio.sleep(gap)
            line = b"%d %.3f\n" % (number, time.monotonic())
            writer.write(b"%x\r\n%b\r\n" % (len(line), line))
            await writer.drain()
        writer.write(b"0\r\n\r\n")
