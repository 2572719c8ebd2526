"""The gateway's end of the control socket."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Factory, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import Interface

from toolforge_gateway.control.channel import Channel
from toolforge_gateway.control.commands import Explain, Impossible, Reload, Report, Restart, State
from toolforge_gateway.control.place import Place
from toolforge_gateway.listen.unix import UnixPort

log = Logger()


class IControlled(Interface):
    """What can be controlled: one process, or a supervisor of several.

    Each method returns what its docstring says, or a Deferred of it, and may raise `Impossible`.
    """

    def reload():
        """Read everything again.

        :return: `Report`.
        """

    def restart():
        """Have new processes take over.

        :return: `Report`.
        """

    def explain(question):
        """Say what would become of a request.

        :param question: `explain.Question.said()`.
        :return: `explain.Explanation.said()`.
        """

    def state():
        """Say how things are.

        :return: dict[str, Any], for JSON.
        """


class ControlPort:
    """Listens at a path, and asks on behalf of who connects there.

    :param controlled: IControlled.
    :param reactor: IReactorFDSet, IReactorSocket and IReactorTime.
    :raise OSError: the socket cannot be made; see `Place`.
    """

    def __init__(self, path: Path, controlled: Any, reactor: Any):
        self.path = path
        self._place = Place(path)
        self._connections: set[ControlConnection] = set()
        self._controlled = controlled
        self._reactor = reactor
        self._port: UnixPort | None = None

    @property
    def stands(self) -> bool:
        """Whether anybody can find it."""
        return self._place.stands

    def start(self) -> None:
        """Answer; who has connected since the socket was made waits until now."""
        factory = _Connections(self._controlled, self._connections, self._reactor)
        self._port = UnixPort(self._place.socket.dup(), factory, self._reactor)
        self._port.startListening()

    def stop(self) -> None:
        """Nobody can connect any more; who is connected still gets an answer."""
        port, self._port = self._port, None
        if port is not None:
            port.stopListening()
        self._place.close()
        for connection in tuple(self._connections):
            connection.end()


class _Connections(Factory):
    noisy = False

    def __init__(self, controlled: Any, connections: set[ControlConnection], reactor: Any):
        self._controlled = controlled
        self._connections = connections
        self._reactor = reactor

    def buildProtocol(self, addr: IAddress | None) -> ControlConnection:
        return ControlConnection(self._controlled, self._connections, self._reactor)


class ControlConnection(Channel):
    """One who asks."""

    def __init__(self, controlled: Any, connections: set[ControlConnection], reactor: Any):
        super().__init__()
        self._reactor = reactor
        self._controlled = controlled
        self._connections = connections
        self._line: Any = None
        self._open = 0
        self._ending = False

    def makeConnection(self, transport: Any) -> None:
        self._connections.add(self)
        self._line = transport
        super().makeConnection(transport)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._connections.discard(self)
        super().connectionLost(reason)

    def end(self) -> None:
        """Close, once what was asked for is answered."""
        self._ending = True
        if not self._open:
            self._line.loseConnection()

    @Reload.responder
    def _reload(self) -> Any:
        return self._ask("reload", _report)

    @Restart.responder
    def _restart(self) -> Any:
        return self._ask("restart", _report)

    @Explain.responder
    def _explain(self, question: Any) -> Any:
        return self._ask("explain", lambda said: {"explanation": said}, question)

    @State.responder
    def _state(self) -> Any:
        return self._ask("state", lambda said: {"state": said})

    def _ask(self, what: str, answer: Any, *arguments: Any) -> Deferred[Any]:
        self._open += 1
        asked = maybeDeferred(getattr(self._controlled, what), *arguments)
        return asked.addBoth(self._answered, what).addCallback(answer)

    def _answered(self, result: Any, what: str) -> Any:
        self._open -= 1
        if self._ending and not self._open:
            # Behind the answer, which is written when this has returned.
            self._reactor.callLater(0, self._line.loseConnection)
        if isinstance(result, Failure) and not result.check(Impossible):
            log.failure("could not {what}", result, what=what)
            raise Impossible(f"the gateway failed to {what}; its log says more")
        return result


def _report(report: Report) -> dict[str, Any]:
    return {"report": report.said()}
