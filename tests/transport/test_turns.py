"""Processes that share a socket take turns."""

from __future__ import annotations

import os
import random
import socket
from typing import Any

from twisted.internet import reactor
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock, deferLater
from twisted.trial.unittest import SynchronousTestCase

from tests.coroutines import CoroutineCase
from toolforge_gateway.transport.accepting import AT_ONCE, DirectPort, SharedPort
from toolforge_gateway.transport.turns import (
    LONGEST,
    NUMBERS,
    STEP,
    Board,
    Turns,
    all_the_same,
    step_back,
)


class BoardTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.board = Board()
        self.addCleanup(self.board.close)

    def turns(self) -> Turns:
        return Turns(self.board.descriptor, self.board.take())

    def test_alone(self) -> None:
        """Who is alone always has the turn."""
        alone = self.turns()
        alone.begin(0)
        for connections in (0, 1, 1000):
            alone.tell(connections)
            self.assertEqual(alone.ahead(), 0)

    def test_ahead(self) -> None:
        """Who has more than another one is so many ahead; those who do not accept do not count."""
        first, second, third = self.turns(), self.turns(), self.turns()
        first.begin(0)
        second.begin(0)
        first.tell(5)
        self.assertEqual((first.ahead(), second.ahead()), (5, 0))
        second.tell(7)
        self.assertEqual((first.ahead(), second.ahead()), (0, 2))
        third.begin(1)
        self.assertEqual((first.ahead(), second.ahead(), third.ahead()), (4, 6, 0))
        third.end()
        self.assertEqual((first.ahead(), second.ahead()), (0, 2))
        self.assertEqual(third.ahead(), 0)

    def test_not_yet(self) -> None:
        """Who has not begun, or has ended, is not waited for, whatever it tells."""
        first, second = self.turns(), self.turns()
        first.begin(9)
        second.tell(0)
        self.assertEqual(first.ahead(), 0)
        second.begin(0)
        second.end()
        second.tell(0)
        self.assertEqual(first.ahead(), 0)

    def test_gone(self) -> None:
        """Who is gone is not waited for, and its number is another one's."""
        first = self.turns()
        number = self.board.take()
        gone = Turns(self.board.descriptor, number)
        first.begin(3)
        gone.begin(0)
        self.assertEqual(self.board.open(number), 0)
        self.board.free(number)
        self.assertEqual(first.ahead(), 0)
        self.assertIsNone(self.board.open(number))
        self.assertEqual(self.board.take(), number)

    def test_numbers(self) -> None:
        """There are so many numbers and no more, and none but these is one."""
        taken = [self.board.take() for _ in range(NUMBERS)]
        self.assertEqual(len(set(taken)), NUMBERS)
        self.assertRaises(RuntimeError, self.board.take)
        for number in (0, NUMBERS + 1, -1):
            self.assertRaises(ValueError, Turns, self.board.descriptor, number)

    def test_page_of_another_version(self) -> None:
        """A worker of an upgraded package finds its place on the page of an older supervisor."""
        os.ftruncate(self.board.descriptor, 4096)
        worker = self.turns()
        worker.begin(3)
        self.assertEqual(self.board.open(1), 3)

    def test_step_back(self) -> None:
        """The more one is ahead the longer it steps back, and no longer than that; then it takes
        the more at once the longer the others have not come."""
        self.assertEqual(step_back(1), STEP)
        self.assertLess(step_back(2), step_back(3))
        self.assertEqual(step_back(10**6), LONGEST)
        self.assertEqual(all_the_same(1), 1)
        self.assertGreater(all_the_same(1000), 100)


class Queue:
    """A listening socket, without one."""

    def __init__(self) -> None:
        self.waiting = 0
        self.family = socket.AF_INET

    def fileno(self) -> int:
        return 99

    def accept(self) -> tuple[Any, Any]:
        if not self.waiting:
            raise BlockingIOError
        self.waiting -= 1
        return Accepted(), ("192.0.2.1", 1)


class Accepted:
    family = socket.AF_INET

    def setblocking(self, _: bool) -> None:
        """As you like."""

    def close(self) -> None:
        """It was none."""


class Dispatcher:
    """Watches nothing; the test looks."""

    def __init__(self) -> None:
        self.watched: Any = None

    def watch(self, descriptor: int, events: int, handler: Any) -> None:
        assert self.watched is None
        self.watched = handler

    def forget(self, descriptor: int) -> None:
        assert self.watched is not None
        self.watched = None


class Server:
    """One process: how many connections it has, and whether it is busy with other things."""

    def __init__(self, queue: Queue, board: Board, clock: Clock):
        self.turns = Turns(board.descriptor, board.take())
        self.turns.begin(0)
        self.connections = 0
        self.dispatcher = Dispatcher()
        self.busy = False
        server = self

        class Port:
            addressFamily = socket.AF_INET

            def __init__(self) -> None:
                self.socket = queue

            def stopReading(self) -> None:
                """It has not begun."""

            def stopListening(self) -> None:
                """Nor this."""

        class Connections:
            def buildProtocol(self, _: Any) -> None:
                server.connections += 1
                server.turns.tell(server.connections)

        self.port = DirectPort(Port(), Connections(), self.dispatcher, clock, self.turns)

    def look(self) -> None:
        """Its reactor comes round."""
        if self.dispatcher.watched is not None and not self.busy:
            self.dispatcher.watched(1)


class SharingTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.board = Board()
        self.addCleanup(self.board.close)
        self.clock = Clock()
        self.queue = Queue()
        self.chance = random.Random(6)

    def servers(self, count: int) -> list[Server]:
        return [Server(self.queue, self.board, self.clock) for _ in range(count)]

    def run_until_accepted(self, servers: list[Server]) -> float:
        """Have them look, one more often than the others.

        :return: seconds that the last connection had to wait.
        """
        began = self.clock.seconds()
        while self.queue.waiting:
            servers[0].look()
            self.chance.choice(servers).look()
            self.clock.advance(0.0005)
        return self.clock.seconds() - began

    def test_crowd(self) -> None:
        """A crowd that comes at once is shared, though one looks first each time."""
        servers = self.servers(2)
        self.queue.waiting = 16
        self.run_until_accepted(servers)
        self.assertLessEqual(abs(servers[0].connections - servers[1].connections), 2)

    def test_trickle(self) -> None:
        """So are those who come one by one, and none waits longer than a moment."""
        servers = self.servers(3)
        for _ in range(300):
            self.queue.waiting += 1
            self.assertLessEqual(self.run_until_accepted(servers), LONGEST)
        counts = [server.connections for server in servers]
        self.assertEqual(sum(counts), 300)
        self.assertLessEqual(max(counts) - min(counts), 6, counts)

    def test_new(self) -> None:
        """A process that comes without connections gets the next ones."""
        [old] = self.servers(1)
        self.queue.waiting = 50
        self.run_until_accepted([old])
        [new] = self.servers(1)
        for _ in range(40):
            self.queue.waiting += 1
            self.run_until_accepted([new, old])
        self.assertEqual(new.connections, 40)

    def test_hung(self) -> None:
        """One that hangs keeps the others from accepting for a moment each time, and ever more
        come through at once."""
        servers = self.servers(2)
        servers[1].busy = True
        for crowd in (1, 10, 100, 1000):
            self.queue.waiting = crowd
            waited = self.run_until_accepted(servers)
            self.assertLess(waited, 0.5, crowd)
        self.assertEqual(servers[0].connections, 1111)
        self.queue.waiting = AT_ONCE
        self.assertLess(self.run_until_accepted(servers), 0.02)

    def test_stop_while_stepping_back(self) -> None:
        """A port that is stopped while it leaves the turn to others lets in who waits."""
        servers = self.servers(2)
        self.queue.waiting = 3
        servers[0].look()
        self.assertEqual(servers[0].connections, 1)
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)
        servers[0].port.stopListening()
        self.assertEqual(servers[0].connections, 3)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertIsNone(servers[0].dispatcher.watched)


class SharedPortTests(CoroutineCase):
    """Connections that get a transport of the reactor's."""

    timeout = 30

    def setUp(self) -> None:
        self.board = Board()
        self.addCleanup(self.board.close)
        self.turns = Turns(self.board.descriptor, self.board.take())
        self.other = Turns(self.board.descriptor, self.board.take())
        self.turns.begin(0)
        self.made: list[Protocol] = []
        factory = Factory.forProtocol(self.build)
        factory.noisy = False
        port = reactor.listenTCP(0, factory, interface="127.0.0.1")
        self.port = SharedPort(port, factory, reactor, self.turns)
        self.addCleanup(self.port.stopListening)
        self.addCleanup(self.hang_up)

    def hang_up(self) -> None:
        for each in self.made:
            each.transport.abortConnection()

    def build(self) -> Protocol:
        self.made.append(Protocol())
        self.turns.tell(len(self.made))
        return self.made[-1]

    def connect(self) -> socket.socket:
        client = socket.create_connection(("127.0.0.1", self.port.getHost().port))
        self.addCleanup(client.close)
        return client

    async def until(self, count: int) -> None:
        while len(self.made) < count:
            await deferLater(reactor, 0.001, lambda: None)

    async def test_accepted(self) -> None:
        """A connection gets a transport that knows both ends."""
        client = self.connect()
        await self.until(1)
        await deferLater(reactor, 0, lambda: None)
        self.assertEqual(self.made[0].transport.getPeer().port, client.getsockname()[1])
        self.assertEqual(self.made[0].transport.getHost().port, self.port.getHost().port)

    async def test_steps_back(self) -> None:
        """All who come are let in, also with another process that does not take its turns."""
        self.other.begin(0)
        for _ in range(12):
            self.connect()
        await self.until(12)

    async def test_left_already(self) -> None:
        """Who has gone before its turn does no harm."""
        for _ in range(5):
            gone = self.connect()
            gone.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            gone.close()
        before = len(self.made)
        self.connect()
        await self.until(before + 1)
        await deferLater(reactor, 0.01, lambda: None)
        self.flushLoggedErrors()
