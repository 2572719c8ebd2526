"""Kept connections: which is taken, how many are kept, and for how long."""

from __future__ import annotations

from twisted.internet.error import ConnectionDone
from twisted.python.failure import Failure
from zope.interface.verify import verifyObject

from tests.proxy.stage import ONE, TWO, PoolCase
from toolforge_gateway.proxy.connection import UpstreamConnection
from toolforge_gateway.proxy.interfaces import IPool, IUpstream
from toolforge_gateway.proxy.pool import MAX_IDLE
from toolforge_gateway.proxy.upstream import IDLE_SECONDS


class PoolTests(PoolCase):
    def kept(self, count: int = 1) -> list[UpstreamConnection]:
        """Connections that were in use at the same time, and are not any more."""
        connections = [self.borrow() for _ in range(count)]
        for connection in connections:
            self.pool.put(connection)
        return connections

    def lose(self, connection: UpstreamConnection) -> None:
        """The reactor says that it is gone."""
        connection.transport.ended = "by the other end"
        connection.connectionLost(Failure(ConnectionDone()))

    def test_interfaces(self) -> None:
        """A pool, and each of its addresses, is what it says it is."""
        verifyObject(IPool, self.pool)
        verifyObject(IUpstream, self.pool.upstreams[0])

    def test_empty(self) -> None:
        """From an empty pool nothing is taken, and nothing is waited for."""
        self.assertIsNone(self.pool.take())
        self.assertEqual(self.network.getDelayedCalls(), [])

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
        self.assertEqual(self.pool.open, 1)

    def test_still_full(self) -> None:
        """One whose backend has answered and not taken all of the request is not given to another
        one, who would never be told to wait; once all is taken it is."""
        first, second = self.borrow(), self.borrow()
        for each in (first, second):
            each.pauseProducing()  # as its transport does when there is no room
            self.pool.put(each)
        first.resumeProducing()
        self.assertIs(self.pool.take(), first)
        self.assertEqual(second.transport.ended, "aborted")

    def test_bound(self) -> None:
        """No more than `MAX_IDLE` are kept; one more is closed in good order."""
        *kept, last = self.kept(MAX_IDLE + 1)
        self.assertEqual(last.transport.ended, "closed")
        self.assertEqual({connection.transport.ended for connection in kept}, {""})

    def test_lower_bound(self) -> None:
        """A bound that is lowered counts from then on; 0 keeps nothing."""
        self.pool.max_idle = 0
        (only,) = self.kept()
        self.assertEqual(only.transport.ended, "closed")

    def test_lost(self) -> None:
        """A kept connection that is lost is not taken any more, and not counted."""
        first, second = self.kept(2)
        self.lose(second)
        self.assertEqual(repr(self.pool), "<Pool jobs idle=1 open=1>")
        self.assertIs(self.pool.take(), first)
        self.lose(first)
        self.assertEqual(repr(self.pool), "<Pool jobs idle=0 open=0>")

    def test_speaks_unasked(self) -> None:
        """A kept connection on which something comes is aborted."""
        (connection,) = self.kept()
        connection.dataReceived(b"HTTP/1.1 408 Request Timeout\r\n\r\n")
        self.assertEqual(connection.transport.ended, "aborted")

    def test_idle(self) -> None:
        """A connection is closed once it has been idle for `IDLE_SECONDS`; one that was in use in
        between has its time from then on."""
        self.assertLess(IDLE_SECONDS, 65)
        old, young = self.kept(2)
        self.network.advance(IDLE_SECONDS - 1)
        self.assertIs(self.pool.take(), young)
        self.pool.put(young)
        self.network.advance(1)
        self.assertEqual((old.transport.ended, young.transport.ended), ("closed", ""))
        self.network.advance(IDLE_SECONDS - 1.5)
        self.assertEqual(young.transport.ended, "")
        self.network.advance(0.5)
        self.assertEqual(young.transport.ended, "closed")

    def test_nothing_to_wait_for(self) -> None:
        """A pool with nothing idle costs no timer."""
        self.kept()
        self.network.advance(IDLE_SECONDS + 1)
        self.assertEqual(self.network.getDelayedCalls(), [])

    def test_closed(self) -> None:
        """Closing the pool closes what is idle; what is in use is closed when it comes back."""
        busy, idle = self.borrow(), self.borrow()
        self.pool.put(idle)
        self.pool.close()
        self.assertEqual((idle.transport.ended, busy.transport.ended), ("closed", ""))
        self.pool.put(busy)
        self.assertEqual(busy.transport.ended, "closed")
        self.assertIsNone(self.pool.take())
        self.assertEqual(self.network.getDelayedCalls(), [])

    def test_closed_all_the_same(self) -> None:
        """Who decided for a pool before it was closed still gets a connection from it."""
        self.pool.close()
        connection = self.borrow()
        self.pool.put(connection)
        self.assertEqual(connection.transport.ended, "closed")

    def test_refresh(self) -> None:
        """After our certificate has changed no connection of before serves another request: what
        is idle is closed at once, what is in use, or being made, when it comes back."""
        busy, idle = self.borrow(), self.borrow()
        self.pool.put(idle)
        coming, _ = self.ask()
        self.pool.refresh()
        self.assertEqual((idle.transport.ended, busy.transport.ended), ("closed", ""))
        self.network.dials[-1].establish()
        for each in (busy, coming.connection):
            self.pool.put(each)
            self.assertEqual(each.transport.ended, "closed")
        self.assertIsNone(self.pool.take())
        (new,) = self.kept()
        self.assertIs(self.pool.take(), new)
        self.assertEqual(self.pool.figures().addresses[0].dials, 4)
        self.assertEqual((self.pool.open, self.pool.places.taken), (1, 1))

    def test_refresh_of_a_closed_one(self) -> None:
        """A pool that is closed stays so."""
        self.pool.close()
        self.pool.refresh()
        connection = self.borrow()
        self.pool.put(connection)
        self.assertEqual(connection.transport.ended, "closed")

    def test_reads_again(self) -> None:
        """A connection that was paused when its exchange ended is read again while it is kept: or
        its end would not be noticed."""
        connection = self.borrow()
        connection.read_on(False)
        self.pool.put(connection)
        self.assertEqual(connection.transport.producerState, "producing")


class SeveralTests(PoolCase):
    """The same with several addresses."""

    addresses = (ONE, TWO)

    def test_idle_for_each(self) -> None:
        """Each address closes what has been idle there for `IDLE_SECONDS`, whatever the other
        does."""
        first, second = self.borrow(), self.borrow()
        self.assertEqual({each.upstream.address for each in (first, second)}, {ONE, TWO})
        self.pool.put(first)
        self.network.advance(10)
        self.pool.put(second)
        self.network.advance(IDLE_SECONDS - 10)
        self.assertEqual((first.transport.ended, second.transport.ended), ("closed", ""))
        self.network.advance(10)
        self.assertEqual(second.transport.ended, "closed")
        self.assertEqual(self.network.getDelayedCalls(), [])

    def test_bound_is_shared(self) -> None:
        """All addresses together keep `max_idle`."""
        self.pool.max_idle = 4
        connections = [self.borrow() for _ in range(8)]
        for connection in connections:
            self.pool.put(connection)
        self.assertEqual([len(each.idle) for each in self.pool.upstreams], [2, 2])

    def test_less_busy(self) -> None:
        """A request goes to the address with fewer requests under way."""
        for _ in range(20):
            self.borrow()
        self.assertEqual([each.busy for each in self.pool.upstreams], [10, 10])

    def test_less_busy_kept(self) -> None:
        """The same holds where both have kept connections."""
        for connection in [self.borrow() for _ in range(20)]:
            self.pool.put(connection)
        taken = [self.borrow() for _ in range(10)]
        self.assertEqual(len(self.network.dials), 20)
        self.assertEqual([each.busy for each in self.pool.upstreams], [5, 5])
        for connection in taken:
            if connection.upstream is self.pool.upstreams[0]:
                self.pool.put(connection)
        again = [self.borrow() for _ in range(5)]
        self.assertEqual({each.upstream for each in again}, {self.pool.upstreams[0]})
