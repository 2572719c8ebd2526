"""How many requests one backend serves at once, and who waits for a place."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from toolforge_gateway.proxy.connection import UpstreamConnection


class Waiting(Protocol):
    """Whoever wants a place."""

    def go(self) -> None:
        """It has one now."""

    def given(self, connection: UpstreamConnection) -> None:
        """It has somebody else's, with the connection in it."""


class Places:
    """A bounded number of places with a bounded queue before them, first come, first served.

    A connection has a place from when it is begun until it is ended, kept or not: who takes a
    kept one takes its place too.  They outlast the configuration, so that what began under the one
    before counts as well.

    :param limit: how many there are.
    :param room: how many may wait.
    :ivar taken: how many have one.
    :ivar waiting: those in the queue, the first one first.
    :ivar turned_away: how many found the queue full.
    :ivar waited_in_vain: how many waited for too long.
    """

    def __init__(self, limit: int, room: int):
        self.limit = limit
        self.room = room
        self.taken = 0
        # A plain dict would look for its first one past all that were there before.
        self.waiting: OrderedDict[Waiting, None] = OrderedDict()
        self.turned_away = 0
        self._calling = False
        self.waited_in_vain = 0

    def take(self) -> bool:
        """Take a place, if there is one."""
        if self.taken >= self.limit:
            return False
        self.taken += 1
        return True

    def wait(self, who: Waiting) -> bool:
        """Get into the queue, if there is room."""
        if len(self.waiting) >= self.room:
            self.turned_away += 1
            return False
        self.waiting[who] = None
        return True

    def forget(self, who: Waiting) -> None:
        """Leave the queue; harmless for who is not in it."""
        self.waiting.pop(who, None)

    def first(self) -> Waiting:
        """Take the first one out of the queue, which is not empty."""
        return self.waiting.popitem(last=False)[0]

    def leave(self) -> None:
        """Give a place back; the first one in the queue has it next."""
        self.taken -= 1
        self._call()

    def resize(self, limit: int, room: int) -> None:
        """Have so many from now on, with the parameters of `__init__`; nobody is sent away."""
        self.limit, self.room = limit, room
        self._call()

    def _call(self) -> None:
        if self._calling:
            return  # by the one whose turn it is now: the loop goes on
        self._calling = True
        try:
            while self.waiting and self.take():
                self.first().go()
        finally:
            self._calling = False
