"""The addresses of one backend, and who gets a connection to which.

What a backend's connections have in common is the name to verify and our credentials; where they
lead is each `Upstream`'s own.  Nothing is shared between two backends: no place, no queue, no
connection, so that the trouble of one is not the others'.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.logger import Logger
from zope.interface import implementer

from toolforge_gateway.config.backend import Backend, UpstreamAddress
from toolforge_gateway.config.values import Timeouts
from toolforge_gateway.proxy.addressbook import AddressBook
from toolforge_gateway.proxy.dialling import Dialling
from toolforge_gateway.proxy.figures import PoolFigures
from toolforge_gateway.proxy.interfaces import IPool
from toolforge_gateway.proxy.lookout import Lookout
from toolforge_gateway.proxy.marks import Marks
from toolforge_gateway.proxy.places import Places
from toolforge_gateway.proxy.reports import Reports
from toolforge_gateway.proxy.upstream import Upstream
from toolforge_gateway.transport.choice import Transports

if TYPE_CHECKING:
    from toolforge_gateway.deadlines import Deadlines
    from toolforge_gateway.proxy.connection import UpstreamConnection

log = Logger()

MAX_IDLE = 64
"""How many connections are kept; more than this many exchanges at once dial anew."""


@implementer(IPool)
class Pool:
    """Connections to one backend; kept ones are last in, first out.

    With several addresses each request goes to the less busy of two that are drawn by lot: that
    spreads nearly as well as asking all of them, and does not send everybody to the one that has
    just come up (M. Mitzenmacher, The Power of Two Choices in Randomized Load Balancing, 2001).

    :param reactor: IReactorTime, IReactorTCP and IReactorPluggableNameResolver.
    :param creator: mutual TLS with the name to verify built in.
    :param transports: puts TLS under the connections.
    :param deadlines: tells when something has taken too long.
    :param chance: a number from 0 to below 1, another one each time.
    :ivar name: the backend's.
    :ivar upstreams: the addresses that are known.
    :ivar places: how many requests there may be at once, and who waits.
    """

    def __init__(
        self,
        reactor: Any,
        backend: Backend,
        creator: IOpenSSLClientConnectionCreator,
        transports: Transports,
        deadlines: Deadlines,
        chance: Callable[[], float] = random.random,
    ):
        self.name = backend.name
        self.backend = backend
        self.deadlines = deadlines
        self.chance = chance
        self.upstreams: tuple[Upstream, ...] = ()
        self.places = Places(backend.limits.requests, backend.limits.queue)
        self._waiting = self.places.waiting
        self._reactor = reactor
        self._creator = creator
        self._transports = transports
        self._only: Upstream | None = None
        self._usable: list[Upstream] = []
        self._lookouts: dict[Upstream, Lookout] = {}
        self._unaddressed: dict[Dialling, None] = {}
        self._max_idle = MAX_IDLE
        self._started = False
        self._closed = False
        self._marks: dict[UpstreamAddress, Marks] = {}
        self._book = AddressBook(
            reactor, backend.name, backend.places, backend.dns_refresh, self._looked_up
        )
        self._take_over(self._book.known)

    def __repr__(self) -> str:
        idle = sum(len(each.idle) for each in self.upstreams)
        return f"<Pool {self.name} idle={idle} open={self.open}>"

    @property
    def open(self) -> int:
        """Connections that there are or that are being made."""
        return sum(each.open for each in self.upstreams)

    @property
    def max_idle(self) -> int:
        """How many connections are kept, over all addresses."""
        return self._max_idle

    @max_idle.setter
    def max_idle(self, most: int) -> None:
        self._max_idle = most
        self._sort_out()

    # Requests.

    def take(self) -> UpstreamConnection | None:
        """A kept connection that is alive, or None: then `dial`."""
        upstream = self._only
        if upstream is None:
            if not self._usable:
                return None
            upstream = self._choice()
        idle = upstream.idle
        while idle:
            connection = idle.pop()
            if connection.is_quiet():
                return connection
            connection.abort()
        return None

    def dial(self, customer: Any, timeouts: Timeouts) -> Dialling:
        """Open a connection for somebody, who may have to wait for a place first.

        :param customer: `ICustomer`; may be told before this returns.
        :param timeouts: of the request; `queue` and `connect` count.
        :return: has `cancel`.
        """
        dialling = Dialling(self, customer, timeouts)
        if self.places.take():
            dialling.go()
            return dialling
        # All places are taken: some of them perhaps by connections that nobody uses, to
        # an address that the lot did not fall on, or that is spared just now.
        for upstream in self._usable:
            while upstream.idle:
                connection = upstream.idle.pop()
                if connection.is_quiet():
                    dialling.given(connection)
                    return dialling
                connection.abort()
        if self.places.take():  # that of one that was dead
            dialling.go()
        else:
            dialling.wait()
        return dialling

    def put(self, connection: UpstreamConnection) -> None:
        """Keep a connection whose last exchange ended in good order."""
        upstream = connection.upstream
        if upstream.marks.failures:
            upstream.marks.answered()
        idle = upstream.idle
        if self._waiting or len(idle) >= upstream.room:
            self._pass_on(connection)
            return
        connection.current = None
        connection.read_on(True)
        connection.idle_since = self._reactor.seconds()
        idle.append(connection)
        if upstream.deadline is None:
            upstream.watch()

    def lost(self, connection: UpstreamConnection) -> None:
        """A connection is gone; called by the connection."""
        upstream = connection.upstream
        upstream.open -= 1
        try:
            upstream.idle.remove(connection)
        except ValueError:
            pass

    def answered(self, connection: UpstreamConnection) -> None:
        """See `IPool`."""
        marks = connection.upstream.marks
        if marks.failures:
            marks.answered()

    def unanswered(
        self,
        connection: UpstreamConnection,
        reason: str,
        detail: object,
        since: float | None = None,
    ) -> None:
        """See `IPool`."""
        upstream = connection.upstream
        if since is not None and upstream.has_answered_since(since):
            # What is slow by nature is no trouble of the address: else some who ask for just that
            # at the same time could have one address after the other spared.
            upstream.reports.tell(reason, detail)
        else:
            self.failed(upstream, reason, detail)

    def cut(self, connection: UpstreamConnection, detail: object) -> None:
        """See `IPool`."""
        connection.upstream.reports.tell("backend-cut", detail)

    def failed(self, upstream: Upstream, reason: str, detail: object) -> None:
        """An address did not do its part.

        :param reason: a reason word.
        :param detail: what went wrong, for the log.
        """
        upstream.reports.tell(reason, detail)
        # After a reload it is the next pool's to judge the addresses that they share.
        if self._closed or upstream not in self._lookouts:
            return
        if upstream.marks.failed(reason) and any(
            each is not upstream and not each.is_spared for each in self.upstreams
        ):
            seconds = upstream.marks.eject()
            log.warn(
                "{backend} at {address} is spared for {seconds:.0f} s after {failures}"
                " failures in a row; the last one: {reason}",
                backend=self.name,
                address=upstream.address,
                seconds=seconds,
                failures=upstream.marks.failures,
                reason=reason,
            )
            self.judged(upstream)

    # What `Dialling` and `Lookout` ask for.

    def candidates(self, tried: Sequence[Upstream]) -> list[Upstream]:
        """The addresses that are left to try, the best one first: those that may be used, then,
        because there is nothing to lose, those that are spared."""
        usable = [each for each in self._usable if each not in tried]
        if len(usable) > 1:
            one, other = self._two(usable)
            # Where both have nothing to do it is better to have a connection to each.
            first = min(one, other, key=lambda each: (each.busy, each.open))
            usable.remove(first)
            usable.insert(0, first)
        spared = [each for each in self.upstreams if each not in tried and each not in self._usable]
        return usable + spared

    def await_addresses(self, dialling: Dialling) -> None:
        """No address is known: tell when the name has been looked up."""
        self._unaddressed[dialling] = None
        self._book.look()

    def forget(self, dialling: Dialling) -> None:
        """It does not wait for addresses any more."""
        self._unaddressed.pop(dialling, None)

    def in_vain(self) -> None:
        """No address took a connection: the name may lead elsewhere by now."""
        self._book.look_soon()

    def judged(self, upstream: Upstream) -> None:
        """Whether an address may be used has changed."""
        if upstream in self._lookouts:
            self._lookouts[upstream].reconsider()
        self._sort_out()

    # Life.

    def start(self) -> None:
        """Begin to look names up and to check; without it names are looked up when a request
        needs them, and nothing is checked."""
        if self._started or self._closed:
            return
        self._started = True
        self._book.start()
        for lookout in self._lookouts.values():
            lookout.start()

    def inherit(self, former: Pool) -> None:
        """Take over what the pool of the configuration before has learned of the same addresses:
        what their names led to, and how they fared.  Connections stay with the former one, since
        keys and authorities may be others; but they are the same backend's, so that they count
        here, and who waits there waits before those who come now."""
        self._marks = {each.address: each.marks for each in former.upstreams}
        self._book.inherit(former._book)
        for upstream in self.upstreams:
            upstream.marks = self._marks.get(upstream.address, upstream.marks)
        self._take_over(self._book.known)
        self._marks = {}
        if self.backend.checks == former.backend.checks:
            bad = {each.address for each in former.upstreams if each.checked_bad}
            for upstream in self.upstreams:
                upstream.checked_bad = upstream.address in bad
        for lookout in self._lookouts.values():
            lookout.reconsider()
        self._sort_out()
        limits, self.places = self.backend.limits, former.places
        self._waiting = self.places.waiting
        self.places.resize(limits.requests, limits.queue)

    def refresh(self) -> None:
        """Our certificate, or by what backends are known, is another one: no connection that was
        made before serves one more request.  What is under way goes on."""
        if self._closed:
            return
        # As if each address had gone and come back, so that `put` need not know of it.
        former = self.upstreams
        self._marks = {each.address: each.marks for each in former}
        self._take_over(())
        self._take_over(tuple(self._marks))
        self._marks = {}
        for now, then in zip(self.upstreams, former, strict=True):
            now.checked_bad, now.checked_at, now.dials = (
                then.checked_bad,
                then.checked_at,
                then.dials,
            )
        for lookout in self._lookouts.values():
            lookout.reconsider()
        self._sort_out()

    def close(self) -> None:
        """Close what is idle, and from now on whatever comes back.  What is under way goes on,
        and what waits has its turn; nothing is looked up or checked any more."""
        self._closed = True
        self._book.close()
        for lookout in self._lookouts.values():
            lookout.stop()
        self._sort_out()
        for upstream in self.upstreams:
            upstream.drop_idle()

    def figures(self) -> PoolFigures:
        """How addresses and queue are just now: for `/status` and `/metrics`; plain frozen values,
        a few microseconds for each address."""
        return PoolFigures(
            backend=self.name,
            addresses=tuple(each.figures() for each in self.upstreams),
            limit=self.places.limit,
            taken=self.places.taken,
            queued=len(self._waiting),
            queue=self.places.room,
            turned_away=self.places.turned_away,
            waited_in_vain=self.places.waited_in_vain,
            looked_up_at=self._book.looked_up_at,
            look_up_failures=self._book.failures,
        )

    def _pass_on(self, connection: UpstreamConnection) -> None:
        """Give a connection to the first one who waits, or close it."""
        connection.current = None
        if not self._waiting or connection.upstream not in self._usable or self._closed:
            # Once closed, the first one who waits may be another pool's.
            connection.close()
        elif not connection.is_quiet():
            connection.abort()
        else:
            connection.read_on(True)
            self.places.first().given(connection)

    def _choice(self) -> Upstream:
        one, other = self._two(self._usable)
        return other if other.busy < one.busy else one

    def _two(self, among: list[Upstream]) -> tuple[Upstream, Upstream]:
        """Two of at least two, drawn by lot."""
        count = len(among)
        first = int(self.chance() * count)
        second = int(self.chance() * (count - 1))
        return among[first], among[second if second < first else second + 1]

    def _looked_up(self) -> None:
        self._take_over(self._book.known)
        waiting, self._unaddressed = self._unaddressed, {}
        for dialling in waiting:
            dialling.looked_up()

    def _take_over(self, addresses: Sequence[UpstreamAddress]) -> None:
        """These are the backend's addresses now."""
        known = {each.address: each for each in self.upstreams}
        if tuple(known) == tuple(addresses):
            return
        for address, upstream in known.items():
            if address not in addresses:
                self._lookouts.pop(upstream).stop()
                upstream.room = 0
                upstream.drop_idle()
        self.upstreams = tuple(known.get(address) or self._new(address) for address in addresses)
        self._sort_out()

    def _new(self, address: UpstreamAddress) -> Upstream:
        seconds = self._reactor.seconds
        upstream = Upstream(
            address,
            self._reactor,
            self._creator,
            self._transports,
            self.deadlines,
            self._marks.get(address) or Marks(seconds, self.chance),
            Reports(self.name, address, seconds),
        )
        lookout = self._lookouts[upstream] = Lookout(self, upstream)
        if self._closed:
            lookout.stop()
        elif self._started:
            lookout.start()
        return upstream

    def _sort_out(self) -> None:
        """Work out which addresses may be used, and how many connections each may keep."""
        usable = [each for each in self.upstreams if not each.is_spared]
        # When all have failed, any of them may be the first to be back.
        self._usable = usable or list(self.upstreams)
        self._only = self._usable[0] if len(self._usable) == 1 else None
        room = 0
        if self._usable and self._max_idle and not self._closed:
            room = max(1, self._max_idle // len(self._usable))
        for upstream in self.upstreams:
            upstream.room = room if upstream in self._usable else 0
            if not upstream.room:
                upstream.drop_idle()
