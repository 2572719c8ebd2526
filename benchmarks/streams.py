"""A backend of followed logs: to each who asks, a line a second with the time it was written.

A program of its own, without anything of the project: `streams.py PORT PKI_FOLDER`.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import sys
import time
from pathlib import Path

HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
    b"Transfer-Encoding: chunked\r\nCache-Control: no-store\r\n\r\n"
)


async def follow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One connection: whatever is asked, a log without end."""
    with contextlib.suppress(OSError, asyncio.IncompleteReadError):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(HEAD)
        while True:
            line = b"a line of a log t=%d\n" % time.monotonic_ns()
            writer.write(b"%x\r\n%s\r\n" % (len(line), line))
            await writer.drain()
            await asyncio.sleep(1)
    writer.close()


async def serve(port: int, pki: Path) -> None:
    """Listen until the process is told to end."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=pki / "backend-ca.crt")
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(pki / "backend.crt", pki / "backend.key")
    server = await asyncio.start_server(follow, "127.0.0.1", port, ssl=context, backlog=4096)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), Path(sys.argv[2])))
