"""Questions to a socket."""

from __future__ import annotations

import select
import socket
from collections.abc import Callable


def nothing_to_read(of: socket.socket) -> bool:
    """Whether a socket is open and has nothing to read, no end either."""
    try:
        of.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except BlockingIOError:
        return True
    except OSError:
        pass
    return False


def silence_of(of: socket.socket) -> Callable[[], bool]:
    """`nothing_to_read` of a socket that is asked again and again, at a third of the cost."""
    poll = select.poll()
    poll.register(of, select.POLLIN | select.POLLRDHUP)
    return lambda: not poll.poll(0)


def has_room(of: socket.socket) -> bool:
    """Whether a socket takes more: the kernel says so while a third of its
    buffer is free."""
    poll = select.poll()
    poll.register(of, select.POLLOUT)
    return bool(poll.poll(0))
