"""All workers that there are: who has which seat, who comes, who drains."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import count as numbers
from socket import socket as Socket
from typing import Any

from twisted.internet.defer import Deferred, DeferredList, ensureDeferred, succeed
from twisted.logger import Logger

from toolforge_gateway.config.values import Configuration
from toolforge_gateway.control.commands import Impossible
from toolforge_gateway.listen.sockets import Place
from toolforge_gateway.transport.turns import Board
from toolforge_gateway.workers.member import Member, State
from toolforge_gateway.workers.roles import IsToldOfAll
from toolforge_gateway.workers.seat import Seat
from toolforge_gateway.workers.spawn import Spawn
from toolforge_gateway.workers.together import Together

log = Logger()


class Crew:
    """Has all seats taken by workers who go by what is in force.

    :param configuration: the first one.
    :param count: how many workers there are to be.
    :param spawn: spawns one.
    :param clock: IReactorTime.
    :param board: numbers them.
    :param records: keeps what they measure.
    :param sockets: what they listen on by a configuration.

    :ivar configuration: what is in force.
    :ivar generation: of those who have the seats; the first is 1.
    :ivar deaths: how many have ended without being asked to.
    :ivar complete: fires when all serve for the first time.
    """

    def __init__(
        self,
        configuration: Configuration,
        count: int,
        spawn: Spawn,
        clock: Any,
        board: Board,
        records: IsToldOfAll,
        sockets: Callable[[Configuration], Mapping[Place, Socket]],
    ):
        self.configuration = configuration
        self.count = count
        self.generation = 1
        self.deaths = 0
        self.complete: Deferred[None] = Deferred()
        self._spawn = spawn
        self._clock = clock
        self._board = board
        self._records = records
        self._sockets = sockets
        self._seats: list[Seat] = []
        self._members: set[Member] = set()
        self._beginning: dict[Member, Deferred[None]] = {}
        self._serial = numbers(1)
        self._ending = False

    # How it is.

    def seated(self, first: int) -> list[Member]:
        """Who serves, of those who have the first seats."""
        members = [seat.member for seat in self._seats[:first]]
        return [member for member in members if member is not None and member.is_ready]

    @property
    def serves(self) -> bool:
        """Whether anybody does."""
        return any(each.state is State.READY for each in self._members)

    def said(self) -> tuple[str, ...]:
        """How each is, a line for a person."""
        seated = {seat.member for seat in self._seats}
        leaving = sorted(self._members - seated, key=lambda member: member.serial)
        return (
            *(seat.said() for seat in self._seats),
            *(member.said() for member in leaving),
        )

    def ask(self, question: dict[str, Any]) -> Deferred[dict[str, Any]]:
        """Have one explain.

        :raise Impossible: nobody is ready.
        """
        for member in self.seated(len(self._seats)):
            return member.ask(question)
        raise Impossible("no worker is ready")

    def reopen_logs(self) -> None:
        """Have all open their logs' files anew."""
        for member in self._members:
            if member.state in (State.READY, State.DRAINING):
                member.reopen()

    # Coming and going.

    def begin(self) -> None:
        """Fill all seats for the first time."""
        together = Together(self.count, self._clock)
        self._seats = [self._seat(index) for index in range(self.count)]
        for seat in self._seats:
            self._fill(seat, together)

    def all_have_begun(self) -> Deferred[Any]:
        """Fires when nobody is about to begin, or to fail at it."""
        return DeferredList(list(self._beginning.values()))

    def new(self, index: int, generation: int) -> Member:
        """Somebody who has no seat yet."""
        number = self._board.take()
        member = Member(
            next(self._serial),
            index,
            generation,
            number,
            self._spawn,
            self._clock,
            self._records.told,
            self._records.whole,
            self._gone,
        )
        self._members.add(member)
        return member

    def go_by(self, configuration: Configuration, count: int) -> None:
        """Have this in force; who has a seat is told by somebody else, and `settle` follows."""
        self.configuration, self.count = configuration, count
        for seat in self._seats[count:]:
            member = seat.close()
            if member is not None:
                member.drain(relieved=True)
        del self._seats[count:]
        while len(self._seats) < count:
            self._seats.append(self._seat(len(self._seats)))

    def relieve(self, coming: list[Member]) -> None:
        """Give the seats to others; who had them drains."""
        for seat, member in zip(self._seats, coming, strict=True):
            former = seat.take(member)
            if former is not None:
                former.drain(relieved=True)

    async def settle(self) -> None:
        """Have all seats taken by who goes by what is in force."""
        for seat in self._seats:
            member = seat.member
            if member is None:
                seat.hurry()
            elif not self._goes_by_it(member):
                self._fill(seat)
        await self.all_have_begun()

    def end(self) -> Deferred[Any]:
        """Have all drain, and nobody come any more; fires when the last one has ended."""
        self._ending = True
        for seat in self._seats:
            seat.close()
        over = [member.over() for member in self._members]
        for member in tuple(self._members):
            member.drain(relieved=False)
        return DeferredList(over or [succeed(None)])

    # Within.

    def _goes_by_it(self, member: Member) -> bool:
        """Whether a worker goes by what is in force, or is about to."""
        if member in self._beginning:
            return member.asked is self.configuration
        return member.is_ready and member.configuration is self.configuration

    def _seat(self, index: int) -> Seat:
        return Seat(index, self._fill, self._clock)

    def _fill(self, seat: Seat, together: Together | None = None) -> None:
        """Somebody for a seat, by what is in force.

        :param together: with whom they are to begin.
        """
        if self._ending:
            return
        member = self.new(seat.index, self.generation)
        former = seat.take(member)
        if former is not None:
            self.deaths += former.killed
            former.kill()
        begun = ensureDeferred(self._begin(member, together))
        self._beginning[member] = begun
        begun.addErrback(self._cannot_begin, member)
        begun.addBoth(lambda _: self._begun(member))

    async def _begin(self, member: Member, together: Together | None) -> None:
        configuration = self.configuration
        complaints = await member.prepare(configuration, self.count, self._sockets(configuration))
        if together is not None:
            await together.wait()
        for complaint in complaints:
            log.error("{name} cannot begin: {complaint}", name=member.name, complaint=complaint)
        if complaints or configuration is not self.configuration:
            member.kill()
        else:
            await member.commit()

    def _cannot_begin(self, failure: Any, member: Member) -> None:
        log.failure("{name} could not begin", failure, name=member.name)
        member.kill()

    def _begun(self, member: Member) -> None:
        del self._beginning[member]
        if member.is_ready:
            log.info("{name} serves (pid {pid})", name=member.name, pid=member.pid)
        all_ready = len(self.seated(self.count)) == self.count
        if all_ready and not self.complete.called and not self._ending:
            self.complete.callback(None)

    def _gone(self, member: Member) -> None:
        seated = any(seat.member is member for seat in self._seats)
        if seated and not self._ending:
            self.deaths += 1
        else:
            log.info(
                "{name} (pid {pid}) has ended: {how}",
                name=member.name,
                pid=member.pid,
                how=member.how,
            )
        self._members.discard(member)
        self._board.free(member.number)
        self._records.gone(member)
        if member.index < len(self._seats):
            self._seats[member.index].lost(member)
