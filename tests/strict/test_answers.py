"""Broken backends: answers that are none, and what follows an answer."""

from __future__ import annotations

import attrs
from twisted.internet.error import ConnectionLost

from tests.relay.ends import BackendConnection, End
from tests.strict.table import TableCase, answers, named, reason, request, status, whole
from tests.strict.test_lengths import AMBIGUOUS, BAD_ENCODINGS, BAD_LENGTHS, MISSPELT

OWN = b"/jobs/v1/tool/tf-test/"
OK_LINE = b"HTTP/1.1 200 OK"

BAD_LINES = [
    b"garbage", b"<html>hello</html>", b"hello world\n", b"SSH-2.0-OpenSSH_9.2", b"ICY 200 OK",
    b"+OK ready", b"220 mail ESMTP", b"HTTP/1.1", b"HTTP/1.1 ", b"HTTP/1.1 200",
    b"HTTP/1.1  200 OK",
    b"HTTP/1.1 20 OK", b"HTTP/1.1 2 OK", b"HTTP/1.1 2000 OK", b"HTTP/1.1 abc OK",
    b"HTTP/1.1 -20 OK",
    b"HTTP/1.1 +20 OK", b"HTTP/1.1 0x1 OK", b"HTTP/1.1 099 OK", b"HTTP/1.1 000 OK",
    b"HTTP/1.1 600 OK",
    b"HTTP/1.1 999 OK", b"HTTP/1.1 2 0 OK", b"HTTP/1.1 200OK", b"HTTP/1.1 200.0 OK",
    b"HTTP/1.1 \xb2\xb2\xb2 OK", b"HTTP/2.0 200 OK", b"HTTP/2 200 OK", b"HTTP/1.2 200 OK",
    b"HTTP/0.9 200 OK", b"HTTP/1.10 200 OK", b"HTTP/1 200 OK", b"HTTP/01.1 200 OK",
    b"http/1.1 200 OK",
    b"Http/1.1 200 OK", b"HTTP /1.1 200 OK", b" HTTP/1.1 200 OK", b"\tHTTP/1.1 200 OK",
    b"\r\nHTTP/1.1 200 OK", b"\nHTTP/1.1 200 OK", b"\xef\xbb\xbfHTTP/1.1 200 OK",
    b"HTTP/1.1\t200 OK",
    b"HTTP/1.1 200\tOK", b"HTTP/1.1 200 O\x00K", b"HTTP/1.1 200 O\x1b[31mK", b"HTTP/1.1 200 OK\x7f",
    b"HTTP/1.1 200 OK\nX: y", b"HTTP/1.1 200 OK\rX: y", b"HTTP/1.1 200 OK\r", b"GET / HTTP/1.1",
    b"RTSP/1.0 200 OK", b"HTTPS/1.1 200 OK", b"HTTP/1.1 200 OK\r\n\r\n"[:-2] + b"\nX: y",
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade",
    b"HTTP/1.1 101 Switching Protocols", b"HTTP/1.1 200 " + b"x" * 9000,
]  # fmt: skip

BAD_FIELDS = [
    b"X: a\x00b", b"X\x00: a", b"X: \x1b[31m", b"X: a\x7f", b"X: a\x0bb", b"X: a\x0cb", b"X: a\rb",
    b"X: a\nb", b"X: a\r\n b", b"X: a\r\n\tb", b" X: a", b"X : a", b"X\t: a", b"X", b": a",
    b"X y: a",
    b"X\xe9: a", b"<html>", b"(X): a", b"X: a\n", b"\nX: a", b"X: a\r", b"X: " + b"a" * 40000,
    b"\r\n".join([b"X: a"] * 101), b"X: a\x01\x02", b"Set-Cookie: a=b\x00", b"Location: /x\x00y",
]  # fmt: skip

INTERIM = [b"HTTP/1.1 100 Continue", b"HTTP/1.1 102 Processing", b"HTTP/1.1 103 Early Hints"]

BAD_INTERIM = [
    b"HTTP/1.1 100 Continue\r\n\r\n" * 17, b"HTTP/1.1 100\r\n\r\n",
    b"HTTP/1.1 100 Continue\r\nX : y\r\n\r\n", b"HTTP/1.1 100 Continue\n\n",
    b"HTTP/1.1 100 Continue\r\nContent-Length: 1, 1\r\n\r\n",
    b"HTTP/1.1 100 Continue\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"HTTP/1.1 103 Early Hints\r\nX: \x00\r\n\r\n",
]  # fmt: skip

BEGINNINGS = [
    b"", b"H", b"HTTP/1.1", b"HTTP/1.1 200 OK", b"HTTP/1.1 200 OK\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 5", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n", b"hello",
    b"\xff\xfe", b"HTTP/1.1 200 OK\r\nX: y\r\n\r",
]  # fmt: skip
"""Then the connection ends."""

LENGTH, CHUNKED = b"\r\nContent-Length: 10\r\n\r\n", b"\r\nTransfer-Encoding: chunked\r\n\r\n"

CUT = [
    (LENGTH, b""), (LENGTH, b"hello"), (LENGTH, b"hellohell"), (CHUNKED, b""), (CHUNKED, b"5"),
    (CHUNKED, b"5\r\n"), (CHUNKED, b"5\r\nhel"), (CHUNKED, b"5\r\nhello"), (CHUNKED,
    b"5\r\nhello\r\n"),
    (CHUNKED, b"5\r\nhello\r\n0"), (CHUNKED, b"5\r\nhello\r\n0\r\n"), (CHUNKED,
    b"5\r\nhello\r\n0\r\nX: y\r\n"),
    (CHUNKED, b"5\r\nhello\r\n\r\n"),
]  # fmt: skip

BROKEN_CHUNKS = [
    b"zz\r\n", b"+5\r\nhello\r\n", b"0x5\r\nhello\r\n", b"5 \r\nhello\r\n", b"5\nhello\r\n",
    b"5\r\nhelloo\r\n", b"5\r\nhello\n", b"ffffffffffffffff\r\n", b"10000000000000005\r\n",
    b"5;a=\x00\r\nhello\r\n", b"0\n\r\n", b"0\r\n\n", b"0\r\nX : y\r\n\r\n",
    b"0\r\nX: \x00\r\n\r\n",
    b"-5\r\nhello\r\n", b"\r\n", b"5;" + b"a" * 5000, b"0\r\nX: " + b"a" * 5000,
]  # fmt: skip
"""After one good chunk, on a connection that stays open."""

POISON = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison"

TOO_MUCH = [
    (b"GET", OK_LINE + b"\r\nContent-Length: 2\r\n\r\nok"), (b"GET",
    OK_LINE + b"\r\nContent-Length: 0\r\n\r\n"),
    (b"GET", OK_LINE + CHUNKED + b"2\r\nok\r\n0\r\n\r\n"), (b"GET",
    b"HTTP/1.1 204 No Content\r\n\r\n"),
    (b"GET", b"HTTP/1.1 304 Not Modified\r\n\r\n"), (b"GET", b"HTTP/1.1 304 Not Modified" + LENGTH),
    (b"HEAD", OK_LINE + LENGTH), (b"HEAD", OK_LINE + CHUNKED), (b"HEAD", OK_LINE + b"\r\n\r\n"),
    (b"POST", OK_LINE + b"\r\nContent-Length: 2\r\n\r\nok"),
]  # fmt: skip


@attrs.define
class Misbehaving:
    """A script: the first request of each connection for `/broken` gets this.

    :ivar end: `close`, `cut` (no close_notify), `reset`; None: stays open.
    :ivar seen: how many have come.
    """

    sends: bytes
    end: str | None = None
    seen: int = 0

    def __call__(self, connection: BackendConnection) -> None:
        while (size := whole(connection.received)) is not None:
            head = connection.take(size)
            if b"/broken" in head.partition(b"\r\n")[0]:
                self.seen += 1
                connection.send(self.sends)
                finish(connection, self.end)
            else:
                path = head.split(b" ", 2)[1]
                connection.send(OK_LINE + b"\r\nContent-Length: %d\r\n\r\n%b" % (len(path), path))


def finish(connection: BackendConnection, end: str | None) -> None:
    """End a backend's connection in one of the ways there are."""
    if end == "close":
        connection.transport.loseConnection()
    elif end == "cut":
        connection.transport.transport.loseConnection()
    elif end == "reset":
        connection.transport.abortConnection()


class BrokenAnswers(TableCase):
    async def outcome(self, name: str, script: Misbehaving, method: bytes = b"GET") -> bytes:
        """Everything that a client gets of such an answer; then others get their own."""
        self.backend.script = script
        client = await self.client()
        client.send(request(method=method, target=OWN + b"broken", body=b""))
        await client.until(
            lambda: (
                client.lost is not None
                or any(status(each) >= 200 for each in answers(client.received, method == b"HEAD"))
            )
        )
        self.assertEqual(script.seen, 1, f"{name}: sent {script.seen} times")
        received = client.received
        if client.lost is None:
            received = await self.own_answer(client, name)
        await self.own_answer(await self.client(), name)
        return received

    async def own_answer(self, client: End, name: str) -> bytes:
        """This client asks for something else, and gets just that; what it had before."""
        before = client.take()
        client.send(request(target=OWN + b"mine"))
        wanted = b"/v1/tool/tf-test/mine"
        await client.until(lambda: client.received.endswith(wanted) or client.lost is not None)
        (answer,) = answers(client.take())
        self.assertEqual((status(answer), answer.endswith(wanted)), (200, True), name)
        return before

    async def refused(self, rows, word: str | None, before: tuple[int, ...] = ()) -> None:
        """Each row is answered by the gateway, whichever way its connection ends."""
        for name, sends, end in rows:
            received = await self.outcome(name, Misbehaving(sends, end))
            got = answers(received)
            self.assertEqual([*map(status, got)], [*before, 502], name)
            if word is not None:
                self.assertEqual(reason(got[-1]), word, name)
            self.assertNotIn(b"127.0.0.1", received)

    async def test_status_lines(self):
        """What does not begin with a status line of HTTP/1.1 or 1.0 is a 502 at once."""
        await self.refused(
            ((name[:60], line + b"\r\n\r\n", None) for name, line in named(BAD_LINES)),
            "backend-broken-answer",
        )

    async def test_fields(self):
        """Fields that are none, or have a NUL, or never end, are a 502."""
        await self.refused(
            (
                (name[:60], OK_LINE + b"\r\n" + line + b"\r\nContent-Length: 2\r\n\r\nok", None)
                for name, line in named(BAD_FIELDS)
            ),
            "backend-broken-answer",
        )

    async def test_lengths(self):
        """A body whose end can be read in two ways is a 502."""
        rows = [b"Content-Length: " + value for value in BAD_LENGTHS]
        rows += [b"Transfer-Encoding: " + value for value in BAD_ENCODINGS]
        rows += [name + b": chunked" for name in MISSPELT]
        rows += [b"\r\n".join(fields) for fields in AMBIGUOUS]
        rows += [b"Content-Length: 5\r\nContent-Length: 5"]
        await self.refused(
            (
                (name[:60], OK_LINE + b"\r\n" + line + b"\r\n\r\n5\r\nhello\r\n0\r\n\r\n", None)
                for name, line in named(rows)
            ),
            "backend-broken-answer",
        )
        old = b"HTTP/1.0 200 OK" + CHUNKED + b"0\r\n\r\n"
        await self.refused([("1.0", old, None)], "backend-broken-answer")

    async def test_interim(self):
        """A few interim answers pass; what is no good one, or too many, is a 502."""
        for line in INTERIM:
            received = await self.outcome(
                repr(line), Misbehaving((line + b"\r\n\r\n") * 3 + POISON)
            )
            self.assertEqual(received, (line + b"\r\n\r\n") * 3 + POISON)
        framed = INTERIM[0] + b"\r\nContent-Length: 99\r\nKeep-Alive: 1\r\nX: y\r\n\r\n"
        received = await self.outcome("framed", Misbehaving(framed + POISON))
        self.assertEqual(received, INTERIM[0] + b"\r\nX: y\r\n\r\n" + POISON)
        framed = INTERIM[2] + b"\r\nTransfer-Encoding: chunked\r\nLink: <x>\r\n\r\n"
        received = await self.outcome("chunked", Misbehaving(framed + POISON))
        self.assertEqual(received, INTERIM[2] + b"\r\nLink: <x>\r\n\r\n" + POISON)
        for sends in BAD_INTERIM:
            received = await self.outcome(repr(sends), Misbehaving(sends + POISON))
            got = answers(received)
            self.assertEqual(reason(got[-1]), "backend-broken-answer", sends)
            self.assertLessEqual(len(got), 17)

    async def test_ended_before_the_head(self):
        """A connection that ends before a whole head is a 502, and nothing is asked again."""
        await self.refused(
            (
                (f"{name} {end}", beginning, end)
                for name, beginning in named(BEGINNINGS)
                for end in ("close", "cut", "reset")
            ),
            None,
        )
        interim = INTERIM[0] + b"\r\n\r\n"
        await self.refused(
            ((end, interim, end) for end in ("close", "cut")), "backend-closed", (100,)
        )

    async def test_post_once(self):
        """A POST goes out once, on a fresh connection or a kept one, whatever comes of it."""
        for kept in (False, True):
            for end in ("close", "cut", "reset"):
                script = Misbehaving(b"", end)
                self.backend.script = script
                if kept:
                    await self.own_answer(await self.client(), "before")
                received = await self.outcome(end, script, b"POST")
                self.assertEqual(status(received), 502)

    async def test_cut_bodies(self):
        """After the head, a cut body is cut for the client too, and never looks whole."""
        rows = [(head, body, end) for head, body in CUT for end in ("close", "cut", "reset")]
        rows += [(b"\r\n\r\n", body, end) for body in (b"", b"hello") for end in ("cut", "reset")]
        rows += [(CHUNKED, b"5\r\nhello\r\n" + chunk, None) for chunk in BROKEN_CHUNKS]
        for version in (b"HTTP/1.1", b"HTTP/1.0"):
            for head, body, end in rows:
                await self.cut(version, OK_LINE + head, body, end)

    async def cut(self, version: bytes, head: bytes, body: bytes, end: str | None) -> None:
        name = f"{version} {head} {body[:40]} {end}"
        script = self.backend.script = Misbehaving(head + body, end)
        client = await self.client()
        client.send(request(target=OWN + b"broken").replace(b"HTTP/1.1", version))
        await client.until(
            lambda: client.lost is not None or client.received.startswith(b"HTTP/1.1 502 ")
        )
        self.assertEqual(script.seen, 1, name)
        received = client.received
        if received.startswith(b"HTTP/1.1 502 "):
            # A reset can overtake the head.
            self.assertEqual(end, "reset", name)
            return
        self.assertTrue(received.startswith(OK_LINE + b"\r\n"), name)
        self.assertFalse(received.endswith(b"\r\n0\r\n\r\n"), name)
        if b"\r\nContent-Length: 10\r\n" in received:
            self.assertIsNone(whole(received), name)
        # No close_notify: the end must not look like one that was meant.
        self.assertTrue(client.lost.check(ConnectionLost), f"{name}: {client.lost}")
        await self.own_answer(await self.client(), name)

    async def test_until_close(self):
        """Without a length, TLS says by close_notify whether the body is whole."""
        received = await self.outcome("", Misbehaving(OK_LINE + b"\r\n\r\nhello", "close"))
        head, _, body = received.partition(b"\r\n\r\n")
        self.assertEqual(head, OK_LINE + CHUNKED[:-4])
        self.assertEqual(body, b"5\r\nhello\r\n0\r\n\r\n")

    async def test_too_much(self):
        """Bytes after an answer reach nobody, and end the backend's connection."""
        for method, answer in TOO_MUCH:
            for late in (False, True):
                name = f"{method} {answer} {late}"
                script = Misbehaving(answer + (b"" if late else POISON))
                self.backend.script = script
                client = await self.client()
                client.send(request(method=method, target=OWN + b"broken"))
                await self.answered(client, method == b"HEAD")
                upstream = self.backend.connections[-1]
                if late and upstream.lost is None:
                    upstream.send(POISON)
                await upstream.closed()
                self.assertNotIn(b"poison", await self.own_answer(client, name), name)
                client.transport.abortConnection()

    async def test_head_with_a_body(self):
        """A body after an answer to HEAD cannot become the next answer, however late it comes."""
        late = self.backend.script = Misbehaving(OK_LINE + LENGTH)
        client = await self.client()
        client.send(request(method=b"HEAD", target=OWN + b"broken"))
        await client.until(OK_LINE)
        upstream = self.backend.connections[-1]
        await self.own_answer(client, "next")
        self.assertEqual(late.seen, 1)
        self.assertIsNot(self.backend.connections[-1], upstream)
        await upstream.closed()
