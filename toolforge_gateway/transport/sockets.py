"""Questions to a socket."""

from __future__ import annotations

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
