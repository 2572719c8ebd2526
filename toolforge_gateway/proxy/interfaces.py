"""What the parts of this room expect of one another."""

from __future__ import annotations

from zope.interface import Attribute, Interface


class IBorrower(Interface):
    """Whoever uses a connection to a backend: told what comes of it."""

    def dialled(connection):
        """TCP is there, the TLS handshake begins; `UpstreamConnection`."""

    def connected(connection):
        """It can be written to."""

    def received(data):
        """Bytes that the backend sent."""

    def lost(reason):
        """It is gone; a `Failure`."""

    def backend_full():
        """The backend takes no more for now."""

    def backend_ready():
        """It takes something again."""


class ICustomer(IBorrower):
    """A borrower that asked a pool for a connection."""

    def unavailable(failure):
        """None is to be had; nothing was written anywhere.

        :param failure: `BackendFailure`.
        """


class IPool(Interface):
    """Where a request gets its connection."""

    places = Attribute("`Places`; only where connections have one.")

    def take():
        """A kept `UpstreamConnection` that is alive, or None."""

    def dial(customer, timeouts):
        """Open one.

        :param customer: `ICustomer`; may be told before this returns.
        :param timeouts: `Timeouts` of the request.
        :return: something with `cancel()`.
        """

    def put(connection):
        """Take back one whose last exchange ended in good order."""

    def answered(connection):
        """The head of an answer has come on it."""

    def unanswered(connection, reason, detail, since=None):
        """A request was written to it, and no answer that can be read came.

        :param reason: a reason word.
        :param detail: what went wrong, for the log.
        :param since: where there was nothing but silence: since when, POSIX seconds.
        """

    def cut(connection, detail):
        """An answer that had begun on it broke off.

        :param detail: what went wrong, for the log.
        """

    def lost(connection):
        """It is gone; called by the connection."""


class IUpstream(Interface):
    """One address of a backend."""

    address = Attribute("`UpstreamAddress`: where it is.")
    idle = Attribute("deque of the kept connections, the longest idle first.")
    room = Attribute("int: how many of them there may be; 0 when none is to be kept.")
    open = Attribute("int: connections that there are or that are being made.")
    busy = Attribute("int: those of them that are in use.")
    marks = Attribute("`Marks`: how requests and checks have fared there.")

    def connect(factory, timeout):
        """Open a connection over mutual TLS.

        :param factory: builds the `UpstreamConnection`.
        :param timeout: seconds for TCP.
        :return: a Deferred that fires once TCP is there, and can be cancelled before.
        """
