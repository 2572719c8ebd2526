"""Heads that arrive in pieces: read the same however they are cut."""

from __future__ import annotations

import string

from hypothesis import example, given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from toolforge_gateway.errors import BadMessage
from toolforge_gateway.http import write
from toolforge_gateway.http.head import (
    HeadLimits,
    HeadReader,
    parse_request_head,
    parse_response_head,
)

from .outcome import PROPERTY, cut, outcome, places

SMALL = HeadLimits(request_line=40, header_block=60, headers=4)

# Bytes that are mostly HTTP, so that many heads are nearly right.
fragments = st.sampled_from(
    [
        b"\r\n",
        b"\r",
        b"\n",
        b"\0",
        b"\x80",
        b" ",
        b":",
        b"\t",
        b"GET / HTTP/1.1",
        b"POST /a HTTP/1.0",
        b"HTTP/1.1 200 OK",
        b"HTTP/1.0 304 ",
        b"Host: gw",
        b"Host:",
        b"Content-Length: 5",
        b"Transfer-Encoding: chunked",
        b"Connection: close",
        b"Expect: 100-continue",
        b"a" * 41,
        b"a" * 61,
        b"X: y\r\n",
        b"\r\n\r\n",
    ]
)
nearly = st.one_of(
    st.lists(fragments, max_size=12).map(b"".join),
    st.lists(fragments, max_size=8).map(b"\r\n".join).map(lambda data: data + b"\r\n\r\n"),
    st.binary(max_size=120),
)


def read_in_pieces(data: bytes, pieces: list[bytes], answers: bool) -> object:
    """The head and what is left after it; None when it is not complete."""
    reader = HeadReader(SMALL)
    taken = 0
    for piece in pieces:
        taken += len(piece)
        head = reader.feed(piece)
        if head is not None:
            rest = reader.rest + data[taken:]
            if answers:
                return parse_response_head(head, b"GET", SMALL), rest
            return parse_request_head(head, SMALL), rest
    return None


class ReaderTests(SynchronousTestCase):
    """One head after another out of a stream."""

    def refused(self, *pieces: bytes, limits: HeadLimits = SMALL) -> tuple[int, str, int]:
        """Status, reason word, and how many pieces it took."""
        reader = HeadReader(limits)
        for number, piece in enumerate(pieces, 1):
            try:
                reader.feed(piece)
            except BadMessage as refusal:
                return refusal.status, refusal.reason, number
        raise AssertionError("it was not refused")

    def test_one_head_after_another(self) -> None:
        """A reader hands out each head once, and what comes after it untouched."""
        first, second = b"GET / HTTP/1.1\r\nHost: gw\r\n\r\n", b"\r\nGET /b HTTP/1.0\r\n\r\n"
        reader = HeadReader(SMALL)
        self.assertFalse(reader.started)
        self.assertIsNone(reader.feed(first[:5]))
        self.assertTrue(reader.started)
        self.assertEqual(reader.feed(first[5:] + second + b"body"), first)
        self.assertFalse(reader.started)
        rest = reader.rest
        self.assertEqual(rest, second + b"body")
        self.assertEqual(reader.feed(rest), second)
        self.assertEqual(reader.rest, b"body")

    def test_an_empty_line_is_no_beginning(self) -> None:
        """An idle connection that gets one empty line has not begun a request."""
        reader = HeadReader(SMALL)
        for byte in (b"", b"\r", b"\n"):
            reader.feed(byte)
            self.assertFalse(reader.started)
        reader.feed(b"G")
        self.assertTrue(reader.started)

    def test_refused_at_once(self) -> None:
        """What can no longer become a head is refused before its blank line."""
        line = b"GET / HTTP/1.1\r\n"
        table = [
            ((b"G", b"\0"), (400, "control-character", 2)),
            ((b"\x16\x03\x01\x02\x00",), (400, "control-character", 1)),
            ((b"GET /\r\n",), (400, "bad-request-line", 1)),
            ((b"GET / HTTP/1.1\n", b"Host: gw\n\n"), (400, "bad-line-end", 1)),
            ((b"GET / HTTP/1.1\r", b"Host"), (400, "bad-line-end", 2)),
            ((b"PRI * HTTP/2.0\r\n",), (400, "bad-version", 1)),
            ((b"\r\n", b"\r\n"), (400, "bad-request-line", 2)),
            ((b"\r\n",) * 5, (400, "bad-request-line", 2)),
            ((b"a" * 40, b"a", b"a"), (414, "request-line-too-long", 3)),
            ((line, b"a" * 61, b"a"), (431, "headers-too-large", 3)),
            ((line, *[b"X: y\r\n"] * 5), (431, "too-many-headers", 6)),
            ((line + b"X: y\r\n", b"X:\0"), (400, "control-character", 2)),
        ]
        results = [(pieces, self.refused(*pieces)) for pieces, _ in table]
        self.assertEqual(results, table)

    def test_one_large_piece(self) -> None:
        """A head far beyond the limits is refused though it comes at once."""
        data = b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 5000 + b"\r\n"
        self.assertEqual(self.refused(data), (431, "too-many-headers", 1))
        data = b"GET /" + b"a" * 5000 + b" HTTP/1.1\r\n\r\n"
        self.assertEqual(self.refused(data), (414, "request-line-too-long", 1))

    @PROPERTY
    @given(nearly, places, st.booleans())
    @example(b"\r\nGET / HTTP/1.1\r\nHost: gw\r\n\r\nrest", [2, 17, 18, 29], False)
    @example(b"GET / HTTP/1.1\r\n" + b"a" * 59 + b"\r\n\r\n", [75, 76, 77], False)
    @example(b"G" * 39 + b"\r\r\n\r\n", [40, 41], False)
    def test_any_split_reads_the_same(self, data: bytes, at: list[int], answers: bool) -> None:
        """Result, rest, status and reason word do not depend on how the bytes are cut."""
        whole = outcome(read_in_pieces, data, [data], answers)
        self.assertEqual(outcome(read_in_pieces, data, cut(data, at), answers), whole)
        bytewise = [data[at : at + 1] for at in range(len(data))]
        self.assertEqual(outcome(read_in_pieces, data, bytewise, answers), whole)

    @PROPERTY
    @given(nearly)
    def test_nothing_but_bad_message(self, data: bytes) -> None:
        """No bytes make a parser raise anything but BadMessage."""
        outcome(parse_request_head, data, SMALL)
        for method in (b"GET", b"HEAD"):
            outcome(parse_response_head, data, method, SMALL)


token = st.text(string.ascii_letters + string.digits + "!#$%&'*+-.^_`|~", min_size=1).map(
    str.encode
)
visible = [chr(code) for code in [*range(0x21, 0x7F), *range(0x80, 0x100)]]
value = (
    st.text([*visible, " ", "\t"], max_size=20)
    .map(lambda text: text.strip(" \t"))
    .map(lambda text: text.encode("latin-1"))
)
special = {b"host", b"connection", b"expect", b"content-length", b"transfer-encoding"}
other_fields = st.lists(
    st.tuples(token.filter(lambda name: name.lower().replace(b"_", b"-") not in special), value),
    max_size=6,
).map(lambda fields: [(b"X-" + name, value) for name, value in fields])
methods = st.text(string.ascii_uppercase + "-", min_size=1, max_size=9).map(str.encode)
targets = st.text([chr(code) for code in range(0x21, 0x7F)], max_size=30).map(str.encode)


class RoundTripTests(SynchronousTestCase):
    """What is written is what is read."""

    @PROPERTY
    @given(methods.filter(lambda m: m not in (b"TRACE", b"CONNECT")), targets, other_fields)
    def test_requests(self, method: bytes, target: bytes, others: list) -> None:
        """Reading a written request gives back its method, target and fields."""
        fields = [(b"Host", b"gw"), *others]
        head = parse_request_head(write.request_head(method, b"/" + target, fields), HeadLimits())
        self.assertEqual(
            (head.method, head.target, list(head.fields)), (method, b"/" + target, fields)
        )

    @PROPERTY
    @given(st.integers(100, 599), value, other_fields, st.sampled_from([0, 1]))
    def test_answers(self, status: int, reason: bytes, fields: list, minor: int) -> None:
        """Reading a written answer gives back its status, reason, version and fields."""
        head = parse_response_head(
            write.response_head(status, reason, fields, minor), b"GET", HeadLimits()
        )
        self.assertEqual(
            (head.status, head.reason, list(head.fields), head.minor),
            (status, reason, fields, minor),
        )
