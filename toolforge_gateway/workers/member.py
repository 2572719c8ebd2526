"""One worker as its supervisor knows it, from its spawning to its end."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Mapping
from socket import socket as Socket
from typing import Any

import attrs
from twisted.internet.defer import Deferred, TimeoutError
from twisted.internet.error import ConnectionClosed
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.protocols.amp import RemoteAmpError

from toolforge_gateway.config.values import Configuration
from toolforge_gateway.errors import Complaint
from toolforge_gateway.listen.sockets import Place
from toolforge_gateway.workers.spawn import Process, Spawn
from toolforge_gateway.workers.wire import Abandon, Ask, Commit, Drain, Ping, Prepare, Reopen, Take

log = Logger()

PREPARING = 60.0
"""Seconds that a worker may take to get ready for a configuration, its start among them; and one
more for each of the others, with whom it shares the processors."""
COMMITTING = 30.0
ASKED = 30.0
BETWEEN_PINGS = 5.0
HUNG = 30.0
"""Seconds without an answer to a ping after which a worker is taken for hung."""
LAST_WORDS = 1.0
"""Seconds that a hung worker has to say where it hangs."""
OVERTIME = 10.0
"""Seconds that a worker may take to end after all its deadlines have passed."""


class State(enum.Enum):
    """How far a worker is."""

    STARTING = "starting"
    READY = "ready"
    DRAINING = "draining"
    GONE = "gone"


@attrs.frozen
class Part:
    """Which of the workers it is: its share of the limits goes by that."""

    index: int
    """From 0."""
    count: int


class Member:
    """One worker.

    :param serial: no other worker has or had it.
    :param index: its place among the workers, from 0.
    :param generation: how manieth workers these are, from 1.
    :param number: its own on the board.
    :param clock: IReactorTime.
    :param told: called with its figures.
    :param whole: tells the figures of all.
    :param gone: called with it when it has ended.

    :ivar configuration: what it goes by; None before it serves.
    :ivar asked: what it was asked last to prepare.
    :ivar killed: whether its supervisor has killed it; it may take a moment to end.
    :ivar how: how it ended; "" before.
    :ivar pid: of its process; None: it could not be spawned.
    """

    def __init__(
        self,
        serial: int,
        index: int,
        generation: int,
        number: int,
        spawn: Spawn,
        clock: Any,
        told: Callable[[Member, bytes], None],
        whole: Callable[[], bytes],
        gone: Callable[[Member], None],
    ):
        self.serial = serial
        self.index = index
        self.generation = generation
        self.number = number
        self.name = f"worker {index + 1}"
        self.state = State.STARTING
        self.since = clock.seconds()
        self.configuration: Configuration | None = None
        self.how = ""
        self._clock = clock
        self._told = told
        self._whole = whole
        self._gone = gone
        self._held: frozenset[Place] = frozenset()
        self._given: frozenset[Place] = frozenset()
        self._prepared: Configuration | None = None
        self.asked: Configuration | None = None
        self._waiting: list[Deferred[None]] = []
        self._pings = LoopingCall(self._ping)
        self._pings.clock = clock
        self._pinged: float | None = None
        self.killed = False
        self._ours = False
        self._patience: Any = None
        self._process: Process = spawn(self, number)
        self.pid = self._process.pid

    def __repr__(self) -> str:
        return f"<{self.name}, generation {self.generation}, {self.state.value}>"

    def said(self) -> str:
        """How it is, for a person."""
        seconds = self._clock.seconds() - self.since
        text = f"{self.name}: pid {self.pid}, {self.state.value} for {seconds:.0f} s"
        if self.configuration is not None:
            text += f", configuration {self.configuration.version}"
        return f"{text}, generation {self.generation}"

    @property
    def is_ready(self) -> bool:
        """Whether it serves, and will."""
        return self.state is State.READY and not self.killed

    # What it is told to do.

    async def prepare(
        self, configuration: Configuration, count: int, sockets: Mapping[Place, Socket]
    ) -> tuple[Complaint, ...]:
        """Have it get ready for a configuration.

        :param count: how many workers there are.
        :param sockets: all that a worker listens on by it.
        :return: why it cannot; nothing is prepared then.
        """
        self.asked = configuration
        patience = PREPARING + count - 1
        try:
            for place in sorted(sockets.keys() - self._held):
                await self._call(
                    Take,
                    patience,
                    endpoint=place.endpoint,
                    number=place.number,
                    purpose=place.purpose,
                    descriptor=sockets[place].fileno(),
                )
            answer = await self._call(
                Prepare,
                patience,
                file=str(configuration.file),
                text=configuration.text,
                index=self.index,
                count=count,
            )
        except RemoteAmpError:
            # It lives, and goes on with what it has: with no descriptor left for another socket,
            # say.
            self._forget()
            what = "could not get ready"
            return (self._complaint(configuration, what, "; a restart brings new ones"),)
        except Exception as error:
            return (self._lost(configuration, error, patience),)
        if not answer["complaints"] and answer["version"] != configuration.version:
            return (self._complaint(configuration, "has read another configuration"),)
        if not answer["complaints"]:
            self._prepared, self._given = configuration, frozenset(sockets)
        return tuple(Complaint(*each) for each in answer["complaints"])

    async def commit(self) -> bool:
        """Have it go by what it has prepared.

        :return: whether it does; otherwise it is being killed.
        """
        configuration, self._prepared = self._prepared, None
        try:
            await self._call(Commit, COMMITTING)
        except Exception as error:
            log.error("{name} does not serve: {error}", name=self.name, error=error)
            self.kill()
            return False
        if self.state is State.GONE:
            return False
        self.configuration, self._held = configuration, self._given
        if self.state is State.STARTING:
            self._become(State.READY)
            self._pings.start(BETWEEN_PINGS, now=False)
        return True

    def abandon(self) -> None:
        """Have it forget what it has prepared, if it has."""
        prepared, self._prepared = self._prepared, None
        if prepared is not None:
            self._forget()

    def drain(self, relieved: bool) -> None:
        """Have it serve what runs, and end; kill it when it does not within its deadlines.

        :param relieved: whether others serve in its stead.
        """
        if self.state is State.STARTING or self.configuration is None:
            self.kill()
        if self.state is State.DRAINING and not relieved:
            self._drain(relieved)
        if self.state is not State.READY:
            return
        timeouts = self.configuration.timeouts if self.configuration is not None else None
        patience = OVERTIME
        if timeouts is not None:
            patience += timeouts.drain + (0 if relieved else timeouts.lame_duck)
        self._become(State.DRAINING)
        self._wait(patience, self._overdue)
        self._drain(relieved)

    def reopen(self) -> None:
        """Have it open its log's file anew."""
        self._call(Reopen, ASKED).addErrback(self._does_not, "open its log anew")

    def ask(self, question: dict[str, Any]) -> Deferred[dict[str, Any]]:
        """Have it explain; see `control.commands.Explain`."""
        asked = self._call(Ask, ASKED, question=question)
        return asked.addCallback(lambda answer: answer["explanation"])

    def kill(self, ends: bool = False) -> None:
        """End it at once.

        :param ends: whether it seems to end by itself, and is not to say that we have killed it.
        """
        if self.state is not State.GONE and not self.killed:
            self.killed, self._ours = True, not ends
            self._process.signal("KILL")

    def over(self) -> Deferred[None]:
        """Fires when it has ended."""
        waiting: Deferred[None] = Deferred()
        if self.state is State.GONE:
            waiting.callback(None)
        else:
            self._waiting.append(waiting)
        return waiting

    # What its process tells.

    def told(self, figures: bytes) -> None:
        """See `spawn.IsTold`."""
        self._told(self, figures)

    def whole(self) -> bytes:
        """See `spawn.IsTold`."""
        return self._whole()

    def ended(self, how: str) -> None:
        """See `spawn.IsTold`."""
        # Somebody else's SIGKILL, such as the kernel's, is something else to look into than ours.
        ours = self._ours and how == "killed by SIGKILL"
        self.how = "killed by its supervisor" if ours else how
        self._become(State.GONE)
        if self._pings.running:
            self._pings.stop()
        self._no_longer()
        waiting, self._waiting = self._waiting, []
        self._gone(self)
        for each in waiting:
            each.callback(None)

    # Within.

    def _become(self, state: State) -> None:
        self.state = state
        self.since = self._clock.seconds()

    def _wait(self, seconds: float, then: Callable[[], object]) -> None:
        """Do this at last, and nothing that was to be done before."""
        self._no_longer()
        self._patience = self._clock.callLater(seconds, then)

    def _no_longer(self) -> None:
        if self._patience is not None and self._patience.active():
            self._patience.cancel()

    def _call(self, command: Any, patience: float, **arguments: Any) -> Deferred[dict[str, Any]]:
        return self._process.call(command, **arguments).addTimeout(patience, self._clock)

    def _drain(self, relieved: bool) -> None:
        self._call(Drain, ASKED, relieved=relieved).addErrback(self._does_not, "drain")

    def _forget(self) -> None:
        self._call(Abandon, ASKED).addErrback(self._does_not, "go on")

    def _lost(self, configuration: Configuration, error: Exception, patience: float) -> Complaint:
        """The complaint about a worker that gives no answer; it is of no use any more."""
        what = "ended before it was ready"
        if isinstance(error, TimeoutError):
            what = f"did not get ready within {patience:g} seconds"
        elif not isinstance(error, ConnectionClosed):
            log.failure("{name} could not be asked to get ready", name=self.name)
        self.kill(ends=isinstance(error, ConnectionClosed))
        return self._complaint(configuration, what)

    def _complaint(self, configuration: Configuration, what: str, more: str = "") -> Complaint:
        remedy = f"its lines in the log say why{more}"
        return Complaint(str(configuration.file), None, "", f"{self.name} {what}", remedy)

    def _does_not(self, failure: Any, what: str) -> None:
        if self.state is not State.GONE and not self.killed:
            log.error(
                "{name} does not {what}: {error}",
                name=self.name,
                what=what,
                error=failure.getErrorMessage(),
            )
            self.kill()

    def _ping(self) -> None:
        now = self._clock.seconds()
        if self._pinged is None:
            self._pinged = now
            self._process.call(Ping).addCallbacks(self._pong, lambda _: None)
        elif now - self._pinged >= HUNG:
            self._pings.stop()
            log.critical(
                "{name} (pid {pid}) has given no sign of life for {seconds:.0f} seconds: it is "
                "killed",
                name=self.name,
                pid=self.pid,
                seconds=now - self._pinged,
            )
            self._process.signal("USR2")  # it says where it hangs
            self._wait(LAST_WORDS, self.kill)

    def _pong(self, _: object) -> None:
        self._pinged = None

    def _overdue(self) -> None:
        log.error(
            "{name} (pid {pid}) has not ended long after it should have: it is killed",
            name=self.name,
            pid=self.pid,
        )
        self.kill()


def agreed(complaints: Iterable[Complaint]) -> tuple[Complaint, ...]:
    """What several workers complain about, each thing once, in the order of the file."""
    return tuple(sorted(dict.fromkeys(complaints), key=lambda each: each.line or 0))
