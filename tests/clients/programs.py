"""Real programs as subprocesses of a test."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessDone, ProcessTerminated
from twisted.internet.interfaces import IReactorProcess
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure
from twisted.trial.unittest import SkipTest

_SERVERS = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/local/sbin"))

_PACKAGES = {"promtool": "prometheus"}
"""The Debian packages of programs that are called otherwise."""


def program(name: str) -> str:
    """Where a program of the system is.

    :raise SkipTest: it is not there; says how to get it.
    """
    found = shutil.which(name, path=_SERVERS)
    if found is None:
        raise SkipTest(f"{name} is missing: apt-get install {_PACKAGES.get(name, name)}")
    return found


def client(name: str) -> str:
    """Where a program of the environment with the Toolforge clients is.

    :raise SkipTest: it is not there; says how to get it.
    """
    folder = os.environ.get("TOOLFORGE_CLIENTS_BIN")
    if folder is None or not (Path(folder) / name).exists():
        raise SkipTest(
            f"no {name} with the real Toolforge clients: `./run test` installs them; or set "
            "TOOLFORGE_CLIENTS_BIN to the bin folder of an environment that has "
            "requirements/clients.txt"
        )
    return str(Path(folder) / name)


def proxy(name: str) -> str:
    """Where a program of the environment with other proxies is.

    :raise SkipTest: it is not there; says how to get it.
    """
    folder = os.environ.get("TOOLFORGE_PROXIES_BIN")
    if folder is None or not (Path(folder) / name).exists():
        raise SkipTest(
            f"no {name}: `./run test` installs it; or set TOOLFORGE_PROXIES_BIN to the bin folder "
            "of an environment that has requirements/proxies.txt"
        )
    return str(Path(folder) / name)


@attrs.frozen
class Finished:
    """A program that has ended."""

    code: int | None
    """Exit code; None when a signal ended it."""
    signal: int | None
    out: str
    err: str

    @property
    def said(self) -> str:
        """All output: the clients do not agree on where errors go."""
        return self.out + self.err


class Running(ProcessProtocol):
    """A program that runs; its standard output can be awaited line by line."""

    def __init__(self) -> None:
        self.ended: Deferred[Finished] = Deferred()
        self._out = b""
        self._err = b""
        self._read = 0
        self._waiting: Deferred[str] | None = None
        self._gone: Deferred[None] = Deferred()

    def line(self) -> Deferred[str]:
        """The next whole line of standard output, now or when it comes.

        Fails with EOFError when the program ends without one.
        """
        waiting: Deferred[str] = Deferred()
        self._waiting = waiting
        self._offer()
        return waiting

    def said(self) -> str:
        """All output so far."""
        return (self._out + self._err).decode(errors="replace")

    def signal(self, name: str) -> None:
        """Send a signal, `INT` or `KILL`, if it still runs."""
        if self.transport is not None and self.transport.pid is not None:
            self.transport.signalProcess(name)

    def end(self, name: str = "KILL") -> Deferred[None]:
        """Send a signal and wait until the program is gone; for a test's clean-up."""
        self.signal(name)
        return self._gone

    def outReceived(self, data: bytes) -> None:
        self._out += data
        self._offer()

    def errReceived(self, data: bytes) -> None:
        self._err += data

    def processEnded(self, reason: Failure) -> None:
        end = reason.value
        assert isinstance(end, (ProcessDone, ProcessTerminated))
        finished = Finished(
            end.exitCode,
            end.signal,
            self._out.decode(errors="replace"),
            self._err.decode(errors="replace"),
        )
        if self._waiting is not None:
            waiting, self._waiting = self._waiting, None
            waiting.errback(EOFError(finished.said))
        self._gone.callback(None)
        self.ended.callback(finished)

    def _offer(self) -> None:
        end = self._out.find(b"\n", self._read)
        if end >= 0 and self._waiting is not None:
            line, self._read = self._out[self._read : end], end + 1
            waiting, self._waiting = self._waiting, None
            waiting.callback(line.decode(errors="replace"))


def start(
    reactor: IReactorProcess,
    command: Sequence[str],
    environment: Mapping[str, str] | None = None,
    directory: str | None = None,
) -> Running:
    """Start a program.

    :param environment: added to a small environment of our own: whatever
        proxies and certificates this machine's user has set stay out.
    """
    running = Running()
    inherited = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    reactor.spawnProcess(
        running,
        command[0],
        list(command),
        env={**inherited, "PYTHONUNBUFFERED": "1", "PYTHONUTF8": "1", **(environment or {})},
        path=directory,
    )
    return running


def run(
    reactor: IReactorProcess,
    command: Sequence[str],
    environment: Mapping[str, str] | None = None,
) -> Deferred[Finished]:
    """Run a program to its end."""
    return start(reactor, command, environment).ended
