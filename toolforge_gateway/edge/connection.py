"""One connection of a client: reads requests, one after another.

    handshake -> reading a head -> serving (deciding, body in, answer out)
                      ^------------------------|  -> closing

Requests of one connection are served strictly in turn; what a client sends
ahead waits, within a bound.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IHandshakeListener, IPushProducer
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from toolforge_gateway.edge.answer import ClientAnswer
from toolforge_gateway.edge.caller import Caller
from toolforge_gateway.edge.clearance import Clearance
from toolforge_gateway.edge.deciding import Deciding
from toolforge_gateway.edge.heads import Heads
from toolforge_gateway.edge.proxy_protocol import address_of
from toolforge_gateway.edge.upload import Upload
from toolforge_gateway.edge.wire import Wire
from toolforge_gateway.errors import BadMessage, Refusal
from toolforge_gateway.http.body import decoder_for
from toolforge_gateway.interfaces import IForward
from toolforge_gateway.model import Exchange

if TYPE_CHECKING:
    from toolforge_gateway.edge.server import Server

AHEAD = 65536
"""Bytes that a client may send ahead of their turn before we stop reading."""
QUIET = 5.0
"""Seconds for which a kept connection has to be quiet before we close it though the client did
nothing wrong, at most half of `timeouts.drain`.

A request that is on its way just then is lost to a client that may not send it again (RFC 9112
section 9.5), and the longer a client has been quiet the less likely is that."""


class _Phase(enum.Enum):
    HANDSHAKE = enum.auto()
    READING = enum.auto()
    SERVING = enum.auto()
    CLOSING = enum.auto()


# An enumeration's members are slow to look up on their class.
_READING, _SERVING, _CLOSING = _Phase.READING, _Phase.SERVING, _Phase.CLOSING


@implementer(IHandshakeListener, IPushProducer)
class ServerConnection(Wire):
    """Speaks HTTP/1.1 with one client.

    :param server: what all connections of a listener share.
    :ivar is_outdated: whether the rules have changed since it was seen who the client is.
    """

    def __init__(self, server: Server):
        super().__init__(server.seconds)
        self._server = server
        self.caller = Caller(address=None)
        self._phase = _Phase.HANDSHAKE
        self._heads = Heads(server.head_limits)
        self._pending = b""
        self._pumping = False
        self._exchange: Exchange | None = None
        self._answer: ClientAnswer | None = None
        self._forward: IForward | None = None
        self._deciding: Deciding | None = None
        self._upload: Upload | None = None
        self._is_last = False
        self.is_outdated = False
        self._before: Caller | None = None

    # What the transport reports.

    def connectionMade(self) -> None:
        self.caller = Caller(address=address_of(self.transport.getPeer()))
        if not self._server.admit(self):
            self.abort()
            return
        self.transport.setTcpNoDelay(True)
        self.transport.registerProducer(self, True)
        self._due_in(self._server.timeouts.handshake)

    def handshakeCompleted(self) -> None:
        self.caller = self._server.identify(self.transport, self.caller)
        self._phase = _READING
        self._due_in(self._server.timeouts.request_head)
        if self._server.wants_certificate_of(self.caller):
            self._close()  # The handshake began before one was wanted.
        elif self._server.draining:
            self._leave_when_quiet()

    def dataReceived(self, data: bytes) -> None:
        if self._upload is not None and self._forward is not None:
            self._read_body(data)
        elif self._phase is not _CLOSING:
            if self._phase is _READING and not self._pending:
                clearance = self._heads.find(data)
                if clearance is not None and self._serve_again(clearance):
                    return
            self._pending = self._pending + data if self._pending else data
            self._pump()
            if len(self._pending) > AHEAD:
                self.hold("ahead", True)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self._phase is _Phase.HANDSHAKE:
            self._server.handshake_failed(self.caller, reason)
        self._phase = _CLOSING
        self.deadline = None
        try:
            # In this order: nobody is left to be told that the question was ended.
            self._stop_deciding()
            if self.caller.standing is not None:
                self.caller.standing.lost()
            if self._forward is not None:
                self._forward.abort()
            if self._exchange is not None:
                self._exchange.reason = "client-left"
                self._account()
        finally:
            # Last: who waits for the last connection to be gone closes the log then.
            self._server.forget(self)

    def deadline_passed(self) -> None:
        """Called by `Deadlines`."""
        if self._phase is _Phase.HANDSHAKE:
            self.abort()
        elif self._phase is _READING:
            if self._heads.begun:
                self._refuse_unread(
                    BadMessage(
                        408,
                        "head-timeout",
                        "your request's head did not come in time: please send it at once",
                    )
                )
            elif self.transport.is_quiet():
                self._close()
            else:
                self._due_in(0)  # A request has come that nobody has looked at yet.
        elif self._phase is _SERVING:
            self._give_up(
                self._deciding.standing.overdue(self._server.timeouts.response_head)
                if self._deciding is not None
                else Refusal(
                    408,
                    "body-timeout",
                    "your request's body did not come in time: please retry",
                    close=True,
                )
            )
        else:
            self._end_harder()

    # The transport's view: it is our producer's consumer.

    def pauseProducing(self) -> None:
        self._output_full = True
        if self._forward is not None:
            self._forward.pause()

    def resumeProducing(self) -> None:
        self._output_full = False
        if self._ends_when_out:
            self._close()
        elif self._forward is not None:
            self._forward.resume()
        else:
            self._pump()

    def stopProducing(self) -> None:
        """The connection is going away; `connectionLost` tells the rest."""

    # What `ClientAnswer` asks for, besides what a `Wire` does.

    def http_date(self) -> bytes:
        """The current date as RFC 9110 section 5.6.7 wants it."""
        return self._server.http_date()

    def must_close(self) -> bool:
        """Whether the answer that begins now is this connection's last."""
        if self._upload is not None or self._is_last:
            return True
        # What was sent ahead is answered too, if it is not too much.
        return self._server.draining and (not self._pending or self._server.is_late())

    def hold(self, why: str, wanted: bool) -> bool:
        """See `Wire`."""
        changed = super().hold(why, wanted)
        if changed:
            self._await_body()
        return changed

    def answered(self, close: bool) -> None:
        """The answer is complete."""
        unread = self._upload is not None
        self._account()
        if close or unread or self._is_last:
            self._close()
            return
        self._phase = _READING
        self._due_in(self._server.timeouts.keep_alive)
        if self._server.draining:
            # The answer began before that, and has not said that it was the last.
            self._leave_when_quiet()
        if self._holds:
            self.hold("backend", False)
            self.hold("ahead", False)
        if self._pending:
            self._pump()

    def cut_off(self) -> None:
        """The answer broke off: end the connection so that this shows."""
        self._account()
        self._phase = _CLOSING
        self._end_wire()

    def authorities_changed(self) -> None:
        """Certificates are judged by something else than at the handshake: the client is to be
        examined, at the latest before its next request is decided."""
        if self._phase in (_READING, _SERVING):
            self.is_outdated = True
            self._heads.forget()

    def rules_changed(self, address_believed: bool = True) -> None:
        """The configuration is another one than at the handshake: the same, and who is not granted
        any more what it was is let go.

        :param address_believed: whether whoever told the caller's address would be believed today.
        """
        if not address_believed:
            self._let_go()
        if self._phase in (_READING, _SERVING):
            self._before = self._before or self.caller
            self.authorities_changed()

    def examine(self) -> None:
        """See who the client is by today's rules, if they have changed since that was seen."""
        if not self.is_outdated or self._phase is _CLOSING:
            return
        former = self.caller.standing
        self.caller = self._server.identify(self.transport, Caller(self.caller.address))
        self.is_outdated = False
        if former is not None and self._deciding is None:
            former.lost()
        before, self._before = self._before, None
        if before is not None and not (
            self.caller.is_granted_what(before)
            and not self._server.wants_certificate_of(self.caller)
        ):
            self._let_go()

    @property
    def serving_since(self) -> float | None:
        """When the request under way came, POSIX seconds; None while there is none."""
        return None if self._exchange is None else self._exchange.started

    def drain(self) -> None:
        """The next answer is the last, unless the client stays quiet; then it was."""
        self._leave_when_quiet()

    def give_up(self) -> None:
        """The time to end in good order is over."""
        if self._exchange is not None:
            self._stop_deciding()
            if self._forward is not None:
                self._forward.abort()
            self._exchange.reason = "drain-timeout"
            self._account()
        self.abort()

    # Reading.

    def _pump(self) -> None:
        """Serve what has come, as far as turns and back-pressure allow.

        A loop, because a client may send hundreds of small requests ahead and
        each may be answered at once.
        """
        if self._pumping:
            return
        self._pumping = True
        try:
            while self._pending and self._phase is _READING and not self._output_full:
                data, self._pending = self._pending, b""
                self._read_head(data)
        finally:
            self._pumping = False

    def _read_head(self, data: bytes) -> None:
        had_begun = self._heads.begun
        try:
            raw = self._heads.feed(data)
            if raw is None:
                if self._heads.begun and not had_begun:
                    self._due_in(self._server.timeouts.request_head)
                return
            self._pending = self._heads.rest
            head = self._server.requests.parse(raw)
        except BadMessage as refusal:
            self._refuse_unread(refusal)
            return
        if self.is_outdated:
            self.examine()
        self.deadline = None
        self._phase = _SERVING
        self._exchange, resolved = self._server.begin_exchange(self.caller, head)
        self._answer = ClientAnswer(self, self._exchange, head)
        if head.has_body:
            decoder = decoder_for(head.framing, head.length, self._server.head_limits)
            self._upload = Upload(decoder, self._exchange, self._server.limits.request_body)
        try:
            started = self._server.decide(self.caller, self._exchange, head, resolved)
        except Refusal as refusal:
            self._answer.fail(refusal)
            return
        if isinstance(started, Deferred):
            self._due_in(self._server.timeouts.response_head)
            self._deciding = Deciding(
                started, self._decided, self._refused, self.abort, self.caller.standing
            )
            self._deciding.start()
        else:
            self._heads.remember(raw, started)
            self._serve(started)

    def _serve_again(self, clearance: Clearance) -> bool:
        """Serve a request that was sent before, if that is still allowed."""
        if self._output_full or self._pumping:
            return False
        exchange = self._server.again(self.caller, clearance)
        if exchange is None:
            return False
        self.deadline = None
        self._phase = _SERVING
        self._exchange = exchange
        self._answer = ClientAnswer(self, exchange, clearance.head)
        self._serve(clearance)
        return True

    def _decided(self, start) -> None:
        self._deciding = None
        self.deadline = None
        self._serve(start)

    def _refused(self, refusal: Refusal) -> None:
        self._deciding = None
        self._answer.fail(refusal)

    def _stop_deciding(self) -> None:
        deciding, self._deciding = self._deciding, None
        if deciding is not None:
            deciding.stop()
            if deciding.standing is not self.caller.standing:
                deciding.standing.lost()

    def _serve(self, start) -> None:
        """Forward, now that it has been decided."""
        answer = self._answer
        forward = start(self._exchange, answer)
        if self._answer is not answer:
            return  # It has failed at once and is already answered.
        self._forward = forward
        if self._output_full:
            forward.pause()
        if self._upload is not None:
            if self._pending:
                data, self._pending = self._pending, b""
                self._read_body(data)
            self.hold("ahead", False)
            self._await_body()

    def _await_body(self) -> None:
        """Set the deadline of the body's next piece, if one is to come; the
        client's silence counts only while we listen."""
        if self._upload is not None and self._forward is not None:
            if self._holds:
                self.deadline = None
            else:
                self._due_in(self._forward.request_idle)

    def _read_body(self, data: bytes) -> None:
        upload, forward = self._upload, self._forward
        try:
            whole = upload.feed(data, forward)
        except Refusal as refusal:
            self._give_up(refusal)
            return
        if whole:
            self._upload = None
            self._pending = upload.rest
            self.deadline = None
            forward.end()
        else:
            forward.flush()
            upload.pour(self.transport, forward)
            self._await_body()

    # Ending.

    def _refuse_unread(self, refusal: BadMessage) -> None:
        """Answer bytes that are not a request."""
        self._phase = _SERVING
        self._pending = b""
        self._exchange, _ = self._server.begin_exchange(self.caller, None)
        self._answer = ClientAnswer(self, self._exchange, None)
        self._answer.fail(refusal)

    def _give_up(self, refusal: Refusal) -> None:
        """End the current exchange from our side."""
        self._stop_deciding()
        forward, self._forward = self._forward, None
        if forward is not None:
            forward.abort()
        if self._answer is None:
            return
        if self._answer.begun:
            self._exchange.reason = refusal.reason
            self.cut_off()
        else:
            self._answer.fail(refusal)

    def _account(self) -> None:
        """The exchange is over: tell the observer and forget it."""
        exchange, self._exchange = self._exchange, None
        self._answer = self._forward = self._upload = None
        self._server.ended(exchange)

    def _let_go(self) -> None:
        """The next answer is the last, or the one that is under way."""
        self._is_last = True
        self._leave_when_quiet()

    def _leave_when_quiet(self) -> None:
        """If the connection is idle, close it once it has been for long enough."""
        if self._phase is _READING and not self._heads.begun and not self._pending:
            self._due_in(min(QUIET, self._server.timeouts.drain / 2))

    def _close(self) -> None:
        """Close in good order; nothing more is served."""
        self._phase = _CLOSING
        self._pending = b""
        self._end(self._server.timeouts.response_idle)
