"""What HTTP needs of a transport beyond what Twisted's transports offer."""

from __future__ import annotations

from twisted.internet.interfaces import IConsumer, IPushProducer, ITransport
from zope.interface import Interface


class ISecureTransport(ITransport, IConsumer, IPushProducer):
    """TLS, with the ways to end it that HTTP has to tell apart.

    `loseConnection` sends what was written, then close_notify, and goes on
    reading until the peer closes.  `abortConnection` resets.
    """

    def getHandle():
        """The `OpenSSL.SSL.Connection`."""

    def getPeerCertificate():
        """The peer's certificate as `OpenSSL.crypto.X509`, or None."""

    def setTcpNoDelay(enabled):
        """See `twisted.internet.interfaces.ITCPTransport`."""

    def close_wire():
        """Close once what was written is out, without close_notify (RFC 8446
        section 6.1), so that a peer can see that a body of open length did not
        come to its end; reads no more."""

    def close_now():
        """Send close_notify and close, without waiting for the peer's."""

    def is_quiet():
        """Whether the connection is open and the peer has sent nothing that
        was not read.

        The peer may have closed it, or have said something, without the
        reactor having come round to it; so the socket itself is asked.
        """

    def pour(into, most):
        """Write what the peer has sent straight to another transport, instead
        of delivering it.

        For the middle of a large body that goes on as it is: called from
        `dataReceived`, once what was delivered has been written there.  Bounded
        by the turn that this connection has, and by what the other one takes:
        if that gets full its producer is paused, as after a write.

        :param into: `ISecureTransport`.
        :param most: bytes.
        :return: how many bytes went over; 0 where there is no such short way:
            then they are delivered as always.
        """


class IUnderTLS(Interface):
    """What `direct` needs of the transport below it; Twisted's own have it too."""

    def stopReading():
        """Leave the descriptor to the protocol."""

    def getHandle():
        """The connected, non-blocking `socket.socket`."""

    def getPeer():
        """The other end's `IAddress`."""

    def getHost():
        """This end's `IAddress`."""

    def loseConnection():
        """Close the socket, and tell the protocol in a later turn."""

    def abortConnection():
        """The same, with a reset."""
