"""What takes lines and never waits: see `outbox.Carrier`."""

from __future__ import annotations

import os
import select
import socket
import stat
from errno import EAGAIN

from toolforge_gateway.observe.outbox import Carrier

_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


def is_plain(descriptor: int) -> bool:
    """Whether writing there never waits for anybody: a file on a disk, or a device that is no
    terminal."""
    mode = os.fstat(descriptor).st_mode
    return stat.S_ISREG(mode) or (stat.S_ISCHR(mode) and not os.isatty(descriptor))


def opened(path: str | os.PathLike[str], make: bool = True) -> int:
    """A file, for appending: made if it is not there, for its owner to write and its group to read.

    :return: the descriptor.
    :raise OSError: it cannot be opened, or is a FIFO that nobody reads.
    """
    return os.open(path, _FLAGS | (os.O_CREAT if make else 0), 0o640)


def carrier_of(descriptor: int) -> Carrier:
    """How to write to a pipe, terminal or stream socket that we share with others, such as the
    standard output.

    Whether writes wait is a property of what was opened, not of the descriptor, so that nothing is
    changed there: other programs, and twistd, write to the same.
    """
    if stat.S_ISSOCK(os.fstat(descriptor).st_mode):
        return StreamSocket(descriptor)
    try:
        return Written(os.open(f"/proc/self/fd/{descriptor}", _FLAGS))
    except OSError:  # Made by another user, for one, before privileges were dropped.
        return Polled(descriptor)


class Written:
    """A descriptor of our own that does not wait.

    :param descriptor: closed by `close`.
    """

    can_come_back = False

    def __init__(self, descriptor: int):
        self._descriptor = descriptor

    def fileno(self) -> int:
        """See `Carrier`."""
        return self._descriptor

    def send(self, data: bytes) -> int:
        """See `Carrier`."""
        return os.write(self._descriptor, data)

    def again(self) -> None:
        """There is nothing to connect to."""

    def close(self) -> None:
        """See `Carrier`."""
        os.close(self._descriptor)


class Polled:
    """A pipe or terminal that waits: it is asked first whether it would.

    A pipe that is ready takes `PIPE_BUF` bytes.  Between asking and writing another process could
    fill it; that is as near as it gets.

    :param descriptor: not ours, stays open.
    """

    can_come_back = False

    def __init__(self, descriptor: int):
        self._descriptor = descriptor
        self._poll = select.poll()
        self._poll.register(descriptor, select.POLLOUT)

    def fileno(self) -> int:
        """See `Carrier`."""
        return self._descriptor

    def send(self, data: bytes) -> int:
        """See `Carrier`."""
        if not self._poll.poll(0):
            raise BlockingIOError(EAGAIN, os.strerror(EAGAIN))
        return os.write(self._descriptor, data[: select.PIPE_BUF])

    def again(self) -> None:
        """There is nothing to connect to."""

    def close(self) -> None:
        """Others go on using it."""


class StreamSocket:
    """A stream socket, as systemd gives services for their standard output.

    :param descriptor: not ours, stays open.
    """

    can_come_back = False

    def __init__(self, descriptor: int):
        self._socket = socket.socket(fileno=os.dup(descriptor))

    def fileno(self) -> int:
        """See `Carrier`."""
        return self._socket.fileno()

    def send(self, data: bytes) -> int:
        """See `Carrier`."""
        return self._socket.send(data, socket.MSG_DONTWAIT)

    def again(self) -> None:
        """There is nothing to connect to."""

    def close(self) -> None:
        """See `Carrier`."""
        self._socket.close()


class DatagramSocket:
    """A client of a Unix datagram socket: syslog's, journald's.

    :param path: where the other end is.
    :raise OSError: nobody is there.
    """

    can_come_back = True

    def __init__(self, path: str):
        self._path = path
        self._socket = self._connected()

    def fileno(self) -> int:
        """See `Carrier`."""
        return self._socket.fileno()

    def send(self, data: bytes) -> int:
        """See `Carrier`; a datagram is taken whole or not at all."""
        return self._socket.send(data)

    def again(self) -> None:
        """See `Carrier`."""
        connected = self._connected()
        self._socket.close()
        self._socket = connected

    def close(self) -> None:
        """See `Carrier`."""
        self._socket.close()

    def _connected(self) -> socket.socket:
        found = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        try:
            found.connect(self._path)
        except OSError:
            found.close()
            raise
        return found
