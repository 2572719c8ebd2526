"""Two protocols joined in memory."""

from __future__ import annotations

from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.protocol import Protocol
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from toolforge_gateway.edge.pipe import HIGH_WATER, join

ADDRESS = IPv4Address("TCP", "127.0.0.1", 0)


class Side(Protocol):
    """What came in, and how it ended."""

    def __init__(self) -> None:
        self.received: list[bytes] = []
        self.lost: type | None = None

    def dataReceived(self, data: bytes) -> None:
        self.received.append(data)

    def connectionLost(self, reason: Failure) -> None:
        self.lost = reason.type


class Producer:
    """Keeps account of what it is told; a pull producer writes a piece each time."""

    def __init__(self, side: Side, pieces: int = 0):
        self.side = side
        self.pieces = pieces
        self.told: list[str] = []

    def resumeProducing(self) -> None:
        self.told.append("resume")
        if self.pieces:
            self.pieces -= 1
            self.side.transport.write(b"piece")
            if not self.pieces:
                self.side.transport.unregisterProducer()
                self.side.transport.loseConnection()

    def pauseProducing(self) -> None:
        self.told.append("pause")

    def stopProducing(self) -> None:
        self.told.append("stop")


class PipeTests(SynchronousTestCase):
    def setUp(self) -> None:
        """Two sides; nothing is delivered before the clock moves."""
        self.clock = Clock()
        self.left, self.right = Side(), Side()
        join(self.clock, ADDRESS, self.left, self.right)

    def turn(self, count: int = 1) -> None:
        """A turn of the reactor."""
        for _ in range(count):
            self.clock.advance(0)

    def test_delivery(self) -> None:
        """What is written arrives in order, in a later turn, at the other side alone."""
        self.left.transport.write(b"one ")
        self.left.transport.writeSequence([b"two", b""])
        self.assertEqual(self.right.received, [])
        self.turn()
        self.assertEqual((self.right.received, self.left.received), ([b"one two"], []))

    def test_answer_within_delivery(self) -> None:
        """Who writes while being written to is not entered again by it."""
        inside: list[bool] = []

        def echo(data: bytes) -> None:
            inside.append(True)
            self.right.transport.write(data)
            self.assertEqual(self.left.received, [])
            inside.pop()

        self.right.dataReceived = echo
        self.left.dataReceived = lambda data: self.left.received.append(data + b"%r" % inside)
        self.left.transport.write(b"x")
        self.turn(2)
        self.assertEqual(self.left.received, [b"x[]"])

    def test_close(self) -> None:
        """What was written before a close arrives before it; both sides are told, and what is
        written afterwards goes nowhere."""
        self.left.transport.write(b"last")
        self.left.transport.loseConnection()
        self.left.transport.write(b"too late")
        self.turn(2)
        self.assertEqual(self.right.received, [b"last"])
        self.assertEqual((self.left.lost, self.right.lost), (ConnectionDone, ConnectionDone))
        self.right.transport.write(b"nobody")
        self.turn()
        self.assertEqual(self.left.received, [])

    def test_abort(self) -> None:
        """An abort is not a close, for either side."""
        self.right.transport.write(b"unread")
        self.left.transport.abortConnection()
        self.turn(2)
        self.assertEqual(self.left.received, [])
        self.assertEqual((self.left.lost, self.right.lost), (ConnectionLost, ConnectionLost))

    def test_cut(self) -> None:
        """A cut delivers what was written, and does not look like a close to the other side."""
        self.left.transport.write(b"half")
        self.left.transport.close_wire()
        self.turn(2)
        self.assertEqual((self.right.received, self.right.lost), ([b"half"], ConnectionLost))

    def test_paused(self) -> None:
        """Nothing is delivered, the end included, to a side that does not want it now."""
        self.right.transport.pauseProducing()
        self.left.transport.write(b"later")
        self.left.transport.loseConnection()
        self.turn(3)
        self.assertEqual((self.right.received, self.right.lost), ([], None))
        self.right.transport.resumeProducing()
        self.turn(2)
        self.assertEqual((self.right.received, self.right.lost), ([b"later"], ConnectionDone))

    def test_back_pressure(self) -> None:
        """A writer is paused above `HIGH_WATER`, and resumed when all of it is delivered."""
        producer = Producer(self.left)
        self.left.transport.registerProducer(producer, True)
        self.left.transport.write(b"x" * HIGH_WATER)
        self.assertEqual(producer.told, [])
        self.right.transport.pauseProducing()
        self.left.transport.write(b"x")
        self.turn(2)
        self.assertEqual(producer.told, ["pause"])
        self.right.transport.resumeProducing()
        self.turn()
        self.assertEqual(producer.told, ["pause", "resume"])
        self.assertEqual(sum(map(len, self.right.received)), HIGH_WATER + 1)

    def test_pull_producer(self) -> None:
        """A producer that wants to be asked, as `twisted.web`'s for files, is asked again after
        each delivery, until it is done."""
        self.left.transport.registerProducer(Producer(self.left, pieces=3), False)
        self.turn(8)
        self.assertEqual(b"".join(self.right.received), b"piece" * 3)
        self.assertEqual(self.right.lost, ConnectionDone)

    def test_quiet(self) -> None:
        """A side is quiet while nothing is on its way to it."""
        self.assertTrue(self.right.transport.is_quiet())
        self.left.transport.write(b"x")
        self.assertFalse(self.right.transport.is_quiet())
        self.turn()
        self.assertTrue(self.right.transport.is_quiet())
        self.left.transport.loseConnection()
        self.assertFalse(self.right.transport.is_quiet())
