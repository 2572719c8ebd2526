"""A place among the workers: somebody always has it, or will soon."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.logger import Logger

from toolforge_gateway.workers.member import Member, State

log = Logger()

LIVED = 60.0
"""Seconds after which a worker's end says nothing of those before it."""
FIRST = 0.5
LONGEST = 30.0
"""Seconds until somebody new comes.  After one death it is at once, then twice as long for each of
those that have not lived long."""


class Seat:
    """Has a worker replaced when it ends.

    :param index: from 0.
    :param fill: called with the seat when somebody new is to be spawned for it.
    :param clock: IReactorTime.

    :ivar member: who has it; None while nobody does.
    """

    def __init__(self, index: int, fill: Callable[[Seat], object], clock: Any):
        self.index = index
        self.member: Member | None = None
        self._fill = fill
        self._clock = clock
        self._failures = 0
        self._taken = 0.0
        self._retry: Any = None
        self._closed = False

    def take(self, member: Member) -> Member | None:
        """Give it to somebody.

        :return: who had it.
        """
        self._cancel()
        former, self.member = self.member, member
        self._taken = self._clock.seconds()
        if member.state is State.GONE:  # so soon
            self.lost(member)
        return former

    def lost(self, member: Member) -> None:
        """Somebody has ended; if they had this seat, it is filled again, later if this happens
        again and again."""
        if member is not self.member:
            return
        self.member = None
        if self._closed:
            return
        lived = self._clock.seconds() - self._taken
        self._failures = 0 if lived >= LIVED else self._failures + 1
        # Bounded: after some hours of dying the power would be no float any more.
        doublings = min(self._failures - 2, 16)
        delay = min(LONGEST, FIRST * 2**doublings) if self._failures > 1 else 0.0
        log.error(
            "{name} has ended after {lived:.0f} seconds ({how}); another one comes "
            "in {delay:g} seconds",
            name=member.name,
            lived=lived,
            how=member.how,
            delay=delay,
        )
        self._retry = self._clock.callLater(delay, self._again)

    def hurry(self) -> None:
        """What kept them from living may be gone: fill it now, if nobody has it."""
        self._failures = 0
        if self.member is None and not self._closed:
            self._cancel()
            self._fill(self)

    def close(self) -> Member | None:
        """Nobody comes any more.

        :return: who has it.
        """
        self._closed = True
        self._cancel()
        return self.member

    def said(self) -> str:
        """How it is, for a person."""
        if self.member is not None:
            return self.member.said()
        when = ""
        if self._retry is not None:
            when = f", another one in {self._retry.getTime() - self._clock.seconds():.0f} s"
        return f"worker {self.index + 1}: none{when}"

    def _again(self) -> None:
        self._retry = None
        self._fill(self)

    def _cancel(self) -> None:
        retry, self._retry = self._retry, None
        if retry is not None and retry.active():
            retry.cancel()
