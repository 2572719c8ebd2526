"""Accepting on a Unix socket that others keep.

Twisted's own port for them removes the socket's file when it stops, also
when it was handed the socket, and so would take it away from those who go on.
"""

from __future__ import annotations

import socket
from typing import Any

from twisted.internet.address import UNIXAddress
from twisted.internet.interfaces import IListeningPort, IProtocolFactory, IReadDescriptor
from twisted.logger import Logger
from zope.interface import implementer

log = Logger()

AT_ONCE = 32
"""Connections that are accepted before others have their turn."""
PAUSE = 0.1
"""Seconds without accepting when the system has no room for a connection."""


def somebody_listens(path: str) -> bool:
    """Whether a process listens there; what a dead one has left does not."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as caller:
        caller.setblocking(False)
        try:
            caller.connect(path)
        except (ConnectionRefusedError, FileNotFoundError):
            return False
        except BlockingIOError:
            pass  # its queue is full: somebody has it all the same
    return True


@implementer(IListeningPort, IReadDescriptor)
class UnixPort:
    """Accepts the connections of one socket.

    :param listening: closed at the end; its file stays.
    :param reactor: IReactorFDSet, IReactorSocket and IReactorTime.
    """

    def __init__(self, listening: socket.socket, factory: IProtocolFactory, reactor: Any):
        self.socket = listening
        self.factory = factory
        self._reactor = reactor
        self._pause: Any = None

    def startListening(self) -> None:
        """See `IListeningPort`."""
        self.factory.doStart()
        self._reactor.addReader(self)

    def stopListening(self) -> None:
        """See `IListeningPort`; connections that were accepted live on."""
        if self._pause is not None:
            self._pause.cancel()
            self._pause = None
        self._reactor.removeReader(self)
        self.socket.close()
        self.factory.doStop()

    def getHost(self) -> UNIXAddress:
        """See `IListeningPort`."""
        return UNIXAddress(self.socket.getsockname())

    def doRead(self) -> None:
        """See `IReadDescriptor`: somebody wants to connect."""
        for _ in range(AT_ONCE):
            if self.socket.fileno() < 0:
                return  # whoever is told of a connection may stop the port
            try:
                accepted, _address = self.socket.accept()
            except (BlockingIOError, ConnectionAbortedError):
                return
            except OSError as error:
                log.warn("cannot accept connections for a moment: {error}", error=error)
                self._reactor.removeReader(self)
                self._pause = self._reactor.callLater(PAUSE, self._go_on)
                return
            with accepted:
                accepted.setblocking(False)
                try:
                    # It makes a descriptor of its own, and there may be no further one.  What is
                    # raised here would have the reactor close the port for good.
                    self._reactor.adoptStreamConnection(
                        accepted.fileno(), socket.AF_UNIX, self.factory
                    )
                except OSError as error:
                    log.warn("a connection could not begin: {error}", error=error)
                except Exception:
                    log.failure("a connection could not begin")

    def fileno(self) -> int:
        """See `IReadDescriptor`."""
        return self.socket.fileno()

    def connectionLost(self, reason: object) -> None:
        """See `IReadDescriptor`: the reactor ends."""

    def logPrefix(self) -> str:
        """What twistd's log says of it."""
        return "toolforge-gateway"

    def _go_on(self) -> None:
        self._pause = None
        self._reactor.addReader(self)
