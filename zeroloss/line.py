"""A client's connection: what is sent on it, what comes back, and how it ends."""

from __future__ import annotations

import asyncio
import hashlib
import ssl
from collections.abc import Callable, Sequence

import attrs

from soak import wire
from soak.judge import TOKEN
from zeroloss.judge import Attempt, End

PATIENCE = 30.0
"""Seconds within which there is a connection, and within which a silent answer goes on."""
LIMIT = 1 << 16
"""Bytes that a reader takes from the kernel before it has to be asked."""
SIPS = 20


@attrs.frozen
class Target:
    """Where requests go, and as whom."""

    host: str
    port: int
    context: ssl.SSLContext = attrs.field(repr=False)
    """Trusts the gateway and has the caller's certificate."""
    prefix: str
    """The path of a backend that is `zeroloss.backend`'s."""
    tool: str = "tf-test"
    server_name: str = "localhost"


@attrs.frozen
class Request:
    """One request, and the answer that is the right one."""

    method: str
    rest: str
    """What follows the tool in its path, and the query."""
    token: bytes
    """By which both ends know it; stays the same when it is sent again."""
    body: bytes | None = None
    chunked: bool = False
    expects: bool = False
    """Whether it asks for leave to send its body (RFC 9110 section 10.1.1)."""
    parts: Sequence[bytes] = ()
    """The body in the pieces in which it is sent."""
    gap: float = 0.0
    """Seconds between them."""
    sip: float = 0.0
    """Seconds before each of the first `SIPS` pieces of the answer's body is taken."""
    wrong: Callable[[wire.Answer], str] = lambda answer: ""
    """What is wrong with the body of an answer of its own; "": nothing."""
    last: bool = False
    """Whether it asks for the connection to close."""

    def head(self, target: Target) -> bytes:
        """Its head, with the blank line."""
        lines = [
            f"{self.method} {target.prefix}/v1/tool/{target.tool}/{self.rest} HTTP/1.1",
            f"Host: {target.server_name}",
            f"{TOKEN.decode()}: {self.token.decode()}",
        ]
        if self.body is not None:
            length = f"Content-Length: {len(self.body)}"
            lines.append("Transfer-Encoding: chunked" if self.chunked else length)
        if self.expects:
            lines.append("Expect: 100-continue")
        if self.last:
            lines.append("Connection: close")
        return "\r\n".join([*lines, "", ""]).encode()

    def judged(self, answer: wire.Answer) -> tuple[End, str]:
        """Whether a whole answer is the right one, and why not."""
        theirs = wire.value(answer.fields, TOKEN)
        if answer.status not in (200, 204):
            return End.WRONG, f"{answer.status} {answer.body[:120]!r}"
        if theirs != self.token:
            return End.WRONG, f"it bears {theirs!r} for {self.token!r}"
        received = wire.value(answer.fields, b"x-soak-received")
        digest = hashlib.sha256(self.body or b"").hexdigest().encode()
        if received is not None and received != digest:
            return End.WRONG, f"{len(self.body or b'')} bytes arrived changed"
        wrong = self.wrong(answer)
        return (End.WRONG, wrong) if wrong else (End.RIGHT, "")


class _Reader(asyncio.StreamReader):
    """Knows how much of an answer has come, also when a reset follows it."""

    taken = 0
    heard = 0
    sip = 0.0
    sips = 0
    broken: BaseException | None = None

    def feed_data(self, data: bytes) -> None:
        self.heard += len(data)
        super().feed_data(data)

    def set_exception(self, exc: BaseException) -> None:
        # What has come before a reset may still be read, as from the kernel.
        self.broken = exc
        self.feed_eof()

    async def read(self, n: int = -1) -> bytes:
        await self._sip()
        data = await super().read(n)
        self.taken += len(data)
        return data

    async def readexactly(self, n: int) -> bytes:
        if n > 2:
            await self._sip()
        return await self._counted(super().readexactly(n))

    async def readuntil(self, separator: bytes = b"\n") -> bytes:
        return await self._counted(super().readuntil(separator))

    async def _sip(self) -> None:
        if self.sip and self.sips:
            self.sips -= 1
            await asyncio.sleep(self.sip)

    async def _counted(self, reading) -> bytes:
        try:
            data: bytes = await reading
        except asyncio.IncompleteReadError as error:
            self.taken += len(error.partial)
            raise
        self.taken += len(data)
        return data


class Unreached(Exception):
    """There is no connection."""


class Line:
    """One connection.

    :ivar answers: how many have come whole on it.
    :ivar ended: whether an answer said that it is the last.
    :ivar certificate: what the gateway has shown, DER.
    """

    def __init__(self, target: Target):
        self.target = target
        self.answers = 0
        self.ended = False
        self.certificate = b""
        self._reader: _Reader
        self._writer: asyncio.StreamWriter

    async def open(self) -> None:
        """Connect, handshake included.

        :raise Unreached: that was not possible.
        """
        loop = asyncio.get_running_loop()
        reader = _Reader(limit=LIMIT, loop=loop)
        protocol = asyncio.StreamReaderProtocol(reader, loop=loop)
        target = self.target
        try:
            async with asyncio.timeout(PATIENCE):
                transport, _ = await loop.create_connection(
                    lambda: protocol,
                    target.host,
                    target.port,
                    ssl=target.context,
                    server_hostname=target.server_name,
                    ssl_handshake_timeout=PATIENCE,
                )
        except (OSError, TimeoutError) as error:  # ssl.SSLError is an OSError
            raise Unreached(repr(error)) from None
        self._reader = reader
        self._writer = asyncio.StreamWriter(transport, protocol, reader, loop)
        # Now: it is forgotten with the connection.
        self.certificate = transport.get_extra_info("ssl_object").getpeercert(True) or b""

    async def usable(self) -> bool:
        """Whether another request may be sent: nobody has ended it."""
        # The loop may have been told of the end, and we not yet.
        for _ in range(3):
            await asyncio.sleep(0)
        reader = self._reader
        return not (self.ended or reader.at_eof() or reader.heard > reader.taken)

    async def send(self, request: Request) -> None:
        """Send a request; that it cannot be sent shows in its answer."""
        try:
            self._writer.write(request.head(self.target))
            if request.expects:
                await asyncio.sleep(request.gap)
            for part in request.parts:
                self._writer.write(b"%x\r\n%b\r\n" % (len(part), part) if request.chunked else part)
                await self._writer.drain()
                if request.gap:
                    await asyncio.sleep(request.gap)
            if request.chunked:
                self._writer.write(b"0\r\n\r\n")
            await self._writer.drain()
        except OSError:
            pass

    async def receive(self, request: Request, again: bool) -> Attempt:
        """The answer to a request whose turn it is."""
        reader = self._reader
        before = reader.taken
        reader.sip, reader.sips = request.sip, SIPS
        end, detail, after_close = End.SILENT, "", self.ended
        if not after_close:
            try:
                async with asyncio.timeout(PATIENCE):
                    answer = await wire.read_answer(reader, request.method.encode())
            except asyncio.IncompleteReadError:
                end = End.SILENT if reader.taken == before else End.CUT
                detail = f"{reader.taken - before} bytes came; {reader.broken!r}"
            except TimeoutError:
                end, detail = End.LATE, f"{reader.taken - before} bytes in {PATIENCE:g} s"
            except (ValueError, asyncio.LimitOverrunError) as error:
                end, detail = End.WRONG, f"no HTTP: {error!r}"
            else:
                end, detail = request.judged(answer)
                self.ended = answer.closes
        attempt = Attempt(
            method=request.method,
            end=end,
            reused=self.answers > 0,
            after_close=after_close,
            again=again,
            detail=detail,
        )
        if end in (End.RIGHT, End.WRONG):
            self.answers += 1
        return attempt

    async def ask(self, request: Request, again: bool) -> Attempt:
        """Send a request and have its answer, which may come before all is sent."""
        sending = asyncio.ensure_future(self.send(request))
        try:
            return await self.receive(request, again)
        finally:
            sending.cancel()

    def close(self) -> None:
        """Leave."""
        self._writer.close()
