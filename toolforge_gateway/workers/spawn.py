"""Spawning workers: by exec, never by a fork of a process that has a reactor."""

from __future__ import annotations

import os
import signal
import site
import socket
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from twisted.internet.defer import Deferred, fail
from twisted.internet.error import ConnectionLost, ProcessExitedAlready
from twisted.internet.protocol import Factory, ProcessProtocol, connectionDone
from twisted.logger import Logger, LogLevel
from twisted.python.failure import Failure

from toolforge_gateway.control.channel import Channel
from toolforge_gateway.workers.wire import BOARD, CHANNEL, Told, Whole

log = Logger()

MODULE = "toolforge_gateway.workers.worker"
ORPHANED = 1.0
"""Seconds that a channel or a log may outlast its process: somebody else has its other end."""
LONGEST_LINE = 64 * 1024
"""Bytes of one line of a worker's log; what is more is cut into several."""

_NOT_FOR_WORKERS = frozenset(
    ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"]
    + ["LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES"]
)


class IsTold(Protocol):
    """Who is told of one process."""

    name: str
    """What logs call it."""

    def told(self, figures: bytes) -> None:
        """It has measured this, see `observe.figures`."""

    def whole(self) -> bytes:
        """What all have measured together."""
        ...

    def ended(self, how: str) -> None:
        """It is gone, and nothing more will be told."""


class Process(Protocol):
    """A worker's process, as its supervisor has it."""

    @property
    def pid(self) -> int | None:
        """Of it; None when it has ended."""
        ...

    def call(self, command: Any, **arguments: Any) -> Deferred[dict[str, Any]]:
        """Ask something of `wire`; fails when it ends before it has answered."""
        ...

    def signal(self, name: str) -> None:
        """Send it a signal, `KILL`; harmless when it has ended."""


Spawn = Callable[[IsTold, int], Process]
"""Spawns for somebody who is told, with its number on the board."""


class Spawner:
    """Spawns real processes.

    :param reactor: IReactorProcess, IReactorSocket and IReactorTime.
    :param board: descriptor of the page that all workers share.
    :param environment: what they get of ours; by default what we have.
    """

    def __init__(self, reactor: Any, board: int, environment: Mapping[str, str] | None = None):
        self._reactor = reactor
        self._board = board
        # Now, since twistd may change to another folder later.
        self._environment = _environment(os.environ if environment is None else environment)

    def __call__(self, told: IsTold, number: int) -> Process:
        """See `Spawn`."""
        try:
            return self._spawned(told, number)
        except OSError as error:
            # No room for a process, or its descriptors: as if it had ended at once.
            self._reactor.callLater(0, told.ended, f"it could not be spawned: {error}")
            return _Unborn()

    def _spawned(self, told: IsTold, number: int) -> Process:
        ours, theirs = socket.socketpair()
        process = _Process(told, self._reactor)
        with ours, theirs, open(os.devnull, "rb") as nothing:
            ours.setblocking(False)
            self._reactor.spawnProcess(
                process,
                sys.executable,
                # Safe: not from the folder that we happen to be in.
                [sys.executable, "-P", "-m", MODULE, str(number)],
                env=self._environment,
                childFDs={
                    0: nothing.fileno(),
                    1: 1,
                    2: "r",
                    CHANNEL: theirs.fileno(),
                    BOARD: self._board,
                },
            )
            try:
                # It makes a descriptor of its own.
                self._reactor.adoptStreamConnection(ours.fileno(), socket.AF_UNIX, process.channels)
            except OSError:
                process.disown()
                raise
        return process


class _Unborn:
    """The process that there is none of."""

    pid = None

    def call(self, command: Any, **arguments: Any) -> Deferred[dict[str, Any]]:
        """See `Process`."""
        return fail(ConnectionLost("it could not be spawned"))

    def signal(self, name: str) -> None:
        """See `Process`."""


class _Nobody:
    """Is told of a process that cannot be led."""

    name = "a worker without a channel"

    def told(self, figures: bytes) -> None:
        """See `IsTold`."""

    def whole(self) -> bytes:
        """See `IsTold`."""
        return b""

    def ended(self, how: str) -> None:
        """See `IsTold`."""


class _Process(ProcessProtocol):
    def __init__(self, told: IsTold, reactor: Any):
        self._told = told
        self._reactor = reactor
        self._channel = WorkerChannel(told, self._channel_lost)
        self.channels = Factory.forProtocol(lambda: self._channel)
        self.channels.noisy = False
        self._how: str | None = None
        self._open = True
        self._log = _Log(told.name)
        self._patience: Any = None
        self._silence: Any = None

    @property
    def pid(self) -> int | None:
        """See `Process`."""
        pid: int | None = getattr(self.transport, "pid", None)
        return pid

    def call(self, command: Any, **arguments: Any) -> Deferred[dict[str, Any]]:
        """See `Process`."""
        answer: Deferred[dict[str, Any]] = self._channel.callRemote(command, **arguments)
        return answer

    def signal(self, name: str) -> None:
        """See `Process`."""
        transport: Any = self.transport
        try:
            if transport is not None and transport.pid is not None:
                transport.signalProcess(int(signal.Signals[f"SIG{name}"]))
        except ProcessExitedAlready:
            pass

    def disown(self) -> None:
        """There is no room for its channel: end it; that it never was has been told."""
        self._told, self._open = _Nobody(), False
        self.signal("KILL")

    def errReceived(self, data: bytes) -> None:
        """A part of its log."""
        self._log.take(data)

    def processExited(self, reason: Failure) -> None:
        """See `ProcessProtocol`."""
        # Whoever it has started and left behind may write into its log for ever.
        transport: Any = self.transport
        self._silence = self._reactor.callLater(ORPHANED, transport.loseConnection)

    def processEnded(self, reason: Failure) -> None:
        """See `ProcessProtocol`."""
        if self._silence is not None and self._silence.active():
            self._silence.cancel()
        self._log.end()
        value: Any = reason.value
        if value.signal is not None:
            self._how = f"killed by {signal.Signals(value.signal).name}"
        else:
            self._how = f"exit code {value.exitCode}"
        if self._open:
            # Its last words may still be there to be read.
            self._patience = self._reactor.callLater(ORPHANED, self._channel.cut)
        else:
            self._told.ended(self._how)

    def _channel_lost(self) -> None:
        self._open = False
        if self._patience is not None and self._patience.active():
            self._patience.cancel()
        if self._how is not None:
            self._told.ended(self._how)


class WorkerChannel(Channel):
    """The supervisor's end of a channel."""

    def __init__(self, told: IsTold, lost: Callable[[], None]):
        super().__init__()
        self._told = told
        self._lost = lost

    @Told.responder
    def _figures(self, figures: bytes) -> dict[str, Any]:
        self._told.told(figures)
        return {}

    @Whole.responder
    def _whole(self) -> dict[str, Any]:
        return {"figures": self._told.whole()}

    def cut(self) -> None:
        """Wait for nothing more."""
        transport: Any = self.transport
        transport.abortConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        super().connectionLost(reason)
        self._lost()


class _Log:
    """What a worker logs, put into our own log.

    :param name: what its lines begin with.
    """

    def __init__(self, name: str):
        self._name = name
        self._rest = b""
        self._level = LogLevel.warn  # what Python itself says before its end

    def take(self, data: bytes) -> None:
        """Some bytes."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._line(line)
        if len(self._rest) > LONGEST_LINE:
            self.end()

    def end(self) -> None:
        """There is no more."""
        rest, self._rest = self._rest, b""
        if rest:
            self._line(rest)

    def _line(self, line: bytes) -> None:
        level, tab, text = line.decode("utf-8", "replace").partition("\t")
        if not tab:
            self._level, text = LogLevel.warn, level
        elif level:
            try:
                self._level = LogLevel.lookupByName(level)
            except ValueError:
                text = f"{level}\t{text}"
        # Else it goes on with the line before.
        log.emit(self._level, "{worker}: {line}", worker=self._name, line=text)


def _environment(ours: Mapping[str, str]) -> dict[str, str]:
    """What workers get of an environment."""
    theirs = {name: value for name, value in ours.items() if name not in _NOT_FOR_WORKERS}
    folders = [os.path.abspath(each) for each in ours.get("PYTHONPATH", "").split(":") if each]
    here = str(Path(__file__).resolve().parents[2])
    # Not for an installed package: its folder would come before Python's own library.
    if here not in folders and here not in site.getsitepackages():
        folders.append(here)
    if folders:
        theirs["PYTHONPATH"] = os.pathsep.join(folders)
    return theirs
