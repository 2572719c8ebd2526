"""TLS straight on the socket's descriptor.

Twisted's own TLS keeps both directions in memory, moves them by loops that end
in exceptions, and waits for the reactor before it writes.  Here OpenSSL reads
and writes the descriptor: a small request costs one read and one write.

The transport below, Twisted's or `accepting`'s, still owns the socket, and ends
it; while the connection lives it neither reads nor writes.  What is private to pyOpenSSL is
touched in `handles` alone, what is private to Twisted not at all.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable
from typing import Any

from OpenSSL import SSL
from twisted.internet.interfaces import (
    IAddress,
    IHandshakeListener,
    IProtocol,
)
from twisted.internet.main import CONNECTION_DONE, CONNECTION_LOST
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from toolforge_gateway.transport.dispatch import GONE, READ, WRITE, Dispatcher
from toolforge_gateway.transport.handles import RECORD, SHORT, kept, receive, relay, send
from toolforge_gateway.transport.interfaces import ISecureTransport
from toolforge_gateway.transport.sockets import has_room, silence_of

TURN = 16
"""Records that one connection may deliver before others have their turn."""


@implementer(ISecureTransport)
class DirectTLS(Protocol):
    """One TLS connection; a protocol to Twisted's transport, and the transport
    of the protocol above.

    :param over_socket: makes the `SSL.Connection` on a socket.
    :param above: speaks over TLS; told of the handshake's end if it is an
        `IHandshakeListener`.
    """

    disconnecting = False
    transport: Any  # IUnderTLS

    def __init__(
        self,
        dispatcher: Dispatcher,
        over_socket: Callable[[Any], SSL.Connection],
        is_client: bool,
        above: IProtocol,
    ):
        self._dispatcher = dispatcher
        self._over_socket = over_socket
        self._is_client = is_client
        self.wrappedProtocol: Any = above
        self._established = False
        self._out: list[bytes] = []  # a deque would be 600 bytes, empty as it nearly always is
        self._events = 0
        self._descriptor = -1
        self._reading = True
        self._closing = False
        # Whether the producer waits for room, with or without bytes in `_out`.
        self._full = False
        # What is left of a turn, and whether what is read is long records.
        self._turn = 0
        self._long = False
        self._producer: Any = None
        self._is_silent: Callable[[], bool] | None = None
        self._reason: Failure | None = None
        # A read may have to write first, and the other way round: a change of
        # keys (RFC 8446 section 4.6.3) needs an answer.
        self._read_wants_write = False

    # As the protocol of the transport below.

    def connectionMade(self) -> None:
        self.transport.stopReading()
        self._socket = self.transport.getHandle()
        self._descriptor = self._socket.fileno()
        self._tls = self._over_socket(self._socket)
        if self._is_client:
            self._tls.set_connect_state()
        else:
            self._tls.set_accept_state()
        self._events = READ
        self._dispatcher.watch(self._descriptor, READ, self._ready)
        self.wrappedProtocol.makeConnection(self)
        if self._descriptor >= 0 and self._is_client:
            self._handshake()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._stop_watching()
        self._out.clear()
        above, self.wrappedProtocol = self.wrappedProtocol, None
        above.connectionLost(self._reason or reason)
        self._producer = None

    # Readiness.

    def _ready(self, events: int) -> None:
        try:
            if events & WRITE:
                if not self._established:
                    self._handshake()
                elif self._read_wants_write:
                    self._read()
                if (self._out or self._full) and self._descriptor >= 0:
                    self._flush()
            if events & (READ | GONE) and self._descriptor >= 0:
                if not self._established:
                    self._handshake()
                elif self._reading:
                    self._read()
                elif events & GONE:
                    self._end(CONNECTION_LOST)
        except Exception:
            # As the reactor does it: nobody knows what state it is in, and whoever is at the
            # other end must not wait for ever.
            self.abortConnection()
            raise

    def _handshake(self) -> None:
        try:
            self._tls.do_handshake()
        except SSL.WantReadError:
            self._want(READ)
        except SSL.WantWriteError:
            self._want(READ | WRITE)
        except SSL.Error as error:
            self._end(self._cause(error))
        else:
            self._established = True
            self._want(self._wanted())
            if IHandshakeListener.providedBy(self.wrappedProtocol):
                self.wrappedProtocol.handshakeCompleted()
            if self._out and self._descriptor >= 0:
                self._flush()
            # What came with the last message of the handshake may be in
            # OpenSSL's hands already, where no readiness tells of it.
            if self._reading and self._descriptor >= 0:
                self._read()

    def _read(self) -> None:
        tls, deliver = self._tls, self.wrappedProtocol.dataReceived
        waited, self._read_wants_write = self._read_wants_write, False
        self._turn = TURN
        while self._turn > 0:
            self._turn -= 1
            try:
                data = receive(tls)
            except SSL.WantReadError:
                break
            except SSL.Error as error:
                self._cannot_read(error)
                return
            self._long = len(data) >= SHORT
            deliver(data)
            if not self._reading or self._descriptor < 0:
                return
            # If more has come than it looks like, the descriptor is still
            # ready and this is called again.
            if not self._long:
                break
        if waited and not self._read_wants_write:
            self._want(self._wanted())

    def _cannot_read(self, error: SSL.Error) -> None:
        self._turn = 0
        if isinstance(error, SSL.WantWriteError):
            self._read_wants_write = True
            self._want(self._events | WRITE)
        elif isinstance(error, SSL.ZeroReturnError):
            self._peer_closed()
        elif not isinstance(error, SSL.WantReadError):
            self._end(self._cause(error))

    def _flush(self) -> None:
        """Write what waits; tell the producer when there is room again."""
        out = self._out
        while out:
            try:
                sent = self._tls.send(out[0])
            except (SSL.WantWriteError, SSL.WantReadError):
                self._want(self._events | WRITE)
                return
            except SSL.Error as error:
                self._end(self._cause(error))
                return
            if sent == len(out[0]):
                del out[0]
            else:
                out[0] = out[0][sent:]
        self._full = False
        self._want(self._wanted())
        if self._closing:
            self._end(CONNECTION_DONE)
        elif self._producer is not None:
            self._producer.resumeProducing()
        elif self.disconnecting:
            self._say_goodbye()

    def _peer_closed(self) -> None:
        self._say_goodbye()
        self._end(CONNECTION_DONE)

    def _say_goodbye(self) -> None:
        """Send close_notify, as far as that is possible at once."""
        try:
            self._tls.shutdown()
        except SSL.Error:
            pass

    # As a transport.

    def write(self, data: bytes) -> None:
        """Send, or keep what the socket does not take now."""
        if self._descriptor < 0 or not data or (self.disconnecting and self._producer is None):
            return
        if self._out or not self._established:
            self._out.append(data)
            return
        try:
            sent = send(self._tls, data)
        except (SSL.WantWriteError, SSL.WantReadError):
            sent = 0
        except SSL.Error as error:
            self._end(self._cause(error))
            return
        if sent < len(data):
            self._write_on(data, sent)

    def _write_on(self, data: bytes, sent: int) -> None:
        """The rest of a large write: OpenSSL takes a record at a time."""
        view = memoryview(data)
        while sent < len(data):
            try:
                sent += self._tls.send(view[sent:])
            except (SSL.WantWriteError, SSL.WantReadError):
                self._keep(data[sent:])
                return
            except SSL.Error as error:
                self._end(self._cause(error))
                return

    def _keep(self, data: bytes) -> None:
        self._out.append(data)
        self._pause_producer()

    def _pause_producer(self) -> None:
        """Until there is room again."""
        if self._producer is not None:
            self._full = True
        self._want(self._wanted())
        if self._producer is not None:
            self._producer.pauseProducing()

    def pour(self, into: Any, most: int) -> int:
        """See `ISecureTransport`.

        A reader that stops leaves nothing in our memory, nearly always, since
        the socket is asked for room before anything is read.
        """
        records = min(self._turn, most // RECORD)
        if (
            not records
            or not self._long
            or not self._reading
            or not isinstance(into, DirectTLS)
            or not into._idle()
        ):
            return 0
        if not has_room(into._socket):
            into._pause_producer()
            return 0
        moved, unsent, error = relay(self._tls, into._tls, records)
        self._turn -= records
        if unsent:
            into._unsent(kept(unsent), error)
        elif error is not None:
            self._cannot_read(error)
        return moved

    def _idle(self) -> bool:
        """Whether a write would go straight to OpenSSL."""
        return (
            self._established
            and self._descriptor >= 0
            and not (self._out or self._full or self.disconnecting)
        )

    def _unsent(self, data: bytes, error: SSL.Error | None) -> None:
        if isinstance(error, (SSL.WantWriteError, SSL.WantReadError)):
            self._keep(data)
        elif error is not None:
            self._end(self._cause(error))

    def writeSequence(self, data: Iterable[bytes]) -> None:
        self.write(b"".join(data))

    def loseConnection(self) -> None:
        if self.disconnecting or self._descriptor < 0:
            return
        self.disconnecting = True
        if not self._established:
            self.abortConnection()
        elif not self._out and self._producer is None:
            self._say_goodbye()

    def abortConnection(self) -> None:
        if self._descriptor >= 0:
            self._stop_watching()
            self._out.clear()
            self.transport.abortConnection()

    def close_wire(self) -> None:
        """See `ISecureTransport`."""
        if self._descriptor < 0:
            return
        self._producer = None
        self._reading = False
        self._closing = True
        if self._out and self._established:
            self._want(self._wanted() | WRITE)
        else:
            self._end(CONNECTION_DONE)

    def close_now(self) -> None:
        """See `ISecureTransport`."""
        if self._descriptor >= 0:
            self._say_goodbye()
            self.close_wire()

    def is_quiet(self) -> bool:
        """See `ISecureTransport`."""
        if self._descriptor < 0:
            return False  # and its number may be somebody else's by now
        if self._is_silent is None:
            self._is_silent = silence_of(self._socket)
        return self._is_silent()

    def getHandle(self) -> SSL.Connection:
        return self._tls

    def getPeerCertificate(self) -> Any:
        return self._tls.get_peer_certificate()

    def getPeer(self) -> IAddress:
        return self.transport.getPeer()

    def getHost(self) -> IAddress:
        return self.transport.getHost()

    def setTcpNoDelay(self, enabled: bool) -> None:
        if self._socket.family != socket.AF_UNIX:
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, enabled)

    # IConsumer

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        assert streaming, "only push producers write here"
        self._producer = producer

    def unregisterProducer(self) -> None:
        self._producer = None
        if self._full:
            # Else we would be told of room again and again.
            self._full = False
            self._want(self._wanted())
        if self.disconnecting and not self._out and self._descriptor >= 0:
            self._say_goodbye()

    # IPushProducer

    def pauseProducing(self) -> None:
        self._reading = False
        if self._established and self._descriptor >= 0:
            self._want(self._wanted())

    def resumeProducing(self) -> None:
        if self._descriptor < 0 or self._closing:
            return
        self._reading = True
        if self._established:
            self._want(self._wanted())
            if self._tls.pending():
                # Read already, so that no readiness will tell of it.
                self._dispatcher.soon(self._read_rest)

    def stopProducing(self) -> None:
        self.loseConnection()

    def _read_rest(self) -> None:
        if self._descriptor >= 0 and self._reading:
            self._read()

    # Ends.

    def _wanted(self) -> int:
        return (READ if self._reading else 0) | (WRITE if self._out or self._full else 0)

    def _want(self, events: int) -> None:
        if events != self._events and self._descriptor >= 0:
            self._events = events
            self._dispatcher.change(self._descriptor, events)

    def _cause(self, error: SSL.Error) -> Exception:
        """Why the connection ended: an end of the stream without close_notify
        is a lost connection, all else of TLS is told as it is."""
        if isinstance(error, SSL.SysCallError):
            return CONNECTION_LOST
        return error

    def _end(self, reason: Exception) -> None:
        """The connection is over; Twisted's transport closes the socket and
        tells us in a later turn, when nobody is still using it."""
        if self._reason is None and reason is not CONNECTION_DONE:
            self._reason = Failure(reason)
        self._stop_watching()
        self.transport.loseConnection()

    def _stop_watching(self) -> None:
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            self._dispatcher.forget(descriptor)
