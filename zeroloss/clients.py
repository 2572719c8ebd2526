"""The kinds of clients: kept connections, new ones, bodies both ways, streams, requests ahead."""

from __future__ import annotations

import asyncio
import hashlib
import random
import secrets
import time
from collections.abc import Sequence

import attrs

from soak import wire
from zeroloss.judge import Attempt, End, Ledger, Verdict
from zeroloss.line import SIPS, Line, Request, Target, Unreached


@attrs.define(eq=False)
class Client:
    """One client: keeps no more than one connection.

    :ivar target: where it goes; may be changed between requests.
    """

    kind: str
    target: Target
    ledger: Ledger
    rng: random.Random
    stream: float
    """Seconds that its streams last at most."""
    over: asyncio.Event
    """Set: nothing new is begun."""
    _line: Line | None = None

    async def ask(self, request: Request, again: bool = False) -> None:
        """Have a request answered: on the kept connection if there is one, and a second time if
        that may be."""
        began = time.monotonic()
        while await self._attempt(request, began, again) is Verdict.RESEND:
            again = True

    async def ask_ahead(self, requests: Sequence[Request]) -> None:
        """Send requests without waiting for answers; what may be sent again is, one at a time."""
        began = time.monotonic()
        try:
            line = await self._open()
        except Unreached as error:
            for request in requests:
                self._enter(request, Attempt(request.method, End.UNREACHED, detail=str(error)), 0)
            return
        repeated = []

        async def send() -> None:
            for request in requests:
                await line.send(request)

        sending = asyncio.ensure_future(send())
        for request in requests:
            attempt = await line.receive(request, False)
            if self._enter(request, attempt, began) is Verdict.RESEND:
                repeated.append(request)
        sending.cancel()
        await self._leave_if_over(line, attempt)
        for request in repeated:
            await self.ask(request, again=True)

    async def rest(self, least: float, most: float) -> None:
        """Think; less when all is over."""
        try:
            await asyncio.wait_for(self.over.wait(), self.rng.uniform(least, most))
        except TimeoutError:
            pass

    def leave(self) -> None:
        """Close the connection, if there is one."""
        line, self._line = self._line, None
        if line is not None:
            line.close()

    async def _attempt(self, request: Request, began: float, again: bool) -> Verdict:
        try:
            line = await self._open()
        except Unreached as error:
            unreached = Attempt(request.method, End.UNREACHED, again=again, detail=str(error))
            verdict = self._enter(request, unreached, began)
            await self.rest(0.05, 0.2)
            return verdict
        attempt = await line.ask(request, again)
        await self._leave_if_over(line, attempt)
        return self._enter(request, attempt, began)

    async def _open(self) -> Line:
        line = self._line
        if line is not None and not await line.usable():
            if not line.ended:
                self.ledger.closed_idle += 1
            self.leave()
        if self._line is None:
            line = Line(self.target)
            await line.open()
            self._line = line
        assert self._line is not None, "just opened"
        return self._line

    async def _leave_if_over(self, line: Line, attempt: Attempt) -> None:
        if line.ended or attempt.end not in (End.RIGHT, End.WRONG):
            self.leave()

    def _enter(self, request: Request, attempt: Attempt, began: float) -> Verdict:
        attempt = attrs.evolve(attempt, detail=f"{attempt.detail} ({request.rest})")
        return self.ledger.enter(self.kind, attempt, began, time.monotonic())

    # Requests.

    def small(self, method: str) -> Request:
        """One without a body, or with a short one."""
        rng = self.rng
        token = _token()
        body = rng.randbytes(rng.randint(0, 900)) if method in ("POST", "PUT") else None
        wanted = b"" if method == "HEAD" else body if body is not None else token
        return Request(
            method=method,
            rest="name" if body is None else "echo",
            token=token,
            body=body,
            parts=[body] if body else [],
            wrong=_is(wanted),
        )


def _token() -> bytes:
    """By no lot: a run that repeats another's lots asks for something of its own."""
    return secrets.token_hex(8).encode()


def _is(wanted: bytes):
    digest = hashlib.sha256(wanted).hexdigest()

    def wrong(answer: wire.Answer) -> str:
        if answer.sha256 == digest:
            return ""
        return f"{answer.length} bytes {answer.body[:80]!r} for {len(wanted)} bytes"

    return wrong


async def kept(client: Client) -> None:
    """Small requests of all methods, close upon each other, on a connection that is kept."""
    method = client.rng.choice(["GET", "GET", "HEAD", "POST", "POST", "DELETE", "PUT"])
    await client.ask(client.small(method))
    await client.rest(0.0, 0.15)


async def seldom(client: Client) -> None:
    """POST on a connection that is kept, after seconds of silence: what meets a connection that
    is being closed sooner than all others."""
    await client.ask(client.small("POST"))
    await client.rest(0.2, 4.0)


async def new(client: Client) -> None:
    """A connection for each request, as command lines do."""
    request = client.small(client.rng.choice(["GET", "POST", "DELETE"]))
    await client.ask(attrs.evolve(request, last=client.rng.random() < 0.5))
    client.leave()
    await client.rest(0.0, 0.2)


async def upload(client: Client) -> None:
    """POST of a body that takes a while to be sent, and comes back."""
    rng = client.rng
    data = rng.randbytes(rng.choice([30_000, 200_000, 1_000_000]))
    parts = wire.cut_up(data, rng, max(9000, len(data) // 10))
    request = Request(
        method="POST",
        rest=rng.choice(["echo", "echo?chunked=1"]),
        token=_token(),
        body=data,
        chunked=rng.random() < 0.5,
        expects=rng.random() < 0.2,
        parts=parts,
        gap=rng.uniform(0, client.stream) / len(parts),
        wrong=_is(data),
    )
    await client.ask(request)
    await client.rest(0.0, 0.5)


async def download(client: Client) -> None:
    """GET of a large body, some of them taken slowly."""
    rng = client.rng
    size, seed = rng.choice([20_000, 400_000, 2_000_000]), rng.randrange(1 << 30)
    request = Request(
        method="GET",
        rest=f"bytes?size={size}&seed={seed}{rng.choice(['', '&chunked=1'])}",
        token=_token(),
        sip=rng.choice([0, rng.uniform(0, client.stream) / SIPS]),
        wrong=_is(wire.deterministic(seed, size)),
    )
    await client.ask(request)
    await client.rest(0.0, 0.5)


async def stream(client: Client) -> None:
    """A followed log: lines with pauses, for as long as streams may last."""
    lines = client.rng.randint(2, 15)
    gap = client.rng.uniform(0, client.stream) / lines

    def wrong(answer: wire.Answer) -> str:
        numbers = [line.split(b" ")[0] for line in answer.body.splitlines()]
        if numbers == [b"%d" % number for number in range(lines)]:
            return ""
        return f"{lines} lines came as {numbers}"

    request = Request(
        method="GET",
        rest=f"log?lines={lines}&gap={gap:.4f}",
        token=_token(),
        wrong=wrong,
    )
    await client.ask(request)
    await client.rest(0.0, 0.2)


async def ahead(client: Client) -> None:
    """Requests sent ahead of their answers, as far as a client may: none after one whose method is
    not idempotent (RFC 9112 section 9.3.2)."""
    rng = client.rng
    requests = [client.small(rng.choice(["GET", "HEAD"])) for _ in range(rng.randint(2, 12))]
    if rng.random() < 0.3:
        requests.append(client.small("POST"))
    await client.ask_ahead(requests)
    await client.rest(0.0, 0.4)


KINDS = {
    "kept": (kept, 4),
    "seldom": (seldom, 8),
    "new": (new, 2),
    "upload": (upload, 2),
    "download": (download, 2),
    "stream": (stream, 4),
    "ahead": (ahead, 1),
}
"""By name, with how many there are of each."""
