"""The supervisor: holds the sockets, and leads the workers.

What goes wrong in a worker never reaches the others: before anything is put in force all have
prepared it, and who dies is replaced, with whatever is in force then.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import count as numbers
from typing import Any

import attrs
from twisted.application.service import Service
from twisted.internet.defer import Deferred, DeferredList, ensureDeferred, succeed
from twisted.logger import Logger

from toolforge_gateway.config.values import Configuration
from toolforge_gateway.control.commands import Impossible
from toolforge_gateway.errors import Complaint, ConfigurationError
from toolforge_gateway.listen.sockets import Place, Sockets
from toolforge_gateway.openings import operators_place
from toolforge_gateway.reload import Change
from toolforge_gateway.service import CannotListen
from toolforge_gateway.transport.turns import Board
from toolforge_gateway.workers.count import usable_cpus
from toolforge_gateway.workers.held import Held
from toolforge_gateway.workers.member import Member, State, agreed
from toolforge_gateway.workers.roles import IsToldOfAll, Operators
from toolforge_gateway.workers.seat import Seat
from toolforge_gateway.workers.spawn import Spawn
from toolforge_gateway.workers.together import Together

log = Logger()


@attrs.frozen
class _Change:
    """See `reload.Change`."""

    commit: Callable[[], Deferred[None]]
    abandon: Callable[[], None]


class Supervisor(Service):
    """Leads workers while it runs; stopping has them drain.

    :param configuration: the first one; all of it has been checked.
    :param spawn: spawns a worker.
    :param reactor: IReactorTime and what `Sockets` needs.
    :param board: numbers workers.
    :param records: keeps what the workers measure.
    :param cpus: how many workers `auto` is.
    :param check: raises ConfigurationError for what a worker would not take; asked where there is
        no worker who could say so.

    :ivar operators: serves the operations port; None: nobody does.
    :ivar deaths: how many workers have ended without being asked to.
    :ivar ready: fires when all workers serve for the first time.
    :ivar leaving: whether it is about to end.
    """

    name = "supervisor"

    def __init__(
        self,
        configuration: Configuration,
        spawn: Spawn,
        reactor: Any,
        board: Board,
        records: IsToldOfAll,
        sockets: Sockets | None = None,
        cpus: Callable[[], int] = usable_cpus,
        check: Callable[[Configuration], object] = lambda configuration: None,
    ):
        self._configuration = configuration
        self._spawn = spawn
        self._reactor = reactor
        self._board = board
        self.operators: Operators | None = None
        self._records = records
        self._held = Held(sockets or Sockets(reactor), reactor)
        self._cpus = cpus
        self._check = check
        self._count = self._wanted(configuration)
        self._seats: list[Seat] = []
        self._members: set[Member] = set()
        self._beginning: dict[Member, Deferred[None]] = {}
        self._serial = numbers(1)
        self._generation = 1
        self.deaths = 0
        self._opened = False
        self.leaving = False
        self.ready: Deferred[None] = Deferred()

    @property
    def configuration(self) -> Configuration:
        """What is in force."""
        return self._configuration

    @property
    def count(self) -> int:
        """How many workers there are to be."""
        return self._count

    @property
    def generation(self) -> int:
        """Which generation of workers serves; the first is 1."""
        return self._generation

    # IService.

    def privilegedStartService(self) -> None:
        """Open the sockets; twistd calls this before it drops privileges.

        :raise CannotListen: which endpoint, and why.
        """
        try:
            self._held.open(self._configuration)
        except ConfigurationError as error:
            sentences = [f"{each.what}; {each.remedy}" for each in error.complaints]
            raise CannotListen("\n".join(sentences)) from None
        self._opened = True

    def startService(self) -> None:
        """Spawn the workers."""
        if not self._opened:
            self.privilegedStartService()
        super().startService()
        self._serve_operators()
        self._seat(self._count)

    def stopService(self) -> Deferred[None]:
        """Have all workers drain.

        :return: fires when the last one has ended.
        """
        super().stopService()
        self.leaving = True
        for seat in self._seats:
            seat.close()
        over = [member.over() for member in self._members]
        # Before the workers close theirs: who connects to a socket on which nobody accepts any
        # more would wait in vain.
        lame_duck = self._configuration.timeouts.lame_duck
        closing = None
        if lame_duck:
            closing = self._reactor.callLater(lame_duck, self._turn_away)
        else:
            self._turn_away()
        for member in tuple(self._members):
            member.drain(relieved=False)
        return DeferredList(over or [succeed(None)]).addCallback(lambda _: self._stopped(closing))

    def _turn_away(self) -> None:
        self._held.turn_away(self._configuration)

    def _stopped(self, closing: Any) -> Any:
        if closing is not None and closing.active():
            closing.cancel()
        stopped = self.operators.stop() if self.operators is not None else succeed(None)
        self._held.sockets.close_all()
        return stopped

    # leading.Led.

    def prepare(self, configuration: Configuration) -> Deferred[Change]:
        """Have all workers prepare a configuration."""
        return ensureDeferred(self._prepare(configuration, self._prepare_all))

    def restarting(self, configuration: Configuration) -> Deferred[Change]:
        """Have new workers prepare it."""
        return ensureDeferred(self._prepare(configuration, self._prepare_generation))

    def explain(self, question: dict[str, Any]) -> Deferred[dict[str, Any]]:
        """Ask a worker.

        :raise Impossible: none is ready.
        """
        for seat in self._seats:
            if seat.member is not None and seat.member.is_ready:
                return seat.member.ask(question)
        raise Impossible("no worker is ready")

    def workers(self) -> tuple[str, ...]:
        """See `leading.Led`."""
        seated = {seat.member for seat in self._seats}
        leaving = sorted(self._members - seated, key=lambda member: member.serial)
        return (
            *(seat.said() for seat in self._seats),
            *(member.said() for member in leaving),
        )

    def hindrance(self) -> str | None:
        """Why nobody serves what comes, in a word; None: somebody does.

        Where no worker has got ready callers would wait: whoever balances load should know.
        """
        if self.leaving:
            return "draining"
        if any(each.state is State.READY for each in self._members):
            return None
        return "starting"

    def reopen_logs(self) -> None:
        """Have all open their logs' files anew."""
        for member in self._members:
            if member.state in (State.READY, State.DRAINING):
                member.reopen()

    @property
    def addresses(self) -> Mapping[Place, Any]:
        """Where the sockets are that it holds."""
        return {place: each.getsockname() for place, each in self._held.sockets.held().items()}

    # Taking up a configuration.

    async def _prepare(self, configuration: Configuration, prepare: Any) -> Change:
        """:raise ConfigurationError: with all complaints."""
        if configuration.workers is None:
            raise ConfigurationError(
                [
                    Complaint(
                        str(configuration.file),
                        None,
                        "workers",
                        "has gone, and a supervisor cannot become one process by itself",
                        "write workers: 1, or restart the service",
                    )
                ]
            )
        opened = self._held.open(configuration)
        try:
            commit, abandon = await prepare(configuration)
        except BaseException:
            self._held.close(opened)
            raise

        def abandoned() -> None:
            abandon()
            self._held.close(opened)

        return _Change(commit, abandoned)

    async def _prepare_all(self, configuration: Configuration) -> Any:
        """Have those who serve prepare."""
        await DeferredList(list(self._beginning.values()))
        count = self._wanted(configuration)
        staying = [
            seat.member
            for seat in self._seats[:count]
            if seat.member is not None and seat.member.is_ready
        ]
        if not staying:
            # All are dead, perhaps over this very configuration: it is not taken unseen.
            self._check(configuration)

        async def commit() -> None:
            self._put_in_force(configuration, count)
            await DeferredList([ensureDeferred(member.commit()) for member in staying])
            await self._settle()

        def abandon() -> None:
            for member in staying:
                member.abandon()

        try:
            await self._prepare_in(staying, configuration, count)
        except BaseException:
            abandon()
            raise
        return (lambda: ensureDeferred(commit())), abandon

    async def _prepare_generation(self, configuration: Configuration) -> Any:
        """Have new ones prepare, who then take over from all others."""
        count = self._wanted(configuration)
        generation = self._generation + 1
        coming: list[Member] = []
        try:
            for index in range(count):
                coming.append(self._new(index, generation))
            await self._prepare_in(coming, configuration, count)
        except BaseException:
            for member in coming:
                member.kill()
            raise

        async def commit() -> None:
            self._generation = generation
            self._put_in_force(configuration, count)
            # They serve beside those whom they relieve for a moment, so that somebody always does.
            await DeferredList([ensureDeferred(member.commit()) for member in coming])
            for seat, member in zip(self._seats, coming, strict=True):
                former = seat.take(member)
                if former is not None:
                    former.drain(relieved=True)
            await self._settle()

        def abandon() -> None:
            for member in coming:
                member.kill()

        return (lambda: ensureDeferred(commit())), abandon

    async def _prepare_in(
        self, members: list[Member], configuration: Configuration, count: int
    ) -> None:
        """:raise ConfigurationError: any of them cannot; then none has."""
        sockets = self._held.of_workers(configuration)
        answers: Any = await DeferredList(
            [ensureDeferred(member.prepare(configuration, count, sockets)) for member in members],
            fireOnOneErrback=True,
            consumeErrors=True,
        )
        complaints: list[Complaint] = []
        for _, answer in answers:
            complaints.extend(answer)
        if complaints:
            raise ConfigurationError(agreed(complaints))

    def _put_in_force(self, configuration: Configuration, count: int) -> None:
        self._configuration, self._count = configuration, count
        self._serve_operators()
        self._held.keep(configuration)
        for seat in self._seats[count:]:
            member = seat.close()
            if member is not None:
                member.drain(relieved=True)
        del self._seats[count:]
        while len(self._seats) < count:
            self._seats.append(Seat(len(self._seats), self._fill, self._reactor))

    async def _settle(self) -> None:
        """Have all seats taken by who goes by what is in force."""
        for seat in self._seats:
            member = seat.member
            if member is None:
                seat.hurry()
            elif not self._goes_by_it(member):
                self._fill(seat)
        await DeferredList(list(self._beginning.values()))

    def _goes_by_it(self, member: Member) -> bool:
        """Whether a worker goes by what is in force, or is about to."""
        if member in self._beginning:
            return member.asked is self._configuration
        return member.is_ready and member.configuration is self._configuration

    # Workers.

    def _seat(self, count: int) -> None:
        """Fill all seats for the first time."""
        together = Together(count, self._reactor)
        self._seats = [Seat(index, self._fill, self._reactor) for index in range(count)]
        for seat in self._seats:
            self._fill(seat, together)

    def _fill(self, seat: Seat, together: Together | None = None) -> None:
        """Somebody for a seat, by what is in force.

        :param together: with whom they are to begin.
        """
        if self.leaving:
            return
        member = self._new(seat.index, self._generation)
        former = seat.take(member)
        if former is not None:
            former.kill()
        begun = ensureDeferred(self._begin(member, together))
        self._beginning[member] = begun
        begun.addErrback(lambda failure: log.failure("a worker could not begin", failure))
        begun.addBoth(lambda _: self._begun(member))

    async def _begin(self, member: Member, together: Together | None) -> None:
        configuration = self._configuration
        complaints = await member.prepare(
            configuration, self._count, self._held.of_workers(configuration)
        )
        if together is not None:
            await together.wait()
        for complaint in complaints:
            log.error("{name} cannot begin: {complaint}", name=member.name, complaint=complaint)
        if complaints or configuration is not self._configuration:
            member.kill()
        else:
            await member.commit()

    def _begun(self, member: Member) -> None:
        del self._beginning[member]
        if member.is_ready:
            log.info("{name} serves (pid {pid})", name=member.name, pid=member.pid)
        seated = [seat.member for seat in self._seats]
        all_ready = all(each is not None and each.is_ready for each in seated)
        if all_ready and not self.ready.called and not self.leaving:
            self.ready.callback(None)

    def _new(self, index: int, generation: int) -> Member:
        number = self._board.take()
        member = Member(
            next(self._serial),
            index,
            generation,
            number,
            self._spawn,
            self._reactor,
            self._records.told,
            self._records.whole,
            self._gone,
        )
        self._members.add(member)
        return member

    def _gone(self, member: Member) -> None:
        seated = any(seat.member is member for seat in self._seats)
        if seated and not self.leaving:
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

    def _wanted(self, configuration: Configuration) -> int:
        assert configuration.workers is not None, "else there is no supervisor"
        number = configuration.workers.number
        return self._cpus() if number == "auto" else number

    def _serve_operators(self) -> None:
        if self.operators is None:
            return
        operations = self._configuration.operations
        place = None if operations is None else operators_place(operations)
        self.operators.serve(place, self._held.sockets)
