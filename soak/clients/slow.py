"""Clients that take their time: none may cost the others any, nor stay past its deadline."""

from __future__ import annotations

import asyncio
import socket

from soak import wire
from soak.clients.field import SLACK, TOOL, Field, until_closed
from soak.gateway import TIMEOUTS


async def slowloris(field: Field) -> None:
    """A head that never comes to its end, though a byte comes now and then."""
    reader, writer = await field.connect(TOOL)
    _, head = field.head(TOOL, b"GET", "good", "name", b"X-Long: ")

    async def drip() -> None:
        for byte in head:
            writer.write(bytes([byte]))
            await asyncio.sleep(0.4)

    await _gone_by(field, "slowloris", reader, writer, TIMEOUTS["request_head"], drip())


async def slow_post(field: Field) -> None:
    """A body that stops coming."""
    reader, writer = await field.connect(TOOL)
    _, head = field.head(TOOL, b"POST", "good", "echo", b"Content-Length: 5000")
    writer.write(head + b"\r\n" + bytes(field.rng.randint(0, 4000)))
    await _gone_by(field, "slow post", reader, writer, TIMEOUTS["request_idle"])


async def half_open(field: Field) -> None:
    """A handshake that stops, before its first byte or in the middle."""
    reader, writer = await field.connect(None)
    hello = bytes.fromhex("16030100c8010000c40303") + bytes(field.rng.randint(0, 180))
    writer.write(hello[: field.rng.randint(0, len(hello))])
    await _gone_by(field, "half open", reader, writer, TIMEOUTS["handshake"])


async def idle(field: Field) -> None:
    """A connection on which nothing is ever asked."""
    reader, writer = await field.connect(TOOL)
    limit = max(TIMEOUTS["keep_alive"], TIMEOUTS["request_head"])
    await _gone_by(field, "idle", reader, writer, limit)


async def slow_reader(field: Field) -> None:
    """A large answer taken in sips, then left, or read to the right end after all."""
    reader, writer = await field.connect(TOOL)
    try:
        plain: socket.socket = writer.get_extra_info("socket")
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
        seed = field.rng.randrange(1000)
        size = 1_500_000
        token, head = field.head(TOOL, b"GET", "good", f"bytes?size={size}&seed={seed}")
        writer.write(head + b"\r\n")
        await wire.read_head(reader)
        received = bytearray()
        for _ in range(field.rng.randint(5, 40)):
            received += await reader.read(4096)
            await asyncio.sleep(0.1)
        if field.rng.random() < 0.5:
            received += await reader.readexactly(size - len(received))
        if received != wire.deterministic(seed, size)[: len(received)]:
            field.judge.fault("slow reader", f"wrong bytes among {len(received)}")
        field.judge.good("slow reader")
        field.judge.forget(token)
    finally:
        writer.transport.abort()


async def _gone_by(field: Field, kind: str, reader, writer, deadline: float, work=None) -> None:
    """The gateway ends the connection by its deadline."""
    working = asyncio.ensure_future(work) if work is not None else None
    try:
        if await until_closed(reader, deadline + SLACK) is None:
            field.judge.fault(kind, f"still there {SLACK} s after a deadline of {deadline} s")
        else:
            field.judge.good(kind)
    finally:
        if working is not None:
            working.cancel()
            await asyncio.gather(working, return_exceptions=True)
        writer.transport.abort()


KINDS = (slowloris, slow_post, half_open, idle, slow_reader)
