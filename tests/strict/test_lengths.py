"""One reading: where a request's body ends.  RFC 9112 section 6."""

from __future__ import annotations

from tests.strict.table import (
    SMUGGLED,
    Case,
    TableCase,
    arriving,
    named,
    refusing,
    request,
)

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
CHUNKS = b"5\r\nhello\r\n0\r\n\r\n"
LENGTH, CHUNKED = b"Content-Length: 5", b"Transfer-Encoding: chunked"


def post(*fields: bytes, body: bytes = b"hello") -> bytes:
    return request(*fields, body=body, method=b"POST")


BAD_LENGTHS = [
    b"", b"+5", b"-5", b"-0", b"+0", b"-1", b"05", b"00", b"0005", b"0x5", b"0X5", b"5h", b"5.0",
    b"5.", b".5", b"5e0", b"5E0", b"1_0", b"0_5", b"5 5", b"5\t5", b"5 0", b"0 5", b"5,5", b"5, 5",
    b"5,6", b"5,", b",5", b"5;", b"5;5", b"five", b"'5'", b'"5"', b"(5)", b"5 bytes", b"5\xa0",
    b"\xa05", b"5\x85", b"\xb2", b"\xef\xbc\x95", b"\xd9\xa5", b"0b101", b"0o5", b"5L", b"NaN",
    b"infinity", b"9223372036854775808", b"18446744073709551615", b"18446744073709551621",
    b"99999999999999999999", b"4294967301" + b"0" * 20, b"9" * 400, b"chunked",
]  # fmt: skip

GOOD_LENGTHS = [b"5", b" 5", b"5 ", b"\t5\t", b"   5   ", b" \t 5 \t "]

BAD_ENCODINGS = [
    b"", b"identity", b"gzip", b"deflate", b"compress", b"x-gzip", b"br", b"cow", b"trailers",
    b"chunked, chunked", b"chunked,chunked", b"CHUNKED, chunked", b"chunked,", b",chunked",
    b", chunked", b"chunked ,", b"identity, chunked", b"gzip, chunked", b"gzip,chunked",
    b"cow, chunked", b"chunked, gzip", b"chunked, identity", b"chunked, cow", b"chunked; q=1",
    b"chunked;q=1", b"chunked;", b";chunked", b'"chunked"', b"'chunked'", b"xchunked", b"chunkedx",
    b"chunke", b"chunk", b"x-chunked", b"chu nked", b"ch\tunked", b"chunked\tx", b"chunked x",
    b"cow chunked bar", b"chunked\x85", b"\x85chunked", b"chunked\xa0", b"\xa0chunked",
    b"\xffchunked", b"ch\x96nked", b"\xef\xbb\xbfchunked", b"\xe2\x84\xaahunked", b"chun\xc4\xb8ed",
    b"chunked=1", b"chunked/1", b"[chunked]", b"chunked#", b"0", b"true", b"%63hunked",
]  # fmt: skip

GOOD_ENCODINGS = [b"chunked", b"CHUNKED", b"cHuNkEd", b"  chunked  ", b"\tchunked\t"]

AMBIGUOUS = [
    (LENGTH, LENGTH), (LENGTH, b"Content-Length: 6"), (b"Content-Length: 6", LENGTH),
    (LENGTH, b"Content-Length: 0"), (b"Content-Length: 0", LENGTH), (LENGTH, b"Content-Length:"),
    (LENGTH, b"content-length: 5"), (LENGTH, b"X: y", LENGTH), (LENGTH, LENGTH, LENGTH),
    (CHUNKED, CHUNKED), (CHUNKED, b"Transfer-Encoding: identity"),
    (b"Transfer-Encoding: identity", CHUNKED), (CHUNKED, b"Transfer-Encoding:"),
    (b"Transfer-Encoding:", CHUNKED), (b"Transfer-Encoding: gzip", CHUNKED),
    (CHUNKED, b"Transfer-Encoding: gzip"), (b"Transfer-Encoding: cow", CHUNKED),
    (CHUNKED, b"transfer-encoding: chunked"), (CHUNKED, b"X: y", CHUNKED),
    (LENGTH, CHUNKED), (CHUNKED, LENGTH), (b"Content-Length: 0", CHUNKED),
    (CHUNKED, b"Content-Length: 0"), (b"Content-Length: 15", CHUNKED),
    (LENGTH, b"Transfer-Encoding: identity"), (LENGTH, b"Transfer-Encoding: cow"),
    (b"Content-Length: cow", CHUNKED), (LENGTH, b"TRANSFER-ENCODING: CHUNKED"),
    (LENGTH, b"Transfer-Encoding:\tchunked"), (LENGTH, b"X: y", CHUNKED),
    (LENGTH, b"Connection: content-length", CHUNKED),
    (LENGTH, b"Connection: transfer-encoding", CHUNKED),
]  # fmt: skip

HIDDEN = [
    b"%bTransfer-Encoding: chunked", b"Transfer-Encoding%b: chunked",
    b"Transfer%b-Encoding: chunked", b"Transfer-Encoding:%bchunked",
    b"Transfer-Encoding: chunked%b", b"X: y%bTransfer-Encoding: chunked",
    b"Transfer-Encoding: chunked%bX: y", b"X: y\r%bTransfer-Encoding: chunked",
    b"%bContent-Length: 3", b"Content-Length%b: 3", b"Content-Length: 3%b",
]  # fmt: skip
"""Ways to hide a second framing from one of two receivers; `%b` is the odd byte."""

ODD = [b"\0", b"\1", b"\4", b"\b", b"\n", b"\x0b", b"\x0c", b"\r", b"\x1f", b"\x7f"]

MISSPELT = [
    b"Transfer_Encoding", b"Transfer.Encoding", b"Transfer~Encoding", b"Transfer+Encoding",
    b"transfer_encoding", b"Content_Length", b"Content.Length", b"content!length",
]  # fmt: skip

BAD_NAMES = [
    b" Transfer-Encoding", b"\tTransfer-Encoding", b"Transfer-Encoding ", b"Transfer-Encoding\t",
    b"Transfer Encoding", b"Transfer-\xc4ncoding", b"Transf\x82r-Encoding",
    b"Transfer-Encoding\xff",
    b"\xa0Transfer-Encoding", b"Content-Length ", b"Content-Length\t", b" Content-Length",
    b"Content Length", b"Content-Length\xc3\x9f", b"Content-Length\xff", b"Content-Length=",
    b"(Content-Length)", b'"Content-Length"', b"Transfer-Encoding,", b"Transfer-Encoding;",
]  # fmt: skip

ORDINARY = [
    b"Content-Encoding: chunked", b"X-Transfer-Encoding: chunked", b"Transfer-EncodingX: chunked",
    b"Accept-Encoding: chunked", b"X: Transfer-Encoding: chunked", b"XContent-Length: 5",
    b"Content-Type: chunked", b"Content-Lengths: 3", b"TransferEncoding: chunked",
]  # fmt: skip
"""They look alike and are nobody's framing."""


class Lengths(TableCase):
    async def test_content_length(self):
        """A Content-Length is digits without a sign, a list or a leading zero, or refused."""
        await self.judge(
            refusing(name, post(b"Content-Length: " + value) + SMUGGLED)
            for name, value in named(BAD_LENGTHS)
        )
        arrived = arriving(method=b"POST", framing=LENGTH, body=b"hello")
        await self.judge(
            Case(name, post(b"Content-Length:" + value), arrives=(arrived,))
            for name, value in named(GOOD_LENGTHS)
        )

    async def test_transfer_encoding(self):
        """The one transfer coding is `chunked`, in any case; every other value is refused."""
        await self.judge(
            refusing(name, post(b"Transfer-Encoding: " + value, body=CHUNKS) + SMUGGLED)
            for name, value in named(BAD_ENCODINGS)
        )
        arrived = arriving(method=b"POST", framing=CHUNKED, body=CHUNKS)
        await self.judge(
            Case(name, post(b"transfer-ENCODING:" + value, body=CHUNKS), arrives=(arrived,))
            for name, value in named(GOOD_ENCODINGS)
        )

    async def test_ambiguous(self):
        """Two framings, or one said twice, are refused in any order, even when they agree."""
        await self.judge(
            refusing(repr(fields), post(*fields, body=CHUNKS) + SMUGGLED) for fields in AMBIGUOUS
        )

    async def test_hidden(self):
        """A framing that an odd byte hides from one of two receivers is refused."""
        await self.judge(
            refusing(f"{ascii(form)} {ascii(odd)}", post(LENGTH, form % odd) + SMUGGLED)
            for form in HIDDEN
            for odd in ODD
        )

    async def test_names(self):
        """A name that somebody could take for a framing's is refused; others are ordinary."""
        await self.judge(
            refusing(name, post(spelling + b": chunked", LENGTH, body=CHUNKS) + SMUGGLED)
            for name, spelling in named([*MISSPELT, *BAD_NAMES])
        )
        await self.judge(
            Case(
                name,
                post(line, LENGTH),
                arrives=(arriving(line, method=b"POST", framing=LENGTH, body=b"hello"),),
            )
            for name, line in named(ORDINARY)
        )

    async def test_old_version(self):
        """HTTP/1.0 knows lengths, no chunks, and ends with the answer."""
        old = post(LENGTH).replace(b"HTTP/1.1", b"HTTP/1.0")
        arrived = arriving(method=b"POST", framing=LENGTH, body=b"hello")
        await self.judge(
            [
                refusing("chunked", post(CHUNKED, body=CHUNKS).replace(b"/1.1", b"/1.0")),
                refusing("both", post(LENGTH, CHUNKED, body=CHUNKS).replace(b"/1.1", b"/1.0")),
                Case("length", old + SMUGGLED, arrives=(arrived,), goes_on=False),
                Case(
                    "keep-alive",
                    old.replace(LENGTH, LENGTH + b"\r\nConnection: keep-alive") + SMUGGLED,
                    arrives=(arrived,),
                    goes_on=False,
                ),
            ]
        )

    async def test_any_method(self):
        """What has a body has it whatever the method is."""
        methods = [b"GET", b"DELETE", b"PUT", b"PATCH", b"OPTIONS", b"PROPFIND", b"X!"]
        await self.judge(
            Case(
                f"{method} {framing}",
                request(framing, body=body, method=method),
                arrives=(arriving(method=method, framing=framing, body=body),),
            )
            for method in methods
            for framing, body in [(LENGTH, b"hello"), (CHUNKED, CHUNKS)]
        )

    async def test_pipelined(self):
        """What follows a whole request is the next one, and nothing else."""
        get = arriving()
        by_length = arriving(method=b"POST", framing=LENGTH, body=b"hello")
        by_chunks = arriving(method=b"POST", framing=CHUNKED, body=CHUNKS)
        bodyless = arriving(method=b"POST")
        await self.judge(
            [
                Case("two", request() * 2, (200,) * 2, (get,) * 2),
                Case("ten", request() * 10, (200,) * 10, (get,) * 10),
                Case("length", post(LENGTH) + request(), (200,) * 2, (by_length, get)),
                Case(
                    "chunks", post(CHUNKED, body=CHUNKS) + request(), (200,) * 2, (by_chunks, get)
                ),
                Case("no body", post(body=b"") + request(), (200,) * 2, (bodyless, get)),
                Case(
                    "blank line", post(LENGTH) + b"\r\n" + request(), (200,) * 2, (by_length, get)
                ),
                Case(
                    "two blank lines",
                    request() + b"\r\n\r\n" + SMUGGLED,
                    (200, 400),
                    (get,),
                    goes_on=False,
                ),
                Case("too long", post(LENGTH) + b"x" + SMUGGLED, (200, 400), (by_length,), False),
                Case(
                    "another method",
                    post(LENGTH) + b"X" + request(),
                    (200,) * 2,
                    (by_length, arriving(method=b"XGET")),
                ),
                Case("no length", post() + SMUGGLED, (200, 400), (bodyless,), False),
                Case("close", request(b"Connection: close") + SMUGGLED, (200,), (get,), False),
                Case("bad second", request() + post(LENGTH, LENGTH), (200, 400), (get,), False),
                Case("HTTP/2", request() + PREFACE, (200, 400), (get,), False),
            ]
        )
