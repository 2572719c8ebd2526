"""Which request heads are read, and as what; which are refused, and by which word."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from toolforge_gateway.http.head import HeadLimits, parse_request_head
from toolforge_gateway.http.message import Framing, RequestHead

from .outcome import differences, outcome

LIMITS = HeadLimits()


def request(*fields: bytes, line: bytes = b"POST /x HTTP/1.1", host: bool = True) -> bytes:
    """A request head with a good Host unless told otherwise."""
    lines = [line, *([b"Host: gw"] if host else []), *fields]
    return b"\r\n".join(lines) + b"\r\n\r\n"


def read(data: bytes) -> RequestHead:
    return parse_request_head(data, LIMITS)


def framing(data: bytes) -> tuple[Framing, int | None]:
    head = read(data)
    return head.framing, head.length


REQUEST_LINES = [
    (b"get / HTTP/1.1", "bad-method"),
    (b"Get / HTTP/1.1", "bad-method"),
    (b"G@T / HTTP/1.1", "bad-method"),
    (b"GET\x7f / HTTP/1.1", "control-character"),
    (b"\xc3\x84 / HTTP/1.1", "bad-method"),
    (b" GET / HTTP/1.1", "bad-method"),
    (b"GET  / HTTP/1.1", "bad-request-line"),
    (b"GET /  HTTP/1.1", "bad-request-line"),
    (b"GET\t/ HTTP/1.1", "bad-method"),
    (b"GET /\tHTTP/1.1", "bad-request-line"),
    (b"GET / HTTP/1.1 ", "bad-request-line"),
    (b"GET /a b HTTP/1.1", "bad-request-line"),
    (b"GET /\x80 HTTP/1.1", "bad-request-line"),
    (b"GET /\x00 HTTP/1.1", "control-character"),
    (b"GET /\x0b HTTP/1.1", "control-character"),
    (b"GET /", "bad-request-line"),
    (b"GET", "bad-request-line"),
    (b"GET / ", "bad-version"),
    (b"GET / HTTP/0.9", "bad-version"),
    (b"GET / HTTP/1.2", "bad-version"),
    (b"GET / HTTP/1.10", "bad-version"),
    (b"GET / HTTP/01.1", "bad-version"),
    (b"GET / HTTP/1,1", "bad-version"),
    (b"GET / HTTP/2.0", "bad-version"),
    (b"GET / http/1.1", "bad-version"),
    (b"GET / HTTPS/1.1", "bad-version"),
    (b"GET / HTTP/1.\xb9", "bad-version"),
    (b"PRI * HTTP/2.0", "bad-version"),
    (b"CONNECT gw:443 HTTP/1.1", "method-refused"),
    (b"TRACE / HTTP/1.1", "method-refused"),
    (b"HTTP/1.1 200 OK", "bad-status-line"),
    (b"\r\nGET / HTTP/1.1\nX: y", "bad-line-end"),
    (b"\r\n\r\nGET / HTTP/1.1", "bad-request-line"),
    (b"GET / HTTP/1.1\n", "bad-line-end"),
    (b"GET / HTTP/1.1\r", "bad-line-end"),
    (b"GET /\rx HTTP/1.1", "bad-line-end"),
]

FIELDS = [
    (b"X: a\nY: b", "bad-line-end"),
    (b"X: a\rY: b", "bad-line-end"),
    (b"X: a\r\r", "bad-line-end"),
    (b"X: a\x00", "control-character"),
    (b"X: a\x1b[31m", "control-character"),
    (b"X: a\x7f", "control-character"),
    (b"X\x00: a", "control-character"),
    (b"X: a\r\n b", "folded-header"),
    (b"X: a\r\n\tb", "folded-header"),
    (b" X: a", "folded-header"),
    (b"X : a", "space-before-colon"),
    (b"X\t: a", "space-before-colon"),
    (b"Transfer-Encoding : chunked", "space-before-colon"),
    (b": a", "bad-header"),
    (b"X", "bad-header"),
    (b"X Y: a", "bad-header"),
    (b"X(Y): a", "bad-header"),
    (b"X\xc3\xa4: a", "bad-header"),
    (b"X/Y: a", "bad-header"),
    (b"X@Y: a", "bad-header"),
    (b"Connection: close;x", "bad-connection"),
    (b'Connection: "close"', "bad-connection"),
    (b"Connection: keep alive", "bad-connection"),
    (b"Content-Length: ", "bad-content-length"),
    (b"Content-Length: +5", "bad-content-length"),
    (b"Content-Length: -5", "bad-content-length"),
    (b"Content-Length: 5 5", "bad-content-length"),
    (b"Content-Length: 5, 5", "bad-content-length"),
    (b"Content-Length: 5,", "bad-content-length"),
    (b"Content-Length: 0x5", "bad-content-length"),
    (b"Content-Length: 05", "bad-content-length"),
    (b"Content-Length: 5_0", "bad-content-length"),
    (b"Content-Length: 5.0", "bad-content-length"),
    (b"Content-Length: 1e1", "bad-content-length"),
    (b'Content-Length: "5"', "bad-content-length"),
    (b"Content-Length: \xb2", "bad-content-length"),
    (b"Content-Length: 9223372036854775808", "bad-content-length"),
    (b"Content-Length: 18446744073709551621", "bad-content-length"),
    (b"Content-Length: 00000000000000000000000000005", "bad-content-length"),
    (b"Content-Length: 5\r\nContent-Length: 5", "ambiguous-length"),
    (b"Content-Length: 5\r\ncontent-length: 6", "ambiguous-length"),
    (b"Content-Length: 5\r\nTransfer-Encoding: chunked", "ambiguous-length"),
    (b"Transfer-Encoding: chunked\r\nContent-Length: 5", "ambiguous-length"),
    (b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", "ambiguous-length"),
    (b"Transfer-Encoding: identity\r\nContent-Length: 5", "bad-transfer-encoding"),
    (b"Transfer-Encoding: identity", "bad-transfer-encoding"),
    (b"Transfer-Encoding: ", "bad-transfer-encoding"),
    (b"Transfer-Encoding: gzip", "bad-transfer-encoding"),
    (b"Transfer-Encoding: gzip, chunked", "bad-transfer-encoding"),
    (b"Transfer-Encoding: chunked, gzip", "bad-transfer-encoding"),
    (b"Transfer-Encoding: chunked, chunked", "bad-transfer-encoding"),
    (b"Transfer-Encoding: chunked,", "bad-transfer-encoding"),
    (b"Transfer-Encoding: , chunked", "bad-transfer-encoding"),
    (b"Transfer-Encoding: chunked;x=y", "bad-transfer-encoding"),
    (b"Transfer-Encoding: xchunked", "bad-transfer-encoding"),
    (b"Transfer-Encoding: chunk\xebd", "bad-transfer-encoding"),
    (b'Transfer-Encoding: "chunked"', "bad-transfer-encoding"),
    (b"Transfer-Encoding:\x0bchunked", "control-character"),
    (b"Transfer-Encoding: chunked\x0c", "control-character"),
    (b"Transfer-Encoding\r\n : chunked", "bad-header"),
    (b"Transfer_Encoding: chunked", "misspelt-header"),
    (b"Content_Length: 5", "misspelt-header"),
    (b"content.length: 5", "misspelt-header"),
]

HOSTS = [
    b"",
    b"gw:",
    b"gw:x",
    b"gw:0",
    b"gw:65536",
    b"gw:443:443",
    b":443",
    b"gw, gw",
    b"gw gw",
    b"user@gw",
    b"gw/x",
    b"gw\\x",
    b"gw?x",
    b"gw#x",
    b"http://gw",
    b"gw..svc",
    b".gw",
    b"-gw",
    b"g%77",
    b"g\xc3\xa4",
    b"::1",
    b"[::1",
    b"[::1]x",
    b"[::1%25eth0]",
    b"[:::::]",
    b"[127.0.0.1]",
    b"a" * 256,
]


class RequestTests(SynchronousTestCase):
    """One head, one reading."""

    def test_every_part_is_read(self) -> None:
        """Names keep their case, values lose the white space around them."""
        head = read(
            b"\r\nPATCH /a?b HTTP/1.1\r\nHOST: gw.example:8443\r\nX-Odd:\t a\tb \t\r\n"
            b"x-odd:\r\nX-Text: \xe9\r\nConnection: Close, X-A,, x-b\r\nconnection: x-c\r\n\r\n"
        )
        self.assertEqual(
            head,
            RequestHead(
                method=b"PATCH",
                target=b"/a?b",
                minor=1,
                fields=(
                    (b"HOST", b"gw.example:8443"),
                    (b"X-Odd", b"a\tb"),
                    (b"x-odd", b""),
                    (b"X-Text", b"\xe9"),
                    (b"Connection", b"Close, X-A,, x-b"),
                    (b"connection", b"x-c"),
                ),
                host=b"gw.example:8443",
                framing=Framing.NONE,
                length=None,
                persistent=False,
                expects_continue=False,
                connection=frozenset([b"close", b"x-a", b"x-b", b"x-c"]),
            ),
        )
        self.assertEqual(head.values(b"x-odd"), (b"a\tb", b""))

    def test_bad_request_lines(self) -> None:
        """A request line that others could read differently is refused with 400."""
        table = [(request(line=line), (400, word)) for line, word in REQUEST_LINES]
        self.assertEqual(differences(table, read), {})

    def test_bad_fields(self) -> None:
        """A header that others could read differently is refused with 400."""
        table = [(request(field), (400, word)) for field, word in FIELDS]
        self.assertEqual(differences(table, read), {})

    def test_bad_hosts(self) -> None:
        """A Host that is no plain name or address with a port is refused with 400."""
        table = [(request(b"Host: " + host, host=False), (400, "bad-host")) for host in HOSTS]
        self.assertEqual(differences(table, read), {})

    def test_good_hosts(self) -> None:
        """Names, addresses and ports are hosts, in HTTP/1.0 too."""
        hosts = [
            b"gw",
            b"GW.svc.tools.local.:8443",
            b"a_b.x-y",
            b"192.0.2.1",
            b"192.0.2.1:1",
            b"[2001:db8::1]:65535",
            b"[::ffff:192.0.2.1]",
        ]
        for line in (b"GET / HTTP/1.1", b"GET / HTTP/1.0"):
            table = [(request(b"Host:" + host, line=line, host=False), host) for host in hosts]
            self.assertEqual(differences(table, lambda data: read(data).host), {})

    def test_number_of_hosts(self) -> None:
        """HTTP/1.1 has exactly one Host; HTTP/1.0 may do without, but not have two."""
        two = (b"Host: gw", b"host: gw")
        old = b"GET / HTTP/1.0"
        self.assertEqual(outcome(read, request(host=False)), (400, "bad-host"))
        self.assertEqual(outcome(read, request(*two, host=False)), (400, "bad-host"))
        self.assertEqual(outcome(read, request(*two, host=False, line=old)), (400, "bad-host"))
        self.assertIsNone(read(request(host=False, line=old)).host)

    def test_framing(self) -> None:
        """One length or one chunked says how the body ends; neither means none."""
        table = [
            (request(), (Framing.NONE, None)),
            (request(b"Content-Length: 0"), (Framing.LENGTH, 0)),
            (request(b"content-length:\t17 "), (Framing.LENGTH, 17)),
            (
                request(b"Content-Length: 9223372036854775807"),
                (Framing.LENGTH, 9223372036854775807),
            ),
            (request(b"Content-Length: 5", line=b"POST / HTTP/1.0"), (Framing.LENGTH, 5)),
            (request(b"Transfer-Encoding: chunked"), (Framing.CHUNKED, None)),
            (request(b"tRANSFER-eNCODING:CHUNKED"), (Framing.CHUNKED, None)),
            (
                request(b"Transfer-Encoding: chunked", line=b"POST / HTTP/1.0"),
                (400, "bad-transfer-encoding"),
            ),
        ]
        self.assertEqual(differences(table, framing), {})

    def test_unknown_methods_pass(self) -> None:
        """Any upper-case token but CONNECT and TRACE is a method."""
        for method in (b"GET", b"M-SEARCH", b"BREW", b"X!#$%&'*+.^_`|~0"):
            self.assertEqual(read(request(line=method + b" / HTTP/1.1")).method, method)

    def test_persistence(self) -> None:
        """Only HTTP/1.1 without `close` goes on."""
        old = b"GET / HTTP/1.0"
        table = [
            (request(), True),
            (request(b"Connection: keep-alive"), True),
            (request(b"Connection: CLOSE"), False),
            (request(b"Connection: keep-alive", b"Connection: x, close"), False),
            (request(line=old), False),
            (request(b"Connection: keep-alive", line=old), False),
        ]
        self.assertEqual(differences(table, lambda data: read(data).persistent), {})

    def test_expectations(self) -> None:
        """Only one `100-continue`, of HTTP/1.1 and before a body, is an expectation."""
        expect, body = b"Expect: 100-Continue", b"Content-Length: 5"
        unknown = (417, "bad-expectation")
        table = [
            (request(expect, body), True),
            (request(expect, b"Transfer-Encoding: chunked"), True),
            (request(body), False),
            (request(expect), False),
            (request(expect, b"Content-Length: 0"), False),
            (request(expect, body, line=b"POST / HTTP/1.0"), False),
            (request(expect, expect, body), unknown),
            (request(b"Expect: 100-continue, 100-continue", body), unknown),
            (request(b"Expect: y 100-continue", body), unknown),
            (request(b"Expect: ", body), unknown),
            (request(b"Expect: 200-ok"), unknown),
        ]
        self.assertEqual(differences(table, lambda data: read(data).expects_continue), {})

    def test_limits(self) -> None:
        """At each limit a head passes, and one beyond it is refused with its own status."""
        limits = HeadLimits(request_line=20, header_block=40, headers=3)

        def parse(data: bytes) -> bool:
            return bool(parse_request_head(data, limits))

        line = b"GET /" + b"a" * 6 + b" HTTP/1.1"
        fits = b"X: " + b"a" * 25
        table: list[tuple[bytes, object]] = [
            (request(line=line), True),
            (b"\r\n" + request(line=line), True),
            (request(line=line.replace(b"/", b"/a")), (414, "request-line-too-long")),
            (b"\r\n" + request(line=line.replace(b"/", b"/a")), (414, "request-line-too-long")),
            (request(fits, line=line), True),
            (b"\r\n" + request(fits, line=line), True),
            (request(fits + b"a", line=line), (431, "headers-too-large")),
            (request(b"A:", b"B:"), True),
            (request(b"A:", b"B:", b"C:"), (431, "too-many-headers")),
        ]
        self.assertEqual(differences(table, parse), {})

    def test_an_incomplete_head_is_refused(self) -> None:
        """A head that does not end in its blank line is no head."""
        for data in (b"", b"GET / HTTP/1.1\r\n", request()[:-2], request() + b"x"):
            self.assertIsInstance(outcome(read, data), tuple)
