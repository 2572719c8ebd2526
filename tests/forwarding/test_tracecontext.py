"""Which trace a request belongs to, by the rules of W3C Trace Context."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from toolforge_gateway.http.head import HeadLimits, parse_request_head
from toolforge_gateway.http.message import Field
from toolforge_gateway.http.write import request_head
from toolforge_gateway.tracecontext import Trace, begun, sent

TRACE = b"0af7651916cd43dd8448eb211c80319c"
PART = b"00f067aa0ba902b7"
GOOD = b"00-%b-%b-01" % (TRACE, PART)


def trace_of(*fields: Field) -> Trace | None:
    data = request_head(b"GET", b"/x", [(b"Host", b"gw"), *fields])
    return sent(parse_request_head(data, HeadLimits()))


class SentTests(SynchronousTestCase):
    """What a client says."""

    def test_good(self) -> None:
        """A good one is passed on byte for byte, flags that we do not know included."""
        for flags in (b"00", b"01", b"02", b"03", b"ff"):
            parent = GOOD[:-2] + flags
            trace = trace_of((b"traceparent", parent))
            self.assertEqual(trace, Trace(TRACE.decode(), b"traceparent: %b\r\n" % parent), parent)

    def test_any_case_of_the_name(self) -> None:
        """The name of the field is one like any other; it goes on as the standard writes it."""
        self.assertEqual(
            trace_of((b"TraceParent", GOOD)),
            Trace(TRACE.decode(), b"traceparent: %b\r\n" % GOOD),
        )

    def test_bad(self) -> None:
        """What the standard calls invalid is none (section 3.2.2)."""
        for parent in (
            b"",
            b"00",
            GOOD.upper(),
            GOOD[:-1],
            GOOD + b"0",
            GOOD + b"-",
            GOOD + b"-00",
            b"0" + GOOD,
            b"ff" + GOOD[2:],
            b"0g" + GOOD[2:],
            b"00-%b-%b-01" % (b"0" * 32, PART),
            b"00-%b-%b-01" % (TRACE, b"0" * 16),
            b"00-%b-%b-0x" % (TRACE, PART),
            b"00-%b-%b-1" % (TRACE, PART),
            b"00-%b-%b" % (TRACE, PART),
            b"00_%b_%b_01" % (TRACE, PART),
            b"00-%b-%b-01" % (TRACE[:-1], PART),
            b"00-%b-%b-01" % (TRACE + b"0", PART),
            GOOD.replace(b"0af7", b"\xb2\xb3\xb9\xb2"),
            GOOD + b", " + GOOD,
            b'"%b"' % GOOD,
        ):
            state = (b"tracestate", b"a=1")
            self.assertIsNone(trace_of((b"traceparent", parent), state), parent)

    def test_twice(self) -> None:
        """Said twice is not said, even where both say the same."""
        self.assertIsNone(trace_of((b"traceparent", GOOD), (b"Traceparent", GOOD)))

    def test_later_versions(self) -> None:
        """Of a later version only what version 00 has is understood and said again (3.2.4)."""
        for version, flags, more, sampled in (
            (b"01", b"01", b"", b"01"),
            (b"cc", b"ff", b"-what-the-future-will-be-like", b"01"),
            (b"fe", b"02", b"-", b"00"),
        ):
            parent = b"%b-%b-%b-%b%b" % (version, TRACE, PART, flags, more)
            said = b"traceparent: 00-%b-%b-%b\r\n" % (TRACE, PART, sampled)
            self.assertEqual(trace_of((b"traceparent", parent)), Trace(TRACE.decode(), said))
        self.assertIsNone(trace_of((b"traceparent", b"01-%b-%b-01x" % (TRACE, PART))))

    def test_state(self) -> None:
        """tracestate goes along, all lines in their order; without a traceparent it is nothing."""
        states = ((b"tracestate", b"a=1"), (b"TraceState", b"b=2,c=3"))
        trace = trace_of(states[0], (b"traceparent", GOOD), states[1])
        self.assertEqual(
            trace.lines,
            b"traceparent: %b\r\ntracestate: a=1\r\ntracestate: b=2,c=3\r\n" % GOOD,
        )
        self.assertIsNone(trace_of(*states))

    def test_for_this_hop_alone(self) -> None:
        """What Connection names is meant for us alone (RFC 9110 section 7.6.1)."""
        state = (b"tracestate", b"a=1")
        parent = (b"traceparent", GOOD)
        self.assertIsNone(trace_of((b"Connection", b"Traceparent"), parent, state))
        trace = trace_of((b"Connection", b"tracestate"), parent, state)
        self.assertEqual(trace.lines, b"traceparent: %b\r\n" % GOOD)

    def test_begun(self) -> None:
        """What begins here is good by the same rules, and named like the request."""
        request_id = "5f0e9c1a2b3c4d5e0000000000000001"
        trace = begun(request_id)
        name, _, value = trace.lines.strip().partition(b": ")
        self.assertEqual(trace_of((name, value)), trace)
        self.assertEqual(trace.trace_id, request_id)
