"""What a channel bears, over a real pair of sockets."""

from __future__ import annotations

import socket
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory
from twisted.logger import globalLogPublisher
from twisted.protocols.amp import Command, UnhandledCommand, UnknownRemoteError

from tests.coroutines import CoroutineCase
from toolforge_gateway.control.channel import Channel
from toolforge_gateway.control.commands import Impossible


class Fail(Command):
    errors = {Impossible: b"IMPOSSIBLE"}


class Say(Command):
    requiresAnswer = False


class Hello(Command):
    pass


class Unknown(Command):
    pass


class Other(Channel):
    """The end that is asked."""

    error: Exception = ZeroDivisionError("secret")

    def __init__(self) -> None:
        super().__init__()
        self.gone: Deferred[None] = Deferred()

    @Fail.responder
    def _fail(self) -> Any:
        raise self.error

    @Say.responder
    def _say(self) -> Any:
        raise self.error

    @Hello.responder
    def _hello(self) -> Any:
        return {}

    def connectionLost(self, reason: Any = None) -> None:
        super().connectionLost(reason)
        self.gone.callback(None)


def connected(*channels: Channel) -> None:
    """Two ends, each with a real socket."""
    for end, channel in zip(socket.socketpair(), channels, strict=True):
        with end:
            end.setblocking(False)
            factory = Factory.forProtocol(lambda channel=channel: channel)
            factory.noisy = False
            reactor.adoptStreamConnection(end.fileno(), socket.AF_UNIX, factory)


class ChannelTests(CoroutineCase):
    timeout = 20

    def setUp(self) -> None:
        self.events: list[dict] = []
        globalLogPublisher.addObserver(self.events.append)
        self.addCleanup(globalLogPublisher.removeObserver, self.events.append)
        self.ours, self.theirs = Channel(), Other()
        connected(self.ours, self.theirs)
        self.addCleanup(self.hang_up)

    def hang_up(self) -> Deferred[None]:
        if self.ours.transport is not None:
            self.ours.transport.loseConnection()
        return self.theirs.gone

    async def test_mistake(self) -> None:
        """What breaks there is logged there, told without its inside, and the channel stays."""
        with self.assertRaises(UnknownRemoteError) as caught:
            await self.ours.callRemote(Fail)
        self.assertNotIn("secret", str(caught.exception))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        await self.ours.callRemote(Hello)

    async def test_unawaited(self) -> None:
        """So is what nobody waits to hear of."""
        self.ours.callRemote(Say)
        await self.ours.callRemote(Hello)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    async def test_said(self) -> None:
        """What a command may answer with is no mistake: it comes through, and nothing is logged."""
        self.theirs.error = Impossible("not here")
        with self.assertRaises(Impossible) as caught:
            await self.ours.callRemote(Fail)
        self.assertEqual(str(caught.exception), "not here")
        with self.assertRaises(UnhandledCommand):
            await self.ours.callRemote(Unknown)

    async def test_quiet(self) -> None:
        """A channel that comes and goes is not worth a line in the operators' log."""
        await self.ours.callRemote(Hello)
        await self.hang_up()
        self.assertEqual([each for each in self.events if "amp" in each["log_namespace"]], [])
