"""One request's way to a connection: it waits for a place, then goes from address to address."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twisted.internet.error import DNSLookupError
from twisted.python.failure import Failure

from toolforge_gateway.config.values import Timeouts
from toolforge_gateway.errors import BackendFailure
from toolforge_gateway.proxy import failures
from toolforge_gateway.proxy.attempt import Attempt

if TYPE_CHECKING:
    from toolforge_gateway.proxy.connection import UpstreamConnection
    from toolforge_gateway.proxy.pool import Pool
    from toolforge_gateway.proxy.upstream import Upstream

ATTEMPTS = 3
"""Addresses that are tried for one request."""


class Dialling:
    """Gets a connection for a customer, or tells it why there is none.

    Before anything of a request was written nothing of it can have been processed, so that the
    next address may be tried; `timeouts.connect` is for all attempts together.  One that is
    not the last has half of the time that is left, so that an address that swallows everything
    does not take it all.

    :param customer: `ICustomer`; told of exactly one of `connected` and `unavailable`, unless
        it cancels.
    :param timeouts: `queue` and `connect` of the request.
    """

    deadline: float | None = None

    def __init__(self, pool: Pool, customer: Any, timeouts: Timeouts):
        self._pool = pool
        self._customer = customer
        self._timeouts = timeouts
        self._deadlines = pool.deadlines
        self._attempt: Attempt | None = None
        self._upstream: Upstream | None = None
        self._tried: list[Upstream] = []
        self._due: float | None = None
        self._last: BackendFailure | None = None
        self._over = False

    def wait(self) -> None:
        """Wait in the queue, if there is room."""
        places = self._pool.places
        if not places.wait(self):
            self._turn_away(failures.busy(self._pool.name))
            return
        self.deadline = self._deadlines.seconds() + self._timeouts.queue
        self._deadlines.watch(self)

    def go(self) -> None:
        """There is a place, which is ours now: dial."""
        self._due = self._deadlines.seconds() + self._timeouts.connect
        self._deadlines.watch(self)
        if self._pool.upstreams:
            self._next()
        else:
            self.deadline = self._due
            self._pool.await_addresses(self)

    def looked_up(self) -> None:
        """The backend's name has been looked up, in vain perhaps."""
        if not self._over:
            self._last = failures.dial_failed(self._pool.name, Failure(DNSLookupError()))
            self._next()

    def given(self, connection: UpstreamConnection) -> None:
        """A connection that somebody else has done with, and its place."""
        self._finish()
        self._hand_over(connection)

    def cancel(self) -> None:
        """The customer has left."""
        if self._over:
            return
        placed = self._due is not None
        self._finish()
        attempt, self._attempt = self._attempt, None
        if attempt is not None:
            attempt.cancel()
        if placed:
            self._pool.places.leave()

    def deadline_passed(self) -> None:
        """Called by `Deadlines`."""
        name = self._pool.name
        if self._due is None:
            self._pool.places.waited_in_vain += 1
            self._turn_away(failures.queued_too_long(name))
            return
        attempt, self._attempt = self._attempt, None
        timed_out = failures.connect_timed_out(name)
        if attempt is None:  # no address is known yet
            self._fail(timed_out)
        else:
            attempt.cancel()
            self._failed(timed_out, "no connection in time")

    def _next(self) -> None:
        left = self._pool.candidates(self._tried)
        now = self._deadlines.seconds()
        if not left or len(self._tried) >= ATTEMPTS or now >= self._due:
            self._pool.in_vain()
            self._fail(self._last or failures.connect_timed_out(self._pool.name))
            return
        upstream = self._upstream = left[0]
        self._tried.append(upstream)
        patience = self._due - now
        if len(left) > 1 and len(self._tried) < ATTEMPTS:
            patience /= 2
        self.deadline = now + patience
        self._attempt = Attempt(self._pool, upstream, self._done, self._failed)
        # Our deadline comes first: this one is for a sweep that is late.
        self._attempt.start(patience + 1)

    def _done(self, connection: UpstreamConnection) -> None:
        self._attempt = None
        connection.placed = True
        self._finish()
        self._hand_over(connection)

    def _failed(self, failure: BackendFailure, detail: object) -> None:
        self._attempt = None
        upstream, self._last = self._upstream, failure
        # The caller is told in general words, the operators where and why.
        self._pool.failed(upstream, failure.reason, detail)
        self._next()

    def _hand_over(self, connection: UpstreamConnection) -> None:
        # They know each other: let go, so that neither has to wait for the collector.
        customer, self._customer = self._customer, None
        connection.current = customer
        customer.connected(connection)

    def _fail(self, failure: BackendFailure) -> None:
        # Over first: whoever has the place next must not find us still at it.
        self._finish()
        self._pool.places.leave()
        self._turn_away(failure)

    def _turn_away(self, failure: BackendFailure) -> None:
        self._finish()
        customer, self._customer = self._customer, None
        customer.unavailable(failure)

    def _finish(self) -> None:
        self._over = True
        self.deadline = None
        self._deadlines.forget(self)
        self._pool.places.forget(self)
        self._pool.forget(self)
