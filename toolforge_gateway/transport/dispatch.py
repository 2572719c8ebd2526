"""Readiness of many descriptors behind one reader of the reactor.

The reactor spends several microseconds on each event of each descriptor, on
logging contexts that nobody here looks at.  An epoll of our own is itself one
descriptor to the reactor, and hands its events straight on.
"""

from __future__ import annotations

import select
from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IReadDescriptor
from twisted.logger import Logger
from zope.interface import implementer

log = Logger()

READ = select.EPOLLIN | select.EPOLLRDHUP
WRITE = select.EPOLLOUT
GONE = select.EPOLLERR | select.EPOLLHUP

EVENTS = 128
"""Events that are taken at a time, so that the reactor's timers have theirs."""
TURN = 32
"""Until so many events have been handled we look whether more have come meanwhile, before the
reactor gets its turn, which costs as much as half a request.  With large bodies each may be a
quarter of a megabyte, and so this is some milliseconds at most."""


@implementer(IReadDescriptor)
class Dispatcher:
    """Watches descriptors; begins when the first one comes.

    :param reactor: IReactorFDSet.
    :ivar handling: whether events are at hand.
    :ivar has_turn: whether it is our turn of the reactor, which is longer: more may come.
    """

    def __init__(self, reactor: Any):
        self._reactor = reactor
        self._epoll: select.epoll | None = None
        self._handlers: dict[int, Callable[[int], None]] = {}
        self._after: list[Callable[[], None]] = []
        self._after_turn: list[Callable[[], None]] = []
        self.handling = False
        self.has_turn = False

    def watch(self, descriptor: int, events: int, handler: Callable[[int], None]) -> None:
        """Call `handler(events)` whenever one of these events is there.

        Events are level-triggered; `GONE` is always told.
        """
        if self._epoll is None:
            self._epoll = select.epoll()
            self._reactor.addReader(self)
        self._handlers[descriptor] = handler
        self._epoll.register(descriptor, events)

    def change(self, descriptor: int, events: int) -> None:
        """Look for other events of a watched descriptor."""
        assert self._epoll is not None, "watched before"
        self._epoll.modify(descriptor, events)

    def forget(self, descriptor: int) -> None:
        """Stop watching; before the descriptor is closed."""
        del self._handlers[descriptor]
        assert self._epoll is not None, "watched before"
        self._epoll.unregister(descriptor)
        if not self._handlers:
            # A reactor with nothing to do is clean, and so is its end.
            self._reactor.removeReader(self)
            self._epoll.close()
            self._epoll = None

    def soon(self, call: Callable[[], None]) -> None:
        """Call in a later turn of the reactor."""
        self._reactor.callLater(0, call)

    def after(self, call: Callable[[], None]) -> None:
        """Call when the events at hand have been handled: nobody is in the
        middle of anything then, and a descriptor may be closed, whose number
        the next one to be opened gets."""
        if not self.handling and not self._after:
            self._reactor.callLater(0, self._call_after)
        self._after.append(call)

    def after_turn(self, call: Callable[[], None]) -> None:
        """Call at the end of our turn of the reactor, which it is."""
        self._after_turn.append(call)

    def _call_after(self) -> None:
        while self._after:
            calls, self._after = self._after, []
            _call(calls)

    # What the reactor asks for.

    def fileno(self) -> int:
        return self._epoll.fileno() if self._epoll is not None else -1

    def doRead(self) -> None:
        handled = 0
        self.has_turn = True
        while handled < TURN and self._epoll is not None:
            ready = self._epoll.poll(0, EVENTS)
            if not ready:
                break
            handled += len(ready)
            self._handle(ready)
        self.has_turn = False
        if self._after_turn:
            calls, self._after_turn = self._after_turn, []
            _call(calls)

    def _handle(self, ready: list[tuple[int, int]]) -> None:
        self.handling = True
        for descriptor, events in ready:
            # An earlier handler may have closed this one.
            handler = self._handlers.get(descriptor)
            if handler is not None:
                try:
                    handler(events)
                except Exception:
                    log.failure("a connection's handler failed")
        self.handling = False
        self._call_after()

    def connectionLost(self, reason: object) -> None:
        """The reactor ends; the connections hear of it by themselves."""

    def logPrefix(self) -> str:
        return "dispatcher"


def _call(calls: list[Callable[[], None]]) -> None:
    for call in calls:
        try:
            call()
        except Exception:
            log.failure("what was to be done after the events failed")
