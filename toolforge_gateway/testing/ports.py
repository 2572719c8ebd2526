"""Ports for servers that are about to be started."""

from __future__ import annotations

import random
import socket

FIRST, LAST = 10_240, 32_000
"""Below those that Linux gives to whoever dials (net.ipv4.ip_local_port_range), so that no
connection takes one away before its server listens."""

_kept: list[socket.socket] = []


def free_port() -> int:
    """A port of the loopback interface on which nobody listens, another one each time.

    It stays reserved for this process among all who ask here, also in other processes, until this
    one ends: by an abstract Unix socket of its number (unix(7)), of which there can be one.
    """
    while True:
        port = random.randint(FIRST, LAST)
        reservation = socket.socket(socket.AF_UNIX)
        try:
            reservation.bind(f"\0toolforge-gateway-port-{port}")
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(("127.0.0.1", port))
        except OSError:
            reservation.close()
            continue
        _kept.append(reservation)
        return port
