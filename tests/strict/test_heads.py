"""One reading: lines, names, values and Host.  RFC 9112 sections 2 to 5."""

from __future__ import annotations

from tests.strict.table import (
    PATH,
    SMUGGLED,
    Case,
    TableCase,
    arriving,
    named,
    refusing,
    request,
)

HOST = b"Host: localhost\r\n"

BAD_LINES = [
    b"GET  %b HTTP/1.1", b"GET %b  HTTP/1.1", b"GET\t%b HTTP/1.1", b"GET %b\tHTTP/1.1",
    b"GET \t%b HTTP/1.1", b" GET %b HTTP/1.1", b"\tGET %b HTTP/1.1", b"GET %b HTTP/1.1 ",
    b"GET %b HTTP/1.1\t", b"GET\x0b%b HTTP/1.1", b"GET %b\x0cHTTP/1.1", b"GET\x00 %b HTTP/1.1",
    b"\x00GET %b HTTP/1.1", b"GET %b HTTP/1.1\x00", b"GET %b\x00 HTTP/1.1", b"GET\xa0%b HTTP/1.1",
    b"GET %b", b"GET %b ", b"%b HTTP/1.1", b" %b HTTP/1.1", b"GET%b HTTP/1.1", b"GET %bHTTP/1.1",
    b"GET %b x HTTP/1.1", b"GET %b HTTP/1.1 x", b"GET %b HTTP/1.1 HTTP/1.1", b"%b",
    b"GET %b HTTP/1.2", b"GET %b HTTP/1.9", b"GET %b HTTP/1.10", b"GET %b HTTP/1.11",
    b"GET %b HTTP/1.1.1", b"GET %b HTTP/1", b"GET %b HTTP/1.", b"GET %b HTTP/.1", b"GET %b HTTP/",
    b"GET %b HTTP", b"GET %b HTTP/2", b"GET %b HTTP/2.0", b"GET %b HTTP/3.0", b"GET %b HTTP/0.9",
    b"GET %b HTTP/0.1", b"GET %b HTTP/01.1", b"GET %b HTTP/1.01", b"GET %b HTTP/+1.1",
    b"GET %b HTTP/1.+1", b"GET %b HTTP/-1.1", b"GET %b HTTP/1,1", b"GET %b HTTP/1.1a",
    b"GET %b HTTP/\xb9.1", b"GET %b http/1.1", b"GET %b Http/1.1", b"GET %b HTTP /1.1",
    b"GET %b HTTP/ 1.1", b"GET %b HTTP/1 .1", b"GET %b HTTPS/1.1", b"GET %b FTP/1.1",
    b"GET %b XHTTP/1.1", b"GET %b HTTP\\1.1", b"GET %b HTTP/11", b"GET %b HTTP/111",
    b"GET %b HTTP/1111111111111111111111.1", b"GET %b HTTP/\r\r1.1", b"GET %b ICY/1.0",
    b"GET %b RTSP/1.0", b"GET %b SIP/2.0", b"HTTP/1.1 200 OK", b"GET %b HTTP/\xef\xbc\x91.1",
]  # fmt: skip
"""`%b` is the target."""

BAD_METHODS = [
    b"", b"get", b"Get", b"gET", b"post", b"G ET", b"G\tET", b"G\x00ET", b"G\xc9T", b"GET\xc3\x9f",
    b"GET\xff", b"G@T", b"(GET)", b"GET:", b'"GET"', b"GE,T", b"GET;", b"G/T", b"G[T]", b"G{T}",
    b"G=T", b"G<T>", b"G?T", b"G\\T", b"CONNECT", b"TRACE", b"connect", b"trace", b"bla:rgh",
    b'G=":<>(e),[T];?"', b"\xef\xbb\xbfGET", b"get#", b"\x7fGET",
]  # fmt: skip

GOOD_METHODS = [
    b"GET", b"PUT", b"DELETE", b"PATCH", b"OPTIONS", b"PROPFIND", b"M-SEARCH", b"QUERY", b"X",
    b"!#$%&'*+-.^_`|~09AZ", b"G" * 200,
]  # fmt: skip

BAD_ENDS = [
    b"GET %b HTTP/1.1\n" + HOST + b"\r\n", b"GET %b HTTP/1.1\r\nHost: localhost\n\r\n",
    b"GET %b HTTP/1.1\nHost: localhost\n\n", b"GET %b HTTP/1.1\r\nHost: localhost\r\n\n",
    b"GET %b HTTP/1.1\r\nHost: localhost\n\n", b"GET %b HTTP/1.1\r\r\n" + HOST + b"\r\n",
    b"GET %b HTTP/1.1\rHost: localhost\r\r", b"GET %b HTTP/1.1\r" + HOST + b"\r\n",
    b"GET %b HTTP/1.1\r\nHost: localhost\r\r\n\r\n", b"GET %b HTTP/1.1\n\r" + HOST + b"\r\n",
    b"GET %b HTTP/1.1\r\nX: a\rb\r\n" + HOST + b"\r\n", b"GET\n%b\nHTTP/1.1\r\n" + HOST + b"\r\n",
    b"GET %b HTTP/1.1\r\nX: a\nb: c\r\n" + HOST + b"\r\n", b"GET\r%b HTTP/1.1\r\n" + HOST + b"\r\n",
    b"GET %b HTTP/1.1\r\nX: a\n" + HOST + b"\r\n", b"GET %b HTTP/1.1\r\nX: a\r" + HOST + b"\r\n",
    b"GET %b HTTP/1.1\r\nX\n: a\r\n" + HOST + b"\r\n",
    b"GET %b HTTP/1.1\r\nX\r: a\r\n" + HOST + b"\r\n",
    b"GET %b HTTP/1.1\r\n" + HOST + b"X: a\n\r\n", b"GET %b HTTP/1.1\r\n" + HOST + b"\r\r\n",
    b"GET %b\nHTTP/1.1\r\n" + HOST + b"\r\n", b"\nGET %b HTTP/1.1\r\n" + HOST + b"\r\n",
    b"\rGET %b HTTP/1.1\r\n" + HOST + b"\r\n", b"\r\rGET %b HTTP/1.1\r\n" + HOST + b"\r\n",
    b"\r\n\r\nGET %b HTTP/1.1\r\n" + HOST + b"\r\n", b"\n\r\nGET %b HTTP/1.1\r\n" + HOST + b"\r\n",
    b"\r\n\nGET %b HTTP/1.1\r\n" + HOST + b"\r\n", b"\r\n GET %b HTTP/1.1\r\n" + HOST + b"\r\n",
    b"GET %b\r\n\r\n", b"GET %b\r\n", b"GET %b\n",
]  # fmt: skip
"""Line ends that are none, folded request lines, HTTP/0.9; `%b` is the target."""

NOT_HTTP = [
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"SSH-2.0-OpenSSH_9.2\r\n", b"EHLO localhost\r\n", b"PROXY TCP4 6.6.6.6 127.0.0.1 1 443\r\n",
    b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c", b"<policy-file-request/>\0", b"*1\r\n$4\r\nPING\r\n",
    b"\x00\x00\x00\x04ping", b"\xff" * 40 + b"\r\n", b"{}\r\n\r\n", b"\x80\x2e\x01\x00\x02",
    b"hello\r\n\r\n", b"\x00", b"\x1b[31m\r\n",
]  # fmt: skip
"""Other protocols, over TLS."""

BAD_FIELDS = [
    b": x", b":", b"X", b"X x: y", b"X\t: y", b"X : y", b" X: y", b"\tX: y", b"X y", b"=x",
    b"X: y\r\n z", b"X: y\r\n\tz", b"X:\r\n y", b"X: y\r\n ", b"X: y\r\n  \r\n z",
    b"X\x00: y", b"\x00X: y", b"\xe9: x", b"\xefX: y", b"X\xff: y", b"X\x80: y", b"X\xc3\xa9: y",
    b"X\x7f: y", b"X\x1f: y", b"X\x0b: y", b"X\x0c: y", b"X\x1b: y", b"\xef\xbb\xbfX: y",
    b"GET / HTTP/1.1", b"<html>", b"X\xa0: y", b"X\xe2\x80\x8b: y",
]  # fmt: skip

SEPARATORS = b'"(),/;<=>?@[\\]{}'
CONTROLS = bytes([*range(9), 11, 12, *range(14, 32), 127])

GOOD_FIELDS = [
    b"X: y", b"x: ", b"X: a\tb", b"X: \xe4\xf6\xfc", b"X: \xff\x80", b"!#$%&'*+-.^_`|~09az: v",
    b'X: "quoted, \\" string"', b"X: :", b"X: a: b", b"X: =?utf-8?q?x?=", b"X_Other: 1",
    b"X.Other: 1", b"X: " + b"v" * 8000, b"X" * 200 + b": y", b"X: a\r\nX: b", b"0: 1",
    b"Content-Type: a/b\r\nContent-Type: c/d", b"X: (comment)", b"X: ${jndi:ldap://x/}",
    b"Accept: */*, text/html;q=0.1", b"Origin: null", b"Range: bytes=0-,-1",
]  # fmt: skip

BAD_HOSTS = [
    b"", b"a b", b"a\tb", b"a,b", b"a, b", b"a/b", b"/", b"user@a", b"user:secret@a", b"a:", b"a:b",
    b"a:0", b"a:00", b"a:65536", b"a:99999", b"a:-1", b"a:+80", b"a:80:80", b"a:80 ,b", b":",
    b":80",
    b"a:8 0", b"[::1", b"::1", b"::1]", b"[::1]x", b"[::1]:", b"[::1]:0", b"[g::1]",
    b"[::1%25eth0]",
    b"[::1%eth0]", b"[v1.x]", b"[]", b"[127.0.0.1]", b"[::1]:80:80", b"a%41", b"%6c", b"a?b",
    b"a#b",
    b"a\\b", b"<a>", b'"a"', b"'a'", b"a'b", b"(a)", b"a;b", b"a=b", b"a&b", b"a|b", b"a^b", b"a`b",
    b"{a}", b"a!", b"a$", b"a~", b"a*", b"*", b"*.a", b"\xe4", b"a\xff", b"\xef\xbc\xa1",
    b"..", b".", b".a", b"a..b", b"a..", b"http://a", b"//a", b"-a b", b"a\xa0", b"a\xc2\xa0",
    b"a" * 256, b"a:1e1", b"a:0x50", b"a:\xb2",
]  # fmt: skip

GOOD_HOSTS = [
    b"localhost", b"LocalHost", b"localhost:8443", b"localhost.", b"127.0.0.1", b"127.0.0.1:1",
    b"[::1]", b"[::1]:8443", b"[2001:db8::192.0.2.1]",
    b"api.svc.tools.eqiad1.wikimedia.cloud:30003",
    b"xn--nxasmq6b.example", b"a_b.example", b"1", b"a:65535",
]  # fmt: skip

HOST_LINES = [
    (), (b"Host: localhost", b"Host: localhost"), (b"Host: localhost", b"Host: evil"),
    (b"Host: evil", b"Host: localhost"), (b"Host:", b"Host: localhost"),
    (b"Host: localhost", b"Host:"), (b"Host: localhost", b"hOST: evil"),
    (b"Host: localhost", b"X: y", b"Host: localhost"), (b"Host : localhost",), (b"Host\t: a",),
    (b" Host: localhost",), (b"\tHost: localhost",), (b"Host\x0b: localhost",),
    (b"Host: localhost", b" Host: evil"), (b"Host: localhost", b"Host : evil"),
    (b"Host: localhost\r\n evil",), (b"Host:\r\n localhost",), (b"X-Host: localhost",),
    (b"Host: localhost", b"Host\xa0: evil"), (b"H\xf6st: localhost",), (b"Host=localhost",),
    (b"Host: localhost", b"Host", b"X: y"),
]  # fmt: skip


class Heads(TableCase):
    async def test_request_lines(self):
        """A request line is a method, a target and HTTP/1.1 or 1.0 with one space between."""
        await self.judge(
            refusing(
                name,
                (line % PATH if b"%b" in line else line) + b"\r\n" + HOST + b"\r\n" + SMUGGLED,
            )
            for name, line in named(BAD_LINES)
        )

    async def test_methods(self):
        """A method is a token without small letters, and neither CONNECT nor TRACE."""
        await self.judge(
            refusing(name, request(method=method) + SMUGGLED) for name, method in named(BAD_METHODS)
        )
        await self.judge(
            Case(name, request(method=method), arrives=(arriving(method=method),))
            for name, method in named(GOOD_METHODS)
        )

    async def test_line_ends(self):
        """Lines end in CR LF, and neither of the two is anywhere else."""
        await self.judge(refusing(name, form % PATH + SMUGGLED) for name, form in named(BAD_ENDS))

    async def test_other_protocols(self):
        """What is no HTTP/1.1 is refused at once, and the connection ends."""
        await self.judge(refusing(name, sent) for name, sent in named(NOT_HTTP))

    async def test_bad_fields(self):
        """Names are tokens, the colon follows at once, and no line is continued."""
        rows = [*BAD_FIELDS, *(b"X%c: y" % each for each in SEPARATORS)]
        await self.judge(
            refusing(f"{name} {place}", request(*fields) + SMUGGLED)
            for name, line in named(rows)
            for place, fields in (("first", (line, b"A: b")), ("last", (b"A: b", line)))
        )
        await self.judge(
            refusing(name, request(line, host=None) + SMUGGLED)
            for name, line in named(b"%b\r\nHost: localhost" % each for each in BAD_FIELDS)
        )

    async def test_controls(self):
        """No control character is anywhere in a value or a name, tab in a value apart."""
        await self.judge(
            refusing(f"{control} {name}", request(line % control) + SMUGGLED)
            for control in CONTROLS
            for name, line in named([b"X: a%cb", b"X: %c", b"Y%cX: a"])
        )

    async def test_good_fields(self):
        """Whatever is well-formed passes byte for byte, in its order and spelling."""
        await self.judge(
            Case(name[:60], request(line), arrives=(arriving(line),))
            for name, line in named(GOOD_FIELDS)
        )

    async def test_hosts(self):
        """A Host is a name or an address, perhaps with a port."""
        await self.judge(
            refusing(name[:60], request(host=b"Host: " + host) + SMUGGLED)
            for name, host in named(BAD_HOSTS)
        )
        await self.judge(
            Case(name, request(host=b"hoST: " + host), arrives=(arriving(host=host),))
            for name, host in named(GOOD_HOSTS)
        )

    async def test_one_host(self):
        """There is exactly one Host; only HTTP/1.0 may have none, and that is never two."""
        await self.judge(
            refusing(repr(lines), request(*lines, host=None) + SMUGGLED) for lines in HOST_LINES
        )
        old = request().replace(b"HTTP/1.1", b"HTTP/1.0")
        none = request(host=None).replace(b"HTTP/1.1", b"HTTP/1.0")
        await self.judge(
            [
                Case("1.0", old + SMUGGLED, arrives=(arriving(),), goes_on=False),
                Case("1.0, none", none, arrives=(arriving(host=None),), goes_on=False),
                refusing("1.0, two", old.replace(HOST, HOST * 2)),
                refusing("1.0, empty", old.replace(b"localhost", b"")),
            ]
        )

    async def test_expectations(self):
        """100-continue is the only expectation, once."""
        rows = [b"Expect:", b"Expect: x", b"Expect: 100-continue, 100-continue"]
        rows += [
            b"Expect: 100-continue\r\nExpect: 100-continue",
            b"Expect: 100",
            b"Expect: 100-continue;x",
        ]
        await self.judge(
            refusing(name, request(line) + SMUGGLED, 417) for name, line in named(rows)
        )

    async def test_in_pieces(self):
        """Cut into single bytes, everything is read as it is in one piece."""
        good = [request(b"X: y"), b"\r\n" + request(), request(method=b"PUT")]
        bad = [request(b"X : y"), request(b"X: a\rb"), b"\r\n\r\n" + request(), request(b" X: y")]
        bad += [
            request(b"X: a\x00b"),
            request(target=b"/jobs/../x"),
            request(b"Content-Length: +1"),
        ]
        for sent in good:
            self.assertEqual((await self.dribbled(sent)).partition(b"\r\n")[0], b"HTTP/1.1 200 OK")
        for sent in bad:
            received = await self.dribbled(sent)
            self.assertEqual(received.partition(b"\r\n")[0], b"HTTP/1.1 400 Bad Request", sent)
        self.assertEqual(len(self.recorder.requests), len(good))

    async def dribbled(self, sent: bytes) -> bytes:
        """The answer to bytes that come in a TLS record each."""
        client = await self.client()
        for at in range(len(sent)):
            client.send(sent[at : at + 1])
        received = await client.until(b"\r\n\r\n")
        client.transport.abortConnection()
        return received
