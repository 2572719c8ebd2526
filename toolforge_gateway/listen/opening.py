"""From an endpoint description to a listening socket.

Twisted's endpoints listen and accept in one go.  What they would ask of a
reactor says which socket they mean; so a description is parsed as always, and its
endpoint listens on a reactor that opens the socket and does no more.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import attrs
from twisted.internet.abstract import isIPv6Address
from twisted.internet.endpoints import serverFromString
from twisted.internet.protocol import Factory
from twisted.python.lockfile import FilesystemLock

from toolforge_gateway.listen.unix import somebody_listens

BACKLOG = 1024
"""New connections that may wait to be accepted.  Twisted's default of 50 makes
honest clients wait a second as soon as a crowd connects at once."""


class Unholdable(Exception):
    """The endpoint is of a kind that only Twisted itself can listen on."""


@attrs.define(eq=False)
class Opened:
    """A listening socket, not blocking.

    :ivar close: closes it, and removes what it left in the file system.
    """

    socket: socket.socket
    close: Callable[[], None]
    given: bool = False
    """Whether somebody else opened it for us and it cannot be opened again."""


def open_socket(description: str) -> Opened:
    """Open what an endpoint description names.

    :raise OSError: it is not to be had, and why.
    :raise Unholdable: its kind is none of tcp, tcp6, unix and systemd.
    """
    recorder = _Recorder(None if "backlog=" in description else BACKLOG)
    failures: list[Any] = []
    try:
        listening = serverFromString(recorder, description).listen(Factory())
        listening.addErrback(failures.append)
    except AttributeError as error:
        raise Unholdable(description) from error
    except LookupError as error:
        # Whether a description is one is looked at by `config`.
        raise OSError("systemd has passed no such socket") from error
    if recorder.opened is not None:
        return recorder.opened
    if failures and failures[0].check(OSError):
        raise failures[0].value
    raise Unholdable(description)


class _Recorder:
    """Opens the sockets that endpoints ask for, and accepts nothing.

    Of `IReactorTCP`, `IReactorUNIX` and `IReactorSocket` it has what listens; an endpoint that
    asks for more is not one that can be held.
    """

    def __init__(self, backlog: int | None):
        self._backlog = backlog
        self.opened: Opened | None = None

    def listenTCP(self, port: int, factory: object, backlog: int = 50, interface: str = "") -> None:
        family = socket.AF_INET
        address: Any = (interface, port)
        if isIPv6Address(interface):
            family = socket.AF_INET6
            flags = socket.AI_NUMERICHOST
            [*_, address] = socket.getaddrinfo(interface, port, family, flags=flags)[0]
        opened = socket.socket(family, socket.SOCK_STREAM)
        try:
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            opened.bind(address)
            self._listen(opened, backlog)
        except BaseException:
            opened.close()
            raise
        self.opened = Opened(opened, opened.close)

    def listenUNIX(
        self,
        address: str,
        factory: object,
        backlog: int = 50,
        mode: int = 0o666,
        wantPID: bool = False,
    ) -> None:
        path = Path(address)
        lock = None
        if wantPID:
            lock = FilesystemLock(f"{address}.lock")
            if not lock.lock():
                # The lock names a process.  In a container the next gateway has the number of the
                # one before, and there is always a process 1: who has died is told by the socket.
                if somebody_listens(address):
                    raise OSError("another process listens there")
                Path(lock.name).unlink(missing_ok=True)
                if not lock.lock():
                    raise OSError("another process begins to listen there")
                lock.clean = False
            if not lock.clean:
                path.unlink(missing_ok=True)  # whoever made it has died
        opened = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            # Before it has a name: nobody is to come in between by a wider one.
            os.fchmod(opened.fileno(), mode)
            opened.bind(address)
            path.chmod(mode)
            self._listen(opened, backlog)
        except BaseException:
            opened.close()
            if lock is not None:
                lock.unlock()
            raise
        inode = path.stat().st_ino
        owner = os.getpid()

        def close() -> None:
            opened.close()
            if os.getpid() != owner:
                return
            # The folder may have been removed meanwhile, or the socket be somebody else's by now.
            with suppress(OSError):
                if path.stat().st_ino == inode:
                    path.unlink()
            if lock is not None:
                with suppress(OSError, ValueError):
                    lock.unlock()

        self.opened = Opened(opened, close)

    def adoptStreamPort(self, descriptor: int, family: int, factory: object) -> None:
        # Whoever asks closes its own descriptor afterwards.
        opened = socket.socket(family, socket.SOCK_STREAM, fileno=os.dup(descriptor))
        opened.setblocking(False)
        self.opened = Opened(opened, opened.close, given=True)

    def _listen(self, opened: socket.socket, backlog: int) -> None:
        opened.setblocking(False)
        opened.listen(self._backlog or backlog)
