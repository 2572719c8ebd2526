"""Clients whose every request must be answered right, whatever goes on around them."""

from __future__ import annotations

import asyncio
import hashlib
import time

from soak import wire
from soak.clients.field import ADMIN, NOBODY, OTHER, PATIENCE, SERVICE, TOOL, Field, Identity
from soak.judge import TOKEN

LATE = 3.0
"""Seconds that a line of a log may take on this busy machine; what waits for the next line, or for
a buffer to fill, would often take longer."""
WHO = (TOOL, TOOL, OTHER, ADMIN, SERVICE, NOBODY)


async def keep_alive(field: Field) -> None:
    """Small requests on one connection, then others on the next."""
    who = field.rng.choice(WHO)
    reader, writer = await field.connect(who)
    try:
        for _ in range(field.rng.randint(1, 60)):
            method = field.rng.choice([b"GET", b"GET", b"GET", b"HEAD", b"DELETE"])
            backend = "slow" if field.rng.random() < 0.1 else "good"
            what = field.rng.choice(["name", "name?x=%2e%2E&y=a+b", "empty"])
            token, head = field.head(who, method, backend, what)
            began = time.monotonic()
            writer.write(head + b"\r\n")
            answer = await _answer(reader, method)
            took = time.monotonic() - began
            wanted = b"" if method == b"HEAD" or what == "empty" else token
            _check(field, "small", answer, token, 204 if what == "empty" else 200, wanted)
            if backend == "good":
                field.judge.seconds.append(took)
            await asyncio.sleep(field.rng.random() * 0.1)
    finally:
        writer.close()


async def one_call(field: Field) -> None:
    """What a command line client does: a connection for each request."""
    who = field.rng.choice(WHO)
    reader, writer = await field.connect(who)
    try:
        token, head = field.head(who, b"GET", "good", "name", b"Connection: close")
        writer.write(head + b"\r\n")
        answer = await _answer(reader, b"GET")
        _check(field, "one call", answer, token, 200, token)
        if not answer.closes:
            field.judge.fault("one call", "Connection: close was not answered by one")
    finally:
        writer.close()
    await asyncio.sleep(field.rng.random() * 0.2)


async def upload(field: Field) -> None:
    """Bodies that come back: with a length and chunked, in odd pieces."""
    who = field.rng.choice((TOOL, SERVICE, ADMIN))
    reader, writer = await field.connect(who)
    try:
        for _ in range(field.rng.randint(1, 4)):
            await _echo(field, who, reader, writer)
            await asyncio.sleep(field.rng.random() * 0.3)
    finally:
        writer.close()


async def _echo(field: Field, who: Identity, reader, writer) -> None:
    rng = field.rng
    big = rng.random() < 0.1
    data = rng.randbytes(rng.randint(0, 3_000_000 if big else 60_000))
    digest = hashlib.sha256(data).hexdigest()
    parts = wire.cut_up(data, rng, 200_000 if big else 9000)
    backend = "slow" if rng.random() < 0.2 else "good"
    what = rng.choice(["echo", "echo?chunked=1"])
    chunks = rng.random() < 0.5
    framing = b"Transfer-Encoding: chunked" if chunks else b"Content-Length: %d" % len(data)
    extra = [framing, b"Expect: 100-continue"] if rng.random() < 0.2 else [framing]
    token, head = field.head(who, b"POST", backend, what, *extra)
    writer.write(head + b"\r\n")

    async def send() -> None:
        for part in parts:
            extension = b';a="b"' if rng.random() < 0.1 else b""
            writer.write(b"%x%b\r\n%b\r\n" % (len(part), extension, part) if chunks else part)
            await writer.drain()
        if chunks:
            writer.write(b"0\r\nX-Toolforge-Tool: trailer\r\n\r\n")

    async with asyncio.TaskGroup() as group:
        group.create_task(send())
        answer = await _answer(reader, b"POST")
    _check(field, "upload", answer, token, 200)
    if wire.value(answer.fields, b"x-soak-received") != digest.encode():
        field.judge.fault("upload", f"{len(data)} bytes arrived changed")
    if answer.sha256 != digest:
        field.judge.fault("upload", f"{len(data)} bytes came back as {answer.length}, changed")


async def download(field: Field) -> None:
    """Bodies of known bytes, both framings."""
    rng = field.rng
    reader, writer = await field.connect(TOOL)
    try:
        for _ in range(rng.randint(1, 4)):
            size = rng.choice([0, 1, 16384, rng.randint(0, 100_000), rng.randint(0, 4_000_000)])
            seed = rng.randrange(1 << 30)
            more = rng.choice(["", "&chunked=1"])
            backend = "slow" if rng.random() < 0.2 else "good"
            token, head = field.head(TOOL, b"GET", backend, f"bytes?size={size}&seed={seed}{more}")
            writer.write(head + b"\r\n")
            answer = await _answer(reader, b"GET")
            _check(field, "download", answer, token, 200)
            if answer.sha256 != hashlib.sha256(wire.deterministic(seed, size)).hexdigest():
                field.judge.fault("download", f"{size} bytes came as {answer.length}, changed")
            await asyncio.sleep(rng.random() * 0.3)
    finally:
        writer.close()


async def log_stream(field: Field) -> None:
    """A followed log: each line must come when it is written, not with the next one."""
    lines, gap = field.rng.randint(3, 12), field.rng.choice([0.05, 0.5, 3.5])
    reader, writer = await field.connect(TOOL)
    try:
        token, head = field.head(TOOL, b"GET", "good", f"log?lines={lines}&gap={gap}")
        writer.write(head + b"\r\n")
        async with asyncio.timeout(PATIENCE + lines * gap):
            _, fields = await wire.read_head(reader)
            numbers, rest = [], b""
            async for piece in wire.pieces(reader, fields):
                *whole, rest = (rest + piece).split(b"\n")
                for line in whole:
                    number, written = line.split(b" ")
                    numbers.append(int(number))
                    if (late := time.monotonic() - float(written)) > LATE:
                        field.judge.fault("log stream", f"a line came after {late:.1f} s")
                if field.rng.random() < 0.003:
                    return
        if numbers == list(range(lines)) and not rest:
            field.judge.good("log stream")
        else:
            field.judge.fault("log stream", f"{lines} lines came as {numbers} and {rest!r}")
    finally:
        writer.close()


async def pipeline(field: Field) -> None:
    """Requests sent ahead of their answers, which must come in turn."""
    reader, writer = await field.connect(TOOL)
    try:
        plan, ahead = [], b""
        for _ in range(field.rng.randint(2, 60)):
            method = field.rng.choice([b"GET", b"HEAD", b"POST"])
            body = field.rng.randbytes(field.rng.randint(0, 300)) if method == b"POST" else b""
            extra = [b"Content-Length: %d" % len(body)] if method == b"POST" else []
            what = "echo" if method == b"POST" else "name"
            token, head = field.head(TOOL, method, "good", what, *extra)
            plan.append((token, method, body if method == b"POST" else token))
            ahead += head + b"\r\n" + body
        for part in wire.cut_up(ahead, field.rng, 3000):
            writer.write(part)
        for token, method, body in plan:
            answer = await _answer(reader, method)
            _check(field, "pipeline", answer, token, 200, b"" if method == b"HEAD" else body)
    finally:
        writer.close()
    await asyncio.sleep(field.rng.random() * 0.5)


async def _answer(reader: asyncio.StreamReader, method: bytes) -> wire.Answer:
    async with asyncio.timeout(PATIENCE):
        return await wire.read_answer(reader, method)


def _check(
    field: Field,
    kind: str,
    answer: wire.Answer,
    token: bytes,
    status: int,
    body: bytes | None = None,
) -> None:
    """Whether it is the answer to this very request."""
    field.judge.forget(token)
    theirs = wire.value(answer.fields, TOKEN)
    if answer.status != status:
        field.judge.fault(kind, f"status {answer.status}: {answer.body[:300]!r}")
    elif theirs != token:
        field.judge.fault(kind, f"the answer to {theirs!r} came for {token!r}")
    elif body is not None and answer.body != body:
        field.judge.fault(kind, f"body {answer.body[:100]!r} in place of {body[:100]!r}")
    else:
        field.judge.good(kind)


KINDS = (keep_alive, one_call, upload, download, log_stream, pipeline)
