"""W3C Trace Context through the whole gateway: passed on or begun, and in the log."""

from __future__ import annotations

import re

from tests.relay.stage import GET, Stage, refused

TRACE = b"0af7651916cd43dd8448eb211c80319c"
GOOD = b"traceparent: 00-%b-00f067aa0ba902b7-01\r\n" % TRACE
STATE = b"tracestate: vendor=1\r\n"


class Traces(Stage):
    def said(self) -> list[bytes]:
        """All that the backend was told of traces."""
        return re.findall(rb"(?im)^trace.*\r\n", self.backend.received)

    async def test_passed_on(self):
        """A good traceparent of anybody goes on as it came, with its tracestate; the log has it."""
        for certificate in ("tool-tf-test", None):
            await self.ask(GET[:-2] + STATE + GOOD + b"\r\n", certificate=certificate)
        self.assertEqual(self.said(), [GOOD, STATE] * 2)
        self.assertEqual([line["trace_id"] for line in self.log()], [TRACE.decode()] * 2)

    async def test_begun(self):
        """Without one a trace begins that is named like the request, with a part of its own."""
        client = await self.client()
        for _ in range(4):  # often enough to be remembered
            client.take()
            client.send(GET)
            await client.until(b"\r\n\r\nok")
        names = [line["request_id"] for line in self.log()]
        self.assertEqual([line["trace_id"] for line in self.log()], names)
        self.assertEqual(
            self.said(),
            [f"traceparent: 00-{name}-{name[16:]}-01\r\n".encode() for name in names],
        )
        self.assertEqual(len(set(names)), 4)
        self.assertRegex(names[0], "^[0-9a-f]{32}$")

    async def test_replaced(self):
        """One that is no good, or that is said twice, is replaced, and its tracestate dropped."""
        for bad in (GOOD.upper(), GOOD + GOOD, GOOD.replace(TRACE, b"0" * 32)):
            await self.ask(GET[:-2] + bad + STATE + b"\r\n")
        names = [line["request_id"] for line in self.log()]
        self.assertEqual(
            self.said(),
            [f"traceparent: 00-{name}-{name[16:]}-01\r\n".encode() for name in names],
        )

    async def test_same_connection(self):
        """A connection's requests with and without one do not get each other's."""
        client = await self.client()
        for request in [GET] * 3 + [GET[:-2] + GOOD + b"\r\n"] * 3 + [GET]:
            client.take()
            client.send(request)
            await client.until(b"\r\n\r\nok")
        traces = [line["trace_id"] for line in self.log()]
        self.assertEqual(traces[3:6], [TRACE.decode()] * 3)
        self.assertEqual(len(set(traces)), 5)
        self.assertEqual(
            [TRACE in line for line in self.said()], [False] * 3 + [True] * 3 + [False]
        )

    async def test_refused(self):
        """A refused request is in the log with the trace that it came with."""
        request = GET.replace(b"tf-test", b"other")[:-2] + GOOD + b"\r\n"
        answer = await self.ask(request, b"}\n")
        self.assertEqual(refused(answer), (403, "foreign-tool"))
        self.assertEqual(self.log()[0]["trace_id"], TRACE.decode())


class FromATrustedHop(Stage):
    listener = {"forwarded": {"trusted": [{"cidr": "127.0.0.0/8"}]}}

    async def test_its_own_request_id(self):
        """Whatever the trusted hop calls a request, the trace that begins has a good name."""
        await self.ask(GET[:-2] + b"X-Request-ID: abc-1\r\n\r\n")
        (line,) = self.log()
        self.assertEqual(line["request_id"], "abc-1")
        self.assertRegex(line["trace_id"], "^[0-9a-f]{32}$")
        self.assertEqual(
            re.findall(rb"(?m)^traceparent: (.*)\r\n", self.backend.received),
            [f"00-{line['trace_id']}-{line['trace_id'][16:]}-01".encode()],
        )

    async def test_same_name(self):
        """Where it gives no id, or one in the form of a trace's, the trace bears the request's."""
        given = "4bf92f3577b34da6a3ce929d0e0e4736"
        hollow = "4bf92f3577b34da60000000000000000"
        for line in ("", f"X-Request-ID: {given}\r\n", f"X-Request-ID: {hollow}\r\n"):
            await self.ask(GET[:-2] + line.encode() + b"\r\n")
        none, form, empty = self.log()
        self.assertEqual(none["trace_id"], none["request_id"])
        self.assertEqual((form["trace_id"], form["request_id"]), (given, given))
        self.assertEqual(empty["request_id"], hollow)
        self.assertNotEqual(empty["trace_id"], hollow)
        self.assertEqual(self.backend.received.count(b"-0000000000000000-"), 0)

    async def test_its_trace(self):
        """A trace that it passes on is passed on."""
        await self.ask(GET[:-2] + GOOD + b"\r\n")
        self.assertEqual(self.backend.received.count(b"traceparent"), 1)
        self.assertIn(GOOD, self.backend.received)
