"""Workers that are no processes: what a supervisor asks of them is written down, and answered when
a test says so."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.protocols.amp import UnknownRemoteError
from twisted.trial.unittest import SynchronousTestCase

from tests.config.samples import completed
from toolforge_gateway import config
from toolforge_gateway.config.values import Configuration
from toolforge_gateway.errors import Complaint, ConfigurationError
from toolforge_gateway.listen.opening import Opened
from toolforge_gateway.transport.turns import Board
from toolforge_gateway.workers.supervisor import Supervisor

FILE = Path("/etc/gw/g.yaml")


def configuration(workers: int | str = 2, more: str = "", port: int = 8443) -> Configuration:
    """A configuration with so many workers."""
    listen = (
        f"listen: [{{endpoint: 'tcp:{port}', tls: {{certificate: c, private_key: k, "
        "client_certificate: none}}]\n"
    )
    return config.loads(completed(f"workers: {workers}\n{more}\n{listen}"), FILE)


class Process:
    """One of them.

    :ivar calls: what it was asked, by name, with the arguments.
    :ivar silent: names of commands that it does not answer.
    :ivar failing: names of commands that it cannot do.
    :ivar complaints: what it says to `Prepare`.
    """

    def __init__(self, told: Any, number: int, pid: int):
        self.member = told
        self.number = number
        self.pid: int | None = pid
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.signals: list[str] = []
        self.silent: set[str] = set()
        self.failing: set[str] = set()
        self.complaints: list[list[Any]] = []
        self.immortal = False
        self._waiting: list[tuple[str, dict[str, Any], Deferred]] = []

    def call(self, command: Any, **arguments: Any) -> Deferred:
        name = command.__name__
        if self.pid is None:
            return fail(ConnectionDone())
        self.calls.append((name, arguments))
        if name in self.failing:
            return fail(UnknownRemoteError(b"it failed there"))
        if name in self.silent:
            waiting: Deferred = Deferred()
            self._waiting.append((name, arguments, waiting))
            return waiting
        return succeed(self._answer(name, arguments))

    def answer(self) -> None:
        """Say at last what was not said."""
        waiting, self._waiting, self.silent = self._waiting, [], set()
        for name, arguments, deferred in waiting:
            deferred.callback(self._answer(name, arguments))

    def signal(self, name: str) -> None:
        self.signals.append(name)
        if name == "KILL" and self.pid is not None and not self.immortal:
            self.die("killed by SIGKILL")

    def lose(self) -> None:
        """Its channel closes, as it does before the end."""
        waiting, self._waiting = self._waiting, []
        for _, _, deferred in waiting:
            deferred.errback(ConnectionDone())

    def die(self, how: str = "exit code 1") -> None:
        """It ends."""
        self.pid = None
        self.lose()
        self.member.ended(how)

    @property
    def asked(self) -> list[str]:
        """Names of what it was asked, but for signs of life."""
        return [name for name, _ in self.calls if name != "Ping"]

    def _answer(self, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
        if name == "Prepare":
            text, file = arguments["text"], Path(arguments["file"])
            version = "" if self.complaints else config.loads(text, file).version
            return {"version": version, "complaints": self.complaints}
        if name == "Ask":
            return {"explanation": {"lines": [["who", str(self.pid)]], "allowed": True}}
        return {}


class Held:
    """`Sockets` that opens none.

    :ivar taken: endpoints that are not to be had.
    """

    def __init__(self) -> None:
        self.opened: dict[Any, Opened] = {}
        self.taken: set[str] = set()

    def __contains__(self, place: Any) -> bool:
        return place in self.opened

    def open(self, place: Any) -> None:
        if place.endpoint in self.taken:
            raise OSError(98, "Address already in use")
        if place not in self.opened:
            made = socket.socket()
            self.opened[place] = Opened(made, made.close)

    def socket(self, place: Any) -> socket.socket:
        return self.opened[place].socket

    def close(self, place: Any) -> None:
        self.opened.pop(place).close()

    def close_all(self) -> None:
        for place in tuple(self.opened):
            self.close(place)

    def held(self) -> dict[Any, socket.socket]:
        return {place: each.socket for place, each in self.opened.items()}


class Records:
    """Writes down what it is told."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, bytes]] = []
        self.ended: list[str] = []

    def told(self, member: Any, figures: bytes) -> None:
        self.heard.append((member.name, figures))

    def whole(self) -> bytes:
        return b"".join(figures for _, figures in self.heard)

    def gone(self, member: Any) -> None:
        self.ended.append(member.name)


class CrewCase(SynchronousTestCase):
    """A supervisor with such workers, started."""

    workers: int | str = 2
    cpus = 3
    bad = False

    def setUp(self) -> None:
        self.clock = Clock()
        self.processes: list[Process] = []
        self.prepared: list[Process] = []
        self.next: list[Any] = []
        self.sockets = Held()
        self.board = Board()
        self.addCleanup(self.board.close)
        self.addCleanup(self.sockets.close_all)
        self.records = Records()
        self.supervisor = Supervisor(
            configuration(self.workers),
            self.spawn,
            self.clock,
            self.board,
            self.records,
            self.sockets,
            lambda: self.cpus,
            self.check,
        )
        self.start()
        self.addCleanup(self.flushLoggedErrors)

    def check(self, configuration: Configuration) -> None:
        """See `Supervisor`."""
        if self.bad:
            raise ConfigurationError([Complaint(str(FILE), 1, "", "is no good", "")])

    def start(self) -> None:
        self.supervisor.startService()

    def spawn(self, told: Any, number: int) -> Process:
        process = Process(told, number, 1000 + len(self.processes))
        if self.next:
            self.next.pop(0)(process)
        self.processes.append(process)
        return process

    def living(self) -> list[Process]:
        return [process for process in self.processes if process.pid is not None]

    def seated(self) -> list[Process]:
        """Who has the seats."""
        members = [seat.member for seat in self.supervisor._crew._seats]
        by_member = {process.member: process for process in self.processes}
        return [by_member[member] for member in members if member is not None]


def deaf(*names: str) -> Any:
    """Makes a process that does not answer these."""

    def apply(process: Process) -> None:
        process.silent.update(names)

    return apply


def complaining(*complaints: tuple[Any, ...]) -> Any:
    """Makes a process that finds these wrong."""

    def apply(process: Process) -> None:
        process.complaints = [list(each) for each in complaints]

    return apply
