"""How a table of cases is run: one gateway, one recording backend, a client for each case."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable

import attrs

from tests.relay.ends import BackendConnection, End
from tests.relay.stage import Stage

PATH = b"/jobs/v1/tool/tf-test/jobs"
"""What most cases ask for; it is the tool's own."""
BELOW = b"/v1/tool/tf-test/jobs"
"""The same as the backend sees it."""
SMUGGLED = b"GET /jobs/v1/tool/tf-test/smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n"
"""A second request, which must never arrive when the first is refused."""
PROBE = b"GET /jobs/v1/tool/tf-test/probe HTTP/1.1\r\nHost: localhost\r\n\r\n"

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

_RANDOM = re.compile(rb"(X-Request-ID|traceparent): [^\r]*")
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)

_BODILESS = re.compile(rb"HTTP/1\.1 (?:1..|204|304) ")


def request(
    *fields: bytes,
    body: bytes = b"",
    method: bytes = b"GET",
    target: bytes = PATH,
    host: bytes | None = b"Host: localhost",
) -> bytes:
    """A request with these field lines, each without its CRLF."""
    lines = [method + b" " + target + b" HTTP/1.1"]
    lines += [host] if host is not None else []
    return b"\r\n".join([*lines, *fields]) + b"\r\n\r\n" + body


def arriving(
    *fields: bytes,
    body: bytes = b"",
    method: bytes = b"GET",
    target: bytes = BELOW,
    framing: bytes | None = None,
    host: bytes | None = b"localhost",
    tool: bytes | None = b"tf-test",
) -> bytes:
    """What the backend must see of a request, with `...` for what is random.

    :param fields: the client's field lines that pass.
    :param framing: the field line about the body.
    :param host: what the client called us.
    :param tool: who calls; None: nobody.
    """
    lines = [method + b" " + target + b" HTTP/1.1", b"Host: upstream", *fields]
    lines += [b"X-Forwarded-For: 127.0.0.1", b"X-Forwarded-Proto: https"]
    lines += [b"X-Forwarded-Host: " + host] if host is not None else []
    lines += [b"X-Toolforge-Tool: " + tool, b"X-Toolforge-User: " + tool] if tool else []
    lines += [framing] if framing is not None else []
    lines += [b"X-Request-ID: ...", b"traceparent: ..."]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


@attrs.frozen
class Case:
    """One row."""

    name: str
    sent: bytes
    statuses: tuple[int, ...] = (200,)
    """Of all answers, in order."""
    arrives: tuple[bytes, ...] = ()
    """The whole requests that the backend sees, as `arriving` writes them."""
    goes_on: bool = True
    """Whether the same connection serves another request afterwards."""
    reason: str | None = None
    """Reason word of the last answer, a refusal."""
    begun: bytes = b""
    """The most that a backend may have seen of a request that was cut short
    when the client's fault showed in its body."""
    certificate: str | None = "tool-tf-test"


def refusing(name: str, sent: bytes, status: int = 400, **more: object) -> Case:
    """A case that is answered by the gateway alone, and ends the connection."""
    return Case(name, sent, (status,), goes_on=False, **more)


def named(rows: Iterable[bytes]) -> Iterable[tuple[str, bytes]]:
    """Rows that are their own names."""
    return ((ascii(row)[2:-1], row) for row in rows)


class Recorder:
    """A script for the backend: collects whole requests and answers each.

    Reads requests in the plainest way there is, since the gateway must not
    send any others.
    """

    def __init__(self) -> None:
        self.requests: list[bytes] = []
        self.answer = OK

    def __call__(self, connection: BackendConnection) -> None:
        while (size := whole(connection.received)) is not None:
            self.requests.append(connection.take(size))
            connection.send(self.answer)


def whole(data: bytes, has_body: bool = True) -> int | None:
    """The size of the message that `data` begins with, once it is complete."""
    end = data.find(b"\r\n\r\n")
    if end < 0:
        return None
    head, end = data[: end + 2], end + 4
    if not has_body or _BODILESS.match(head):
        return end
    if b"\r\ntransfer-encoding: chunked\r\n" in head.lower():
        return _whole_chunks(data, end)
    match = _LENGTH.search(head)
    size = end + (int(match[1]) if match else 0)
    return size if len(data) >= size else None


def _whole_chunks(data: bytes, at: int) -> int | None:
    """Where the chunked body that begins at `at` ends, if it does."""
    while (line := data.find(b"\r\n", at)) >= 0:
        size = int(data[at:line], 16)
        at = line + 2 + size + 2
        if len(data) < at:
            return None
        assert data[at - 2 : at] == b"\r\n", data[line : at + 20]
        if not size:
            return at
    return None


def answers(data: bytes, heads_only: bool = False) -> list[bytes]:
    """The complete answers in what a client has received."""
    found = []
    while (size := whole(data, not heads_only)) is not None:
        found.append(data[:size])
        data = data[size:]
    return found


def status(answer: bytes) -> int:
    """Of an answer."""
    return int(answer.split(b" ", 2)[1])


def reason(answer: bytes) -> str | None:
    """The reason word, where the answer is the gateway's own."""
    try:
        return json.loads(answer.partition(b"\r\n\r\n")[2])["reason"]
    except (ValueError, KeyError, TypeError):
        return None


class TableCase(Stage):
    """Runs tables; one gateway for each test method."""

    timeout = 60

    def setUp(self):
        super().setUp()
        self.recorder = Recorder()
        self.backend.script = self.recorder

    async def judge(self, cases: Iterable[Case]) -> None:
        """Run all cases, and show all that went wrong at once."""
        wrong = []
        for case in cases:
            try:
                await self._try(case)
            except AssertionError as error:
                wrong.append(f"{case.name}: {error}")
        if wrong:
            self.fail("\n".join(wrong))

    async def _try(self, case: Case) -> None:
        self.recorder.requests.clear()
        client = await self.client(case.certificate)
        client.send(case.sent)
        heads_only = case.sent.startswith(b"HEAD ")
        wanted = len(case.statuses)
        await client.until(
            lambda: len(answers(client.received, heads_only)) >= wanted or client.lost is not None
        )
        got = answers(client.received, heads_only)
        self.assertEqual(tuple(map(status, got)), case.statuses, client.received)
        if case.reason is not None:
            self.assertEqual(reason(got[-1]), case.reason)
        if case.goes_on:
            await self._goes_on(client, case)
        else:
            if got:
                self.assertIn(b"\r\nConnection: close\r\n", got[-1])
            await client.closed()
            self.assertEqual(len(answers(client.received, heads_only)), wanted, client.received)
        self.assertEqual(tuple(map(self.seen, self.recorder.requests)), case.arrives)
        for connection in self.backend.connections:
            if connection.received:
                await connection.closed()
                begun = self.seen(connection.take())
                self.assertTrue(case.begun.startswith(begun), f"the backend saw {begun!r}")

    async def _goes_on(self, client: End, case: Case) -> None:
        """The connection is in step: its next request is read as one and no more."""
        client.take()
        client.send(PROBE)
        await client.until(lambda: len(client.received) >= len(OK) or client.lost is not None)
        self.assertEqual(client.received, OK)
        probe = self.recorder.requests.pop()
        tool = b"tf-test" if case.certificate else None
        self.assertEqual(self.seen(probe), arriving(target=b"/v1/tool/tf-test/probe", tool=tool))
        client.transport.abortConnection()

    async def answered(self, client: End, heads_only: bool = False) -> bytes:
        """The first answer that this client gets, final or not, or what it had when it was gone."""
        await client.until(
            lambda: bool(answers(client.received, heads_only)) or client.lost is not None
        )
        return client.received

    def seen(self, received: bytes) -> bytes:
        """A request at the backend, without what is random."""
        received = received.replace(b"127.0.0.1:%d" % self.backend.number, b"upstream", 1)
        return _RANDOM.sub(rb"\1: ...", received)
