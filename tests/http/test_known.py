"""A memory for heads changes nothing but the time that reading takes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.http.outcome import PROPERTY, outcome
from toolforge_gateway.http import known
from toolforge_gateway.http.head import HeadLimits, parse_request_head, parse_response_head
from toolforge_gateway.http.known import KnownAnswers, KnownRequests

LIMITS = HeadLimits(request_line=60, header_block=200, headers=5)

LINES = [
    b"GET /a HTTP/1.1",
    b"POST /b?c HTTP/1.1",
    b"GET /a HTTP/1.0",
    b"TRACE /a HTTP/1.1",
    b"get /a HTTP/1.1",
    b"GET  /a HTTP/1.1",
    b"GET /" + b"a" * 60 + b" HTTP/1.1",
    b"\r\nGET /a HTTP/1.1",
    b"",
    b"GET /a\r HTTP/1.1",
]
BLOCKS = [
    b"Host: a\r\n",
    b"Host: a\r\nContent-Length: 3\r\n",
    b"Host: a\r\nTransfer-Encoding: chunked\r\n",
    b"Host: a\r\nConnection: close\r\n",
    b"Host: a\r\nExpect: 100-continue\r\nContent-Length: 1\r\n",
    b"Host: a\r\nAuthorization: Bearer x\r\n",
    b"Host: a\r\nHost: a\r\n",
    b"",
    b"Host: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n",
    b"X" * 201 + b": a\r\n",
]
STATUS = [b"HTTP/1.1 200 OK", b"HTTP/1.1 204 No Content", b"HTTP/1.0 200 OK", b"HTTP/2 200"]


class KnownTests(SynchronousTestCase):
    @PROPERTY
    @given(st.lists(st.tuples(st.sampled_from(LINES), st.sampled_from(BLOCKS)), max_size=12))
    def test_requests(self, heads: list[tuple[bytes, bytes]]) -> None:
        """Whatever was read before, a request is read, or refused, as without a memory."""
        requests = KnownRequests(LIMITS)
        for line, block in heads:
            data = line + b"\r\n" + block + b"\r\n"
            self.assertEqual(
                outcome(requests.parse, data), outcome(parse_request_head, data, LIMITS)
            )

    @PROPERTY
    @given(
        st.lists(
            st.tuples(
                st.sampled_from(STATUS),
                st.sampled_from(BLOCKS),
                st.sampled_from([b"GET", b"HEAD", b"POST"]),
            ),
            max_size=12,
        )
    )
    def test_answers(self, heads: list[tuple[bytes, bytes, bytes]]) -> None:
        """So is an answer, whatever was asked."""
        answers = KnownAnswers(LIMITS)
        for line, block, method in heads:
            data = line + b"\r\n" + block + b"\r\n"
            self.assertEqual(
                outcome(answers.parse, data, method),
                outcome(parse_response_head, data, method, LIMITS),
            )

    def test_remembered(self) -> None:
        """The same header lines are read once, under whatever request line."""
        requests = KnownRequests(LIMITS)
        first = requests.parse(b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n")
        second = requests.parse(b"PUT /b HTTP/1.1\r\nHost: a\r\n\r\n")
        self.assertIs(first.derived, second.derived)
        self.assertEqual((second.method, second.target), (b"PUT", b"/b"))
        answers = KnownAnswers(LIMITS)
        data = b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n"
        self.assertIs(answers.parse(data, b"GET"), answers.parse(data, b"PUT"))

    def test_not_remembered(self) -> None:
        """Neither credentials nor long heads are kept, nor more than there is room for."""
        requests, answers = KnownRequests(HeadLimits()), KnownAnswers(HeadLimits())
        for field in (b"authorization: x", b"COOKIE: a=b", b"A: " + b"x" * known.LONGEST):
            requests.parse(b"GET / HTTP/1.1\r\nHost: a\r\n%b\r\n\r\n" % field)
        answers.parse(b"HTTP/1.1 200 OK\r\nSet-Cookie: a\r\n\r\n", b"GET")
        self.assertEqual((len(requests._known), len(answers._known)), (0, 0))
        for number in range(3 * known.ROOM):
            requests.parse(b"GET / HTTP/1.1\r\nHost: a\r\nA: %d\r\n\r\n" % number)
            answers.parse(b"HTTP/1.1 200 OK\r\nA: %d\r\n\r\n" % number, b"GET")
        self.assertLessEqual(len(requests._known), known.ROOM)
        self.assertLessEqual(len(answers._known), known.ROOM)
