"""One worker: `python -m toolforge_gateway.workers.worker NUMBER`, as `spawn` calls it.

It serves what its supervisor says over the channel, and ends when that closes.
"""

from __future__ import annotations

import faulthandler
import os
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
from twisted.internet.defer import Deferred, fail, maybeDeferred
from twisted.internet.error import ConnectionLost
from twisted.internet.protocol import Factory, connectionDone
from twisted.internet.task import LoopingCall
from twisted.logger import ILogObserver, Logger, LogLevel, eventAsText, globalLogBeginner
from twisted.python.failure import Failure
from zope.interface import provider

from toolforge_gateway import config, lookup, service
from toolforge_gateway.config.values import Configuration
from toolforge_gateway.control.channel import Channel
from toolforge_gateway.errors import Complaint, ConfigurationError
from toolforge_gateway.explain import Question, explain
from toolforge_gateway.listen.sockets import Place, Sockets
from toolforge_gateway.observe.figures import Figures
from toolforge_gateway.process import look_for_garbage_seldom
from toolforge_gateway.service import Change, GatewayService
from toolforge_gateway.transport.choice import Transports
from toolforge_gateway.transport.turns import Turns
from toolforge_gateway.workers import wire
from toolforge_gateway.workers.orphan import end_when_orphaned
from toolforge_gateway.workers.share import share_of

log = Logger()

BETWEEN_FIGURES = 1.0
LAST_WORDS = 2.0
"""Seconds that the supervisor may take to hear what we have measured at the end."""
ALONE = 5.0
"""Seconds beyond `timeouts.drain` that we may take to end without a supervisor."""


class Worker:
    """Does what the supervisor says.

    :param reactor: IReactorTime, IReactorSocket and what the gateway needs.
    :param ended: called when everything is over.
    """

    def __init__(self, reactor: Any, turns: Turns, ended: Callable[[], object]):
        self._reactor = reactor
        self._turns = turns
        self._ended = ended
        self._sockets = Sockets(reactor)
        self._transports = Transports(reactor, turns=turns)
        self._service: GatewayService | None = None
        self._change: Change | _First | None = None
        self._taken: list[Place] = []
        self._leaving = False
        self._for_good = False
        self._name = ""
        self._channel: Any = None
        self._tells = LoopingCall(self._tell)
        self._tells.clock = reactor

    def connected(self, channel: Any) -> None:
        """There is a supervisor.

        :param channel: its `callRemote` asks it.
        """
        self._channel = channel

    def disconnected(self) -> None:
        """There is none any more: nobody would replace us, or tell us anything."""
        self._channel = None
        self.drain(relieved=True)

    @property
    def alone(self) -> float:
        """Seconds that the end may take where there is no supervisor any more."""
        if self._for_good or self._service is None:
            # Who ends the supervisor while all come to their end wants all of them gone now.
            return 0.0
        return self._service.prepared.configuration.timeouts.drain + ALONE

    def take(self, place: Place, descriptor: int) -> None:
        """Have a socket, for what is prepared next."""
        shared = socket.socket(fileno=descriptor)
        if place in self._sockets:
            shared.close()
            return
        self._sockets.share(place, shared)
        self._taken.append(place)

    def prepare(
        self, file: Path, text: str, index: int, count: int
    ) -> tuple[str, tuple[Complaint, ...]]:
        """Get ready for a configuration.

        :return: its version, and what is wrong with it; nothing is prepared then.
        """
        self.abandon(sockets=False)
        if self._leaving:
            # It has closed what it served on, and would open it anew.
            self.abandon()
            return "", (Complaint(str(file), None, "", "a worker is coming to its end", ""),)
        try:
            configuration = config.loads(text, file)
            self._name = str(index + 1)
            self._change = self._prepare(share_of(configuration, index, count))
        except ConfigurationError as error:
            self.abandon()
            return "", error.complaints
        except (Exception, SystemExit) as error:
            # A plug-in may break in any way, and even want to end the process; what runs is not
            # to suffer from it.
            log.failure("the configuration could not be prepared")
            self.abandon()
            return "", (Complaint(str(file), None, "", f"could not be prepared: {error!r}", ""),)
        return configuration.version, ()

    def commit(self) -> None:
        """Serve by what was prepared."""
        change, self._change = self._change, None
        if change is None:
            raise ValueError("nothing is prepared")
        self._taken.clear()
        change.commit()
        if isinstance(change, _First):
            self._service = change.gateway
            connections = self._service.process.connections
            connections.tell = self._turns.tell
            self._turns.begin(connections.open)
            self._service.process.overview.be_one_of_several(self._name, self._whole)
            self._tells.start(BETWEEN_FIGURES, now=False)
            look_for_garbage_seldom()

    def abandon(self, sockets: bool = True) -> None:
        """Forget what was prepared.

        :param sockets: and the sockets that were taken for it.
        """
        change, self._change = self._change, None
        if change is not None:
            change.abandon()
        if sockets:
            for place in self._taken:
                self._sockets.close(place)
            self._taken.clear()

    def drain(self, relieved: bool) -> None:
        """Serve what runs, and end.

        :param relieved: whether others serve in our stead, so that nobody has to be warned; it may
            be said later that they do not any more.
        """
        self._for_good = self._for_good or not relieved
        if self._leaving:
            return
        self._leaving = True
        self._turns.end()
        if self._service is None:
            self._end()
            return
        stop = self._service.hand_over if relieved else self._service.stopService
        stopping = maybeDeferred(stop)
        stopping.addErrback(lambda failure: log.failure("the end is not in good order", failure))
        stopping.addBoth(lambda _: self._end())

    def reopen_logs(self) -> None:
        """Somebody has moved them away."""
        if self._service is not None:
            self._service.reopen_logs()

    def explain(self, question: dict[str, Any]) -> Deferred[dict[str, Any]]:
        """See `control.commands.Explain`."""
        if self._service is None:
            raise ValueError("nothing is in force")
        prepared = self._service.prepared
        asked = explain(prepared.configuration, prepared.loaded, Question.heard(question))
        return asked.addCallback(lambda explanation: explanation.said())

    def _tell(self) -> None:
        """Tell the supervisor what we have measured."""
        if self._channel is not None and self._service is not None:
            figures = self._service.process.overview.figures()
            self._channel.callRemote(wire.Told, figures=figures.pack())

    def _whole(self) -> Deferred[Figures]:
        """Ask it what all have measured together."""
        if self._channel is None:
            return fail(ConnectionLost("the supervisor has died"))
        self._tell()  # so that we are in it as we are now
        asked: Deferred[Any] = self._channel.callRemote(wire.Whole)
        return asked.addCallback(lambda answer: Figures.unpack(answer["figures"]))

    def _end(self) -> None:
        if self._tells.running:
            self._tells.stop()
            self._tell()
        self._ended()

    def _prepare(self, configuration: Configuration) -> Change | _First:
        if self._service is not None:
            return self._service.prepare(configuration)
        gateway = service.make_service(
            configuration,
            self._reactor,
            self._transports,
            self._sockets,
            operations=False,
        )
        return _First(gateway)


@attrs.frozen
class _First:
    """The change from nothing to the first configuration."""

    gateway: GatewayService

    def commit(self) -> None:
        """Begin."""
        self.gateway.privilegedStartService()
        self.gateway.startService()

    def abandon(self) -> None:
        """Nothing has begun."""


class SupervisorChannel(Channel):
    """The worker's end of the channel."""

    def __init__(self, worker: Worker):
        super().__init__()
        self._worker = worker
        self._lost: Deferred[None] = Deferred()

    @wire.Take.responder
    def _take(self, endpoint: str, number: int, purpose: str, descriptor: int) -> dict[str, Any]:
        self._worker.take(Place(endpoint, number, purpose), descriptor)
        return {}

    @wire.Prepare.responder
    def _prepare(self, file: str, text: str, index: int, count: int) -> dict[str, Any]:
        version, complaints = self._worker.prepare(Path(file), text, index, count)
        return {"version": version, "complaints": [attrs.astuple(each) for each in complaints]}

    @wire.Commit.responder
    def _commit(self) -> dict[str, Any]:
        self._worker.commit()
        return {}

    @wire.Abandon.responder
    def _abandon(self) -> dict[str, Any]:
        self._worker.abandon()
        return {}

    @wire.Drain.responder
    def _drain(self, relieved: bool) -> dict[str, Any]:
        self._worker.drain(relieved)
        return {}

    @wire.Reopen.responder
    def _reopen(self) -> dict[str, Any]:
        self._worker.reopen_logs()
        return {}

    @wire.Ping.responder
    def _ping(self) -> dict[str, Any]:
        return {}

    @wire.Ask.responder
    def _ask(self, question: dict[str, Any]) -> Deferred[dict[str, Any]]:
        asked = maybeDeferred(self._worker.explain, question)
        return asked.addCallback(lambda said: {"explanation": said})

    def makeConnection(self, transport: Any) -> None:
        super().makeConnection(transport)
        self._worker.connected(self)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        super().connectionLost(reason)
        self._lost.callback(None)
        self._worker.disconnected()

    def hang_up(self) -> Deferred[None]:
        """Close, behind what has been said; fires when that is done."""
        transport: Any = self.transport
        if not self._lost.called:
            transport.loseConnection()
        return self._lost


def main(number: int) -> None:
    """Run until the end."""
    from twisted.internet import reactor as made

    reactor: Any = made
    _log_to(sys.stderr.fileno())
    lookup.install(reactor)
    faulthandler.enable()
    # A supervisor that gets no answer asks in this way where we hang.
    faulthandler.register(signal.SIGUSR2, all_threads=True)
    for each in (wire.CHANNEL, wire.BOARD):
        os.set_inheritable(each, False)
    worker = Worker(reactor, Turns(wire.BOARD, number), lambda: _end(reactor, channel))
    channel = SupervisorChannel(worker)
    end_when_orphaned(lambda: worker.alone)
    # Whoever ends or hangs up a whole group of processes, a terminal for one, means the supervisor:
    # it says when to drain, and how.  A worker that did so by itself would be missed by nobody
    # until its last stream has ended.
    for name in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1):
        signal.signal(name, signal.SIG_IGN)
    factory = Factory.forProtocol(lambda: channel)
    factory.noisy = False
    os.set_blocking(wire.CHANNEL, False)
    reactor.adoptStreamConnection(wire.CHANNEL, socket.AF_UNIX, factory)
    os.close(wire.CHANNEL)
    reactor.run(installSignalHandlers=False)


def _end(reactor: Any, channel: SupervisorChannel) -> None:
    gone = channel.hang_up().addTimeout(LAST_WORDS, reactor)
    gone.addErrback(lambda _: None).addCallback(lambda _: reactor.stop())


def _log_to(descriptor: int) -> None:
    """Write lines as `spawn` reads them: level, tab, text; what follows begins with a tab."""
    os.set_blocking(descriptor, False)

    @provider(ILogObserver)
    def observe(event: Any) -> None:
        text = eventAsText(event, includeTimestamp=False, includeSystem=False).rstrip()
        level = event.get("log_level", LogLevel.info).name
        line = f"{level}\t{text}".replace("\n", "\n\t") + "\n"
        try:
            os.write(descriptor, line.encode("utf-8", "replace"))
        except OSError:
            # Nobody reads it, or not as fast as we write: that is not to keep us from serving.
            pass

    globalLogBeginner.beginLoggingTo([observe], redirectStandardIO=False)


if __name__ == "__main__":
    main(int(sys.argv[1]))
