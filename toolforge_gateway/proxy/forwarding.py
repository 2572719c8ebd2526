"""One request on its way to a backend, and the answer on its way back.

    dialling -> waiting for the head -> relaying the body -> over

The request body may still be coming in any of these states: an answer can be
early (RFC 9112 section 9.3), and both bodies may flow at once.  A request is
never sent twice: it is written once, to a connection that was alive at that
moment, and whatever happens then is told to the caller.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twisted.internet import error
from twisted.python.failure import Failure
from zope.interface import implementer

from toolforge_gateway.errors import BackendFailure, BadMessage
from toolforge_gateway.http.body import LAST_CHUNK, decoder_for, encode_chunk
from toolforge_gateway.http.head import HeadLimits, HeadReader
from toolforge_gateway.http.message import Framing, ResponseHead
from toolforge_gateway.interfaces import IAnswer, IForward
from toolforge_gateway.proxy import failures
from toolforge_gateway.proxy.interfaces import ICustomer

if TYPE_CHECKING:
    from toolforge_gateway.proxy.connection import UpstreamConnection
    from toolforge_gateway.proxy.dialling import Dialling
    from toolforge_gateway.proxy.outgoing import Outgoing
    from toolforge_gateway.transport.interfaces import ISecureTransport

MAX_INFORMATIONAL = 16
"""1xx heads of one answer that are passed on; more is no honest backend."""

_HEAD_LIMITS = HeadLimits()
# An enumeration's members are slow to look up on their class.
_CHUNKED, _LENGTH, _NO_BODY = Framing.CHUNKED, Framing.LENGTH, Framing.NONE


@implementer(IForward, ICustomer)
class Forwarding:
    """Relays one exchange between `IAnswer` and a borrowed connection.

    :param outgoing: what the backend is to see.
    :param request_id: its id.
    :param answer: where the answer goes.
    """

    deadline: float | None = None
    _connection: UpstreamConnection | None = None
    _dialling: Dialling | None = None
    _awaited = False
    """Whether the caller was told to wait until there is a connection."""
    _ready = False
    _over = False
    _reader: HeadReader | None = None
    """There once an answer's head has begun to come in pieces."""
    _informational = 0
    _head: ResponseHead | None = None
    _decoder: Any = None
    _held_back = False

    def __init__(self, outgoing: Outgoing, request_id: str, answer: IAnswer):
        self.request_idle = outgoing.timeouts.request_idle
        self._outgoing = outgoing
        self._answer = answer
        self._chunked = outgoing.body is _CHUNKED
        self._sent_all = outgoing.body is _NO_BODY
        self._out = [outgoing.head_with(request_id)]

    def start(self) -> Forwarding:
        """Send the head on a kept connection, or dial one."""
        outgoing = self._outgoing
        outgoing.deadlines.watch(self)
        connection = outgoing.pool.take()
        if connection is not None:
            connection.current = self
            self.connected(connection)
            return self
        if not self._sent_all:
            self._awaited = True
            self._answer.pause()
        self._dialling = outgoing.pool.dial(self, outgoing.timeouts)
        return self

    # The caller's side: IForward.

    def data(self, payload: bytes) -> None:
        if not self._over:
            self._out.append(encode_chunk(payload) if self._chunked else payload)

    def flush(self) -> None:
        if self._ready and self._out and not self._over:
            out, self._out = self._out, []
            self._connection.write(b"".join(out) if len(out) > 1 else out[0])

    def pour(self, transport: ISecureTransport, most: int) -> int:
        if self._chunked or self._out or self._over or not self._ready:
            return 0
        return self._connection.pour(transport, most)

    def end(self) -> None:
        if self._over:
            return
        self._sent_all = True
        if self._chunked:
            self._out.append(LAST_CHUNK)
        self.flush()
        if self._ready and self._head is None:
            self._due_in(self._outgoing.timeouts.response_head)

    def abort(self) -> None:
        if not self._over:
            self._finish()
            self._drop_connection()

    def pause(self) -> None:
        self._hold_back(True)

    def resume(self) -> None:
        self._hold_back(False)

    def _hold_back(self, wanted: bool) -> None:
        if self._over or wanted == self._held_back:
            return
        self._held_back = wanted
        if self._ready:
            self._connection.read_on(not wanted)
        if self._head is not None:
            # While we do not read it is the caller who keeps everybody
            # waiting; it is given as long as the backend would be.
            self._due_in(self._outgoing.timeouts.response_idle)

    # The backend's side: `ICustomer`.

    def dialled(self, connection: UpstreamConnection) -> None:
        """TCP is there, the TLS handshake begins."""
        if self._over:
            connection.abort()
        else:
            self._connection = connection

    def connected(self, connection: UpstreamConnection) -> None:
        """The connection can be written to."""
        if self._over:
            return
        self._connection = connection
        self._ready = True
        if self._held_back:
            connection.read_on(False)
        self.deadline = None
        self.flush()
        if self._sent_all:
            self._due_in(self._outgoing.timeouts.response_head)
        elif self._awaited:
            self._answer.resume()

    def unavailable(self, failure: BackendFailure) -> None:
        """There is no connection to be had; nothing was written."""
        if not self._over:
            self._broken(failure)

    def received(self, data: bytes) -> None:
        """Bytes of an answer."""
        try:
            if self._head is None:
                if self._reader is None and self._sent_all and self._is_whole(data):
                    return
                data = self._read_head(data)
                if self._head is None:
                    return
            for piece in self._decoder.feed(data) if data else ():
                self._answer.data(piece)
        except BadMessage as fault:
            broken = failures.broken_answer(self._outgoing.backend)
            # Most of these sentences are for who sent a request.
            detail = fault.message if fault.reason == broken.reason else fault.reason
            self._let_down(self._connection, broken, detail)
            return
        if self._decoder.finished:
            self._complete()
        elif not self._over:
            self._answer.flush()
            if self._decoder.left > 1:
                # The last byte is fed, so that the end is seen as always.
                most = self._decoder.left - 1
                self._decoder.left -= self._answer.pour(self._connection.transport, most)
            if not self._held_back:
                self._due_in(self._outgoing.timeouts.response_idle)

    def lost(self, reason: Failure) -> None:
        """The connection is gone."""
        connection, self._connection = self._connection, None
        if self._over:
            return
        if self._head is None:
            self._let_down(connection, failures.lost(self._outgoing.backend, reason), reason.value)
            return
        try:
            self._decoder.eof()
        except BadMessage as fault:
            self._cut(connection, f"{fault.reason}, {reason.value}")
            return
        # A body that ends with the connection is whole only when TLS said so
        # by close_notify (RFC 9112 section 9.8).
        if self._decoder.finished and self._is_clean(reason):
            self._complete()
        else:
            self._cut(connection, reason.value)

    def backend_full(self) -> None:
        """The backend takes no more of the request body for now."""
        if not self._over and not self._sent_all:
            self._answer.pause()
            if self._head is None:
                self._due_in(self._outgoing.timeouts.response_head)

    def backend_ready(self) -> None:
        """It takes the request body again."""
        if not self._over and not self._sent_all:
            if self._head is None:
                self.deadline = None
            self._answer.resume()

    def deadline_passed(self) -> None:
        """Called by `Deadlines`."""
        timeouts = self._outgoing.timeouts
        if self._head is None:
            patience = timeouts.response_head
            self._let_down(
                self._connection,
                failures.answer_timed_out(self._outgoing.backend),
                f"no answer within {patience:g} s",
                self._outgoing.deadlines.seconds() - patience,
            )
        elif self._held_back:
            self._finish()
            self._drop_connection()
            self._answer.cut(by_caller=True)
        else:
            self._cut(self._connection, f"nothing more for {timeouts.response_idle:g} s")

    def _is_whole(self, data: bytes) -> bool:
        """Whether this is all of an answer whose head is known; if so it is dealt with.

        What a backend answers to a poll comes like this nearly always: it saves
        the steps from state to state.
        """
        outgoing = self._outgoing
        end = data.find(b"\r\n\r\n") + 4
        head = outgoing.answers.find(data[:end])
        if (
            head is None
            or head.framing is not _LENGTH
            or head.length != len(data) - end
            or not head.persistent
            or outgoing.method == b"HEAD"
        ):
            return False
        connection, self._connection = self._connection, None
        self._finish()
        outgoing.pool.put(connection)
        self._answer.whole(head, outgoing.answer_lines(head), data[end:])
        return True

    def _read_head(self, data: bytes) -> bytes:
        """Take heads until the final one; returns what follows it."""
        if self._reader is None:
            self._reader = HeadReader(_HEAD_LIMITS)
        while True:
            raw = self._reader.feed(data)
            if raw is None:
                return b""
            rest = self._reader.rest
            head = self._outgoing.answers.parse(raw, self._outgoing.method)
            if head.status >= 200:
                break
            # 101 would change the protocol, which nobody asked for: the
            # request's Upgrade field was not passed on.
            if head.status == 101 or self._informational == MAX_INFORMATIONAL:
                raise BadMessage(502, "backend-broken-answer", "unexpected interim answers")
            self._informational += 1
            self._answer.informational(head)
            if self._over:
                return b""
            data = rest
            if not data:
                return b""
        self._head = head
        self._decoder = decoder_for(head.framing, head.length, _HEAD_LIMITS)
        self.deadline = None
        self._outgoing.pool.answered(self._connection)
        self._answer.begin(head, self._outgoing.answer_lines(head))
        return rest

    def _complete(self) -> None:
        """The answer is whole: keep the connection if it can be kept."""
        connection, head = self._connection, self._head
        keep = (
            connection is not None
            and self._sent_all
            and head.persistent
            and head.framing is not Framing.UNTIL_CLOSE
            and not self._decoder.rest
            # Some backends answer HEAD with a body all the same, which may come
            # only when somebody else waits for an answer there.
            and self._outgoing.method != b"HEAD"
        )
        self._finish()
        self._connection = None
        if keep:
            self._outgoing.pool.put(connection)
        elif connection is not None:
            # Closing gently would have to wait for an unfinished upload.
            connection.close() if self._sent_all else connection.abort()
        self._answer.end()

    def _let_down(
        self,
        connection: UpstreamConnection | None,
        failure: BackendFailure,
        detail: object,
        since: float | None = None,
    ) -> None:
        """The backend had the request, and there is no answer that can be passed on."""
        # The caller is told in general words, the operators where and why.
        if connection is not None:
            self._outgoing.pool.unanswered(connection, failure.reason, detail, since)
        self._broken(failure)

    def _cut(self, connection: UpstreamConnection | None, detail: object) -> None:
        """The answer that has begun breaks off."""
        if connection is not None:
            self._outgoing.pool.cut(connection, detail)
        self._broken(None)

    def _broken(self, failure: BackendFailure | None) -> None:
        """No whole answer will come of this.

        :param failure: None where one has begun.
        """
        begun = self._head is not None
        self._finish()
        self._drop_connection()
        if begun or failure is None:
            self._answer.cut()
        else:
            self._answer.fail(failure)

    def _finish(self) -> None:
        self._over = True
        self.deadline = None
        self._outgoing.deadlines.forget(self)
        self._out.clear()

    def _drop_connection(self) -> None:
        connection, self._connection = self._connection, None
        dialling, self._dialling = self._dialling, None
        if connection is not None:
            connection.abort()
        elif dialling is not None:
            dialling.cancel()

    def _due_in(self, seconds: float) -> None:
        self.deadline = self._outgoing.deadlines.seconds() + seconds

    @staticmethod
    def _is_clean(reason: Failure) -> bool:
        return bool(reason.check(error.ConnectionDone))
