"""What a worker's end of the channel bears."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.protocols.amp import Command, Integer, Unicode, UnknownRemoteError

from tests.control.test_channel import connected
from tests.coroutines import CoroutineCase
from toolforge_gateway.control.channel import Channel
from toolforge_gateway.workers import wire
from toolforge_gateway.workers.worker import SupervisorChannel


class WithoutDescriptor(Command):
    """`Take` as it arrives when the system has dropped the descriptor that came with it."""

    commandName = b"Take"
    arguments = [
        (b"endpoint", Unicode()),
        (b"number", Integer()),
        (b"purpose", Unicode()),
        (b"descriptor", Integer()),
    ]


class Worker:
    """One that is asked nothing that it could answer."""

    def __init__(self) -> None:
        self.gone: Deferred[None] = Deferred()

    def connected(self, channel: Any) -> None:
        """There is a supervisor."""

    def disconnected(self) -> None:
        self.gone.callback(None)


class WorkerTests(CoroutineCase):
    timeout = 20

    async def test_no_descriptor_left(self) -> None:
        """A socket for which the worker has no descriptor left is an error in the log; its channel
        stays, and so does everybody whom it serves."""
        worker, supervisor = Worker(), Channel()
        connected(supervisor, SupervisorChannel(worker))  # type: ignore[arg-type]
        with self.assertRaises(UnknownRemoteError):
            await supervisor.callRemote(
                WithoutDescriptor, endpoint="tcp:1", number=0, purpose="clients", descriptor=0
            )
        self.assertEqual(len(self.flushLoggedErrors(KeyError)), 1)
        await supervisor.callRemote(wire.Ping)
        supervisor.transport.loseConnection()
        await worker.gone
