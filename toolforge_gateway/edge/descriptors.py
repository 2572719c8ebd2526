"""How many connections the process can have: its limit of file descriptors.

A process that has used up its descriptors can neither accept a client nor dial
a backend for those it has.  So clients are let in only while there is one for
their backend as well.
"""

from __future__ import annotations

import resource

SPARE = 48
"""Descriptors for everything else: ports, logs, epoll, resolving names."""
KEPT = 8
"""For so many clients there is room for one kept connection to a backend."""


def room_for(connections: int) -> int:
    """How many clients can be served at once, at most the number asked for.

    Each needs a descriptor and one for its backend.  The soft limit is raised
    as far as that needs and the hard one allows; it exists for the sake of
    `select`, which is not used here.
    """
    needed = SPARE + 2 * connections + connections // KEPT
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return connections
    wanted = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    except (OSError, ValueError):
        # The kernel's own bound, fs.nr_open, can be lower than both.
        wanted = soft
    return max(1, min(connections, (wanted - SPARE) * KEPT // (2 * KEPT + 1)))
