"""HTTP/1.1 as the soak's own ends read it: trusting, since the judge compares what comes out."""

from __future__ import annotations

import asyncio
import hashlib
import random
import socket
import struct
from collections.abc import Iterable

import attrs

HEAD = 65536
"""Most bytes of a head."""

Fields = list[tuple[bytes, bytes]]


@attrs.define
class Answer:
    """An answer that was read to its end."""

    status: int
    fields: Fields
    length: int = 0
    sha256: str = ""
    body: bytes = b""
    """The first 64 kB."""

    @property
    def closes(self) -> bool:
        """Whether it is the last one of its connection."""
        return (b"connection", b"close") in [(n.lower(), v.lower()) for n, v in self.fields]


def value(fields: Fields, name: bytes) -> bytes | None:
    """The first value of a field."""
    return next((each for other, each in fields if other.lower() == name), None)


async def read_head(reader: asyncio.StreamReader) -> tuple[bytes, Fields]:
    """The first line and the fields.

    :raise asyncio.IncompleteReadError: the other end has gone.
    """
    raw = await reader.readuntil(b"\r\n\r\n")
    first, *lines = raw[:-4].split(b"\r\n")
    pairs = [line.partition(b":") for line in lines]
    return first, [(name, rest.strip()) for name, _, rest in pairs]


async def pieces(reader: asyncio.StreamReader, fields: Fields, until_close: bool = False):
    """The pieces of a body.

    :param until_close: whether a body without a length ends with the connection.
    :raise asyncio.IncompleteReadError: it was cut.
    """
    length = value(fields, b"content-length")
    if value(fields, b"transfer-encoding") == b"chunked":
        while size := int(await reader.readuntil(b"\r\n"), 16):
            yield await reader.readexactly(size)
            if await reader.readexactly(2) != b"\r\n":
                raise ValueError("a chunk that does not end")
        await reader.readuntil(b"\r\n")
    elif length is not None:
        left = int(length)
        while left:
            piece = await reader.read(min(left, 65536))
            if not piece:
                raise asyncio.IncompleteReadError(b"", left)
            left -= len(piece)
            yield piece
    elif until_close:
        while piece := await reader.read(65536):
            yield piece


async def read_answer(reader: asyncio.StreamReader, method: bytes) -> Answer:
    """An answer with its body; informational ones are passed over.

    :raise asyncio.IncompleteReadError: it was cut, or there is none.
    :raise ConnectionError: the connection was reset.
    """
    status = 100
    while status < 200:
        first, fields = await read_head(reader)
        status = int(first.split(b" ", 2)[1])
    answer = Answer(status, fields)
    digest = hashlib.sha256()
    if method != b"HEAD" and status not in (204, 304):
        async for piece in pieces(reader, fields, until_close=True):
            digest.update(piece)
            answer.length += len(piece)
            if len(answer.body) < 65536:
                answer.body += piece
    answer.sha256 = digest.hexdigest()
    return answer


def chunked(parts: Iterable[bytes]) -> bytes:
    """A body of chunks."""
    return b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts if part) + b"0\r\n\r\n"


def cut_up(data: bytes, rng: random.Random, most: int = 20000) -> list[bytes]:
    """The data in pieces of random sizes."""
    parts, start = [], 0
    while start < len(data):
        size = rng.randint(1, most)
        parts.append(data[start : start + size])
        start += size
    return parts


def deterministic(seed: int, size: int) -> bytes:
    """Bytes that both ends can make."""
    return random.Random(seed).randbytes(size)


def reset(writer: asyncio.StreamWriter) -> None:
    """End a connection by a TCP reset."""
    plain = writer.get_extra_info("socket")
    if plain is not None:
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
