"""Building the load client, running it, and what it reports."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.processes import CannotRun, Program

HERE = Path(__file__).resolve().parent
PATIENCE = 300.0
"""Seconds that one measurement may take at most."""


@dataclass(frozen=True)
class Report:
    """What a client says of a measurement."""

    requests: int
    handshakes: int
    errors: int
    error: str
    """The first one's words."""
    bytes: int
    seconds: float
    cpu_seconds: float
    """The client's own."""
    tls: str
    p50_us: float | None = None
    p99_us: float | None = None

    @classmethod
    def parse(cls, line: str) -> Report:
        """Read one line of JSON.

        :raise ValueError: it is none.
        """
        members: dict[str, Any] = json.loads(line)
        return cls(**{name: members[name] for name in cls.__annotations__ if name in members})


def build(folder: Path) -> tuple[list[str], str]:
    """Compile the client, or take the one in Python where that cannot be done.

    :param folder: for the program.
    :return: how it is started, and what it is.
    """
    target = folder / "load-client"
    sources = sorted(map(str, HERE.glob("*.c")))
    command = ["cc", "-O2", "-o", str(target), *sources, "-lssl", "-lcrypto"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pass
    else:
        if done.returncode == 0:
            return [str(target)], "C"
        print(f"bench: the load client does not compile:\n{done.stderr[:600]}", file=sys.stderr)
    return [sys.executable, str(HERE / "fallback.py")], "Python, and so perhaps the bottleneck"


class Running:
    """A client that has done its preparations and waits for the word."""

    def __init__(self, program: Program):
        self._program = program
        self.ready = self._line()

    @property
    def pid(self) -> int:
        """Of the client."""
        return self._program.process.pid

    def go(self) -> Report:
        """Let it run, to its end."""
        self._program.process.stdin.write(b"go\n")
        self._program.process.stdin.flush()
        return self._line()

    def _line(self) -> Report:
        line = self._program.process.stdout.readline()
        if not line:
            raise CannotRun(f"the load client ended:\n{self._program.said()}")
        return Report.parse(line)


class Load:
    """Starts clients.

    :param command: how a client is started.
    :param cpu: where it runs.
    :param pki: the folder of its keys.
    :param log: gets what it complains about.
    """

    def __init__(self, command: list[str], cpu: int, pki: Path, log: Path):
        self._command = command
        self._cpu = cpu
        self._pki = pki
        self._log = log

    @contextmanager
    def client(
        self, mode: str, port: int, path: str, *, caller: str = "ecdsa", **options: float
    ) -> Iterator[Running]:
        """A client of one mode that is ready.

        :param caller: the kind of key that it shows.
        :param options: more of the client's, such as `connections`.
        :raise CannotRun: it cannot get ready.
        """
        words = {
            "port": port,
            "path": path,
            "server_name": "api.svc.toolforge.local",
            "ca": self._pki / "server-ca.crt",
            "certificate": self._pki / f"caller-{caller}.crt",
            "key": self._pki / f"caller-{caller}.key",
            **options,
        }
        command = [*self._command, mode, *(f"{name}={value}" for name, value in words.items())]
        program = Program(
            command, self._cpu, self._log, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        try:
            yield Running(program)
        finally:
            program.process.stdin.close()
            program.process.stdout.close()
            program.end()
