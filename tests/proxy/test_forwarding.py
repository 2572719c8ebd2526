"""One request on its way to a backend, turn by turn, between two fakes."""

from __future__ import annotations

from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from toolforge_gateway.config.values import Timeouts
from toolforge_gateway.deadlines import RESOLUTION, Deadlines
from toolforge_gateway.http import write
from toolforge_gateway.http.head import HeadLimits
from toolforge_gateway.http.known import KnownAnswers
from toolforge_gateway.http.message import Framing
from toolforge_gateway.interfaces import IAnswer, IForward
from toolforge_gateway.proxy import failures
from toolforge_gateway.proxy.forwarding import MAX_INFORMATIONAL, Forwarding
from toolforge_gateway.proxy.interfaces import ICustomer
from toolforge_gateway.proxy.outgoing import Outgoing

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@implementer(IAnswer)
class Caller:
    """Writes down what it is told."""

    def __init__(self) -> None:
        self.told: list[object] = []
        self.pours = 0
        """Bytes that come, and go straight to it, when it is asked."""

    def informational(self, head):
        self.told.append(head.status)

    def begin(self, head, lines):
        self.told.append(("begin", head.status, lines))

    def whole(self, head, lines, body):
        self.told.append(("whole", head.status, lines, body))

    def data(self, payload):
        self.told.append(payload)

    def pour(self, transport, most):
        poured = min(self.pours, most)
        if poured:
            self.told.append(("poured", transport, poured))
        self.pours -= poured
        return poured

    def flush(self):
        """Not written down: it changes when bytes go, not which."""

    def end(self):
        self.told.append("end")

    def cut(self, by_caller=False):
        self.told.append("cut")

    def fail(self, refusal):
        self.told.append(("fail", refusal.status, refusal.reason))

    def pause(self):
        self.told.append("pause")

    def resume(self):
        self.told.append("resume")


class Connection:
    """A connection to a backend, as far as a forwarding uses it."""

    transport = "the transport"

    def __init__(self) -> None:
        self.written = b""
        self.reading = True
        self.ended = ""
        self.current = None

    def write(self, data: bytes) -> None:
        self.written += data

    def pour(self, transport, most: int) -> int:
        self.written += b"<%d poured>" % most
        return most

    def read_on(self, wanted: bool) -> None:
        self.reading = wanted

    def close(self) -> None:
        self.ended = "closed"

    def abort(self) -> None:
        self.ended = "aborted"


class Pool:
    """Gives a kept connection or none, and takes back what it is given."""

    def __init__(self, kept: Connection | None) -> None:
        self.kept = kept
        self.back: list[Connection] = []
        self.told: list[str] = []
        self.cancelled = False

    def take(self) -> Connection | None:
        return self.kept

    def dial(self, customer: Forwarding, timeouts: Timeouts) -> Pool:
        return self

    def cancel(self) -> None:
        self.cancelled = True

    def answered(self, connection: Connection) -> None:
        self.told.append("answered")

    def unanswered(
        self, connection: Connection, reason: str, detail: object, since: float | None = None
    ) -> None:
        self.told.append(reason)
        self.since = since

    def cut(self, connection: Connection, detail: object) -> None:
        self.told.append("cut")

    def lost(self, connection: Connection) -> None:
        """Counted by the real one."""

    def put(self, connection: Connection) -> None:
        self.back.append(connection)


class ForwardingTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.caller = Caller()
        self.connection = Connection()
        self.answers = KnownAnswers(HeadLimits())

    def forward(
        self, body: Framing = Framing.NONE, kept: bool = True, method: bytes = b"GET"
    ) -> Forwarding:
        self.pool = Pool(self.connection if kept else None)
        outgoing = Outgoing(
            backend="jobs-api",
            pool=self.pool,
            deadlines=Deadlines(self.clock),
            timeouts=Timeouts(connect=5, response_head=60, response_idle=30),
            method=method,
            head=method + b" / HTTP/1.1\r\n",
            body=body,
            answers=self.answers,
            answer_lines=lambda head: write.lines(head.fields),
        )
        return Forwarding(outgoing, "1", self.caller).start()

    def pass_time(self, seconds: float) -> None:
        for _ in range(int(seconds / RESOLUTION) + 2):
            self.clock.advance(RESOLUTION)

    def test_interfaces(self) -> None:
        """All ends are what they say they are."""
        verifyObject(IAnswer, self.caller)
        forwarding = self.forward()
        verifyObject(IForward, forwarding)
        verifyObject(ICustomer, forwarding)

    def test_kept(self) -> None:
        """A kept connection is written to at once, and goes back after the answer."""
        forwarding = self.forward()
        self.assertEqual(self.connection.written, b"GET / HTTP/1.1\r\nX-Request-ID: 1\r\n\r\n")
        forwarding.received(OK)
        self.assertEqual(self.caller.told, [("begin", 200, b"Content-Length: 2\r\n"), b"ok", "end"])
        self.assertEqual(self.pool.back, [self.connection])

    def answered(self, method: bytes, *pieces: bytes) -> list[object]:
        """What the caller is told of an answer in these pieces, when GET has had it before."""
        self.forward().received(OK)
        self.caller.told.clear()
        forwarding = self.forward(method=method)
        for piece in pieces:
            forwarding.received(piece)
        return self.caller.told

    def test_known_answer(self) -> None:
        """An answer that comes in one piece, with a head that was read before, is told in one."""
        told = self.answered(b"GET", OK)
        self.assertEqual(told, [("whole", 200, b"Content-Length: 2\r\n", b"ok")])
        self.assertEqual(self.pool.back, [self.connection])

    def test_known_answer_in_pieces(self) -> None:
        """Wherever it is cut, the same answer is told."""
        lines = b"Content-Length: 2\r\n"
        for at in range(1, len(OK)):
            told = self.answered(b"GET", OK[:at], OK[at:])
            body = [OK[-2:]] if at <= len(OK) - 2 else [b"o", b"k"]
            self.assertEqual(told, [("begin", 200, lines), *body, "end"], at)

    def test_known_answer_to_head(self) -> None:
        """What was known from an answer to GET does not count for HEAD, which has no body."""
        self.assertEqual(self.answered(b"HEAD", OK[:-2])[-1], "end")
        self.assertEqual(self.pool.back, [])

    def test_more_than_an_answer(self) -> None:
        """A connection that says more than its answer is not kept, however well that is known."""
        self.assertEqual(self.answered(b"GET", OK + b"HTTP/1.1")[1:], [b"ok", "end"])
        self.assertEqual((self.pool.back, self.connection.ended), ([], "closed"))

    def test_body_waits_for_the_dial(self) -> None:
        """While a connection is dialled the caller sends no more than it has sent already, and
        that is kept; both go on once the connection is there."""
        forwarding = self.forward(Framing.CHUNKED, kept=False)
        self.assertEqual(self.caller.told, ["pause"])
        forwarding.data(b"abc")
        forwarding.flush()
        forwarding.dialled(self.connection)
        self.assertEqual(self.connection.written, b"")
        forwarding.connected(self.connection)
        self.assertEqual(self.caller.told, ["pause", "resume"])
        self.assertEqual(
            self.connection.written, b"GET / HTTP/1.1\r\nX-Request-ID: 1\r\n\r\n3\r\nabc\r\n"
        )
        forwarding.end()
        self.assertTrue(self.connection.written.endswith(b"0\r\n\r\n"))

    def test_unavailable(self) -> None:
        """Where no connection is to be had the caller is told why, once."""
        forwarding = self.forward(kept=False)
        forwarding.unavailable(failures.busy("jobs-api"))
        forwarding.unavailable(failures.connect_timed_out("jobs-api"))
        self.assertEqual(self.caller.told, [("fail", 503, "backend-busy")])

    def test_pool_is_told(self) -> None:
        """The pool is told of each answer that begins, and why a written request has none."""
        self.forward().received(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 2\r\n\r\n")
        self.assertEqual(self.pool.told, ["answered"])
        self.forward().received(b"HTTP/1.1 nonsense\r\n\r\n")
        self.assertEqual(self.pool.told, ["backend-broken-answer"])
        self.forward().lost(Failure(ConnectionDone()))
        self.assertEqual(self.pool.told, ["backend-closed"])
        self.forward()
        began = self.clock.seconds()
        self.pass_time(60)
        self.assertEqual(self.pool.told, ["backend-timeout"])
        self.assertAlmostEqual(self.pool.since, began, delta=1)
        self.forward().abort()
        self.assertEqual(self.pool.told, [])

    def test_head_deadline_counts_from_the_end_of_the_request(self) -> None:
        """A backend is not waited for while the caller still sends."""
        forwarding = self.forward(Framing.LENGTH)
        self.pass_time(120)
        self.assertEqual(self.caller.told, [])
        forwarding.end()
        self.pass_time(59)
        self.assertEqual(self.caller.told, [])
        self.pass_time(1)
        self.assertEqual(self.caller.told, [("fail", 504, "backend-timeout")])
        self.assertEqual(self.connection.ended, "aborted")

    def test_backend_takes_no_more(self) -> None:
        """A backend that takes no more of the body holds the caller, and is waited for."""
        forwarding = self.forward(Framing.LENGTH)
        forwarding.backend_full()
        self.assertEqual(self.caller.told, ["pause"])
        forwarding.backend_ready()
        self.assertEqual(self.caller.told, ["pause", "resume"])
        forwarding.backend_full()
        self.pass_time(60)
        self.assertEqual(self.caller.told[-1], ("fail", 504, "backend-timeout"))

    def test_caller_takes_no_more(self) -> None:
        """A caller that takes no more holds the backend, whose connection reads again when it
        goes back."""
        forwarding = self.forward()
        forwarding.received(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nok")
        forwarding.pause()
        self.assertFalse(self.connection.reading)
        forwarding.resume()
        self.assertTrue(self.connection.reading)
        self.pass_time(29)
        forwarding.received(b"ok")
        self.assertEqual(self.caller.told[-1], "end")

    def test_early_answer(self) -> None:
        """After an answer that came before the request's end the connection is not used again."""
        forwarding = self.forward(Framing.LENGTH)
        forwarding.received(OK)
        self.assertEqual(self.caller.told[-1], "end")
        self.assertEqual((self.pool.back, self.connection.ended), ([], "aborted"))
        forwarding.data(b"more")
        forwarding.end()
        self.assertNotIn(b"more", self.connection.written)

    def test_interim_answers(self) -> None:
        """Interim answers pass, up to a number that no honest backend needs."""
        forwarding = self.forward()
        for _ in range(MAX_INFORMATIONAL):
            forwarding.received(b"HTTP/1.1 103 Early Hints\r\n\r\n")
        self.assertEqual(self.caller.told, [103] * MAX_INFORMATIONAL)
        forwarding.received(b"HTTP/1.1 103 Early Hints\r\n\r\n")
        self.assertEqual(self.caller.told[-1], ("fail", 502, "backend-broken-answer"))

    def test_abort(self) -> None:
        """A caller that leaves ends the request, connected or not, and hears no more."""
        forwarding = self.forward()
        forwarding.abort()
        self.assertEqual(self.connection.ended, "aborted")
        forwarding.lost(Failure(ConnectionDone()))
        waiting = self.forward(kept=False)
        waiting.abort()
        self.assertTrue(self.pool.cancelled)
        late = Connection()
        waiting.dialled(late)
        self.assertEqual(late.ended, "aborted")
        self.assertEqual(self.caller.told, [])

    def test_answer_is_poured(self) -> None:
        """What goes straight to the caller counts, and the end is seen as always: never is more
        asked for than comes before the last byte."""
        forwarding = self.forward()
        self.caller.pours = 1000
        forwarding.received(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nab")
        self.assertEqual(self.caller.told[1:], [b"ab", ("poured", "the transport", 7)])
        self.caller.told.clear()
        forwarding.received(b"c")
        self.assertEqual(self.caller.told, [b"c", "end"])
        self.assertEqual(self.pool.back, [self.connection])

    def test_poured_answer_that_breaks_off(self) -> None:
        """A body of which most was poured and the last byte is missing does not look whole."""
        forwarding = self.forward()
        self.caller.pours = 1000
        forwarding.received(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nab")
        self.caller.told.clear()
        forwarding.lost(Failure(ConnectionDone()))
        self.assertEqual(self.caller.told, ["cut"])

    def test_framed_answers_are_not_poured(self) -> None:
        """An answer that is taken out of its framing, or whose length nobody knows, comes piece by
        piece."""
        for framing in (b"Transfer-Encoding: chunked\r\n\r\n5\r\nab", b"\r\nab"):
            forwarding = self.forward()
            self.caller.pours = 1000
            forwarding.received(b"HTTP/1.1 200 OK\r\n" + framing)
            forwarding.received(b"cd")
            self.assertNotIn("poured", str(self.caller.told))

    def test_request_is_poured(self) -> None:
        """A request body goes straight to the backend once it is there and nothing waits before it,
        and neither before nor after."""
        forwarding = self.forward(Framing.LENGTH, kept=False)
        self.assertEqual(forwarding.pour("client", 100), 0)
        forwarding.dialled(self.connection)
        forwarding.data(b"abc")
        self.assertEqual(forwarding.pour("client", 100), 0)
        forwarding.connected(self.connection)
        self.assertEqual(forwarding.pour("client", 100), 100)
        self.assertTrue(self.connection.written.endswith(b"abc<100 poured>"))
        forwarding.data(b"d")
        self.assertEqual(forwarding.pour("client", 100), 0)
        forwarding.flush()
        self.assertEqual(forwarding.pour("client", 100), 100)
        forwarding.abort()
        self.assertEqual(forwarding.pour("client", 100), 0)

    def test_chunked_request_is_not_poured(self) -> None:
        """What has to be framed on its way is not poured."""
        forwarding = self.forward(Framing.CHUNKED)
        self.assertEqual(forwarding.pour("client", 100), 0)
