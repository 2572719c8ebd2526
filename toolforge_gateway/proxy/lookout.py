"""Watches one address: checks it regularly if that is wanted, and tries it after its time out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twisted.logger import Logger

from toolforge_gateway.proxy.probe import Probe

if TYPE_CHECKING:
    from toolforge_gateway.proxy.pool import Pool
    from toolforge_gateway.proxy.upstream import Upstream

log = Logger()


class Lookout:
    """Sends probes, and takes note of what they say.

    An address whose time out is over is asked by a probe first, and not by somebody's request.
    """

    def __init__(self, pool: Pool, upstream: Upstream):
        self.deadline: float | None = None
        self._pool = pool
        self._upstream = upstream
        self._checks = pool.backend.checks
        self._next: float | None = None
        self._probe: Probe | None = None
        self._good = 0
        self._bad = 0
        self._stopped = False

    def start(self) -> None:
        """Begin to check, if that is wanted."""
        if self._checks is not None and self._next is None and not self._stopped:
            # Several gateways, and several addresses, are not to check in step.
            now = self._pool.deadlines.seconds()
            self._next = now + self._checks.interval * self._pool.chance()
            self._set()

    def stop(self) -> None:
        """Look no more."""
        self._stopped = True
        self.deadline = None
        self._pool.deadlines.forget(self)
        probe, self._probe = self._probe, None
        if probe is not None:
            probe.stop()

    def reconsider(self) -> None:
        """The address may have been ejected."""
        self._set()

    def deadline_passed(self) -> None:
        """Called by `Deadlines`."""
        checks, path = self._checks, None
        timeout = self._pool.backend.timeouts.connect
        if checks is not None:
            path, timeout = self._pool.backend.url.base_path + checks.path, checks.timeout
            if self._next is not None:
                self._next = self._pool.deadlines.seconds() + checks.interval
        self._probe = Probe(self._pool, self._upstream, path, timeout, self._told)
        self._probe.start()

    def _told(self, reason: str) -> None:
        self._probe = None
        if self._stopped:
            return
        if self._checks is not None:
            self._count(reason)
        marks, now = self._upstream.marks, self._pool.deadlines.seconds()
        until = marks.ejected_until
        if until is not None and until <= now:
            if reason:
                seconds = marks.eject()
                log.info(
                    "{backend} at {address} is spared for another {seconds:.0f} s: {reason}",
                    backend=self._pool.name,
                    address=self._upstream.address,
                    seconds=seconds,
                    reason=reason,
                )
            else:
                marks.readmit()
                log.info(
                    "{backend} at {address} takes connections again, and is used again",
                    backend=self._pool.name,
                    address=self._upstream.address,
                )
        self._pool.judged(self._upstream)

    def _count(self, reason: str) -> None:
        """Take note of a check."""
        checks, upstream = self._checks, self._upstream
        assert checks is not None, "asked only where there are checks"
        upstream.checked_at = self._pool.deadlines.seconds()
        if reason:
            self._good, self._bad = 0, self._bad + 1
            upstream.marks.last_error = reason
            upstream.marks.last_error_at = upstream.checked_at
        else:
            self._good, self._bad = self._good + 1, 0
        if not upstream.checked_bad and self._bad >= checks.bad:
            upstream.checked_bad = True
            log.warn(
                "{backend} at {address} has failed {count} checks in a row; the last one: {reason}",
                backend=self._pool.name,
                address=upstream.address,
                count=self._bad,
                reason=reason,
            )
        elif upstream.checked_bad and self._good >= checks.good:
            upstream.checked_bad = False
            log.info(
                "{backend} at {address} has passed {count} checks in a row, and is used again",
                backend=self._pool.name,
                address=upstream.address,
                count=self._good,
            )

    def _set(self) -> None:
        """Wait for the next check or the end of the time out, whichever is first."""
        if self._stopped:
            return
        wanted = [
            each for each in (self._next, self._upstream.marks.ejected_until) if each is not None
        ]
        if self._probe is not None:
            return  # it comes here again once that has told
        if wanted:
            self.deadline = min(wanted)
            self._pool.deadlines.watch(self)
        else:
            self.deadline = None
            self._pool.deadlines.forget(self)
