"""Clients that fail, and clients of backends that fail."""

from __future__ import annotations

import asyncio
import ssl

from soak import wire
from soak.clients.field import PATIENCE, TOOL, Field, hang_up, status_of, until_closed

_ERRORS = {
    "cutting": {502},
    "garbage": {502, 504},
    "resetting": {502, 504},
    "endless": {502, 504},
    "nobody": {502, 504},
    "surplus": {502},
}
"""What a broken backend may look like from outside, besides an answer that is visibly cut."""


async def broken_backend(field: Field) -> None:
    """The answer of a broken backend is an error, or visibly cut; never something whole."""
    kind = field.rng.choice(list(_ERRORS))
    reader, writer = await field.connect(TOOL)
    try:
        for _ in range(field.rng.randint(1, 5)):
            method = field.rng.choice([b"GET", b"POST", b"HEAD"])
            body = field.rng.randbytes(2000) if method == b"POST" else b""
            extra = [b"Content-Length: %d" % len(body)] if body else []
            token, head = field.head(TOOL, method, kind, "name", *extra)
            writer.write(head + b"\r\n" + body)
            try:
                async with asyncio.timeout(PATIENCE):
                    answer = await wire.read_answer(reader, method)
            except (asyncio.IncompleteReadError, ConnectionError, ssl.SSLError):
                # Cut: which is right where something was begun.
                if kind in ("cutting", "surplus"):
                    field.judge.good(f"{kind} backend")
                else:
                    field.judge.fault(f"{kind} backend", "the client got no answer at all")
                return
            _check(field, kind, method, token, answer)
            if answer.closes:
                return
    finally:
        writer.close()


def _check(field: Field, kind: str, method: bytes, token: bytes, answer: wire.Answer) -> None:
    whole = kind == "surplus" and answer.status == 200
    if whole and answer.body == (b"" if method == b"HEAD" else token):
        field.judge.good("surplus backend")
    elif kind == "cutting" and method == b"HEAD" and answer.status == 200:
        field.judge.good("cutting backend")  # Of a body that is not sent nothing is missing.
    elif answer.status in _ERRORS[kind] and (method == b"HEAD" or b'"reason"' in answer.body):
        field.judge.good(f"{kind} backend")
    else:
        field.judge.fault(f"{kind} backend", f"{method!r}: {answer.status} {answer.body[:200]!r}")


async def leaver(field: Field) -> None:
    """Goes at any point of a request or its answer."""
    rng = field.rng
    reader, writer = await field.connect(TOOL)
    backend = rng.choice(["good", "slow", "cutting", "resetting"])
    what = rng.choice(["name", "bytes?size=900000&seed=1", "log?lines=50&gap=0.05", "echo"])
    method = b"POST" if what == "echo" else b"GET"
    extra = [b"Content-Length: 50000"] if what == "echo" else []
    _, head = field.head(TOOL, method, backend, what, *extra)
    message = head + b"\r\n" + (bytes(50000) if what == "echo" else b"")
    writer.write(message[: rng.randint(0, len(message))] if rng.random() < 0.5 else message)
    if rng.random() < 0.5:
        await asyncio.sleep(rng.random() * 0.3)
        if rng.random() < 0.5:
            reader.feed_eof() if reader.at_eof() else await _sip(reader)
    hang_up(writer, rng)
    field.judge.good("leaver")
    await asyncio.sleep(rng.random() * 0.1)


async def _sip(reader: asyncio.StreamReader) -> None:
    try:
        await asyncio.wait_for(reader.read(20000), 0.2)
    except (TimeoutError, ConnectionError, ssl.SSLError):
        pass


async def early_leaver(field: Field) -> None:
    """Goes before or during the handshake."""
    _, writer = await field.connect(None)
    if field.rng.random() < 0.7:
        hello = bytes.fromhex("16030100c8010000c40303") + bytes(190)
        writer.write(hello[: field.rng.randint(0, len(hello))])
        await asyncio.sleep(field.rng.random() * 0.05)
    hang_up(writer, field.rng)
    field.judge.good("early leaver")
    await asyncio.sleep(field.rng.random() * 0.2)


async def garbage(field: Field) -> None:
    """Bytes that mean nothing, instead of TLS or inside of it."""
    inside = field.rng.random() < 0.7
    reader, writer = await field.connect(TOOL if inside else None)
    writer.write(field.rng.randbytes(field.rng.randint(1, 3000)) + b"\r\n\r\n")
    received = await until_closed(reader, PATIENCE)
    if received is None:
        field.judge.fault("garbage", "the connection stays open")
    elif inside and status_of(received) not in (400, 408, 414, 431, None):
        field.judge.fault("garbage", f"answered by {received[:200]!r}")
    else:
        field.judge.good("garbage")
    writer.transport.abort()


KINDS = (broken_backend, leaver, early_leaver, garbage)
