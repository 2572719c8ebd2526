"""Questions to a socket."""

from __future__ import annotations

import select
import socket


def nothing_to_read(of: socket.socket) -> bool:
    """Whether a socket is open and has nothing to read, no end either."""
    try:
        of.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except BlockingIOError:
        return True
    except OSError:
        pass
    return False


def has_room(of: socket.socket) -> bool:
    """Whether a socket takes more: the kernel says so while a third of its
    buffer is free."""
    poll = select.poll()
    poll.register(of, select.POLLOUT)
    return bool(poll.poll(0))
