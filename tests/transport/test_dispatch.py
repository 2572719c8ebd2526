"""Many descriptors behind one reader."""

from __future__ import annotations

import socket

from twisted.internet import reactor
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from tests.coroutines import CoroutineCase
from toolforge_gateway.transport.choice import Transports
from toolforge_gateway.transport.dispatch import READ, TURN, WRITE, Dispatcher


class DispatcherTests(CoroutineCase):
    def setUp(self):
        self.dispatcher = Dispatcher(reactor)
        self.ours, self.theirs = socket.socketpair()
        self.addCleanup(self.ours.close)
        self.addCleanup(self.theirs.close)
        self.seen: list[int] = []

    async def turns(self, count: int = 5):
        for _ in range(count):
            await deferLater(reactor, 0, lambda: None)

    async def test_readiness(self):
        """A handler is told what its descriptor is ready for, again and again until it reads."""
        self.dispatcher.watch(self.ours.fileno(), READ, self.seen.append)
        await self.turns()
        self.assertEqual(self.seen, [])
        self.theirs.send(b"x")
        await self.turns()
        self.assertGreater(len(self.seen), 1)
        self.assertTrue(all(events & READ for events in self.seen))
        self.ours.recv(1)
        self.dispatcher.change(self.ours.fileno(), READ | WRITE)
        self.seen.clear()
        await self.turns()
        self.assertTrue(self.seen[0] & WRITE)
        self.dispatcher.forget(self.ours.fileno())

    async def test_forgotten(self):
        """A forgotten descriptor is not heard of, even if it was ready in the same turn; and
        with none left the reactor is clean."""
        other, peer = socket.socketpair()
        self.addCleanup(other.close)
        self.addCleanup(peer.close)

        def forget_both(events: int) -> None:
            self.seen.append(events)
            self.dispatcher.forget(self.ours.fileno())
            self.dispatcher.forget(other.fileno())

        for ours in (self.ours, other):
            self.dispatcher.watch(ours.fileno(), READ, forget_both)
        self.theirs.send(b"x")
        peer.send(b"x")
        await self.turns()
        self.assertEqual(len(self.seen), 1)
        self.assertNotIn(self.dispatcher, reactor.getReaders())

    def test_meanwhile(self):
        """What comes while events are handled is handled in the same turn of the reactor."""
        other, peer = socket.socketpair()
        self.addCleanup(other.close)
        self.addCleanup(peer.close)

        def answer(events: int) -> None:
            self.ours.recv(1)
            peer.send(b"y")

        def answered(events: int) -> None:
            self.seen.append(events)
            other.recv(1)

        self.dispatcher.watch(self.ours.fileno(), READ, answer)
        self.dispatcher.watch(other.fileno(), READ, answered)
        self.theirs.send(b"x")
        self.dispatcher.doRead()
        self.assertEqual(len(self.seen), 1)
        self.dispatcher.forget(self.ours.fileno())
        self.dispatcher.forget(other.fileno())

    def test_after_turn(self):
        """What is to be done after the turn is done when what came meanwhile has been handled too,
        whatever fails there."""
        other, peer = socket.socketpair()
        self.addCleanup(other.close)
        self.addCleanup(peer.close)
        done: list[str] = []

        def fail() -> None:
            raise ZeroDivisionError

        def answer(events: int) -> None:
            self.dispatcher.after_turn(fail)
            self.dispatcher.after_turn(lambda: done.append("after"))
            self.ours.recv(1)
            peer.send(b"y")

        def answered(events: int) -> None:
            self.assertTrue(self.dispatcher.has_turn)
            done.append("meanwhile")
            other.recv(1)

        self.dispatcher.watch(self.ours.fileno(), READ, answer)
        self.dispatcher.watch(other.fileno(), READ, answered)
        self.theirs.send(b"x")
        self.dispatcher.doRead()
        self.assertEqual(done, ["meanwhile", "after"])
        self.assertFalse(self.dispatcher.has_turn)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.dispatcher.forget(self.ours.fileno())
        self.dispatcher.forget(other.fileno())

    def test_reactors_turn(self):
        """However much there is to do, the reactor has its turn after so many events; and the last
        descriptor may go in the middle of them."""
        self.dispatcher.watch(self.ours.fileno(), READ, self.seen.append)
        self.theirs.send(b"x")
        self.dispatcher.doRead()
        self.assertEqual(len(self.seen), TURN)
        self.dispatcher.forget(self.ours.fileno())
        self.dispatcher.watch(
            self.ours.fileno(), READ, lambda events: self.dispatcher.forget(self.ours.fileno())
        )
        self.dispatcher.doRead()
        self.assertNotIn(self.dispatcher, reactor.getReaders())

    async def test_broken_handler(self):
        """A handler that fails is logged and disturbs nobody."""

        def fail(events: int) -> None:
            self.ours.recv(1)
            raise ZeroDivisionError

        self.dispatcher.watch(self.ours.fileno(), READ, fail)
        self.theirs.send(b"x")
        await self.turns()
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.dispatcher.forget(self.ours.fileno())

    async def test_again(self):
        """After the last descriptor has gone a new one is watched as before."""
        self.dispatcher.watch(self.ours.fileno(), READ, self.seen.append)
        self.dispatcher.forget(self.ours.fileno())
        self.dispatcher.watch(self.ours.fileno(), READ, self.seen.append)
        self.theirs.send(b"x")
        await self.turns()
        self.assertTrue(self.seen)
        self.dispatcher.forget(self.ours.fileno())

    async def test_after(self):
        """What is to be done after the events is done after all of them, though one of it fails;
        and in a later turn when there are none."""
        other, peer = socket.socketpair()
        self.addCleanup(other.close)
        self.addCleanup(peer.close)
        done: list[str] = []

        def ready(events: int) -> None:
            done.append("event")
            self.dispatcher.after(fail)
            self.dispatcher.after(lambda: done.append("after"))
            for ours in (self.ours, other):
                self.dispatcher.change(ours.fileno(), 0)

        def fail() -> None:
            raise ZeroDivisionError

        for ours in (self.ours, other):
            self.dispatcher.watch(ours.fileno(), READ, ready)
        self.theirs.send(b"x")
        peer.send(b"x")
        await self.turns()
        self.assertEqual(done, ["event", "event", "after", "after"])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 2)
        self.dispatcher.after(lambda: done.append("later"))
        self.assertEqual(len(done), 4)
        await self.turns()
        self.assertEqual(done[4:], ["later"])
        for ours in (self.ours, other):
            self.dispatcher.forget(ours.fileno())


class ChoiceTests(TestCase):
    def test_other_reactor(self):
        """A reactor that watches no descriptors gets the portable way."""
        self.assertEqual(repr(Transports(object())), "<Transports portable>")
        self.assertEqual(repr(Transports(reactor, direct=False)), "<Transports portable>")
        self.assertEqual(repr(Transports(reactor)), "<Transports direct>")

    def test_nothing_at_hand(self):
        """Where nothing is being dealt with, what is to be done after that is done at once."""
        done: list[str] = []
        for transports in (Transports(reactor), Transports(reactor, direct=False)):
            transports.after(lambda: done.append("done"))
        self.assertEqual(done, ["done", "done"])
