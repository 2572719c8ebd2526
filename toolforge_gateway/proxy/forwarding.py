"""One request on its way to a backend, and the answer on its way back.

    dialling -> waiting for the head -> relaying the body -> over

The request body may still be coming in any of these states: an answer can be
early (RFC 9112 section 9.3), and both bodies may flow at once.  A request is
never sent twice: it is written once, to a connection that was alive at that
moment, and whatever happens then is told to the caller.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from twisted.internet import error
from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from toolforge_gateway.config.values import Timeouts
from toolforge_gateway.errors import BackendFailure, BadMessage
from toolforge_gateway.http.body import LAST_CHUNK, decoder_for, encode_chunk
from toolforge_gateway.http.head import HeadLimits, HeadReader
from toolforge_gateway.http.known import KnownAnswers
from toolforge_gateway.http.message import Framing, ResponseHead
from toolforge_gateway.interfaces import IAnswer, IForward
from toolforge_gateway.proxy import failures

if TYPE_CHECKING:
    from toolforge_gateway.deadlines import Deadlines
    from toolforge_gateway.proxy.connection import UpstreamConnection
    from toolforge_gateway.proxy.pool import Pool

log = Logger()

MAX_INFORMATIONAL = 16
"""1xx heads of one answer that are passed on; more is no honest backend."""

_HEAD_LIMITS = HeadLimits()


@implementer(IForward)
class Forwarding:
    """Relays one exchange between `IAnswer` and a borrowed connection.

    :param backend: its name, for error sentences.
    :param method: of the request; decides the answer's framing.
    :param head: the request head, ready to be written.
    :param body: how the request body is framed towards the backend.
    :param answers: reads answers' heads.
    :param answer_lines: the header lines to pass on of an answer's head.
    """

    def __init__(
        self,
        backend: str,
        pool: Pool,
        deadlines: Deadlines,
        timeouts: Timeouts,
        method: bytes,
        head: bytes,
        body: Framing,
        answers: KnownAnswers,
        answer_lines: Callable[[ResponseHead], bytes],
        answer: IAnswer,
    ):
        self.deadline: float | None = None
        self.request_idle = timeouts.request_idle
        self._backend = backend
        self._pool = pool
        self._deadlines = deadlines
        self._timeouts = timeouts
        self._method = method
        self._chunked = body is Framing.CHUNKED
        self._sent_all = body is Framing.NONE
        self._answers = answers
        self._answer_lines = answer_lines
        self._answer = answer
        self._out = [head]
        self._connection: UpstreamConnection | None = None
        self._dialling: Deferred[object] | None = None
        self._ready = False
        self._over = False
        self._reader = HeadReader(_HEAD_LIMITS)
        self._informational = 0
        self._head: ResponseHead | None = None
        self._decoder: object = None
        self._held_back = False

    def start(self) -> Forwarding:
        """Send the head on a kept connection, or dial one."""
        self._deadlines.watch(self)
        connection = self._pool.take()
        if connection is not None:
            connection.current = self
            self._connection = connection
            self.connected(connection)
            return self
        self._due_in(self._timeouts.connect)
        if not self._sent_all:
            self._answer.pause()
        dialling = self._dialling = self._pool.dial(self)
        dialling.addErrback(self._dial_failed)
        return self

    # The caller's side: IForward.

    def data(self, payload: bytes) -> None:
        if not self._over:
            self._out.append(encode_chunk(payload) if self._chunked else payload)

    def flush(self) -> None:
        if self._ready and self._out and not self._over:
            out, self._out = self._out, []
            self._connection.write(b"".join(out) if len(out) > 1 else out[0])

    def end(self) -> None:
        if self._over:
            return
        self._sent_all = True
        if self._chunked:
            self._out.append(LAST_CHUNK)
        self.flush()
        if self._ready and self._head is None:
            self._due_in(self._timeouts.response_head)

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
            self._due_in(self._timeouts.response_idle)

    # The backend's side: what `UpstreamConnection` and the dial report.

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
        self._ready = True
        if self._held_back:
            connection.read_on(False)
        had_to_dial = self._dialling is not None
        self._dialling = None
        self.deadline = None
        self.flush()
        if self._sent_all:
            self._due_in(self._timeouts.response_head)
        elif had_to_dial:
            self._answer.resume()

    def received(self, data: bytes) -> None:
        """Bytes of an answer."""
        try:
            if self._head is None:
                data = self._read_head(data)
                if self._head is None:
                    return
            for piece in self._decoder.feed(data) if data else ():
                self._answer.data(piece)
        except BadMessage as fault:
            log.warn(
                "{backend} sent an answer that is none: {fault}",
                backend=self._backend,
                fault=fault.reason,
            )
            self._broken(failures.broken_answer(self._backend))
            return
        if self._decoder.finished:
            self._complete()
        elif not self._over:
            self._answer.flush()
            if not self._held_back:
                self._due_in(self._timeouts.response_idle)

    def lost(self, reason: Failure) -> None:
        """The connection is gone."""
        self._connection = None
        if self._over:
            return
        if self._head is None:
            # The caller is told in general words, the operators why.
            log.warn(
                "{backend} ended the connection before it answered: {reason}",
                backend=self._backend,
                reason=reason.value,
            )
            if self._ready:
                self._broken(failures.lost(self._backend, reason))
            else:
                self._broken(failures.handshake_failed(self._backend))
            return
        try:
            self._decoder.eof()
        except BadMessage:
            self._broken(None)
            return
        # A body that ends with the connection is whole only when TLS said so
        # by close_notify (RFC 9112 section 9.8).
        if self._decoder.finished and self._is_clean(reason):
            self._complete()
        else:
            self._broken(None)

    def backend_full(self) -> None:
        """The backend takes no more of the request body for now."""
        if not self._over and not self._sent_all:
            self._answer.pause()
            if self._head is None:
                self._due_in(self._timeouts.response_head)

    def backend_ready(self) -> None:
        """It takes the request body again."""
        if not self._over and not self._sent_all:
            if self._head is None:
                self.deadline = None
            self._answer.resume()

    def deadline_passed(self) -> None:
        """Called by `Deadlines`."""
        if self._head is not None:
            self._broken(None)
        elif not self._ready:
            self._broken(failures.connect_timed_out(self._backend))
        else:
            self._broken(failures.answer_timed_out(self._backend))

    def _dial_failed(self, reason: Failure) -> None:
        self._dialling = None
        if not self._over and not reason.check(CancelledError):
            log.warn("{backend}: {reason}", backend=self._backend, reason=reason.value)
            self._broken(failures.dial_failed(self._backend, reason))

    def _read_head(self, data: bytes) -> bytes:
        """Take heads until the final one; returns what follows it."""
        while True:
            raw = self._reader.feed(data)
            if raw is None:
                return b""
            rest = self._reader.rest
            head = self._answers.parse(raw, self._method)
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
        self._answer.begin(head, self._answer_lines(head))
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
            and self._method != b"HEAD"
        )
        self._finish()
        self._connection = None
        if keep:
            self._pool.put(connection)
        elif connection is not None:
            # Closing gently would have to wait for an unfinished upload.
            connection.close() if self._sent_all else connection.abort()
        self._answer.end()

    def _broken(self, failure: BackendFailure | None) -> None:
        """No whole answer will come of this."""
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
        self._deadlines.forget(self)
        self._out.clear()

    def _drop_connection(self) -> None:
        connection, self._connection = self._connection, None
        dialling, self._dialling = self._dialling, None
        if connection is not None:
            connection.abort()
        elif dialling is not None:
            dialling.cancel()

    def _due_in(self, seconds: float) -> None:
        self.deadline = self._deadlines.seconds() + seconds

    @staticmethod
    def _is_clean(reason: Failure) -> bool:
        return bool(reason.check(error.ConnectionDone))
