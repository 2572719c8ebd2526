"""One reading: chunked bodies.  RFC 9112 section 7.1."""

from __future__ import annotations

from tests.strict.table import SMUGGLED, Case, TableCase, arriving, named, request

CHUNKED = b"Transfer-Encoding: chunked"
END = b"0\r\n\r\n"
HEAD = arriving(method=b"POST", framing=CHUNKED)

BAD_SIZES = [
    b"", b" ", b"+5", b"-5", b"-0", b"0x5", b"0X5", b"x5", b"5h", b"5x", b" 5", b"\t5", b"5 ",
    b"5\t",
    b"5 \t ", b"5 ;a", b"5\t;a", b"5,", b"5,5", b"5 5", b"5_0", b"0_5", b"5.0", b"5-", b"$5",
    b"#5", b"'5'", b'"5"', b"(5)", b"five", b"g", b"\\x35", b"%35", b"\xef\xbc\x95", b"\xd9\xa5",
    b"5\x00", b"\x005", b"5\x0b", b"\x0b5", b"5\x0c", b"5\xa0", b"\xa05", b"5\x7f", b"5\x85",
    b"5\r", b"5\n", b"\r5", b"\n5", b"5\n;", b"5\r;a", b"0" * 16 + b"5", b"0" * 400 + b"5",
    b"10000000000000005", b"8000000000000000", b"8000000000000005", b"FFFFFFFFFFFFFFFF",
    b"ffffffffffffffff", b"FFFFFFFFFFFFFFFFF", b"1" + b"0" * 31 + b"5", b"5:", b"5=", b"5;",
    b"5; ", b"5;;a", b"5;=", b"5;=b", b"5;a=", b"5; =b", b'5;a="b', b'5;a=b"', b'5;a="b"c',
    b"5;a=b c",
    b"5;a b", b"5;a=\x00", b"5;a=\x01", b"5;\x7f", b"5;a=\x1b[31m", b"5;a\rb", b"5;a\nb", b"5;a=\r",
    b"5;a=\n", b"5;(a)", b"5;a,b", b"5;a=b,c", b"5;a=b;", b'5;"a"', b"5;a\xff", b"5;a={}",
    b"chunked",
    b"HTTP/1.1 200 OK", b"GET / HTTP/1.1",
]  # fmt: skip
"""Before `\\r\\nhello`."""

GOOD_SIZES = [
    b"5", b"05", b"00000005", b"0" * 15 + b"5", b"5;a", b"5;a=b", b'5;a="b"', b'5;a="b;c=d"',
    b'5;a="\\""', b"5;a;b;c", b"5;a=b;c=d", b"5;a = b", b"5; a=b", b"5;a ;b", b'5;a="\xe4"',
    b'5;a=""',
    b"5;" + b"a" * 4000,
]  # fmt: skip

BAD_DATA = [
    b"5\r\nhelloo\r\n", b"5\r\nhell\r\n", b"5\r\nhello", b"5\r\nhello\n", b"5\r\nhello\r",
    b"5\r\nhello\r\r\n", b"5\r\nhello\n\r\n", b"5\r\nhello \r\n", b"5\r\nhello\r\n\r\n",
    b"5\nhello\r\n", b"5\rhello\r\n", b"\r\n5\r\nhello\r\n", b"5\r\n\r\nhello\r\n",
    b"5\r\nhello;\r\n", b"5\r\nhello\x00\r\n", b"6\r\nhello\r\n", b"4\r\nhello\r\n",
    b"5\r\nhello\r\n\r\n0\r\n",
]  # fmt: skip

BAD_LAST = [
    b"0\n\r\n", b"0\r\n\n", b"0\n\n", b"0\r\r\n\r\n", b"0\r\n\r\r\n", b" 0\r\n\r\n", b"0 \r\n\r\n",
    b"00x\r\n\r\n", b"-0\r\n\r\n", b"+0\r\n\r\n", b"0x0\r\n\r\n", b"0" * 17 + b"\r\n\r\n",
    b"0;\r\n\r\n",
    b"0\x00\r\n\r\n", b"0\r\n\x00\r\n", b"o\r\n\r\n", b"\r\n\r\n", b"0.\r\n\r\n", b"0\r\n \r\n\r\n",
]  # fmt: skip

GOOD_LAST = [b"0\r\n\r\n", b"00\r\n\r\n", b"0" * 16 + b"\r\n\r\n", b"0;a=b\r\n\r\n"]

GOOD_TRAILERS = [
    b"X: y", b"X-Toolforge-Tool: victim", b"X-Toolforge-User: victim", b"Content-Length: 99",
    b"Transfer-Encoding: chunked", b"Host: evil", b"Authorization: Bearer x", b"Connection: close",
    b"X: ", b"X: y\r\nZ: w", b"Trailer: X", b"X-Forwarded-For: 6.6.6.6", b"Expect: 100-continue",
    b"Upgrade: websocket", b"X: \xe4",
]  # fmt: skip

BAD_TRAILERS = [
    b" X: y", b"\tX: y", b"X : y", b"X\t: y", b"X", b": y", b"X y", b"X: a\x00b", b"X: a\rb",
    b"X: a\nb", b"X: y\r\n z", b"X: a\x1b", b"X\x00: y", b"X\xff: y", b"GET / HTTP/1.1", b"(X): y",
    b"X: y\n", b"X: y\r", b"\nX: y", b"X: a\x7f",
]  # fmt: skip


def post(body: bytes) -> bytes:
    return request(CHUNKED, body=body, method=b"POST")


def broken(name: str, body: bytes) -> Case:
    """A chunked body that is refused; the backend never sees an end of it."""
    whole = HEAD + b"5\r\nhello\r\n" * 2
    return Case(name, post(body) + SMUGGLED, (400,), goes_on=False, begun=whole)


class Chunks(TableCase):
    async def test_sizes(self):
        """A size is at most 16 hex digits below 2**63, and extensions follow the grammar."""
        await self.judge(
            broken(f"{name[:60]} {place}", body)
            for name, size in named(BAD_SIZES)
            for place, body in (
                ("first", size + b"\r\nhello\r\n" + END),
                ("second", b"5\r\nhello\r\n" + size + b"\r\nhello\r\n" + END),
            )
        )
        arrived = arriving(method=b"POST", framing=CHUNKED, body=b"5\r\nhello\r\n" + END)
        await self.judge(
            Case(name[:60], post(size + b"\r\nhello\r\n" + END), arrives=(arrived,))
            for name, size in named(GOOD_SIZES)
        )

    async def test_data(self):
        """A chunk is as long as it says, and CR LF follows."""
        await self.judge(broken(name, data + END) for name, data in named(BAD_DATA))
        arrived = arriving(method=b"POST", framing=CHUNKED, body=b"5\r\nhello\r\n" + END)
        await self.judge([Case("once", post(b"5\r\nhello\r\n" + END), arrives=(arrived,))])
        every = bytes(range(256))
        body = b"100\r\n" + every + b"\r\n" + END
        arrived = arriving(method=b"POST", framing=CHUNKED, body=body)
        await self.judge([Case("every byte", post(body), arrives=(arrived,))])

    async def test_last(self):
        """The last chunk has the size 0, and an empty line ends the body."""
        await self.judge(
            broken(f"{name} {ascii(before)}", before + last)
            for name, last in named(BAD_LAST)
            for before in (b"", b"5\r\nhello\r\n")
        )
        arrived = arriving(method=b"POST", framing=CHUNKED, body=END)
        await self.judge(
            Case(name, post(last), arrives=(arrived,)) for name, last in named(GOOD_LAST)
        )

    async def test_trailers(self):
        """Trailers are checked like fields, and no backend ever sees one."""
        await self.judge(
            broken(name, b"5\r\nhello\r\n0\r\n" + line + b"\r\n\r\n")
            for name, line in named(BAD_TRAILERS)
        )
        arrived = arriving(method=b"POST", framing=CHUNKED, body=b"5\r\nhello\r\n" + END)
        await self.judge(
            Case(name, post(b"5\r\nhello\r\n0\r\n" + line + b"\r\n\r\n"), arrives=(arrived,))
            for name, line in named(GOOD_TRAILERS)
        )

    async def test_on_a_kept_connection(self):
        """Where the head has already gone to the backend, a broken body never gets an end."""
        bad = [b"zz", b"+5", b"5\nhello", b"8000000000000000", b"5\r\nhelloo\r\n0\r\n\r\n"]
        for after in bad:
            self.recorder.requests.clear()
            client = await self.client()
            client.send(post(b"5\r\nhello\r\n"))
            upstream = await self.backend.connection()
            await self.until_begun(b"5\r\nhello\r\n")
            upstream = self.backend.connections[-1]
            client.send(after + b"\r\n" + SMUGGLED)
            await client.closed()
            self.assertTrue(client.received.startswith(b"HTTP/1.1 400 "), client.received)
            await upstream.closed()
            self.assertNotIn(b"0\r\n\r\n", upstream.received)
            self.assertEqual(self.recorder.requests, [])

    async def until_begun(self, what: bytes) -> None:
        """Until the newest backend connection has seen this."""
        count = sum(connection.lost is not None for connection in self.backend.connections) + 1
        upstream = await self.backend.connection(count)
        await upstream.until(what)
