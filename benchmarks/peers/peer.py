"""What all peers have in common: a configuration is written, programs run, a port is asked."""

from __future__ import annotations

import os
from pathlib import Path

from benchmarks.processes import Program, cpu_seconds, memory_bytes, waiting_seconds
from benchmarks.stage import Stage
from toolforge_gateway.testing.ports import free_port


class Peer:
    """A proxy, stopped at first.

    :param stage: what is behind it.
    :ivar port: where callers connect.
    :raise LookupError: it cannot be run on this machine; says what is missing.
    """

    name = ""
    """How the command line calls it."""
    title = ""
    """How the table calls it."""

    def __init__(self, stage: Stage):
        self.stage = stage
        self.folder = stage.folder / self.name
        self.folder.mkdir()
        self.port = free_port()
        self._programs: list[Program] = []

    def openssl(self) -> str:
        """The TLS library that it runs with."""
        raise NotImplementedError

    def run(self) -> None:
        """Start its programs."""
        raise NotImplementedError

    def start(self) -> None:
        """Start it, and wait until it listens.

        :raise CannotRun: it does not.
        """
        self.run()
        self._programs[-1].wait_for(self.port)

    def spawn(self, command: list[str], environ: dict[str, str] | None = None) -> Program:
        """Start one program of it; the last one is the one that callers connect to."""
        log = self.folder / f"{Path(command[0]).name}.log"
        program = Program(command, self.stage.proxy_cpu, log, environ)
        self._programs.append(program)
        return program

    def write(self, name: str, text: str) -> Path:
        """Write one of its files."""
        path = self.folder / name
        path.write_text(text, encoding="utf-8")
        return path

    def end(self) -> None:
        """Stop it; it can be started again."""
        for program in reversed(self._programs):
            program.end()
        self._programs.clear()

    def signal(self, number: int) -> None:
        """Send a signal to the program that callers connect to."""
        self._programs[-1].process.send_signal(number)

    @property
    def pids(self) -> list[int]:
        """The roots of its processes."""
        return [program.process.pid for program in self._programs]

    def cpu_seconds(self) -> float:
        """User and system time that it has used."""
        return cpu_seconds(self.pids)

    def waiting_seconds(self) -> float:
        """How long it waited for its CPU."""
        return waiting_seconds(self.pids)

    def memory_bytes(self) -> int:
        """What it holds of the machine's memory."""
        return memory_bytes(self.pids)


def from_environment(variable: str, program: str, what: str) -> str:
    """A program of an environment that `./run bench` has made.

    :param variable: the environment variable with the folder of its programs.
    :param what: how to say what is missing.
    :raise LookupError: it is not there.
    """
    path = Path(os.environ.get(variable, "/nonexistent"), program)
    if not path.exists():
        raise LookupError(f"{what} is not installed; ./run bench does that")
    return str(path)
