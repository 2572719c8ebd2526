"""The supervisor: holds the sockets, and leads the workers.

What goes wrong in a worker never reaches the others: before anything is put in force all have
prepared it, and who dies is replaced, with whatever is in force then.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import attrs
from twisted.application.service import Service
from twisted.internet.defer import Deferred, DeferredList, ensureDeferred, succeed

from toolforge_gateway.config.values import Configuration
from toolforge_gateway.errors import Complaint, ConfigurationError
from toolforge_gateway.listen.sockets import Place, Sockets
from toolforge_gateway.openings import operators_place
from toolforge_gateway.reload import Change
from toolforge_gateway.service import CannotListen
from toolforge_gateway.transport.turns import Board
from toolforge_gateway.workers.count import usable_cpus
from toolforge_gateway.workers.crew import Crew
from toolforge_gateway.workers.held import Held
from toolforge_gateway.workers.member import Member, agreed
from toolforge_gateway.workers.roles import IsToldOfAll, Operators
from toolforge_gateway.workers.spawn import Spawn


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
        self._reactor = reactor
        self._held = Held(sockets or Sockets(reactor), reactor)
        self._cpus = cpus
        self._check = check
        self._crew = Crew(
            configuration,
            self._wanted(configuration),
            spawn,
            reactor,
            board,
            records,
            self._held.of_workers,
        )
        self._opened = False
        self.operators: Operators | None = None
        self.leaving = False

    @property
    def configuration(self) -> Configuration:
        """What is in force."""
        return self._crew.configuration

    @property
    def count(self) -> int:
        """How many workers there are to be."""
        return self._crew.count

    @property
    def generation(self) -> int:
        """Which generation of workers serves; the first is 1."""
        return self._crew.generation

    @property
    def deaths(self) -> int:
        """How many workers have ended without being asked to."""
        return self._crew.deaths

    @property
    def ready(self) -> Deferred[None]:
        """Fires when all workers serve for the first time."""
        return self._crew.complete

    # IService.

    def privilegedStartService(self) -> None:
        """Open the sockets; twistd calls this before it drops privileges.

        :raise CannotListen: which endpoint, and why.
        """
        try:
            self._held.open(self.configuration)
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
        self._crew.begin()

    def stopService(self) -> Deferred[None]:
        """Have all workers drain.

        :return: fires when the last one has ended.
        """
        super().stopService()
        self.leaving = True
        # Before the workers close theirs: who connects to a socket on which nobody accepts any
        # more would wait in vain.
        lame_duck = self.configuration.timeouts.lame_duck
        closing = None
        if lame_duck:
            closing = self._reactor.callLater(lame_duck, self._turn_away)
        else:
            self._turn_away()
        return self._crew.end().addCallback(lambda _: self._stopped(closing))

    def _turn_away(self) -> None:
        self._held.turn_away(self.configuration)

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
        return self._crew.ask(question)

    def workers(self) -> tuple[str, ...]:
        """See `leading.Led`."""
        return self._crew.said()

    def hindrance(self) -> str | None:
        """Why nobody serves what comes, in a word; None: somebody does.

        Where no worker has got ready callers would wait: whoever balances load should know.
        """
        if self.leaving:
            return "draining"
        return None if self._crew.serves else "starting"

    def reopen_logs(self) -> None:
        """Have all open their logs' files anew."""
        self._crew.reopen_logs()

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
        await self._crew.all_have_begun()
        count = self._wanted(configuration)
        staying = self._crew.seated(count)
        if not staying:
            # All are dead, perhaps over this very configuration: it is not taken unseen.
            self._check(configuration)

        async def commit() -> None:
            self._put_in_force(configuration, count)
            await DeferredList([ensureDeferred(member.commit()) for member in staying])
            await self._crew.settle()

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
        generation = self._crew.generation + 1
        coming: list[Member] = []
        try:
            for index in range(count):
                coming.append(self._crew.new(index, generation))
            await self._prepare_in(coming, configuration, count)
        except BaseException:
            for member in coming:
                member.kill()
            raise

        async def commit() -> None:
            self._crew.generation = generation
            self._put_in_force(configuration, count)
            # They serve beside those whom they relieve for a moment, so that somebody always does.
            await DeferredList([ensureDeferred(member.commit()) for member in coming])
            self._crew.relieve(coming)
            await self._crew.settle()

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
        self._crew.go_by(configuration, count)
        self._serve_operators()
        self._held.keep(configuration)

    def _wanted(self, configuration: Configuration) -> int:
        assert configuration.workers is not None, "else there is no supervisor"
        number = configuration.workers.number
        return self._cpus() if number == "auto" else number

    def _serve_operators(self) -> None:
        if self.operators is None:
            return
        operations = self.configuration.operations
        place = None if operations is None else operators_place(operations)
        self.operators.serve(place, self._held.sockets)
