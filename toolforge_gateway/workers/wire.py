"""What supervisor and workers say to each other, over a socket pair, in AMP."""

from __future__ import annotations

from twisted.protocols.amp import Boolean, Command, Descriptor, Integer, Unicode

from toolforge_gateway.control.long import Bytes, Json, Long

CHANNEL = 3
"""The worker's descriptor of its end."""
BOARD = 4
"""The worker's descriptor of the page on which all write how many connections they have."""


class Take(Command):
    """To a worker: a listening socket, for a configuration that is to be prepared next."""

    arguments = [
        (b"endpoint", Unicode()),
        (b"number", Integer()),
        (b"purpose", Unicode()),
        (b"descriptor", Descriptor()),
    ]


class Prepare(Command):
    """To a worker: get ready for a configuration, and say what is wrong with it."""

    arguments = [
        (b"file", Long()),
        (b"text", Long()),
        (b"index", Integer()),
        (b"count", Integer()),
    ]
    response = [(b"version", Unicode()), (b"complaints", Json())]


class Commit(Command):
    """To a worker: go by what was prepared."""


class Abandon(Command):
    """To a worker: forget what was prepared."""


class Drain(Command):
    """To a worker: serve what runs, and end."""

    arguments = [(b"relieved", Boolean())]
    """Whether others serve in its stead, so that no load balancer has to be warned before."""


class Ping(Command):
    """To a worker: say that you live."""


class Ask(Command):
    """To a worker: `control.commands.Explain`."""

    arguments = [(b"question", Json())]
    response = [(b"explanation", Json())]


class Reopen(Command):
    """To a worker: open the log's file anew."""


class Told(Command):
    """To the supervisor: what has been measured up to now."""

    arguments = [(b"figures", Bytes())]
    requiresAnswer = False


class Whole(Command):
    """To the supervisor: ask what all workers have measured together."""

    response = [(b"figures", Bytes())]
