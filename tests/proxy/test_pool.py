"""Kept connections: which is taken, how many are kept, and for how long."""

from __future__ import annotations

from twisted.internet.error import ConnectionDone
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from toolforge_gateway.deadlines import Deadlines
from toolforge_gateway.proxy.connection import UpstreamConnection
from toolforge_gateway.proxy.pool import IDLE_SECONDS, MAX_IDLE, Pool


class Transport(StringTransport):
    """A backend's end as far as a pool sees it: `ISecureTransport`."""

    quiet = True
    ended = ""

    def setTcpNoDelay(self, enabled: bool) -> None:
        """Nothing is delayed here."""

    def is_quiet(self) -> bool:
        return self.quiet and not self.ended

    def close_now(self) -> None:
        self.ended = self.ended or "closed"

    def abortConnection(self) -> None:
        self.ended = "aborted"


class Borrower:
    """Whoever needs a connection."""

    def dialled(self, connection: UpstreamConnection) -> None:
        self.connection = connection


class PoolTests(SynchronousTestCase):
    def setUp(self) -> None:
        """A pool whose clock stands still."""
        self.clock = MemoryReactorClock()
        self.deadlines = Deadlines(self.clock)
        # Dialling is for the tests with a real backend: these bring their own.
        self.pool = Pool(self.clock, "192.0.2.1", 443, None, None, 5.0, self.deadlines)

    def borrowed(self) -> UpstreamConnection:
        """A connection that is in use."""
        connection = UpstreamConnection(self.pool, Borrower())
        connection.makeConnection(Transport())
        self.pool.open += 1
        return connection

    def kept(self, count: int = 1) -> list[UpstreamConnection]:
        """Connections that were in use at the same time, and are not any more."""
        connections = [self.borrowed() for _ in range(count)]
        for connection in connections:
            self.pool.put(connection)
        return connections

    def lose(self, connection: UpstreamConnection) -> None:
        """The reactor says that it is gone."""
        connection.connectionLost(Failure(ConnectionDone()))

    def test_empty(self) -> None:
        """From an empty pool nothing is taken, and it has nothing to wait for."""
        self.assertIsNone(self.pool.take())
        self.assertIsNone(self.pool.deadline)

    def test_last_in_first_out(self) -> None:
        """The connection that was in use last is taken first: the others may grow old."""
        first, second = self.kept(2)
        self.assertIs(self.pool.take(), second)
        self.assertIs(self.pool.take(), first)
        self.assertIsNone(self.pool.take())

    def test_not_quiet(self) -> None:
        """One that is closed, or has something to say, is aborted, and the next one taken."""
        first, second = self.kept(2)
        second.transport.quiet = False
        self.assertIs(self.pool.take(), first)
        self.assertEqual(second.transport.ended, "aborted")

    def test_bound(self) -> None:
        """No more than `MAX_IDLE` are kept; one more is closed in good order."""
        *kept, last = self.kept(MAX_IDLE + 1)
        self.assertEqual(last.transport.ended, "closed")
        self.assertEqual({connection.transport.ended for connection in kept}, {""})

    def test_lost(self) -> None:
        """A kept connection that is lost is not taken any more, and not counted."""
        first, second = self.kept(2)
        self.lose(second)
        self.assertEqual(repr(self.pool), "<Pool idle=1 open=1>")
        self.assertIs(self.pool.take(), first)
        self.lose(first)
        self.assertEqual(repr(self.pool), "<Pool idle=0 open=0>")

    def test_speaks_unasked(self) -> None:
        """A kept connection on which something comes is aborted."""
        (connection,) = self.kept()
        connection.dataReceived(b"HTTP/1.1 408 Request Timeout\r\n\r\n")
        self.assertEqual(connection.transport.ended, "aborted")

    def test_idle(self) -> None:
        """A connection is closed once it has been idle for `IDLE_SECONDS`; one that was in use in
        between has its time from then on."""
        old, young = self.kept(2)
        self.clock.advance(IDLE_SECONDS - 1)
        self.assertIs(self.pool.take(), young)
        self.pool.put(young)
        self.clock.advance(1)
        self.assertEqual((old.transport.ended, young.transport.ended), ("closed", ""))
        self.clock.advance(IDLE_SECONDS - 1.5)
        self.assertEqual(young.transport.ended, "")
        self.clock.advance(0.5)
        self.assertEqual(young.transport.ended, "closed")
        self.assertIsNone(self.pool.deadline)

    def test_nothing_to_wait_for(self) -> None:
        """A pool with nothing idle costs no timer."""
        self.kept()
        self.clock.advance(IDLE_SECONDS + 1)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_closed(self) -> None:
        """Closing the pool closes what is idle; what is in use is closed when it comes back."""
        (idle,) = self.kept()
        busy = self.borrowed()
        self.pool.close()
        self.assertEqual((idle.transport.ended, busy.transport.ended), ("closed", ""))
        self.pool.put(busy)
        self.assertEqual(busy.transport.ended, "closed")
        self.assertIsNone(self.pool.take())

    def test_reads_again(self) -> None:
        """A connection that was paused when its exchange ended is read again while it is kept: or
        its end would not be noticed."""
        connection = self.borrowed()
        connection.read_on(False)
        self.pool.put(connection)
        self.assertEqual(connection.transport.producerState, "producing")
