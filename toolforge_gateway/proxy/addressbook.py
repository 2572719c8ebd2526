"""Under which addresses a backend can be dialled: names are looked up again and again.

A name is a promise for some seconds: replicas come and go behind it.  The last good answer
is kept until there is a better one, so that a name server that fails takes no backend away.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.abstract import isIPAddress, isIPv6Address
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.interfaces import IResolutionReceiver
from twisted.logger import Logger
from zope.interface import implementer

from toolforge_gateway.config.backend import UpstreamAddress

log = Logger()

MOST = 64
"""Addresses of one name that are used, the first ones in their order: whatever a name server
says, memory and attention are bounded."""
AT_MOST_EVERY = 1.0
"""Seconds between two look-ups, however much they are wished for."""


class AddressBook:
    """Knows the addresses behind some places.

    :param reactor: IReactorTime and IReactorPluggableNameResolver.
    :param places: hosts are names or IP addresses; the latter need no look-up.
    :param every: seconds between two look-ups.
    :param looked_up: called after each look-up of a name, as long as an address is known; and after
        the last one of all names, good or bad.
    :ivar known: IP addresses, sorted, each once: by the last good answers.
    :ivar looked_up_at: when the latest good answer came; None when there was none.
    :ivar failures: look-ups in a row, up to now, in which a name had no address.
    """

    def __init__(
        self,
        reactor: Any,
        backend: str,
        places: Sequence[UpstreamAddress],
        every: float,
        looked_up: Callable[[], None],
    ):
        self._reactor = reactor
        self._backend = backend
        self._places = tuple(places)
        self._every = every
        self._looked_up = looked_up
        self._answers: dict[UpstreamAddress, tuple[str, ...]] = {
            place: (place.host,) for place in places if _is_literal(place.host)
        }
        self._names = [place for place in self._places if place not in self._answers]
        self._asked: set[UpstreamAddress] = set()
        self._bad = False
        self._timer: Any = None
        self._closed = False
        self._began = 0.0
        self.looked_up_at: float | None = None
        self.failures = 0
        self.known = self._all()

    @property
    def is_fixed(self) -> bool:
        """Whether there is no name to look up."""
        return not self._names

    def look(self) -> None:
        """Look up all names, unless that is under way; from then on do so regularly."""
        if self._asked or not self._names:
            return
        self._stop_waiting()
        self._began = self._reactor.seconds()
        self._bad = False
        self._asked = set(self._names)
        for place in self._names:
            receiver = _Receiver(place, self._answered)
            self._reactor.nameResolver.resolveHostName(
                receiver,
                place.host,
                place.port,
                [IPv4Address, IPv6Address],
                transportSemantics="TCP",
            )

    def start(self) -> None:
        """Begin to look regularly, unless that has begun."""
        if self._timer is None and not self._closed:
            self.look()

    def look_soon(self) -> None:
        """What is known seems to be wrong: do not wait for the next time."""
        if self._timer is not None and self._timer.active() and not self._closed:
            now = self._reactor.seconds()
            wanted = max(0.0, self._began + AT_MOST_EVERY - now)
            if self._timer.getTime() - now > wanted:
                self._timer.reset(wanted)

    def inherit(self, former: AddressBook) -> None:
        """Take over the good answers of another one about the same names."""
        for place in self._names:
            if place in former._answers:
                self._answers[place] = former._answers[place]
                self.looked_up_at = former.looked_up_at
        self.known = self._all()

    def close(self) -> None:
        """Look nothing up by itself any more; who needs an address can still ask."""
        self._closed = True
        self._stop_waiting()

    def _answered(self, place: UpstreamAddress, hosts: Sequence[str]) -> None:
        """A look-up has ended.  What it has found is used at once: another name's may take long,
        and none of this one's addresses is to wait for it."""
        self._asked.discard(place)
        if hosts:
            self._answers[place] = tuple(hosts)
            self.looked_up_at = self._reactor.seconds()
        else:
            self._bad = True
            kept = ": its last good answer is kept" if place in self._answers else ""
            if not self.failures:
                log.warn(
                    "{backend}: {name} has no address just now{kept}",
                    backend=self._backend,
                    name=place.host,
                    kept=kept,
                )
        self.known = self._all()
        if not self._asked:
            self._all_answered()
        if self.known or not self._asked:
            self._looked_up()

    def _all_answered(self) -> None:
        if self.failures and not self._bad:
            log.info("{backend}: its names have addresses again", backend=self._backend)
        self.failures = self.failures + 1 if self._bad else 0
        wait = self._every
        if self.failures:
            wait = min(wait, AT_MOST_EVERY * 2.0 ** min(self.failures - 1, 16))
        if not self._closed:
            self._timer = self._reactor.callLater(wait, self.look)

    def _all(self) -> tuple[UpstreamAddress, ...]:
        found = {
            UpstreamAddress(host, place.port)
            for place in self._places
            for host in sorted(self._answers.get(place, ()))[:MOST]
        }
        return tuple(sorted(found, key=lambda each: (each.host, each.port)))

    def _stop_waiting(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None and timer.active():
            timer.cancel()


def _is_literal(host: str) -> bool:
    return isIPAddress(host) or isIPv6Address(host)


@implementer(IResolutionReceiver)
class _Receiver:
    def __init__(
        self,
        place: UpstreamAddress,
        done: Callable[[UpstreamAddress, Sequence[str]], None],
    ):
        self._place = place
        self._done = done
        self._hosts: list[str] = []

    def resolutionBegan(self, resolution: object) -> None:
        """See `IResolutionReceiver`."""

    def addressResolved(self, address: Any) -> None:
        """See `IResolutionReceiver`."""
        self._hosts.append(address.host)

    def resolutionComplete(self) -> None:
        """See `IResolutionReceiver`."""
        self._done(self._place, self._hosts)
