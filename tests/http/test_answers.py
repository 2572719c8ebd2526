"""Which answers' heads are read, and how the end of their body is found."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from toolforge_gateway.http.head import HeadLimits, parse_response_head
from toolforge_gateway.http.message import Framing, ResponseHead

from .outcome import differences, outcome

LIMITS = HeadLimits()


def answer(*fields: bytes, line: bytes = b"HTTP/1.1 200 OK") -> bytes:
    return b"\r\n".join([line, *fields]) + b"\r\n\r\n"


def read(data: bytes) -> ResponseHead:
    return parse_response_head(data, b"GET", LIMITS)


def ending(data: bytes) -> tuple[Framing, int | None, bool]:
    head = read(data)
    return head.framing, head.length, head.persistent


def ending_of_head(data: bytes) -> tuple[Framing, int | None, bool]:
    head = parse_response_head(data, b"HEAD", LIMITS)
    return head.framing, head.length, head.persistent


LENGTH, CHUNKED = b"Content-Length: 5", b"Transfer-Encoding: chunked"
NONE, UNTIL_CLOSE = Framing.NONE, Framing.UNTIL_CLOSE

REFUSED = [
    (b"garbage\r\n\r\n", "bad-method"),
    (b"\r\nHTTP/1.1 200 OK\r\n\r\n", "bad-method"),
    (answer(line=b"HTTP/1.1 200"), "bad-status-line"),
    (answer(line=b"HTTP/1.1"), "bad-status-line"),
    (answer(line=b"HTTP/1.1  200 OK"), "bad-status-line"),
    (answer(line=b"HTTP/1.1 20 OK"), "bad-status-line"),
    (answer(line=b"HTTP/1.1 2000 OK"), "bad-status-line"),
    (answer(line=b"HTTP/1.1 099 OK"), "bad-status-line"),
    (answer(line=b"HTTP/1.1 600 OK"), "bad-status-line"),
    (answer(line=b"HTTP/1.1 -20 OK"), "bad-status-line"),
    (answer(line=b"HTTP/1.1 \xb2\xb2\xb2 OK"), "bad-status-line"),
    (answer(line=b"HTTP/1.1\t200 OK"), "bad-status-line"),
    (answer(line=b"HTTP/2 200 OK"), "bad-status-line"),
    (answer(line=b"HTTP/1.2 200 OK"), "bad-status-line"),
    (answer(line=b"HTTP/0.9 200 OK"), "bad-status-line"),
    (answer(line=b"http/1.1 200 OK"), "bad-method"),
    (answer(line=b"GET / HTTP/1.1"), "bad-request-line"),
    (answer(line=b"HTTP/1.1 200 O\x00K"), "control-character"),
    (answer(line=b"HTTP/1.1 200 OK\nX: y"), "bad-line-end"),
    (answer(b"X: a\x00b"), "control-character"),
    (answer(b"X: a\r\n b"), "folded-header"),
    (answer(b"X : a"), "space-before-colon"),
    (answer(b"<html>"), "bad-header"),
    (answer(LENGTH, LENGTH), "ambiguous-length"),
    (answer(LENGTH, CHUNKED), "ambiguous-length"),
    (answer(CHUNKED, LENGTH), "ambiguous-length"),
    (answer(LENGTH, CHUNKED, line=b"HTTP/1.1 304 Not Modified"), "ambiguous-length"),
    (answer(b"Content-Length: 5, 5"), "bad-content-length"),
    (answer(b"Content-Length: -1"), "bad-content-length"),
    (answer(b"Transfer-Encoding: gzip, chunked"), "bad-transfer-encoding"),
    (answer(CHUNKED, line=b"HTTP/1.0 200 OK"), "bad-transfer-encoding"),
    (answer(b"Transfer_Encoding: chunked"), "misspelt-header"),
]


class AnswerTests(SynchronousTestCase):
    """RFC 9112 sections 4 and 6.3, from the gateway's side."""

    def test_every_part_is_read(self) -> None:
        """Status, reason phrase and fields come out as the backend wrote them."""
        self.assertEqual(
            read(answer(b"X: a ", b"Host: ,", line=b"HTTP/1.0 404 N\xf6t  found ")),
            ResponseHead(
                status=404,
                reason=b"N\xf6t  found ",
                minor=0,
                fields=((b"X", b"a"), (b"Host", b",")),
                framing=UNTIL_CLOSE,
                length=None,
                persistent=False,
                connection=frozenset(),
            ),
        )
        self.assertEqual(read(answer(line=b"HTTP/1.1 200 ")).reason, b"")

    def test_refused(self) -> None:
        """An answer that two clients could read differently is refused."""
        table = [(data, (400, word)) for data, word in REFUSED]
        self.assertEqual(differences(table, read), {})

    def test_where_the_body_ends(self) -> None:
        """No body for 1xx, 204 and 304; else by chunks, by length, or by the close."""
        table = [
            (answer(), (UNTIL_CLOSE, None, False)),
            (answer(LENGTH), (Framing.LENGTH, 5, True)),
            (answer(LENGTH, b"Connection: close"), (Framing.LENGTH, 5, False)),
            (answer(LENGTH, line=b"HTTP/1.0 200 OK"), (Framing.LENGTH, 5, False)),
            (answer(CHUNKED), (Framing.CHUNKED, None, True)),
            (answer(line=b"HTTP/1.1 304 Not Modified"), (NONE, None, True)),
            (answer(LENGTH, line=b"HTTP/1.1 304 Not Modified"), (NONE, 5, True)),
            (answer(line=b"HTTP/1.1 204 No Content"), (NONE, None, True)),
            (answer(b"Content-Length: 0", line=b"HTTP/1.1 204 No"), (NONE, None, True)),
            (answer(line=b"HTTP/1.1 100 Continue"), (NONE, None, True)),
            (answer(line=b"HTTP/1.1 101 Switching"), (NONE, None, True)),
        ]
        self.assertEqual(differences(table, ending), {})

    def test_a_body_that_must_not_be(self) -> None:
        """A 204 or 1xx that announces a body has none, and its connection is not used again."""
        for status in (b"100", b"204"):
            for field in (LENGTH, CHUNKED):
                data = answer(field, line=b"HTTP/1.1 " + status + b" x")
                self.assertEqual(ending(data), (NONE, None, False))

    def test_answers_to_head(self) -> None:
        """An answer to HEAD has no body and keeps the length that it announces."""
        table = [
            (answer(), (NONE, None, True)),
            (answer(LENGTH), (NONE, 5, True)),
            (answer(CHUNKED), (NONE, None, True)),
        ]
        self.assertEqual(differences(table, ending_of_head), {})

    def test_limits(self) -> None:
        """Answers have the same bounds as requests."""
        limits = HeadLimits(request_line=20, header_block=20, headers=2)
        for data, status in [
            (answer(line=b"HTTP/1.1 200 " + b"a" * 8), 414),
            (answer(b"X: " + b"a" * 16), 431),
            (answer(b"A:", b"B:", b"C:"), 431),
        ]:
            result = outcome(parse_response_head, data, b"GET", limits)
            self.assertEqual(result[0], status, data)
